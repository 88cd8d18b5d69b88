"""To add a kind is one module, one word in the registry, and its published schema: tried with PodDisruptionBudgets.

They are added to a copy of the package, and kubectl is used with its API server.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE = '''
"""PodDisruptionBudgets."""

from canary_tutorial.lab.api.kinds.columns import AGE, NAME, Column, field, integer
from canary_tutorial.lab.api.kinds.resource import READ, WRITE, Grant, Resource
from canary_tutorial.lab.errors import Cause
from canary_tutorial.lab.kinds import Kind

POLICY = "policy"
BUDGETS = Kind(
    POLICY, "v1", "PodDisruptionBudget", "poddisruptionbudgets", "poddisruptionbudget", True, ("pdb",), status=True,
    generation=True,
)


class Budgets(Resource):
    columns = (
        NAME, Column("Min Available", field("spec.minAvailable", "N/A")),
        Column("Max Unavailable", field("spec.maxUnavailable", "N/A")),
        integer("Allowed Disruptions", "status.disruptionsAllowed"), AGE,
    )
    immutable = ("spec.selector",)
    selectable = frozenset({"spec.unhealthyPodEvictionPolicy"})
    grants = (Grant("view", "poddisruptionbudgets", READ), Grant("edit", "poddisruptionbudgets", WRITE))

    def default(self, obj):
        if "minAvailable" not in obj["spec"]:
            obj["spec"].setdefault("maxUnavailable", 1)

    def check(self, obj):
        if {"minAvailable", "maxUnavailable"} <= obj["spec"].keys():
            yield Cause.invalid("spec", "", "minAvailable and maxUnavailable cannot be both set")

    def written(self, obj):
        return obj | {"status": {"conditions": None} | (obj.get("status") or {})}


RESOURCES = [Budgets(BUDGETS)]
'''
SCHEMA = {  # as tools/make_schemas.py finds it
    "type": "object",
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"$ref": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
        "spec": {"$ref": "io.k8s.api.policy.v1.PodDisruptionBudgetSpec"},
        "status": {"type": "object", "properties": {"disruptionsAllowed": {"type": "integer", "format": "int32"}}},
    },
}
SPEC = {
    "type": "object",
    "properties": {
        "minAvailable": {"$ref": "io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
        "maxUnavailable": {"$ref": "io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
        "selector": {"$ref": "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"},
        "unhealthyPodEvictionPolicy": {"type": "string"},
    },
}
SERVER = """
import sys
from pathlib import Path
from served_api import serve
with serve(Path(sys.argv[1])) as served:
    print(served.kubeconfig, flush=True)
    sys.stdin.read()
"""
BUDGET = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "podinfo", "namespace": "test"},
    "spec": {"selector": {"matchLabels": {"app": "podinfo"}}},
}
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def add_the_kind(package: Path) -> None:
    kinds, schemas = package / "lab/api/kinds", package / "lab/schemas/kinds.json.gz"
    (kinds / "budgets.py").write_text(MODULE)
    registry = kinds / "registry.py"
    before = registry.read_text()
    after = before.replace(' webhooks"\n', ' webhooks budgets"\n')
    assert after != before
    registry.write_text(after)
    published = json.loads(gzip.decompress(schemas.read_bytes()))
    name = "io.k8s.api.policy.v1.PodDisruptionBudget"
    published["kinds"]["policy/v1/PodDisruptionBudget"] = name
    published["definitions"] |= {name: SCHEMA, f"{name}Spec": SPEC}
    schemas.write_bytes(gzip.compress(json.dumps(published).encode()))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """kubectl, on an API server of the changed package."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not on PATH")
    directory = tmp_path_factory.mktemp("kind")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "canary_tutorial", directory / "tree/canary_tutorial", ignore=ignored)
    add_the_kind(directory / "tree/canary_tutorial")
    paths = os.pathsep.join([str(directory / "tree"), str(ROOT / "tests")])
    environment = os.environ | {"PYTHONPATH": paths}
    words = [sys.executable, "-c", SERVER, str(directory)]
    with subprocess.Popen(
        words, cwd=directory, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        config = server.stdout.readline().strip()
        assert config, "the server did not start"

        def run(*words: str, given: object = None) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [kubectl, "-n", "test", *words], input=json.dumps(given), capture_output=True, text=True, timeout=30,
                env=os.environ | {"KUBECONFIG": config, "HOME": str(directory)},
            )  # fmt: skip

        yield run
        server.stdin.close()


def test_it_is_discovered_and_explained(run: Run) -> None:
    listed = run("api-resources", "--api-group=policy", "--no-headers").stdout.split()
    assert listed == ["poddisruptionbudgets", "pdb", "policy/v1", "true", "PodDisruptionBudget"]
    assert "maxUnavailable" in run("explain", "pdb.spec").stdout


def test_it_is_created_listed_patched_and_deleted(run: Run) -> None:
    assert run("apply", "-f", "-", given=BUDGET).stdout == "poddisruptionbudget.policy/podinfo created\n"
    header, row = run("get", "pdb").stdout.splitlines()
    assert header.split() == ["NAME", "MIN", "AVAILABLE", "MAX", "UNAVAILABLE", "ALLOWED", "DISRUPTIONS", "AGE"]
    assert row.split()[:4] == ["podinfo", "N/A", "1", "0"], "the default acts"
    assert json.loads(run("get", "--raw", f"{PATH}/podinfo").stdout)["status"] == {"conditions": None}
    patched = run("patch", "pdb", "podinfo", "-p", '{"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}')
    assert patched.stdout == "poddisruptionbudget.policy/podinfo patched\n"
    chosen = "--field-selector=spec.unhealthyPodEvictionPolicy=AlwaysAllow"
    assert run("get", "pdb", chosen, "-o", "name").stdout == "poddisruptionbudget.policy/podinfo\n"
    assert run("delete", "pdb", "podinfo").stdout == 'poddisruptionbudget.policy "podinfo" deleted\n'
    assert run("get", "pdb", "-o", "name").stdout == ""


PATH = "/apis/policy/v1/namespaces/test/poddisruptionbudgets"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"minAvailable": 1, "maxUnavailable": 1}, "minAvailable and maxUnavailable cannot be both set"),
        ({"minAvailable": []}, "cannot unmarshal array into Go struct field PodDisruptionBudgetSpec.spec.minAvailable"),
        ({"maxAvailable": 1}, 'unknown field "spec.maxAvailable"'),
    ],
    ids=["rule of its own", "type", "unknown field"],
)
def test_its_own_rule_and_its_schema_are_checked(run: Run, spec: dict[str, object], said: str) -> None:
    refused = run("create", "-f", "-", given=BUDGET | {"spec": spec})
    assert refused.returncode == 1
    assert said in refused.stderr


def test_what_is_immutable_stays_and_the_default_roles_know_it(run: Run) -> None:
    assert run("create", "-f", "-", given=BUDGET | {"metadata": {"name": "other"}}).returncode == 0
    refused = run("patch", "pdb", "other", "-p", '{"spec": {"selector": {"matchLabels": {"app": "x"}}}}')
    assert "spec.selector: Invalid value" in refused.stderr
    assert "field is immutable" in refused.stderr
    shown = run("describe", "clusterrole", "view").stdout
    assert "poddisruptionbudgets.policy" in shown
