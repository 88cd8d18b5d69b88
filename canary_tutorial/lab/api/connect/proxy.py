"""/proxy of services and pods: HTTP requests to a program in the cluster, through the API server.

The request goes straight to the program's address (not through the mesh), with its path, query and body. The answer is
streamed unchanged; only a redirect to the program's own address is rewritten to the proxied path.
"""

from __future__ import annotations

import random
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

from canary_tutorial.lab.api.call import Api, Call
from canary_tutorial.lab.errors import BadRequest, NotFound, ServiceUnavailable
from canary_tutorial.lab.kinds import ENDPOINTS, PODS, SERVICES

HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "authorization", "host",
}  # fmt: skip


async def serve(api: Api, call: Call) -> web.StreamResponse:
    target, given = call.target, call.request.rel_url
    scheme, name, port = split_name(target.name)
    find = service_address if target.kind is SERVICES else pod_address
    host, number = find(api, target.namespace, name, port)
    prefix = given.raw_path.removesuffix(target.rest)
    if not target.rest:
        return web.Response(status=301, headers={"Location": prefix + "/"})
    query = f"?{given.raw_query_string}" if given.raw_query_string else ""
    url = URL(f"{scheme}://{host}:{number}{target.rest}{query}", encoded=True)
    return await forward(api, call.request, url, prefix)


async def forward(api: Api, request: web.Request, url: URL, prefix: str) -> web.StreamResponse:
    headers = [(key, value) for key, value in request.headers.items() if key.lower() not in HOP_BY_HOP]
    headers += [
        ("X-Forwarded-Host", request.host),
        ("X-Forwarded-Proto", request.scheme),
        ("X-Forwarded-Uri", request.raw_path),
    ]
    body = request.content if request.can_read_body else None
    response: web.StreamResponse | None = None
    try:
        async with api.client().request(
            request.method, url, headers=headers, data=body, allow_redirects=False, ssl=False
        ) as upstream:
            kept = [(key, value) for key, value in upstream.headers.items() if key.lower() not in HOP_BY_HOP]
            response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
            for key, value in kept:
                response.headers.add(key, relocated(value, url, prefix) if key.lower() == "location" else value)
            await response.prepare(request)
            async for block in upstream.content.iter_any():
                await response.write(block)
            await response.write_eof()
            return response
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        if response is not None and response.prepared:
            raise ConnectionResetError from exc
        raise ServiceUnavailable(f"error trying to reach service: {exc}") from None


def relocated(location: str, url: URL, prefix: str) -> str:
    """A redirect of the program, as its reader must follow it."""
    parts = urlsplit(location)
    if parts.netloc and parts.netloc != f"{url.host}:{url.port}":
        return location
    path = parts.path
    if path.startswith("/") and path != prefix and not path.startswith(prefix + "/"):
        path = prefix + path
    return path + (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")


def split_name(name: str) -> tuple[str, str, str]:
    """`[scheme:]name[:port]` as scheme, name, port."""
    parts = name.split(":")
    if len(parts) == 1:
        return "http", name, ""
    if len(parts) == 2:
        return "http", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("", "http", "https"):
        return parts[0] or "http", parts[1], parts[2]
    raise BadRequest(f'invalid service request "{name}"')


def service_address(api: Api, namespace: str, name: str, port: str) -> tuple[str, int]:
    """Where a ready endpoint of a service listens; `port` is a port's name or number, or nothing if there is one."""
    service = api.store.get(SERVICES, name, namespace)
    ports = service["spec"].get("ports") or []
    chosen = [each for each in ports if port in (each.get("name"), str(each["port"]))] if port else ports[:1]
    if not chosen:
        raise ServiceUnavailable(f'no service port "{port}" found for service "{name}"')
    wanted = chosen[0].get("name", "")
    endpoints = api.store.find(ENDPOINTS, name, namespace) or {}
    found = []
    for subset in endpoints.get("subsets") or []:
        numbers = [each["port"] for each in subset.get("ports") or [] if each.get("name", "") == wanted]
        found += [(address, number) for address in subset.get("addresses") or [] for number in numbers]
    if not found:
        raise ServiceUnavailable(f'no endpoints available for service "{name}"')
    address, number = random.choice(found)
    reference = address.get("targetRef") or {}
    pod = api.store.find(PODS, reference.get("name", ""), reference.get("namespace", namespace))
    if pod is None:
        raise ServiceUnavailable(f'no endpoints available for service "{name}": {address["ip"]} is not a lab pod')
    return api.node.address(pod), number


def pod_address(api: Api, namespace: str, name: str, port: str) -> tuple[str, int]:
    pod = api.store.get(PODS, name, namespace)
    ports = [each for container in pod["spec"]["containers"] for each in container.get("ports") or []]
    if not port:
        number = ports[0]["containerPort"] if ports else 80
    elif port.isdigit() and 0 < int(port[:6]) < 65536:
        number = int(port)
    else:
        number = next((each["containerPort"] for each in ports if each.get("name") == port), 0)
    if not number:
        raise NotFound(f'pod "{name}" has no port "{port}"')
    if not pod.get("status", {}).get("podIP"):
        raise ServiceUnavailable(f'error trying to reach service: pod "{name}" has no address yet')
    return api.node.address(pod), int(number)
