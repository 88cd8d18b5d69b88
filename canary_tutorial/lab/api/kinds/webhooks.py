"""Configurations of admission webhooks, which the lab stores and does not call (see `checks.admission`)."""

from __future__ import annotations

from canary_tutorial.lab.api.kinds.columns import AGE, NAME, count
from canary_tutorial.lab.api.kinds.resource import Resource, fill
from canary_tutorial.lab.kinds import ADMISSION, MUTATINGWEBHOOKS, Kind
from canary_tutorial.lab.objects import Obj

VALIDATINGWEBHOOKS = Kind(
    ADMISSION, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations",
    "validatingwebhookconfiguration", False, (), ("api-extensions",), generation=True,
)  # fmt: skip


class Webhooks(Resource):
    columns = (NAME, count("Webhooks", "webhooks"), AGE)

    def default(self, obj: Obj) -> None:
        for hook in obj.get("webhooks") or []:
            fill(hook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10, namespaceSelector={},
                 objectSelector={})  # fmt: skip
            if obj["kind"].startswith("Mutating"):
                fill(hook, reinvocationPolicy="Never")
            service = (hook.get("clientConfig") or {}).get("service")
            if service:
                fill(service, port=443)
            for rule in hook.get("rules") or []:
                fill(rule, scope="*")


RESOURCES = [Webhooks(MUTATINGWEBHOOKS), Webhooks(VALIDATINGWEBHOOKS)]
