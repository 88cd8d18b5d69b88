"""Envoy's bootstrap: where its other configuration is, and a listener with which Prometheus reads the statistics. Pure.

Envoy's admin interface can stop Envoy, so it is a Unix socket of mode 0600; the listener forwards two paths of it.
"""

from __future__ import annotations

from pathlib import Path

from canary_tutorial.lab.mesh import listeners
from canary_tutorial.lab.mesh.values import LARGEST_PROGRAM
from canary_tutorial.lab.objects import Obj

ADMIN = "admin.sock"  # relative to where Envoy runs: a socket's path may have 108 letters at most
STATS_PORT = 15090  # Istio's
RUNTIME = {"re2.max_program_size.error_level": LARGEST_PROGRAM}  # Istio's; Envoy's own, 100, is little for users
BUCKETS = [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000]  # Istio's, in milliseconds


def bootstrap(directory: Path, stats_address: str) -> Obj:
    return {
        "node": {"id": "lab", "cluster": "lab"},
        "admin": {"address": {"pipe": {"path": ADMIN, "mode": 0o600}}},
        "dynamic_resources": {"lds_config": _file(directory / "lds.json"), "cds_config": _file(directory / "cds.json")},
        "stats_flush_interval": "0.5s",  # histograms change only then; 5 s is more than a lesson's whole window
        "stats_config": {
            # Everything else that Envoy counts would be read each second by Prometheus, and never looked at.
            "stats_matcher": {"inclusion_list": {"patterns": [{"prefix": "istio."}, {"prefix": "server.live"}]}},
            "histogram_bucket_settings": [{"match": {"prefix": "istio."}, "buckets": BUCKETS}],
        },
        "layered_runtime": {"layers": [{"name": "lab", "static_layer": RUNTIME}]},
        "overload_manager": {"resource_monitors": [_connections()]},
        "static_resources": {"clusters": [_admin_cluster()], "listeners": [_stats_listener(stats_address)]},
    }


def _connections() -> Obj:
    """A limit, since Envoy warns in the log that readers look at when there is none."""
    name = "global_downstream_max_connections"
    limit = "downstream_connections.v3.DownstreamConnectionsConfig"
    type_ = f"type.googleapis.com/envoy.extensions.resource_monitors.{limit}"
    config = {"@type": type_, "max_active_downstream_connections": 10000}
    return {"name": f"envoy.resource_monitors.{name}", "typed_config": config}


def _file(path: Path) -> Obj:
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def _admin_cluster() -> Obj:
    endpoint = {"endpoint": {"address": {"pipe": {"path": ADMIN}}}}
    assignment = {"cluster_name": "admin", "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": "admin", "type": "STATIC", "load_assignment": assignment}


def _stats_listener(address: str) -> Obj:
    allowed = [{"match": {"path": path}, "route": {"cluster": "admin"}} for path in ("/stats/prometheus", "/ready")]
    host = {"name": "stats", "domains": ["*"], "routes": allowed}
    http = listeners.manager(None, [], {"route_config": {"name": "stats", "virtual_hosts": [host]}})
    return listeners.listener("stats", [(address, STATS_PORT)], [listeners.chain(http)])
