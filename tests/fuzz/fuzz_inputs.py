"""The inputs: which request is the 123rd of seed 1. The same for ever, whatever was asked before.

An input is one request of one of three accounts: the administrator, `limited` (who may do anything in the namespace
`den`, and create roles), and `nobody`, a pod's account without any right. They share a few names, so that requests
meet objects of others before them. The administrator stays in `den` and `fair` and gives nothing of worth away;
`limited` tries to get out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

import fuzz_bodies as bodies
from fuzz_grammar import JUNK, KINDS, NUMBERS, TEXTS, Obj, Pick, grow, make, mostly, some_damage

ADMIN, LIMITED, NOBODY = "admin", "limited", "nobody"
API_VERSIONS = {plural: (shape.values[0] if isinstance(shape, Pick) else shape)["apiVersion"] for plural, shape in KINDS.items()}
CONTINUE = "@continue@"  # in a query: a token of somebody's unfinished list
RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews")
SWEEP_EVERY = 60
SWEPT = ("deployments", "pods", "canaries", "replicasets", "services", "virtualservices", "destinationrules", "gateways", "secrets", "configmaps")


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

    def __str__(self) -> str:
        said = f"{self.maker} by {self.account}: {self.method} {self.path[:400]} {self.headers}"
        return f"{said}\n    {len(self.body)} bytes: {self.body[:1500]!r}" if self.body else said


def input_of(seed: int, number: int, outside: str) -> Input:
    """The input of that number; `outside` is the directory that pods try to reach."""
    r = random.Random(f"{seed}/{number}")
    if number % SWEEP_EVERY == 0:  # so that the lab does not fill up
        turn = number // SWEEP_EVERY
        swept = path(SWEPT[turn // 2 % len(SWEPT)], namespace=("den", "fair")[turn % 2])
        return Input(ADMIN, "DELETE", f"{swept}?labelSelector=keep%21%3Dyes")
    maker = r.choices([each for each, _ in MAKERS], [weight for _, weight in MAKERS])[0]
    return replace(maker(r, outside), maker=maker.__name__)


def path(plural: str, name: str = "", namespace: str = "den", sub: str = "") -> str:
    api_version = API_VERSIONS[plural]
    start = f"/{'apis' if '/' in api_version else 'api'}/{api_version}"
    steps = [start, *(["namespaces", namespace] if namespace else []), plural.partition(".")[0], *([name] if name else []), *([sub] if sub else [])]
    return "/".join(steps)


def who(r: random.Random) -> tuple[str, str]:
    """An account and a namespace."""
    accounts = ((ADMIN, "den"), (ADMIN, "fair"), (LIMITED, "den"), (NOBODY, "den"))
    return r.choices(accounts, (3, 7, 9, 1))[0]


def name(r: random.Random) -> str:
    return f"n{r.randrange(10)}"


WEIGHTS = {"pods": 5, "deployments": 5, "canaries": 5, "virtualservices": 4, "destinationrules": 3, "gateways": 2, "configmaps": 2, "secrets": 2, "services": 2}


def kind(r: random.Random) -> str:
    return r.choices(list(KINDS), [WEIGHTS.get(each, 1) for each in KINDS])[0]


def custom(plural: str) -> bool:
    return "." in API_VERSIONS[plural].partition("/")[0] and "k8s.io" not in API_VERSIONS[plural]


def placed(obj: Obj, outside: str) -> Obj:
    """The object with the directory that no pod may touch in it."""
    text = json.dumps(obj).replace("@climb@", "../" * 40).replace("@outside@", outside.lstrip("/"))
    return dict(json.loads(text))


# -- queries

WRITE = {"dryRun~": mostly("All", "x", ""), "fieldManager~": mostly("me", "", "x" * 200, "\0"), "fieldValidation~": mostly("Strict", "Warn", "Ignore", "x"),
         "force~": mostly("true", "false", "x"), "pretty~": "true", "propagationPolicy~": mostly("Background", "Foreground", "Orphan", "x"), "gracePeriodSeconds~": Pick(NUMBERS)}  # fmt: skip
READ = {
    "labelSelector~": mostly("app=x", "app in (x,y)", "!app", "app notin (", "a=b,,", "(" * 3000, "x," * 3000, *TEXTS), "limit~": mostly(1, 2, *NUMBERS, "x"),
    "fieldSelector~": mostly("metadata.name=n0", "status.phase!=Running", "spec.x=1", "a=\\", "=" * 3000, *TEXTS), "continue~": mostly(CONTINUE, *TEXTS, "W" * 3000, "eyJ2IjpbW1tb"),
    "resourceVersion~": mostly("0", "1", *NUMBERS, "x"), "resourceVersionMatch~": mostly("NotOlderThan", "Exact", "x"), "watch~": Pick(("1", "true", "True", "x", "0", "")),
    "timeoutSeconds~": mostly(1, 1, *NUMBERS, "x"), "allowWatchBookmarks~": "true", "sendInitialEvents~": mostly("true", "x"), "pretty~": "x",
}  # fmt: skip
ACCEPT = mostly(
    "application/json", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "*/*",
    "application/vnd.kubernetes.protobuf", "application/yaml", "text/html", "", "a" * 3000, ";;;,,", "application/json;q=x", "application/json;as=Nothing;v=v1;g=x",
)  # fmt: skip


def query(r: random.Random, shape: Obj, share: float) -> str:
    if r.random() > share:
        return ""
    pairs = [(key, str(value).encode("utf-8", "replace")) for key, value in grow(r, shape).items() if r.random() < 0.5]
    pairs += pairs[:1] if r.random() < 0.1 else []
    return "?" + urlencode(pairs) if pairs else ""


# -- the makers


def write(r: random.Random, outside: str) -> Input:
    """Create, replace or apply an object, damaged or not."""
    account, namespace = who(r)
    plural, own = kind(r), name(r)
    obj = placed(make(r, plural, own, namespace), outside)
    obj = {**obj, **{key: some_damage(r, value) for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}}
    if r.random() < 0.1:
        obj = some_damage(r, obj)
    method = r.choices(("APPLY", "POST", "PUT"), (1, 6, 1) if plural == "pods" else (6, 2, 0) if custom(plural) else (6, 2, 2))[0]
    body, headers = bodies.encode(r, obj, bodies.YAML if method == "APPLY" and r.random() < 0.5 else bodies.JSON if method == "APPLY" else "")
    where = path(plural, "" if method == "POST" else own, namespace) + query(r, WRITE, 0.2)
    if method != "APPLY":
        return Input(account, method, where, body, headers)
    where += f"{'&' if '?' in where else '?'}fieldManager={r.choice('ab')}&force=true"
    return Input(account, "PATCH", where, body, headers | {"Content-Type": "application/apply-patch+yaml"})


def patch(r: random.Random, outside: str) -> Input:
    account, namespace = who(r)
    plural, own = kind(r), name(r)
    obj = some_damage(r, placed(make(r, plural, own, namespace), outside))
    form = r.choice(("merge", "merge", "merge", "json", "json") if custom(plural) else ("merge", "strategic-merge", "strategic-merge", "json"))
    given: Any = obj
    if form == "json":
        given = [operation(r, obj) for _ in range(r.choice((1, 1, 2, 5)))]
    elif isinstance(obj, dict):
        chosen = r.sample(sorted(obj), min(len(obj), 2))
        given = {key: obj[key] for key in chosen if key not in ("apiVersion", "kind")} | {"metadata": {"labels": {"p": "q"}, **r.choice(({}, {"finalizers": None}))}}
        if r.random() < 0.1:
            given |= r.choice(({"$patch": "replace"}, {"$patch": "x"}, {"$retainKeys": 5}, {"$setElementOrder/containers": [[]]}, {"$deleteFromPrimitiveList/x": 5}))
    body, headers = bodies.encode(r, given, bodies.JSON)
    sub = r.choices(("", "status", "scale"), (8, 1, 1))[0]
    if sub == "scale":
        body = bodies.to_json({"spec": {"replicas": r.choice((0, 1, 2, -1, "x", None, 1.5))}})
    content_type = f"application/{form}-patch+json"
    return Input(account, "PATCH", path(plural, own, namespace, sub) + query(r, WRITE, 0.2), body, headers | {"Content-Type": content_type})


def operation(r: random.Random, obj: Obj) -> Obj:
    keys, value = [], obj
    while isinstance(value, dict | list) and value and r.random() < 0.8:
        key = r.choice(list(value) if isinstance(value, dict) else range(len(value)))
        keys, value = [*keys, str(key).replace("~", "~0").replace("/", "~1")], value[key]
    pointer = "".join(f"/{key}" for key in keys)
    good = {"op": r.choice(("add", "replace", "remove", "test", "copy", "move")), "path": pointer, "value": r.choice((value, r.choice(JUNK)))}
    return {**good, "from": r.choice((pointer, "/metadata", "/x", "", 5)), **r.choice(({}, {}, {"op": "x"}, {"path": r.choice(("/-", "x", 5, "/spec/-1", "/metadata/labels/~2"))}))}


def read(r: random.Random, outside: str) -> Input:
    account, namespace = who(r)
    plural = kind(r)
    own = name(r) if r.random() < 0.4 else ""
    everywhere = not own and account == ADMIN and r.random() < 0.2
    where = path(plural, own, "" if everywhere else namespace, r.choice(("status", "scale", "")) if own else "")
    return Input(account, r.choices(("GET", "HEAD"), (9, 1))[0], where + query(r, READ, 0.7), headers={"Accept": grow(r, ACCEPT)})


def other_pages(r: random.Random, outside: str) -> Input:
    """Discovery, health, reviews, OpenAPI; and paths that lead nowhere, or seem to lead elsewhere."""
    plain = r.choice(("/api", "/apis", "/version", "/openapi/v2", "/openapi/v3", "/openapi/v3/apis/apps/v1", "/apis/apps/v1", "/livez?verbose", "/metrics", "/"))
    if r.random() < 0.5:
        return Input(r.choice((ADMIN, LIMITED, NOBODY)), "GET", plain, headers={"Accept": grow(r, ACCEPT)})
    if r.random() < 0.5:
        spec = {"resourceAttributes~": {"verb": "get", "resource": mostly("pods", 5, ""), "namespace": TEXTS[2]}, "nonResourceAttributes~": {"path": Pick(TEXTS)}, "namespace~": "den", "user~": "x"}
        body, headers = bodies.encode(r, some_damage(r, {"spec": grow(r, spec)}), bodies.JSON)
        return Input(r.choice((LIMITED, NOBODY)), "POST", f"/apis/authorization.k8s.io/v1/{r.choice(REVIEWS)}", body, headers)
    start = path(kind(r), name(r))
    steps = start.split("/")
    steps[r.randrange(1, len(steps))] = r.choice(("", ".", "..", "%2e%2e", "%2F", "%00", "%ff", "%", "a%2Fb", "x" * 8000, "%25%32%65", *map(lambda text: quote(text, errors="replace"), TEXTS)))
    method = r.choice(("GET", "GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "CONNECTED", "get"))
    return Input(LIMITED if method != "GET" else ADMIN, method, "/".join(steps) + query(r, READ, 0.2), b"{}" if method in ("POST", "PUT", "PATCH") else b"")


def delete(r: random.Random, outside: str) -> Input:
    account, namespace = who(r)
    options = grow(r, {"gracePeriodSeconds~": mostly(0, *NUMBERS), "propagationPolicy~": mostly("Background", "Orphan", "Foreground", "x"), "preconditions~": {"uid~": Pick(JUNK)}, "dryRun~": ["All"]})
    body, headers = bodies.encode(r, some_damage(r, options), bodies.JSON)
    return Input(account, "DELETE", path(kind(r), name(r), namespace) + query(r, WRITE, 0.2), body, headers)


def hostile_body(r: random.Random, outside: str) -> Input:
    """Deep or wide, to wherever a body is read; the account without rights has such places, too."""
    body, headers = r.choice((bodies.deep, bodies.deep, bodies.wide))(r)
    account, _ = who(r)
    if r.random() < 0.5:
        return Input(account, "POST", f"/apis/authorization.k8s.io/v1/{r.choice(REVIEWS)}", body, headers)
    plural, method = kind(r), r.choice(("POST", "PUT", "PATCH", "DELETE"))
    own = name(r) if method != "POST" else ""
    forms = ("apply-patch+yaml",) if headers["Content-Type"] == bodies.YAML else ("merge-patch+json", "json-patch+json", "strategic-merge-patch+json")
    if method == "PATCH":
        headers |= {"Content-Type": f"application/{r.choice(forms)}"}
    return Input(account, method, path(plural, own) + ("?fieldManager=a" if method == "PATCH" else ""), body, headers)


def crd(r: random.Random, outside: str) -> Input:
    """The administrator's; who may make CustomResourceDefinitions is trusted with much, but not with the lab's life."""
    group = f"g{r.randrange(3)}.fuzz.example"
    own = f"things.{group}"
    spec = {"group": group, **grow(r, "$definition")}
    obj = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": own}}
    obj["spec"] = some_damage(r, spec) if r.random() < 0.4 else spec
    where = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    if r.random() < 0.1:
        return Input(ADMIN, "DELETE", f"{where}/{own}")
    body, headers = bodies.encode(r, obj, bodies.JSON)
    return Input(ADMIN, "PATCH", f"{where}/{own}?fieldManager=a&force=true", body, headers | {"Content-Type": "application/apply-patch+yaml"})


def namespace(r: random.Random, outside: str) -> Input:
    own = f"f{r.randrange(4)}"
    if r.random() < 0.3:
        return Input(ADMIN, "DELETE", f"/api/v1/namespaces/{own}" + query(r, WRITE, 0.2))
    meta = {"name": own, "labels": grow(r, {"istio-injection~": mostly("enabled", "x"), "x~": Pick(TEXTS)})}
    body, headers = bodies.encode(r, {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}, bodies.JSON)
    return Input(ADMIN, r.choice(("POST", "PUT")), "/api/v1/namespaces" + (f"/{own}" if r.random() < 0.5 else ""), body, headers)


# -- ways out of `den`

MINE = {"kind": "ServiceAccount", "name": "limited", "namespace": "gate"}
SECRETS_RULE = {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["*"]}
ROLE = {
    "rules~": Pick(([], [SECRETS_RULE], [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], [{"nonResourceURLs": ["*"], "verbs": ["*"]}])),
    "aggregationRule~": {"clusterRoleSelectors": Pick(([{"matchLabels": {"ev": "il"}}], [{}], [{"matchExpressions": [{"key": "ev", "operator": "DoesNotExist"}]}], []))},
}  # fmt: skip
ROLES = ("cluster-admin", "admin", "edit", "view", "l0", "l1", "l2", "flagger")


def trick(r: random.Random, outside: str) -> Input:
    """`limited` (or `nobody`) asks for what it must not have, or prepares it."""
    own, account = f"l{r.randrange(3)}", r.choice((LIMITED, LIMITED, LIMITED, NOBODY))
    role = {"apiVersion": RBAC[6:], "kind": "ClusterRole", "metadata": {"name": own, "labels": r.choice(({}, {"ev": "il"}))}, **grow(r, ROLE)}
    binding = {"apiVersion": RBAC[6:], "kind": "ClusterRoleBinding", "metadata": {"name": own},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": r.choice(ROLES)},
               "subjects": [r.choice((MINE, {"kind": "Group", "name": "system:authenticated"}, {"kind": "User", "name": "system:serviceaccount:gate:limited"}))]}  # fmt: skip
    space = r.choice(("den", "vault", "istio-system", "gate"))
    narrow = {**binding, "kind": "RoleBinding", "metadata": {"name": own, "namespace": space}}
    chance = r.randrange(8)
    if chance < 3:  # write roles
        plural, obj = r.choice((("clusterroles", role), ("clusterrolebindings", binding), (f"namespaces/{space}/rolebindings", narrow)))
        if r.random() < 0.3:
            return Input(account, "POST", f"{RBAC}/{plural}", bodies.to_json(obj), {"Content-Type": bodies.JSON})
        return Input(account, "PATCH", f"{RBAC}/{plural}/{own}?fieldManager=l&force=true", bodies.to_json(obj), {"Content-Type": "application/apply-patch+yaml"})
    if chance == 3:  # change those that are there
        changes = ({"metadata": {"labels": {"ev": "il"}}}, {"metadata": {"labels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}}}, role, {"rules": [SECRETS_RULE]})
        return Input(account, "PATCH", f"{RBAC}/clusterroles/{r.choice(ROLES)}", bodies.to_json(r.choice(changes)), {"Content-Type": "application/merge-patch+json"})
    if chance == 4:  # be somebody else
        names = ("system:admin", "kubernetes-admin", "system:serviceaccount:istio-system:flagger", "system:serviceaccount:kube-system:x", "")
        headers = {"Impersonate-User": r.choice(names), **r.choice(({}, {"Impersonate-Group": "system:masters"}, {"Impersonate-Uid": "x"}, {"Impersonate-Extra-scopes": "x"}))}
        return Input(account, "GET", f"/api/v1/namespaces/{space}/secrets", headers=headers)
    if chance == 5:  # another's token, another's pod
        target = r.choice((f"serviceaccounts/{r.choice(('default', 'flagger', 'limited'))}/token", "pods/x/exec?command=id", "pods/x/eviction", "services/podinfo:9898/proxy/"))
        return Input(account, r.choice(("POST", "GET")), f"/api/v1/namespaces/{space}/{target}", b"{}", {"Content-Type": bodies.JSON})
    if chance == 6:  # look elsewhere by another name of the path, or of the object
        steps = r.choice(("den/../vault", "den%2F..%2Fvault", "vault", "vault/", "den//vault", "%76ault", "vault%00", "*", "", "den/secrets/../../vault"))
        obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "stolen", "namespace": "vault"}, "data": {}}
        method = r.choice(("GET", "GET", "POST", "DELETE"))
        return Input(account, method, f"/api/v1/namespaces/{steps}/secrets", bodies.to_json(obj) if method == "POST" else b"", {"Content-Type": bodies.JSON})
    listed = r.choice(("/api/v1/secrets", "/api/v1/configmaps", "/api/v1/namespaces/den/secrets", "/api/v1/namespaces/den/configmaps"))
    if r.random() < 0.4:  # an unfinished list of the administrator's, whose token others try
        return Input(ADMIN, "GET", f"{listed}?limit=1")
    return Input(account, r.choice(("GET", "GET", "GET", "DELETE") if "den" in listed else ("GET",)), f"{listed}?limit=500&continue={CONTINUE}")


# -- connections


def stream(r: random.Random, outside: str) -> Input:
    """Log, exec, attach, port-forward and proxy of the pod that stays, with odd commands and frames."""
    what = r.choice(("exec", "exec", "attach", "portforward", "portforward", "log", "proxy"))
    where = f"/api/v1/namespaces/fair/pods/steady/{what}"
    if what in ("log", "proxy"):
        shape = {"container~": mostly("app", *TEXTS), "tailLines~": Pick(NUMBERS), "follow~": Pick(("true", "x")), "previous~": "true", "sinceSeconds~": Pick(NUMBERS),
                 "sinceTime~": Pick(TEXTS), "limitBytes~": Pick(NUMBERS), "timestamps~": "true"}  # fmt: skip
        return Input(ADMIN, "GET", where + (query(r, shape, 1) if what == "log" else "/" + quote(r.choice(TEXTS), errors="replace")))
    words = [("command", word.encode("utf-8", "replace")) for word in grow(r, "$command")[:3] if word != "podinfo"]
    flags = [(each, r.choice(("true", "1", "x"))) for each in ("stdin", "stdout", "stderr", "tty") if r.random() < 0.5]
    ports = [("ports", r.choice((8080, 0, 65536, 22, "x", "8080,8081", 10**30))) for _ in range(r.choice((0, 1, 1, 2)))]
    protocols = r.choice(("v5.channel.k8s.io", "v4.channel.k8s.io", "v4.channel.k8s.io, v5.channel.k8s.io", "SPDY/3.1+portforward.k8s.io", "SPDY/3.1+portforward.k8s.io", "x", ""))
    frames = tuple(frame(r) for _ in range(r.choice((0, 1, 3, 30))))
    return Input(ADMIN, "GET", f"{where}?{urlencode(words + flags if what != 'portforward' else ports)}", headers={"Sec-WebSocket-Protocol": protocols}, frames=frames or (b"",))


def frame(r: random.Random) -> bytes:
    """A channel's message, or a frame of SPDY: SYN_STREAM, RST, SETTINGS, PING, GOAWAY, data; some of them broken."""
    if r.random() < 0.5:
        return bytes([r.choice((0, 0, 1, 3, 4, 255, 255))]) + r.choice((b"", b"x" * 70_000, b'{"Width":1}', b'{"Width":1e99,"Height":-1}', b"[" * 50_000, b"\0", r.randbytes(20)))
    inner = r.choice((b"", r.randbytes(30), b"\0" * 10, b"\0\0\0\1" + b"\0" * 6 + r.randbytes(40)))
    size = r.choice((len(inner), len(inner), 0, 0xFFFFFF))
    return r.choice((b"\x80\x03\0" + bytes([r.randrange(11)]), r.randbytes(4), b"\0\0\0\1")) + bytes([r.choice((0, 1))]) + size.to_bytes(3, "big") + inner


