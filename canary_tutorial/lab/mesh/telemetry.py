"""Istio's two standard metrics, as Envoy's access logger counts them. Pure.

`istio_requests_total` and `istio_request_duration_milliseconds` are reported by both sides: by the client's sidecar
(reporter="source") and by the server's (reporter="destination"). The server's sidecar reads who sent a request from
headers that the client's sidecar adds, and removes them before the program gets the request.
"""

from __future__ import annotations

import json
from typing import Any

from canary_tutorial.lab.mesh.clusters import METADATA
from canary_tutorial.lab.mesh.matches import LABELS_HEADER, labels_text
from canary_tutorial.lab.mesh.world import UNKNOWN, app_of, fqdn, labels_of, workload_of
from canary_tutorial.lab.objects import Obj

Tags = dict[str, str]  # label -> command for its value

EXTENSIONS = "type.googleapis.com/envoy.extensions"
SOURCE = {"source_workload": "workload", "source_workload_namespace": "namespace", "source_app": "app"}
STRANGER = {"workload": UNKNOWN, "namespace": UNKNOWN, "app": UNKNOWN}
LISTENER_METADATA = {"filter_metadata": {METADATA: {UNKNOWN: UNKNOWN}}}  # what `_first` falls back on


def identity(pod: Obj) -> dict[str, str]:
    return {"workload": workload_of(pod), "namespace": pod["metadata"]["namespace"], "app": app_of(pod)}


def source_tags(pod: Obj) -> Tags:
    """The labels of a request that leaves a pod: whom it went to is known from the endpoint and the cluster chosen."""
    own = identity(pod)
    upstream = {
        "destination_workload": ("UPSTREAM_HOST", "workload"),
        "destination_workload_namespace": ("UPSTREAM_HOST", "workload_namespace"),
        "destination_app": ("UPSTREAM_HOST", "app"),
        "destination_service": ("CLUSTER", "service"),
        "destination_service_name": ("CLUSTER", "service_name"),
        "destination_service_namespace": ("CLUSTER", "service_namespace"),
    }
    return {
        "reporter": "source",
        **{label: own[key] for label, key in SOURCE.items()},
        **{label: _first(("METADATA", f"{of}:{METADATA}:{key}")) for label, (of, key) in upstream.items()},
        "connection_security_policy": UNKNOWN,  # as with Istio, the asking side does not say
    }


def destination_tags(pod: Obj, service: Obj | None, mutual_tls: bool) -> Tags:
    """The labels of a request that reaches a pod; `service` is the oldest one that selects it."""
    own = identity(pod)
    return {
        "reporter": "destination",
        **{label: _first(("FILTER_STATE", f"{_header(key)}:PLAIN")) for label, key in SOURCE.items()},
        "destination_workload": own["workload"],
        "destination_workload_namespace": own["namespace"],
        "destination_app": own["app"],
        "destination_service": fqdn(service) if service else UNKNOWN,
        "destination_service_name": service["metadata"]["name"] if service else UNKNOWN,
        "destination_service_namespace": own["namespace"],
        "connection_security_policy": "mutual_tls" if mutual_tls else "none",
    }


def _first(*commands: tuple[str, str]) -> str:
    """The first of these that has a value, else "unknown" (Envoy alone would say "-")."""
    wanted = [*commands, ("METADATA", f"LISTENER:{METADATA}:{UNKNOWN}")]
    return f"%COALESCE({json.dumps({'operators': [{'command': c, 'param': p} for c, p in wanted]})})%"


def _header(key: str) -> str:
    return f"x-lab-source-{key}"


SOURCE_HEADERS = [_header(key) for key in SOURCE.values()]


def say_who_asks(pod: Obj | None) -> Obj:
    """The filter that names the pod to the other side, and its labels to the routes; None is a pod without sidecar."""
    said = {_header(key): value for key, value in (identity(pod) if pod else STRANGER).items()}
    said[LABELS_HEADER] = labels_text(labels_of(pod) if pod else {})
    mutations = [
        {"append": {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
        for key, value in said.items()
    ]
    return http_filter("header_mutation", "HeaderMutation", mutations={"request_mutations": mutations})


def hear_who_asks() -> Obj:
    """The filter that keeps those names for the metrics, so that the headers can go."""
    kept = [
        {
            "object_key": header,
            "factory_key": "envoy.string",
            "format_string": {"text_format_source": {"inline_string": f"%REQ({header})%"}, "omit_empty_values": True},
            "skip_if_empty": True,
        }
        for header in SOURCE_HEADERS
    ]
    return http_filter("set_filter_state", "Config", on_request_headers=kept)


def http_filter(name: str, kind: str, **config: Any) -> Obj:
    type_ = f"{EXTENSIONS}.filters.http.{name}.v3.{kind}"
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": type_, **config}}


def counters(tags: Tags) -> Obj:
    """The access logger that counts."""
    common = tags | {
        "request_host": "%REQ(:AUTHORITY)%",
        "request_protocol": "http",
        "response_code": "%RESPONSE_CODE%",
        "response_flags": "%RESPONSE_FLAGS%",
    }
    tag_list = [{"name": name, "value_format": value} for name, value in common.items()]
    duration = {"stat": {"name": "request_duration_milliseconds", "tags": tag_list}}
    return {
        "name": "envoy.access_loggers.stats",
        "typed_config": {
            "@type": f"{EXTENSIONS}.access_loggers.stats.v3.Config",
            "stats_scope": {"prefix": "istio"},
            "counters": [{"stat": {"name": "requests_total", "tags": tag_list}, "value_fixed": 1}],
            "histograms": [{**duration, "unit": "Milliseconds", "value_format": "%DURATION%"}],
        },
    }
