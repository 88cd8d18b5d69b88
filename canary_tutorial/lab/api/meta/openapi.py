"""OpenAPI v3, one document per group and version: what `kubectl apply` and `kubectl explain` read.

A document is made from the schemas that the server itself validates with. There is no prose in it, so
`kubectl explain` shows fields and types without descriptions.
"""

from __future__ import annotations

import hashlib

from aiohttp import web

from canary_tutorial.lab import schema
from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.api.checks import schemas
from canary_tutorial.lab.api.meta import discovery
from canary_tutorial.lab.api.wire.bodies import encode
from canary_tutorial.lab.errors import NotFound
from canary_tutorial.lab.kinds import Kind
from canary_tutorial.lab.objects import Obj

# kubectl asks for version 2, as protobuf, when it applies a `kind: List`. A document without definitions ("2.0", then a
# title and a version) makes it leave the checking to the server.
VERSION_2 = b"\x0a\x032.0\x12\x0c\x0a\x03lab\x12\x05v1.32"
VERSION_2_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


async def serve(api: Api, call: Call) -> web.StreamResponse:
    steps = call.target.steps
    if steps == ("openapi", "v2"):
        return web.Response(body=VERSION_2, content_type=VERSION_2_TYPE)
    if steps == ("openapi", "v3"):
        return call.answer({"paths": _index(api)})
    if steps[:2] == ("openapi", "v3"):
        group_version = "/".join(steps[3:])
        for group, versions in discovery.groups(api):
            for version in versions:
                if group_version == (f"{group}/{version}" if group else version):
                    return call.answer(document(api, group, version))
    raise NotFound.path()


def _index(api: Api) -> Obj:
    found = {}
    for group, versions in discovery.groups(api):
        for version in versions:
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            digest = hashlib.sha256(encode(document(api, group, version))).hexdigest()[:32].upper()
            found[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return found


def document(api: Api, group: str, version: str) -> Obj:
    """The OpenAPI document of one group and version."""
    paths: Obj = {}
    schemas: Obj = {}
    for kind in api.store.kinds.values():
        if kind.group != group or version not in kind.served:
            continue
        name, shape = _named_schema(api, kind, version)
        gvk = {"group": group, "version": version, "kind": kind.kind}
        schemas[name] = _openapi(shape, schemas) | {"x-kubernetes-group-version-kind": [gvk]}
        paths |= _paths(kind, version, gvk, name)
    info = {"title": "Kubernetes", "version": api.version}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _named_schema(api: Api, kind: Kind, version: str) -> tuple[str, schema.Schema]:
    if kind.custom:
        reverse = ".".join(reversed(kind.group.split(".")))
        return f"{reverse}.{version}.{kind.kind}", schemas.schema_of(api.store, kind, version)
    name = schema.published()["kinds"][f"{kind.group}/{version}/{kind.kind}".lstrip("/")]
    return name, schema.published()["definitions"][name]


def _paths(kind: Kind, version: str, gvk: Obj, name: str) -> Obj:
    root = f"/apis/{kind.group}/{version}" if kind.group else f"/api/{version}"
    collection = f"{root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    body = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}

    def operation(action: str) -> Obj:
        options = ["dryRun", "fieldManager", "fieldValidation"] if action in ("post", "put", "patch") else []
        parameters = [{"name": each, "in": "query", "schema": {"type": "string"}} for each in options]
        operation_id = f"{action}{kind.kind}{version}"
        responses = {"200": {"description": "OK", **body}}
        return {"operationId": operation_id, "parameters": parameters, "responses": responses,
                "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk}  # fmt: skip

    return {
        collection: {"get": operation("list"), "post": operation("post")},
        f"{collection}/{{name}}": {action: operation(action) for action in ("get", "put", "patch", "delete")},
    }


def _openapi(shape: schema.Schema, schemas: Obj) -> Obj:
    """A schema in OpenAPI's words; types that it refers to are added to `schemas`."""
    name = shape.get("$ref")
    if name:
        if name not in schemas:
            schemas[name] = {}  # stands there first, as types may refer to themselves
            schemas[name] = _openapi(schema.published()["definitions"][name], schemas)
        rest = {key: value for key, value in shape.items() if key != "$ref"}
        reference = {"$ref": f"#/components/schemas/{name}"}
        return {"allOf": [reference], "default": {}, **rest} if rest else reference
    if shape.get("x-kubernetes-int-or-string") and "type" not in shape:
        return {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"}
    if shape.get("x-quantity"):
        return {"type": "string"}
    converted = dict(shape)
    if "properties" in shape:
        converted["properties"] = {key: _openapi(inner, schemas) for key, inner in shape["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(shape.get(key), dict):
            converted[key] = _openapi(shape[key], schemas)
    return converted
