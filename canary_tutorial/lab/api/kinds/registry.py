"""The list of built-in kinds, served from the start. CustomResourceDefinitions add more (`Store.kinds`). Pure."""

from __future__ import annotations

from importlib import import_module

from canary_tutorial.lab.api.kinds.definitions import CustomResourceDefinitions
from canary_tutorial.lab.api.kinds.resource import Resource
from canary_tutorial.lab.kinds import Kind

# The modules of this package that have kinds, in the order in which discovery lists their groups. They are imported by
# name, so that a new one is one word here.
MODULES = "namespaces pods configs events deployments autoscalers services nodes roles definitions webhooks"
RESOURCES: list[Resource] = [
    each for name in MODULES.split() for each in import_module(f"{__package__}.{name}").RESOURCES
]
KINDS = tuple(each.kind for each in RESOURCES)
BY_KEY = {each.kind.key: each for each in RESOURCES}
CustomResourceDefinitions.built_in = BY_KEY.keys()
# Kinds that a second group serves too: by that group and their plural.
OTHER_GROUPS: dict[tuple[str, str], Kind] = {
    (group, each.kind.plural): each.kind
    for each in RESOURCES
    for group in (api_version.partition("/")[0] for api_version in each.forms)
    if group != each.kind.group
}


def resource_of(kind: Kind) -> Resource:
    return BY_KEY.get(kind.key) or Resource(kind)
