"""The inputs: which request is the 123rd of seed 1. The same for ever, whatever was asked before.

An input is one request of one of three accounts: the administrator, `limited` (who may do anything in the namespace
`den`, and make roles), and `nobody`, a pod's account without any right. They share a few names, so that requests
meet objects of others before them. The administrator stays in `den` and `fair` and gives nothing of worth away;
`limited` tries to get out.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

import fuzz_bodies as bodies
from fuzz_grammar import KINDS, TEXTS, Obj, Pick, few_pods, grow, junk, make, some_damage

ADMIN, LIMITED, NOBODY = "admin", "limited", "nobody"
API_VERSIONS: dict[str, str] = {
    plural: (shape.values[0] if isinstance(shape, Pick) else shape)["apiVersion"] for plural, shape in KINDS.items()
}
WEIGHTS = {"pods": 5, "deployments": 5, "canaries": 5, "virtualservices": 4, "destinationrules": 3, "gateways": 2}
APPLY = "application/apply-patch+yaml"
PATCHES = ("application/merge-patch+json", "application/json-patch+json", "application/strategic-merge-patch+json")
SWEEP_EVERY = 60
SWEPT = (
    "deployments", "pods", "canaries", "replicasets", "services", "virtualservices", "destinationrules", "gateways",
    "secrets", "configmaps",
)  # fmt: skip


@dataclass(frozen=True)
class Input:
    """`frames`: what is sent over the WebSocket that the request opens. `raw`: what is sent instead of a request."""

    account: str
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    frames: tuple[bytes, ...] = ()
    raw: bytes = b""
    maker: str = "sweep"

    @property
    def may_be_cut_off(self) -> bool:
        """Whether the server may hang up while this is sent."""
        return bool(len(self.body) > 1_000_000 or len(self.path) > 8000 or self.raw or self.frames)

    def __str__(self) -> str:
        said = f"{self.maker} by {self.account}: {self.method} {self.path[:400]} {self.headers}"
        return f"{said}\n    {len(self.body)} bytes: {self.body[:1500]!r}" if self.body else said


def input_of(seed: int, number: int) -> Input:
    """The input of that number."""
    r = random.Random(f"{seed}/{number}")
    if number % SWEEP_EVERY == 0:  # so that the lab does not fill up
        turn = number // SWEEP_EVERY
        swept = path(SWEPT[turn // 2 % len(SWEPT)], namespace=("den", "fair")[turn % 2])
        return Input(ADMIN, "DELETE", f"{swept}?labelSelector=keep%21%3Dyes")
    maker = r.choices([each for each, _ in MAKERS], [weight for _, weight in MAKERS])[0]
    return replace(maker(r), maker=maker.__name__)


def path(plural: str, name: str = "", namespace: str = "den", sub: str = "") -> str:
    api_version = API_VERSIONS[plural]
    start = f"/{'apis' if '/' in api_version else 'api'}/{api_version}"
    steps = [start, *(["namespaces", namespace] if namespace else []), plural.partition(".")[0], name, sub]
    return "/".join(step for step in steps if step)


def who(r: random.Random) -> tuple[str, str]:
    """An account and a namespace."""
    accounts = ((ADMIN, "den"), (ADMIN, "fair"), (LIMITED, "den"), (NOBODY, "den"))
    return r.choices(accounts, (3, 7, 9, 1))[0]


def name(r: random.Random) -> str:
    return f"n{r.randrange(10)}"


def kind(r: random.Random) -> str:
    return r.choices(list(KINDS), [WEIGHTS.get(each, 1) for each in KINDS])[0]


def custom(plural: str) -> bool:
    return "." in API_VERSIONS[plural].partition("/")[0] and "k8s.io" not in API_VERSIONS[plural]


def query(r: random.Random, word: str, share: float) -> str:
    """Nothing, or `?a=b`; now and then with a key that is there twice."""
    if r.random() > share:
        return ""
    pairs = [(key, str(value).encode("utf-8", "replace")) for key, value in grow(r, word).items() if r.random() < 0.5]
    pairs += pairs[:1] if r.random() < 0.1 else []
    return "?" + urlencode(pairs) if pairs else ""


# -- the makers


def write(r: random.Random) -> Input:
    """Create, replace or apply an object, damaged or not."""
    account, namespace = who(r)
    plural, own = kind(r), name(r)
    obj = make(r, plural, own, namespace)
    kept = ("apiVersion", "kind", "metadata")
    obj = {key: value if key in kept else some_damage(r, value) for key, value in obj.items()}
    if r.random() < 0.1:
        obj = some_damage(r, obj)
    weights = (1, 6, 1) if plural == "pods" else (6, 2, 0) if custom(plural) else (6, 2, 2)
    method = r.choices(("APPLY", "POST", "PUT"), weights)[0]
    where = path(plural, "" if method == "POST" else own, namespace) + query(r, "$writing", 0.2)
    if method != "APPLY":
        return Input(account, method, where, *bodies.encode(r, obj))
    body, headers = bodies.encode(r, obj, r.choice((bodies.YAML, bodies.JSON)))
    where += f"{'&' if '?' in where else '?'}fieldManager={r.choice('ab')}&force=true"
    return Input(account, "PATCH", where, body, headers | {"Content-Type": APPLY})


def patch(r: random.Random) -> Input:
    """Of an object that may be there: a part of another one, or operations on it."""
    account, namespace = who(r)
    plural, own = kind(r), name(r)
    obj = some_damage(r, make(r, plural, own, namespace))
    content_type, sub = (
        r.choice(PATCHES[: 2 if custom(plural) else 3]),
        r.choices(("", "status", "scale"), (8, 1, 1))[0],
    )
    given: Any = {key: obj[key] for key in r.sample(sorted(obj), min(len(obj), 2)) if key not in ("apiVersion", "kind")}
    given["metadata"] = {"labels": {"p": "q"}, **r.choice(({}, {"finalizers": None}))}
    if content_type == PATCHES[1]:
        given = [operation(r, obj) for _ in range(r.choice((1, 1, 2, 5)))]
    elif sub == "scale":
        given = {"spec": {"replicas": r.choice((0, 1, 2, -1, 2**31, "x", None, 1.5))}}
    elif r.random() < 0.1:
        directives: tuple[Obj, ...] = (
            {"$patch": "replace"},
            {"$patch": "x"},
            {"$retainKeys": 5},
            {"$setElementOrder/x": [[]]},
        )
        given |= r.choice(directives)
    body, headers = bodies.encode(r, few_pods(given), bodies.JSON)
    where = path(plural, own, namespace, sub) + query(r, "$writing", 0.2)
    return Input(account, "PATCH", where, body, headers | {"Content-Type": content_type})


def operation(r: random.Random, obj: Obj) -> Obj:
    """Of a JSON patch, at a place of the object."""
    keys: list[str] = []
    value: Any = obj
    while isinstance(value, dict | list) and value and r.random() < 0.8:
        key = r.choice(list(value) if isinstance(value, dict) else range(len(value)))
        keys, value = [*keys, str(key).replace("~", "~0").replace("/", "~1")], value[key]
    pointer = "".join(f"/{key}" for key in keys)
    verb = r.choice(("add", "replace", "remove", "test", "copy", "move"))
    odd = r.choice(
        (*[{}] * 6, {"op": "x"}, {"path": "/-"}, {"path": 5}, {"path": "/spec/-1"}, {"path": "/metadata/~2"})
    )
    other = r.choice((pointer, "/metadata", "/x", "", 5))
    return {"op": verb, "path": pointer, "value": r.choice((value, junk(r))), "from": other, **odd}


def read(r: random.Random) -> Input:
    account, namespace = who(r)
    plural, own = kind(r), name(r) if r.random() < 0.4 else ""
    everywhere = not own and account == ADMIN and r.random() < 0.2
    where = path(plural, own, "" if everywhere else namespace, r.choice(("status", "scale", "")) if own else "")
    headers = {"Accept": grow(r, "$accept")}
    return Input(account, r.choices(("GET", "HEAD"), (9, 1))[0], where + query(r, "$reading", 0.7), headers=headers)


def delete(r: random.Random) -> Input:
    account, namespace = who(r)
    body, headers = bodies.encode(r, some_damage(r, grow(r, "$delete-options")), bodies.JSON)
    return Input(account, "DELETE", path(kind(r), name(r), namespace) + query(r, "$writing", 0.2), body, headers)


def hostile_body(r: random.Random) -> Input:
    """Deep or wide, to wherever a body is read; the account without rights has such places, too."""
    body, headers = r.choice((bodies.deep, bodies.deep, bodies.wide))(r)
    account, _ = who(r)
    if r.random() < 0.5:
        return Input(account, "POST", f"/apis/authorization.k8s.io/v1/{grow(r, '$review')}", body, headers)
    plural, method = kind(r), r.choice(("POST", "PUT", "PATCH", "DELETE"))
    if method == "POST":
        return Input(account, method, path(plural), body, headers)
    if method == "PATCH":
        headers |= {"Content-Type": APPLY if headers["Content-Type"] == bodies.YAML else r.choice(PATCHES)}
    return Input(account, method, f"{path(plural, name(r))}?fieldManager=a", body, headers)


def odd_path(r: random.Random) -> Input:
    """One step of a path is wrong, or seems to lead elsewhere."""
    steps = path(kind(r), name(r)).split("/")
    texts = [quote(text, errors="replace") for text in TEXTS]
    odd = ("", ".", "..", "%2e%2e", "%2F", "%00", "%ff", "%", "a%2Fb", "x" * 8000, "%25%32%65", *texts)
    steps[r.randrange(1, len(steps))] = r.choice(odd)
    method = r.choice(("GET", "GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "CONNECTED", "get"))
    body = b"{}" if method in ("POST", "PUT", "PATCH") else b""
    return Input(ADMIN if method == "GET" else LIMITED, method, "/".join(steps) + query(r, "$reading", 0.2), body)


def crd(r: random.Random) -> Input:
    """The administrator's; who may make CustomResourceDefinitions is trusted with much, but not with the lab's life."""
    group = f"g{r.randrange(3)}.fuzz.example"
    where = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}"
    spec = {"group": group, **grow(r, "$definition")}
    if r.random() < 0.1:
        return Input(ADMIN, "DELETE", where)
    obj = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": some_damage(r, spec)}
    body, headers = bodies.encode(r, obj, bodies.JSON)
    return Input(ADMIN, "PATCH", f"{where}?fieldManager=a&force=true", body, headers | {"Content-Type": APPLY})


def asked(r: random.Random, word: str, damaged: bool = False) -> Input:
    """A request that the grammar has whole."""
    grown = grow(r, word)
    method, where, body = grown["method"], grown["path"], grown.get("body")
    where += query(r, grown["query"], 1) if "query" in grown else ""
    where += "?fieldManager=l&force=true" if method == "APPLY" else ""
    sent = b"" if body is None else bodies.to_json(some_damage(r, body) if damaged else body)
    content_type = {"APPLY": APPLY, "MERGE": PATCHES[0]}.get(method, bodies.JSON)
    headers = {"Content-Type": content_type, **grown.get("headers", {})}
    return Input(grown["account"], "PATCH" if method in ("APPLY", "MERGE") else method, where, sent, headers)


def page(r: random.Random) -> Input:
    return asked(r, "$page", damaged=True)


def namespace(r: random.Random) -> Input:
    return asked(r, "$namespace", damaged=True)


def log(r: random.Random) -> Input:
    return asked(r, "$log")


def trick(r: random.Random) -> Input:
    return asked(r, "$trick")


def stream(r: random.Random) -> Input:
    """Exec, attach and port-forward of the pod that stays, with odd commands and frames."""
    what = r.choice(("exec", "exec", "attach", "portforward", "portforward"))
    words = [("command", word.encode("utf-8", "replace")) for word in grow(r, "$command")[:3] if word != "podinfo"]
    words += [(each, b"true") for each in ("stdin", "stdout", "stderr", "tty") if r.random() < 0.5]
    ports = [("ports", r.choice((b"8080", b"8080", b"0", b"65536", b"x", b"8080,22", b"9" * 30))) for _ in range(2)]
    where = f"/api/v1/namespaces/fair/pods/steady/{what}?{urlencode(ports if what == 'portforward' else words)}"
    v5, v4, spdy = "v5.channel.k8s.io", "v4.channel.k8s.io", "SPDY/3.1+portforward.k8s.io"
    offered = {"Sec-WebSocket-Protocol": r.choice((v5, v4, f"{v4}, {v5}", spdy, spdy, "x", ""))}
    frames = tuple(frame(r) for _ in range(r.choice((1, 3, 30))))
    return Input(ADMIN, "GET", where, headers=offered, frames=frames)


def frame(r: random.Random) -> bytes:
    """A channel's message, or a frame of SPDY (control frames of every type, or data), some of them broken."""
    if r.random() < 0.5:
        sizes = (b'{"Width":1}', b'{"Width":1e99,"Height":-1}', b"[" * 50_000)
        return bytes([r.choice((0, 0, 1, 3, 4, 255))]) + r.choice((b"", b"x" * 70_000, *sizes, b"\0", r.randbytes(20)))
    start = r.choice((b"\x80\x03\0" + bytes([r.randrange(11)]), r.randbytes(4), b"\0\0\0\1"))
    inner = r.choice((b"", r.randbytes(30), b"\0" * 10, b"\0\0\0\1" + b"\0" * 6 + r.randbytes(40)))
    size = r.choice((len(inner), len(inner), 0, 0xFFFFFF))
    return start + bytes([r.choice((0, 1))]) + size.to_bytes(3, "big") + inner


START = b"/api/v1/namespaces/den/configmaps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer @token@\r\n"
RAW = (  # what no client's library would send
    b"POST " + START + b"Content-Length: 1000\r\nContent-Type: application/json\r\n\r\n{",
    b"POST " + START + b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n{",
    b"POST " + START + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"POST " + START + b"Content-Length: -1\r\n\r\n",
    b"POST " + START + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    b"GET " + START + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    b"GET " + START + b"X: y\r\n" * 5000 + b"\r\n",
    b"GET " + START + b"Content-Length: 3\r\n\r\n",
    b"GET " + START + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET http://x" + START + b"\r\n",
    b"NOTHING " + START + b"\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\0" * 200,
)


def raw(r: random.Random) -> Input:
    return Input(r.choice((ADMIN, LIMITED, NOBODY)), "RAW", "", raw=r.choice(RAW))


Maker = Callable[[random.Random], Input]
MAKERS: tuple[tuple[Maker, int], ...] = (
    (write, 50), (patch, 9), (read, 13), (delete, 3), (page, 4), (odd_path, 2), (hostile_body, 4), (crd, 3),
    (namespace, 1), (trick, 7), (log, 1), (stream, 4), (raw, 1),
)  # fmt: skip
