"""Make `canary_tutorial/lab/schemas/protobuf.json.gz`: how the binary bodies of kubectl and client-go are to be read.

    curl -O http://deb.debian.org/debian/pool/main/g/golang-k8s-api/golang-k8s-api-dev_0.32.3-1_all.deb
    curl -O http://deb.debian.org/debian/pool/main/g/golang-k8s-apimachinery/golang-k8s-apimachinery-dev_0.32.3-2_all.deb
    curl -O http://deb.debian.org/debian/pool/main/g/golang-k8s-apiextensions-apiserver/golang-k8s-apiextensions-apiserver-dev_0.36.4-1_all.deb
    for each in golang-*.deb; do dpkg-deb -x $each k8s; done
    .venv/bin/python tools/make_protobuf.py k8s/usr/share/gocode/src/k8s.io

Go's clients send protobuf for built-in kinds. A message is a table from field number to name and type. Numbers and types
come from Kubernetes' `generated.proto` files, names and what a zero means from the Go structs beside them. At the end,
Kubernetes' own samples are read with the new tables and compared with their JSON.

Types: `s` string, `i` integer, `d` double, `b` boolean, `y` bytes, or a message's name; before it `[]` for a list, `{}`
for a map, `?` where a zero or an empty message that is sent says something.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

from canary_tutorial.lab.api.kinds.registry import RESOURCES
from canary_tutorial.lab.api.wire import protobuf


def message(api_version: str, kind: str) -> str:
    """How Kubernetes' sources name a kind: `rbac/v1/Role`."""
    group, _, version = api_version.rpartition("/")
    return f"{group.partition('.')[0] or 'core'}/{version}/{kind}"


NOT_STORED = """
    core/v1/Binding autoscaling/v1/Scale policy/v1/Eviction meta/v1/DeleteOptions
    authentication/v1/TokenRequest authentication/v1/TokenReview authentication/v1/SelfSubjectReview
    authorization/v1/SelfSubjectAccessReview authorization/v1/SelfSubjectRulesReview
    authorization/v1/SubjectAccessReview authorization/v1/LocalSubjectAccessReview
"""
WANTED = NOT_STORED.split() + [
    message(version, each.kind.kind) for each in RESOURCES for version in (each.kind.api_version, *each.forms)
]
SCALARS = {"string": "s", "int32": "i", "int64": "i", "uint32": "i", "bool": "b", "bytes": "y", "double": "d"}
MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^  (?:(optional|repeated) ([\w.]+)|map<string, ([\w.]+)>) (\w+) = (\d+);", re.MULTILINE)
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
TAGS = re.compile(r'^\s+(?:\w+\s+)?(\S+)\s+`json:"([^"]*)".*?protobuf:"\w+,(\d+),', re.MULTILINE)


def messages(sources: Path) -> dict[str, dict[str, tuple[str, str]]]:
    """Every message of Kubernetes by `group/version/Name`, as a table from field number to name and type."""
    found = {}
    for path in sources.rglob("generated.proto"):
        package = "/".join(path.parent.parts[-2:])
        go = "\n".join(each.read_text() for each in path.parent.glob("*.go") if not each.name.startswith("generated"))
        structs = {name: {number: rest for *rest, number in TAGS.findall(body)} for name, body in STRUCT.findall(go)}
        for name, body in MESSAGE.findall(path.read_text()):
            found[f"{package}/{name}"] = {
                number: _field(package, how, one or many, text, structs.get(name, {}).get(number))
                for how, one, many, text, number in FIELD.findall(body)
            }
    return found


def _field(package: str, how: str, type_: str, proto_name: str, go: list[str] | None) -> tuple[str, str]:
    name, *options = go[1].split(",") if go else [proto_name]
    if type_ not in SCALARS:
        *path, message = type_.strip(".").split(".")
        type_ = "/".join([*(path[-2:] or package.split("/")), message])
    short = SCALARS.get(type_, type_)
    if how != "optional":
        return name, ("[]" if how == "repeated" else "{}") + short
    pointer = go is not None and go[0].startswith("*")
    says = "inline" not in options and (pointer or (short in SCALARS.values() and "omitempty" not in options))
    return name, "?" * says + short


def reachable(every: dict[str, dict[str, tuple[str, str]]]) -> dict[str, dict[str, tuple[str, str]]]:
    kept: dict[str, Any] = {}
    todo = list(WANTED)
    while todo:
        name = todo.pop().lstrip("?[]{}")
        if name in every and name not in kept and name.rpartition("/")[2] not in protobuf.SPECIAL:
            kept[name] = every[name]
            todo += [type_ for _, type_ in every[name].values()]
    return kept


def compare(sources: Path) -> list[str]:
    """Read Kubernetes' samples; the names of those that are not what their JSON says."""
    differ = []
    for name in WANTED:
        group, version, kind = name.split("/")
        for sample in sources.rglob(f"testdata/HEAD/{group}*.{version}.{kind}.pb"):
            decoded = protobuf.decode(sample.read_bytes())
            expected = json.loads(sample.with_suffix(".json").read_text())
            differ += [] if _pruned(decoded) == _pruned(expected) else [name]
    return differ


def _pruned(value: Any) -> Any:
    """Without nulls and empties, which Go's JSON shows for structs that were not set."""
    if isinstance(value, dict):
        inner = {key: _pruned(each) for key, each in value.items()}
        return {key: each for key, each in inner.items() if each not in (None, {}, [])}
    return [_pruned(each) for each in value] if isinstance(value, list) else value


def main() -> None:
    sources = Path(sys.argv[1])
    kept = reachable(messages(sources))
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    target = Path(__file__).parents[1] / "canary_tutorial/lab/schemas/protobuf.json.gz"
    target.write_bytes(gzip.compress(text.encode(), mtime=0))
    differ = compare(sources)
    print(f"{len(kept)} messages, {target.stat().st_size:,} bytes; samples that differ: {differ or 'none'}")


if __name__ == "__main__":
    main()
