"""The loopback addresses of a lab's pods and programs. Pure.

A lab owns one network 127.N.0.0/16, so that two labs never meet and containers keep their own ports. A pod's address
has a third number below 126; a pod with a sidecar has a second address, where its programs listen, 128 higher: Envoy's
inbound listener has the pod's address to itself.
"""

from __future__ import annotations

from collections.abc import Iterable

NETWORKS = range(16, 251)
OUTBOUND_PORT = 15001  # Istio's number for a sidecar's outbound listener
# Pods without a sidecar share one resolver. The URL of their proxy says which namespace they are in, where others have a
# user and a password: it is the one thing that each HTTP client sends to its proxy.
RESOLVER_USER = "namespace"


MOST_PODS = 126 * 254  # addresses for them


def pod_address(network: int, number: int) -> str:
    """The address of this number, below MOST_PODS, that a pod may get."""
    third, fourth = divmod(number, 254)
    return f"127.{network}.{third}.{fourth + 1}"


def service_addresses(network: int) -> Iterable[str]:
    """Every clusterIP. Nothing listens there: names resolve in Envoy."""
    return (f"127.{network}.126.{fourth}" for fourth in range(1, 255))


def app_address(pod_ip: str) -> str:
    """Where the programs of a pod with a sidecar listen: the twin of the pod's address."""
    first, network, third, fourth = pod_ip.split(".")
    return f"{first}.{network}.{int(third) + 128}.{fourth}"


def resolver(network: int) -> str:
    """The address of Envoy's plain listener, which resolves Services for pods without a sidecar."""
    return f"127.{network}.127.254"


def lock_address(network: int) -> tuple[str, int]:
    """Whoever listens here owns the network."""
    return f"127.{network}.255.254", 15999
