"""Istio's and Kubernetes' objects with one odd value each: what users write, by mistake or to see what happens.

`ODDITIES` has them by a name that says what is odd: the kind (as `World` calls it) and the object. None of them may
touch anybody else's requests, whether it is compiled or left out; those of `REFUSED` must be left out.
"""

from __future__ import annotations

from typing import Any

import mesh_objects as make

Obj = dict[str, Any]
HUGE, BEYOND, LONG = 10**30, "\ud800", "x" * 20_000
OKAY = {"destination": {"host": "podinfo-primary"}}
ODDITIES: dict[str, tuple[str, Obj]] = {}
REFUSED: set[str] = set()


def add(kind: str, name: str, obj: Obj, refused: bool = True) -> None:
    while name in ODDITIES:
        name += " too"
    obj["metadata"] = {"namespace": "odd", **obj.get("metadata", {}), "name": f"odd-{len(ODDITIES)}"}
    ODDITIES[name] = kind, obj
    if refused:
        REFUSED.add(name)


def rule(name: str, refused: bool = True, /, **fields: Any) -> None:
    """A VirtualService for a host of its own, with one rule."""
    made = {"route": [OKAY], **fields}
    spec = {"hosts": [f"odd-{len(ODDITIES)}.example"], "gateways": ["mesh"], "http": [made]}
    add("virtualservices", f"rule: {name}", {"spec": spec}, refused)


def match(name: str, refused: bool = True, /, **fields: Any) -> None:
    rule(f"match: {name}", refused, match=[fields])


def virtualservice(name: str, refused: bool = True, /, **spec: Any) -> None:
    spec = {"hosts": [f"odd-{len(ODDITIES)}.example"], "http": [{"route": [OKAY]}], **spec}
    add("virtualservices", f"virtualservice: {name}", {"spec": spec}, refused)


def policy(
    name: str, refused: bool = True, /, host: Any = "podinfo-canary.test.svc.cluster.local", **fields: Any
) -> None:
    add("destinationrules", f"policy: {name}", {"spec": {"host": host, "trafficPolicy": fields}}, refused)


def on_a_port(name: str, **fields: Any) -> None:
    settings = [{"port": {"number": 9898}, **fields}]
    policy(f"{name}, on a port", portLevelSettings=settings)


def gateway(name: str, server: Any, refused: bool = True, /, **spec: Any) -> None:
    add(
        "gateways",
        f"gateway: {name}",
        {"spec": {"selector": {"istio": "ingressgateway"}, "servers": [server], **spec}},
        refused,
    )


# -- VirtualServices

for odd in (None, "x", [1], 7, {}):
    add("virtualservices", f"virtualservice: spec {odd!r}", {"spec": odd})
add("virtualservices", "virtualservice: no spec", {})
for odd in ("x", 7, ["x"], [None], [7], [[]], {"a": 1}):
    virtualservice(f"http {odd!r}", http=odd)
for odd in ("x", 7, [7], [None], [""], ["a b"], ["a\nb"], ["a:80"], ["a/b"], ["x" * 300], ["*"], ["a*b"], ["*a"], ["-a"],
            ["a..b"], [BEYOND], ["ä.example"], ["a_b"], ["{}"], ["http://a"]):  # fmt: skip
    virtualservice(f"hosts {str(odd).encode('ascii', 'replace')[:40]!r}", hosts=odd)
virtualservice("hosts null", False, hosts=None)
virtualservice("one host in several ways", False, hosts=["Odd.Example", "odd.example", "ODD.example"])
virtualservice("a thousand hosts", False, hosts=[f"h{n}.many.example" for n in range(1000)])
virtualservice("an address", False, hosts=["10.1.2.3", "fd00::1"])
for odd in (7, [7], [None]):
    virtualservice(f"gateways {odd!r}", gateways=odd)
virtualservice("gateways null", False, gateways=None)
virtualservice("a gateway that is not there", False, gateways=["nobody/nothing"])
virtualservice("rules null", False, http=None, tcp=None, tls=None)
virtualservice("a delegate that is not there", False, http=[{"delegate": {"name": "nobody"}}])
virtualservice("a delegate of another type", http=[{"delegate": "x"}])
virtualservice("a delegate of nothing", http=[{"delegate": {}}])