def raw(r: random.Random, outside: str) -> Input:
    """What no client's library would send."""
    start = b"/api/v1/namespaces/den/configmaps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer @token@\r\n"
    ways = (
        b"POST " + start + b"Content-Length: 1000\r\nContent-Type: application/json\r\n\r\n{", b"POST " + start + b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n{",
        b"POST " + start + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /version HTTP/1.1\r\n\r\n", b"POST " + start + b"Content-Length: -1\r\n\r\n",
        b"\0" * 200, b"GET " + start + b"X: " + b"y" * 100_000 + b"\r\n\r\n", b"GET " + start + b"X: y\r\n" * 5000 + b"\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"NOTHING " + start + b"\r\n", b"GET http://x" + start + b"\r\n", b"GET " + start + b"Content-Length: 3\r\n\r\n", b"GET " + start + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"POST " + start + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", b"GET " + start + b"Range: bytes=5-1\r\nIf-Match: *\r\n\r\n", b"OPTIONS * HTTP/1.1\r\n\r\n",
    )  # fmt: skip
    return Input(r.choice((ADMIN, LIMITED, NOBODY)), "RAW", "", raw=r.choice(ways))


Maker = Callable[[random.Random, str], Input]
MAKERS: tuple[tuple[Maker, int], ...] = (
    (write, 50), (patch, 9), (read, 13), (delete, 3), (other_pages, 5), (hostile_body, 4), (crd, 3), (namespace, 1), (trick, 7), (stream, 5), (raw, 1),
)  # fmt: skip
