"""The mesh's control plane: Kubernetes and Istio objects in, configuration for one real Envoy out.

Belongs here: what Istio's istiod decides for sidecars and gateways. Does not belong here: to carry, split, mirror and
count requests; that is Envoy's work.

`world` holds the objects. Pure functions turn them into Envoy's own JSON: `routes` (with `matches` and `actions`),
`clusters`, `listeners` (with `telemetry`), `gateways`, `security`; `values` is what Envoy takes in their fields, `sieve`
leaves out what it would not, and `compile` calls them all. `files` hands the result to Envoy, `watch` (with `patience`)
keeps the world up to date, `envoy` keeps the process alive, `__main__` starts them.
"""
