"""What all tests share.

The lab's mesh and Flagger are processes of their own, each with its classes for Kubernetes' kinds; lightkube keeps one
class for a kind in a process. Here both are imported into one: the later class works as well, it is only not registered.
"""

from typing import Any

from lightkube.core.resource_registry import ResourceRegistry

_register = ResourceRegistry.register


def register(self: ResourceRegistry, resource: Any) -> Any:
    try:
        return _register(self, resource)
    except ValueError:
        return resource


ResourceRegistry.register = register  # type: ignore[method-assign]
