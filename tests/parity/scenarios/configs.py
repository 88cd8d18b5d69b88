"""Configuration that a target names: followed, copied for the primary, missing."""

from __future__ import annotations

from typing import Any

from parity.stage import Stage

Obj = dict[str, Any]
UNTRACKED = {"annotations": {"flagger.app/config-tracking": "disabled"}}


def source(stage: Stage, name: str, data: Obj, kind: str = "ConfigMap", **meta: Any) -> Obj:
    obj = stage.obj("v1", kind, name, {"app.kubernetes.io/part-of": "web"})
    return obj | {"metadata": obj["metadata"] | meta, "stringData" if kind == "Secret" else "data": data}


def configured(stage: Stage) -> Obj:
    """podinfo with configuration in every place that Flagger looks at."""
    obj = stage.podinfo()
    (container,) = obj["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [
        {"configMapRef": {"name": "colours"}},
        {"configMapRef": {"name": "untracked"}},
        {"secretRef": {"name": "maybe", "optional": True}},
    ]
    container["env"] = [
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "password", "key": "word"}}},
        {"name": "SIZE", "valueFrom": {"configMapKeyRef": {"name": "sizes", "key": "size"}}},
    ]
    sources = [{"configMap": {"name": "sizes"}}, {"secret": {"name": "password"}}]
    obj["spec"]["template"]["spec"]["volumes"] = [
        {"name": "all", "projected": {"sources": sources}},
        {"name": "files", "configMap": {"name": "files"}},
    ]
    container["volumeMounts"] = [
        {"name": "all", "mountPath": "/etc/all"},
        {"name": "files", "mountPath": "/etc/files"},
    ]
    return obj


async def make_sources(stage: Stage) -> None:
    """What `configured` names, but for the optional one."""
    await stage.apply(
        source(stage, "colours", {"one": "red", "two": "<b>&"}),
        source(stage, "sizes", {"size": "1"}),
        source(stage, "files", {"a.txt": "a"}),
        source(stage, "untracked", {"x": "1"}, **UNTRACKED),
        source(stage, "password", {"word": "secret"}, "Secret"),
    )


async def config(stage: Stage) -> None:
    """ConfigMaps, a Secret, projected volumes; a change is a release, one in mid-run begins anew; one is not followed."""
    await make_sources(stage)
    await stage.initialized(configured(stage))
    await stage.edit("ConfigMap", "untracked", {"data": {"x": "2"}})
    await stage.beats(2)
    await stage.edit("ConfigMap", "colours", {"data": {"one": "blue"}})
    await stage.weight(20)
    await stage.edit("Secret", "password", {"stringData": {"word": "new"}})
    await stage.event("Restarting analysis")
    await stage.phase("Succeeded")
    await stage.edit("ConfigMap", "colours", {"metadata": {"labels": {"team": "web"}}})
    await stage.beats(2)


async def twoconf(stage: Stage) -> None:
    """A ConfigMap is missing at first, is made, is deleted in mid-run and comes back; then the target names it no more."""
    await make_sources(stage)
    await stage.delete("ConfigMap", "files")
    await stage.apply(configured(stage), stage.canary())
    await stage.event("files")
    await stage.apply(source(stage, "files", {"a.txt": "a"}))
    await stage.phase("Initialized")
    await stage.beats(0)
    await stage.set_image("2.1.2")
    await stage.weight(20)
    await stage.delete("ConfigMap", "sizes")
    await stage.event("sizes")
    await stage.apply(source(stage, "sizes", {"size": "1"}))
    await stage.phase("Succeeded")
    await stage.apply(stage.podinfo(tag="2.1.2"))
    removed = {"volumes": None, "containers": stage.podinfo(tag="2.1.2")["spec"]["template"]["spec"]["containers"]}
    await stage.edit("Deployment", "podinfo", {"spec": {"template": {"spec": removed}}})
    await stage.phase("Progressing")
    await stage.phase("Succeeded")


async def optional(stage: Stage) -> None:
    """An optional Secret comes, which is a release, and goes, which is another; one of a type that is not followed changes."""
    await make_sources(stage)
    sealed = source(stage, "sealed", {"word": "a"}, "Secret") | {"type": "example.com/sealed"}
    target = configured(stage)
    target["spec"]["template"]["spec"]["containers"][0]["envFrom"].append({"secretRef": {"name": "sealed"}})
    await stage.apply(sealed)
    await stage.initialized(target, analysis={"stepWeight": 50})
    await stage.edit("Secret", "sealed", {"stringData": {"word": "b"}})
    await stage.beats(2)
    await stage.apply(source(stage, "maybe", {"word": "now"}, "Secret"))
    await stage.phase("Progressing")
    await stage.phase("Succeeded")
    await stage.delete("Secret", "maybe")
    await stage.phase("Progressing")
    await stage.phase("Succeeded")