for odd in (None, "x", 7, [None], ["x"], [{}], [{"destination": None}], [{"destination": {}}], [{"destination": {"host": 7}}],
            [{"destination": {"host": ""}}], [{"destination": {"host": LONG}}], [{"destination": {"host": BEYOND}}]):  # fmt: skip
    rule(f"route {str(odd).encode('ascii', 'replace')[:60]!r}", route=odd)
for odd in (-1, 0, HUGE, 2**32, 70000, 1.5, "x", True):
    rule(f"destination port {odd!r}", odd != 0, route=[{"destination": {"host": "a", "port": {"number": odd}}}])
for odd in ("x" * 100, 7, BEYOND):
    rule(
        f"subset {str(odd)[:20].encode('ascii', 'replace')!r}",
        route=[{"destination": {"host": "podinfo", "subset": odd}}],
    )
for odd in ([0, 0], [-10, 110], [2**31, 1], [HUGE, 1], [1.5, 2], ["50", "50"], [None, None], [True, False],
            [float("nan"), 1], [float("inf"), 1]):  # fmt: skip
    rule(f"weights {odd!r}", route=[{**OKAY, "weight": weight} for weight in odd])
rule("large weights", False, route=[{**OKAY, "weight": 2**31 - 1}, {**OKAY, "weight": 1}])
rule("a thousand destinations", False, route=[{**OKAY, "weight": 1}] * 1000)
rule("one weight huge", False, route=[{**OKAY, "weight": HUGE}])
for odd in (
    "x",
    "5",
    "-5s",
    "5x",
    "1.2.3s",
    "1e3s",
    "9999999999999h",
    "9" * 400 + "s",
    5,
    ["5s"],
    "∞s",
    " 5s",
    "1s" * 200,
):
    rule(f"timeout {str(odd)[:30]!r}", timeout=odd)
    rule(f"perTryTimeout {str(odd)[:30]!r}", retries={"attempts": 1, "perTryTimeout": odd})
    rule(f"fixedDelay {str(odd)[:30]!r}", fault={"delay": {"fixedDelay": odd}})
rule("the longest timeout", False, timeout="2562047h")
rule("the shortest timeout", False, timeout="1ns")
rule(
    "timeout null, retries null", False, timeout=None, retries=None, match=None, rewrite=None, headers=None, fault=None
)
rule("fixedDelay zero", fault={"delay": {"fixedDelay": "0s"}})
rule("fixedDelay null", fault={"delay": {"fixedDelay": None, "percentage": {"value": 5}}})
for odd in (-1, 2**32, HUGE, 1.5, "x", [1], float("nan")):
    rule(f"attempts {odd!r}", retries={"attempts": odd})
for odd in (7, "a\nb", "5xx\0", BEYOND, "99999999999", "42"):
    rule(f"retryOn {str(odd).encode('ascii', 'replace')!r}", retries={"attempts": 1, "retryOn": odd})
rule("retryOn unheard of", False, retries={"attempts": 1, "retryOn": "when-it-rains, ,²"})
for odd in (-1, 101, HUGE, float("nan"), float("inf"), "x", True, [1]):
    rule(f"mirror percentage {odd!r}", mirror={"host": "a"}, mirrorPercentage={"value": odd})
    rule(f"fault percentage {odd!r}", fault={"abort": {"httpStatus": 500, "percentage": {"value": odd}}})
    rule(f"mirrors percentage {odd!r}", mirrors=[{"destination": {"host": "a"}, "percentage": {"value": odd}}])
    rule(f"mirrorPercent {odd!r}", mirror={"host": "a"}, mirrorPercent=odd)
for odd in ({"x": 1}, "x", [1], {"host": None}):
    rule(f"mirror {odd!r}", mirror=odd)
rule("mirrors null, percentage null", False, mirror={"host": "a"}, mirrors=None, mirrorPercentage=None)
for odd in (0, 99, 199, 600, 2**32, HUGE, -5, "x", None, 1.5):
    rule(f"abort {odd!r}", fault={"abort": {"httpStatus": odd}})
    rule(f"answer {odd!r}", directResponse={"status": odd})
