"""Imports go one way: from each package only to what stands below it, and nowhere in a circle.

A row of LAYERS names the parts of one package from the ground up (`*`: all others); parts of one line do not import each
other. An import within a function, or for types alone, counts as any other.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "canary_tutorial"
NAME = "canary_tutorial"
ITSELF = "__init__"

LAYERS = {
    "": """
        errors shipped | screen | kube | install | metrics | release | charts | connection | jupyter lessons reports widgets
        __init__ | cli | __main__
    """,
    "screen": "progress tables",
    "kube": "objects wait | api manifests rollouts | exec | cluster",
    "install": "installed ownership | clean_up parts | applying preflight",
    "metrics": "series | prometheus",
    "release": "timeline | explain flagger_log plan | state | ticks | release | canary result",
    "charts": "chart | svg | display",
    "lessons": "copying exercises prepare",
    "reports": "notebooks pss | summary",
    "widgets": "keys showing | explain_card graph panel picker stream | board | __init__",
    "flagger": """
        effects golang origins patience payloads shapes templates trouble | readiness spec status structs | alerts owned texts
        queries routes | autoscalers config_sources services trace | configs primaries | targets | reconcile | status_writes
        analysis finalizing | steps | rules | flags job kube logs metrics prometheus | events webhooks
        chats leader loadtester recording | performer replay | controller | startup | __main__
    """,
    "lab": """
        kinds machine podcli podinfo_grpc quantity quota schema | podinfo errors objects | contracts selectors store
        events tokens mesh | api controllers kubelet | main | commands | __main__
    """,
    "lab.api": "wire | kinds | access checks options pages paths | call | verbs | connect meta | routing | door | __init__",
    "lab.api.access": "authorization default_roles | impersonation",
    "lab.api.connect": "logs proxy spdy | streams | portforward",
    "lab.api.meta": "discovery | openapi reviews",
    "lab.api.kinds": "columns expressions formats structure | resource variables volumes | pod_specs | * | registry",
    "lab.api.checks": "rules schemas walk | structural | admission decoding",
    "lab.api.verbs": "managed_fields patches tables | reading | watch writing | apply deleting | subresources",
    "lab.controllers": """
        effects surge | controller deployment_status
        autoscalers deployments endpoints garbage namespaces replicasets services | manager
    """,
    "lab.kubelet": """
        heartbeat logs reading scrape_targets status | environment probes run | place probing sessions
        volumes | programs sandbox | container | worker | kubelet
    """,
    "lab.machine": "files guard memory network ownership processes tools | certificates images state",
    "lab.mesh": """
        envoy patience values | matches security world | actions clusters watch | routes telemetry | listeners
        bootstrap | gateways | sieve | compile | files | __main__
    """,
}

TOWERS = ("lab", "flagger")
# What everybody who needs to know what Flagger would do may import, since it has no I/O and no clock.
DECIDES = {f"flagger.{name}" for name in ("rules", "spec", "queries", "status", "effects")}
IMPURE = {
    "aiohttp",
    "asyncio",
    "http",
    "httpx2",
    "lightkube",
    "random",
    "requests",
    "socket",
    "subprocess",
    "threading",
    "time",
}

Graph = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """Every module by its dotted name below the package ("" is the package itself)."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        *packages, name = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join([*packages, *([name] if name != ITSELF else [])])] = path
    return found


def imports(source: str, known: Mapping[str, object]) -> Iterator[str]:
    """The modules of this package that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            if package != NAME:
                continue
            while rest not in known:
                rest = rest.rpartition(".")[0]
            yield rest


def libraries(source: str) -> Iterator[str]:
    """The first names of all that a source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).partition(".")[0]


def graph() -> Graph:
    found = modules()
    return {name: set(imports(path.read_text(), found)) - {name} for name, path in found.items()}


def floors(row: str) -> dict[str, int]:
    """The floor of each part: 0 is the ground."""
    lines = row.replace("\n", "|").split("|")
    return {part: floor for floor, line in enumerate(lines) for part in line.split()}


def part(module: str, package: str) -> str | None:
    """The part of `package` to which a module belongs; None for a module of elsewhere."""
    if module == package:
        return ITSELF
    prefix = f"{package}." if package else ""
    return module.removeprefix(prefix).partition(".")[0] if module.startswith(prefix) else None


def upward(edges: Graph, package: str, row: str) -> Iterator[str]:
    """The imports within `package` that do not go down, and the parts that its row leaves out."""
    floor = floors(row)
    if "*" in floor:
        floor = {str(part(module, package)): floor["*"] for module in edges} | floor
    for module, imported in edges.items():
        own = part(module, package)
        if own is None or (not package and own in TOWERS):
            continue
        if own == ITSELF and own not in floor and not imported:
            continue
        if own not in floor:
            yield f"{module}: {own} is on no floor"
        for other in sorted(imported):
            theirs = part(other, package)
            if theirs is None or theirs == own or (not package and theirs in TOWERS) or own not in floor:
                continue
            if floor.get(theirs, len(floor)) >= floor[own]:
                yield f"{module} imports {other}"


def across(edges: Graph) -> Iterator[str]:
    """The imports from one tower to another, but for what Flagger decides."""
    for module, imported in edges.items():
        own = part(module, "")
        for other in sorted(imported):
            theirs = part(other, "")
            if theirs != own and (own in TOWERS or (theirs in TOWERS and other not in DECIDES)):
                yield f"{module} imports {other}"


def circle(edges: Graph) -> list[str]:
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("package", LAYERS)
def test_each_package_imports_only_what_stands_below(package: str):
    assert not list(upward(graph(), package, LAYERS[package]))


def test_the_towers_meet_only_at_the_kubernetes_api():
    assert not list(across(graph()))


def test_what_flagger_decides_needs_no_io():
    edges, found = graph(), modules()
    needed: set[str] = set()
    left = set(DECIDES)
    while left:
        needed |= left
        left = {other for module in left for other in edges[module]} - needed
    used = {(name, library) for name in needed for library in libraries(found[name].read_text())}
    assert not {(name, library) for name, library in used if library in IMPURE}


def test_no_module_imports_itself_through_others():
    assert not circle(graph())


def test_a_planted_circle_and_a_planted_upward_import_are_found():
    edges = graph()
    edges["kube.api"] = edges["kube.api"] | {"kube.cluster"}
    edges["errors"] = edges["errors"] | {"screen.tables"}
    assert set(circle(edges)) >= {"kube.api", "kube.cluster"}
    assert "errors imports screen.tables" in list(upward(edges, "", LAYERS[""]))
