"""The mesh's control plane: Kubernetes and Istio objects in, configuration for one real Envoy out.

Belongs here: what istiod computes for sidecars and gateways. Does not belong here: routing, splitting, mirroring and
counting requests; Envoy does that.

`world` holds the objects. Pure functions turn them into Envoy's own JSON: `routes` (with `matches` and `actions`),
`clusters`, `listeners` (with `telemetry`), `gateways`, `security`; `values` validates their fields for Envoy, `sieve`
leaves out what Envoy would refuse, and `compile` calls them all. `files` writes the result for Envoy, `watch` (with
`patience`) keeps the world up to date, `envoy` restarts the process, `__main__` starts them.
"""
