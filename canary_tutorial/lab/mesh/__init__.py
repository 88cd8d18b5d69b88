"""The mesh's control plane: Kubernetes and Istio objects in, configuration for one real Envoy out.

Belongs here: what Istio's istiod decides for sidecars and gateways. Does not belong here: carrying, splitting, mirroring
and counting requests; that is Envoy's work.

`world` holds the objects; `routes`, `clusters` and `listeners` compile them (pure functions, dicts in Envoy's own JSON);
`files` hands the result to Envoy; `watch` keeps the world up to date; `envoy` keeps the process alive.
"""