for odd in (7, ["x"], "y" * (1 << 20) + "y", BEYOND):
    rule(f"body {str(odd)[:10].encode('ascii', 'replace')!r}", directResponse={"status": 200, "body": {"string": odd}})
rule("a body of a hundred thousand", False, directResponse={"status": 200, "body": {"string": "y" * 100_000}})
rule("a body of bytes", False, directResponse={"status": 200, "body": {"bytes": "AAEC"}})
rule("a body of no bytes", directResponse={"status": 200, "body": {"bytes": "%%%"}})
for name in ("", "a b", "a\nb", "a:b", ":path", ":authority", "host", "Host", "ä", BEYOND, LONG, "a\0b", "(a)"):
    shown = name.encode("ascii", "replace")[:20]
    for change in ("add", "set"):
        if change == "set" and name.lower() in ("host", ":authority"):
            continue
        rule(f"request {change} {shown!r}", headers={"request": {change: {name: "x"}}})
        rule(f"response {change} {shown!r}", headers={"response": {change: {name: "x"}}})
    rule(f"remove {shown!r}", headers={"request": {"remove": [name]}})
    rule(f"remove from the answer {shown!r}", headers={"response": {"remove": [name]}})
    rule(f"a destination's header {shown!r}", route=[{**OKAY, "headers": {"response": {"add": {name: "x"}}}}])
for odd in ("a\nb", "a\r", "\0", LONG, BEYOND, 7, None, ["x"], "%" * 10_000):
    shown = str(odd).encode("ascii", "replace")[:20]
    rule(f"header value {shown!r}", headers={"request": {"set": {"x": odd}}})
    if odd is not None:
        rule(f"authority {shown!r}", odd != "%" * 10_000, rewrite={"authority": odd})
rule("percent signs", False, headers={"request": {"set": {"x": "%REQ(x)% %% %"}}, "response": {"add": {"y": "%"}}})
rule("a header twice", False, headers={"request": {"set": {"X": "a", "x": "b"}, "add": {"x": "c"}}})
rule("thousands of headers", headers={"request": {"set": {f"x-{n}": "y" for n in range(2000)}}})
for odd in ("a\nb", 7, BEYOND):
    rule(f"rewrite uri {str(odd).encode('ascii', 'replace')!r}", rewrite={"uri": odd})
rule(
    "rewrite of an exact path with a backslash",
    False,
    rewrite={"uri": "/\\1\\9"},
    match=[{"uri": {"exact": "/a\n(b) \\"}}],
)
rule("rewrite of a regex path", False, rewrite={"uri": "/b"}, match=[{"uri": {"regex": "/a.*"}}])
rule("rewrite of nothing", False, rewrite={})
HOWS: list[Obj] = [
    {"match": "(", "rewrite": "x"},
    {"match": "a", "rewrite": "\\1"},
    {"match": "(a)", "rewrite": "\\2"},
    {"match": "a", "rewrite": "\\"},
    {"match": "a", "rewrite": "\\x"},
    {"match": "(?!a)", "rewrite": "x"},
    {"match": "", "rewrite": "x"},
    {"rewrite": "x"},
    {"match": "a", "rewrite": "b\nc"},
    {"match": "a", "rewrite": 7},
]
for how in HOWS:
    rule(f"regex rewrite {how!r}", rewrite={"uriRegexRewrite": how})
rule("regex rewrite to nothing", False, rewrite={"uriRegexRewrite": {"match": "a", "rewrite": None}})
rule(
    "regex rewrite with both",
    False,
    rewrite={"uri": "/x", "uriRegexRewrite": {"match": "(a)", "rewrite": "\\1\\\\\\0"}},
)
for field in ("uri", "authority", "scheme"):
    for odd in ("a\nb", 7, BEYOND):
        rule(f"redirect {field} {str(odd).encode('ascii', 'replace')!r}", redirect={field: odd})
for odd in (-1, 70000, HUGE, "x", 1.5):
    rule(f"redirect port {odd!r}", redirect={"port": odd})
