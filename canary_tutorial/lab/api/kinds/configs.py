"""ConfigMaps and Secrets."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable

from canary_tutorial.lab.api.kinds.columns import AGE, NAME, Column, count, field
from canary_tutorial.lab.api.kinds.formats import key_faults
from canary_tutorial.lab.api.kinds.resource import READ, WRITE, Grant, Resource, fill
from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.kinds import CONFIGMAPS, SECRETS
from canary_tutorial.lab.objects import Obj

MAX_DATA = 1024 * 1024  # bytes in one ConfigMap or Secret


class ConfigMaps(Resource):
    columns: tuple[Column, ...] = (NAME, count("Data", "data", "binaryData"), AGE)
    grants = (Grant("view", "configmaps", READ), Grant("edit", "configmaps", WRITE))
    encoded: tuple[str, ...] = ("binaryData",)  # what is written in base64
    whole = "[]"  # the path of a fault of all data together

    def check(self, obj: Obj) -> Iterable[Cause]:
        size = 0
        for part in ("data", "binaryData"):
            for key, value in (obj.get(part) or {}).items():
                size += len(value) * 3 // 4 - value[-2:].count("=") if part in self.encoded else len(value.encode())
                yield from key_faults(key, f"{part}[{key}]")
                if part == "data" and key in (obj.get("binaryData") or {}):
                    yield Cause.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        if size > MAX_DATA:
            yield Cause(self.whole, "FieldValueTooLong", f"Too long: may not be more than {MAX_DATA} bytes")

    def check_change(self, old: Obj, new: Obj) -> Iterable[Cause]:
        if old.get("immutable"):
            why = "field is immutable when `immutable` is set"
            if not new.get("immutable"):
                yield Cause.forbidden("immutable", why)
            for part in ("data", "binaryData"):
                if (old.get(part) or {}) != (new.get(part) or {}):
                    yield Cause.forbidden(part, why)


# What a Secret of a type must hold.
NEEDED = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
BASIC = "kubernetes.io/basic-auth"
ACCOUNT_TOKEN, ACCOUNT = "kubernetes.io/service-account-token", "kubernetes.io/service-account.name"


class Secrets(ConfigMaps):
    columns = (NAME, Column("Type", field("type")), count("Data", "data"), AGE)
    immutable = ("type",)
    selectable = frozenset({"type"})
    grants = (Grant("edit", "secrets", READ), Grant("edit", "secrets", WRITE))
    encoded, whole = ("data", "binaryData"), "data"

    def check(self, obj: Obj) -> Iterable[Cause]:
        yield from super().check(obj)
        data, type_ = obj.get("data") or {}, obj["type"]
        for key in NEEDED.get(type_, ()):
            if key not in data:
                yield Cause.required(f"data[{key}]")
            elif key.startswith(".docker") and not _is_json(data[key]):
                yield Cause.invalid(f"data[{key}]", "<secret contents redacted>", "invalid character")
        if type_ == BASIC and not {"username", "password"} & data.keys():
            yield Cause.required("data[username]")
            yield Cause.required("data[password]")
        if type_ == ACCOUNT_TOKEN and not (obj["metadata"].get("annotations") or {}).get(ACCOUNT):
            yield Cause.required(f"metadata.annotations[{ACCOUNT}]")

    def default(self, obj: Obj) -> None:
        fill(obj, type="Opaque")
        plain = obj.pop("stringData", None) or {}
        if plain:
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
            obj["data"] = (obj.get("data") or {}) | encoded


def _is_json(encoded: str) -> bool:
    try:
        json.loads(base64.b64decode(encoded))
    except ValueError:
        return False
    return True


RESOURCES = [ConfigMaps(CONFIGMAPS), Secrets(SECRETS)]