for odd in (200, 999, -1, "x", HUGE):
    rule(f"redirectCode {odd!r}", redirect={"uri": "/", "redirectCode": odd})
rule("redirect of an odd scheme", False, redirect={"scheme": "gopher", "uri": "/x?y#z"})
rule("redirect of nulls", False, redirect={"uri": "/", "port": None, "redirectCode": None, "authority": None})
for odd in ([{"regex": "("}], [{"regex": "(?<!a)b"}], [{"prefix": ""}], [{"exact": 7}], [{}], [None], ["x"], [{"suffix": "x"}],
            [{"exact": "a", "prefix": "b"}]):  # fmt: skip
    rule(f"allowOrigins {odd!r}", corsPolicy={"allowOrigins": odd})
rule("maxAge odd", corsPolicy={"allowOrigin": ["*"], "maxAge": "soon"})
rule("allowCredentials odd", corsPolicy={"allowOrigin": ["*"], "allowCredentials": "yes"})
rule("allowMethods odd", corsPolicy={"allowOrigin": ["*"], "allowMethods": ["a\nb"]})
rule(
    "cors of nulls",
    False,
    corsPolicy={"allowOrigins": None, "allowOrigin": None, "maxAge": None, "allowCredentials": None},
)
rule("name odd", name=["x"])
rule("name beyond", name=BEYOND)
rule("name long", False, name=LONG)
rule("neither route nor anything", route=None)
rule("everything at once", False, redirect={"uri": "/"}, directResponse={"status": 200}, timeout="1s")

for field in ("uri", "method", "authority", "scheme"):
    for odd in ("x", 7, ["x"], {"regex": "("}, {"regex": "(?=a)"}, {"regex": ""}, {"regex": "a{1001}"}, {"regex": "\\1"},
                {"prefix": ""}, {"suffix": "x"}, {"exact": 7}, {"exact": "a", "regex": "b"}, {"exact": BEYOND}):  # fmt: skip
        match(f"{field} {str(odd).encode('ascii', 'replace')!r}", **{field: odd})
    match(f"{field} null", False, **{field: None})
    match(f"{field} empty", False, **{field: {}})
    match(f"{field} of nulls", False, **{field: {"exact": None, "prefix": None, "regex": None}})
match("uri exact nothing", False, uri={"exact": ""})
match("a large regex", uri={"regex": "((a{100}){100}){100}"})
match("a regex of middle size", False, uri={"regex": "[a-z]{1,500}/" + "|".join(f"v{n}" for n in range(200))})
for name in ("", "a b", "a\nb", "ä", BEYOND, LONG, "(x)"):
    shown = name.encode("ascii", "replace")[:20]
    match(f"headers {shown!r}", headers={name: {"exact": "x"}})
    match(f"withoutHeaders {shown!r}", withoutHeaders={name: {}})
match("queryParams of no name", queryParams={"": {"exact": "x"}})
match("queryParams of a long name", queryParams={"x" * 2000: {"exact": "x"}})
match("queryParams odd", queryParams={"x": {"regex": "["}})
match("queryParams of any name", False, queryParams={"a b\n": {"exact": "\n"}, "c": None})
match(
    "headers null",
    False,
    headers=None,
    withoutHeaders=None,
    queryParams=None,
    sourceLabels=None,
    gateways=None,
    port=None,
)
match("a header null", False, headers={"x": None})
match("a header of any value", False, headers={"x": {"exact": "a\nb\0"}})
match("sourceLabels odd", sourceLabels={"a": 7})
match("sourceLabels beyond", sourceLabels={BEYOND: BEYOND})
match("port odd", port="x")
match("port huge", port=HUGE)
match("gateways odd", gateways=[7])
match("ignoreUriCase of a text", False, ignoreUriCase="yes")
rule("match a text", match="x")
rule("match of nulls", match=[None])
rule("thousands of matches", match=[{"uri": {"exact": f"/{n}"}} for n in range(10_000)])

# -- DestinationRules

for odd in (
    None,
    "x",
    [1],
    {},
    {"host": None},
    {"host": 7},
    {"host": ""},
    {"host": "a b"},
    {"host": "a\nb"},
    {"host": ["a"]},
):
    add("destinationrules", f"destinationrule: spec {odd!r}", {"spec": odd})
add("destinationrules", "destinationrule: no spec", {})
for odd in ("x", "0s", "-1s", "5", "9999999999999h", 7):
    pool = {"connectionPool": {"tcp": {"connectTimeout": odd}}}
    policy(f"connectTimeout {odd!r}", **pool)
    on_a_port(f"connectTimeout {odd!r}", **pool)
    for field in ("interval", "baseEjectionTime"):
        on_a_port(f"{field} {odd!r}", outlierDetection={field: odd})
        policy(f"{field} {odd!r}", outlierDetection={field: odd})
for odd in (-1, 2**32, HUGE, 1.5, "x", [1], float("nan")):
    policy(f"maxConnections {odd!r}", connectionPool={"tcp": {"maxConnections": odd}})
    for field in ("http1MaxPendingRequests", "http2MaxRequests", "maxRequestsPerConnection", "maxRetries"):
        policy(f"{field} {odd!r}", connectionPool={"http": {field: odd}})
    for field in ("consecutive5xxErrors", "consecutiveGatewayErrors", "maxEjectionPercent", "minHealthPercent"):
        policy(f"{field} {odd!r}", outlierDetection={field: odd})
policy("idleTimeout odd", connectionPool={"http": {"idleTimeout": "x"}})
policy("ejects more than all", outlierDetection={"maxEjectionPercent": 101})
policy("health of more than all", outlierDetection={"minHealthPercent": 101})
policy(
    "everything null",
    False,
    connectionPool=None,
    outlierDetection=None,
    loadBalancer=None,
    tls=None,
    portLevelSettings=None,
)
policy(
    "nulls further in",
    False,
    connectionPool={"tcp": None, "http": None},
    outlierDetection={"interval": None},
    tls={"mode": None},
)
policy("loadBalancer odd", loadBalancer={"simple": ["x"]})
policy("loadBalancer unheard of", False, loadBalancer={"simple": "DANCE"})
policy("settings for no port", portLevelSettings=[{}])
policy("settings for an odd port", portLevelSettings=[{"port": {"number": "x"}}])
policy(
    "settings for a port that is not there",
    portLevelSettings=[{"port": {"number": 5}, "outlierDetection": {"interval": "x"}}],
)
policy("tls a text", tls="x")
policy("sni long", tls={"mode": "SIMPLE", "sni": "x" * 300})
policy(
    "certificates that are not there", tls={"mode": "MUTUAL", "clientCertificate": "/nowhere", "privateKey": "/nowhere"}
)
policy("sni with a NUL", tls={"mode": "SIMPLE", "sni": "a\0b"})
policy("no key", tls={"mode": "MUTUAL", "clientCertificate": "/etc/hostname"})
policy("a CA that is none", tls={"mode": "SIMPLE", "caCertificates": "/etc/passwd"})
policy("a CA that is a directory", tls={"mode": "SIMPLE", "caCertificates": "/etc"})
SUBSETS: list[Any] = ["x", [None], ["x"], [{}], *([{"name": name}] for name in (None, "", "a|b", "a b", 7))]
SUBSETS += [[{"name": "a", "trafficPolicy": {"outlierDetection": {"interval": "x"}}}], [{"name": "a", "labels": "x"}]]
for odd in SUBSETS:
    spec = {"host": "podinfo-canary.test.svc.cluster.local", "subsets": odd}
    add("destinationrules", f"destinationrule: subsets {odd!r}", {"spec": spec})
twice = {
    "host": "podinfo-canary.test.svc.cluster.local",
    "subsets": [{"name": "a"}, {"name": "a"}],
    "trafficPolicy": None,
}
add("destinationrules", "destinationrule: a subset twice", {"spec": twice}, refused=False)

# -- Gateways

for odd in (None, "x", [1], {}):
    add("gateways", f"gateway: spec {odd!r}", {"spec": odd})
for odd in (
    None,
    "x",
    {},
    {"port": None, "hosts": ["*"]},
    {"port": {"number": 80}, "hosts": []},
    {"port": {"number": 80}, "hosts": "x"},
):
    gateway(f"server {odd!r}", odd)
for odd in (0, -1, 70000, HUGE, "x", None, 1.5, 15001, 15090):
    gateway(f"port {odd!r}", {"port": {"number": odd, "protocol": "HTTP", "name": "x"}, "hosts": ["*"]})
for odd in (7, ["x"]):
    gateway(f"protocol {odd!r}", {"port": {"number": 80, "protocol": odd}, "hosts": ["*"]})
for odd in ([7], [None], [""], ["a b"], ["a\nb"], [BEYOND]):
    gateway(f"hosts {str(odd).encode('ascii', 'replace')!r}", {"port": {"number": 80}, "hosts": odd})
gateway("selector a text", {"port": {"number": 80}, "hosts": ["*"]}, selector="x")
gateway("selector of numbers", {"port": {"number": 80}, "hosts": ["*"]}, selector={"a": 7})
gateway(
    "port with another protocol",
    {"port": {"number": 8443, "protocol": "HTTPS"}, "hosts": ["*"], "tls": {"mode": "DANCE"}},
    False,
)
gateway(
    "selector null",
    {"port": {"number": 8090, "protocol": None}, "hosts": ["odd.example"], "tls": None},
    False,
    selector=None,
)

# -- Services, Endpoints and pods


def service(name: str, refused: bool = True, /, **fields: Any) -> None:
    made = make.service("x", namespace="odd")
    made["spec"] |= fields
    add("services", f"service: {name}", {"spec": made["spec"]}, refused)


add("services", "service: no spec", {}, refused=False)
add("services", "service: spec null", {"spec": None}, refused=False)
for odd in (0, -1, 70000, HUGE, "x", None):
    service(f"port {odd!r}", ports=[{"port": odd}])
service("ports null", False, ports=None, selector=None)
service(
    "one port twice",
    False,
    ports=[{"name": "a", "port": 53, "protocol": "UDP"}, {"name": "b", "port": 53}, {"name": "c", "port": 53}],
)
service("clusterIP odd", clusterIP="x")
service("clusterIP null", False, clusterIP=None)
service("selector a text", selector="x")
for odd in ("x", None, "300.1.1.1", "a\nb"):
    add("endpoints", f"endpoints: ip {odd!r}", {"subsets": [{"addresses": [{"ip": odd}], "ports": [{"port": 80}]}]})
for odd in (0, -1, 70000, "x", None):
    add(
        "endpoints",
        f"endpoints: port {odd!r}",
        {"subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": odd}]}]},
    )
add("endpoints", "endpoints: subsets null", {"subsets": None}, refused=False)
add("endpoints", "endpoints: addresses null", {"subsets": [{"addresses": None, "ports": None}]}, refused=False)


def pod(name: str, refused: bool = True, /, ip: Any = None, **fields: Any) -> None:
    made = make.pod("x", ip if ip is not None else f"127.250.9.{len(ODDITIES) % 250}", namespace="odd")
    for field, value in fields.items():
        made[field] = (
            {**made[field], **value} if isinstance(value, dict) and isinstance(made.get(field), dict) else value
        )
    add("pods", f"pod: {name}", made, refused)


for odd in ("x", "300.1.1.1", 7):
    pod(f"podIP {odd!r}", ip=odd)
pod("the address of another", ip="127.250.0.1")
pod("no status", False, status=None)
pod("containers null", False, spec={"containers": None})
for odd in (0, -1, 70000, "x"):
    ports = [{"name": "app", "ports": [{"containerPort": odd}]}, {"name": "istio-proxy"}]
    pod(f"containerPort {odd!r}", spec={"containers": ports})
pod("an owner of any name", False, metadata={"ownerReferences": [{"name": "%REQ(x)%\n"}]})
pod("an owner without a name", False, metadata={"ownerReferences": [{}]})
pod("labels of numbers", False, metadata={"labels": {"app": 7}})
pod("labels null", False, metadata={"labels": None, "ownerReferences": None})
pod("a label that is a command", metadata={"labels": {"app": "%REQ(x)%"}})
