"""A pod writes and deletes below its own directory and nowhere else, whatever its manifest says or its programs lay.

The kubelet alone: the API server refuses most of these, and the kubelet must not rely on it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubelet_alone import Alone, Obj, alone, eventually

from canary_tutorial.lab import kinds

UP = "../" * 12


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    with alone(tmp_path_factory.mktemp("confined")) as one:
        one.put(kinds.CONFIGMAPS, "settings", data={"key": "written by the kubelet"})
        one.put(kinds.SECRETS, "login", data={"key": "d3JpdHRlbg=="})
        yield one


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """Somebody's directory, which must be at the end what it was at the beginning."""
    place = tmp_path / "victim"
    (place / "sub").mkdir(parents=True)
    (place / "a.txt").write_text("precious")
    (place / "sub" / "b.txt").write_text("precious")
    yield place
    assert seen(place) == {"a.txt": "precious", "sub": None, "sub/b.txt": "precious"}


def seen(place: Path) -> dict[str, str | None]:
    found = sorted(place.rglob("*"))
    return {str(path.relative_to(place)): path.read_text() if path.is_file() else None for path in found}


def waiting(volumes: list[Obj], **container: object) -> Obj:
    app = {"name": "app", "image": "podinfo:2.0.0", "command": ["sleep", "1000"]} | container
    return {"containers": [app], "volumes": volumes}


def shell(script: str, volumes: list[Obj], **container: object) -> Obj:
    return waiting(volumes, command=["sh", "-c", script], **container)


def why_not_mounted(node: Alone, made: Obj) -> str:
    name, uid = made["metadata"]["name"], made["metadata"]["uid"]
    eventually(lambda: "FailedMount" in node.events(uid) or node.ready(name))
    assert not node.ready(name), "it was mounted"
    return node.events(uid)["FailedMount"]


def name_of(request: pytest.FixtureRequest) -> str:
    return f"p{abs(hash(request.node.name)) % 10**9}"


SOURCES: dict[str, Obj] = {
    "configMap": {"configMap": {"name": "settings"}},
    "secret": {"secret": {"secretName": "login"}},
    "downwardAPI": {"downwardAPI": {"items": [{"path": "key", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    "projected": {"projected": {"sources": [{"configMap": {"name": "settings"}}]}},
    "token": {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    "emptyDir": {"emptyDir": {}},
    "hostPath": {"hostPath": {"path": "/etc"}},
    "nothing": {},
}


def with_path(path: str) -> dict[str, Obj]:
    item, field = {"key": "key", "path": path}, {"path": path, "fieldRef": {"fieldPath": "metadata.name"}}
    return {
        "configMap": {"configMap": {"name": "settings", "items": [item]}},
        "secret": {"secret": {"secretName": "login", "items": [item]}},
        "downwardAPI": {"downwardAPI": {"items": [field]}},
        "projected configMap": {"projected": {"sources": [{"configMap": {"name": "settings", "items": [item]}}]}},
        "projected secret": {"projected": {"sources": [{"secret": {"name": "login", "items": [item]}}]}},
        "projected downwardAPI": {"projected": {"sources": [{"downwardAPI": {"items": [field]}}]}},
        "projected token": {"projected": {"sources": [{"serviceAccountToken": {"path": path}}]}},
    }


@pytest.mark.parametrize("how", ["up and down", "absolute", "its own name first"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_volumes_name_leads_nowhere_else(
    node: Alone, victim: Path, source: str, how: str, request: pytest.FixtureRequest
) -> None:
    new = victim.parent / "new"
    for number, target in enumerate([victim, new]):
        name = {"up and down": UP + str(target), "absolute": str(target), "its own name first": f"v/{UP}{target}"}[how]
        made = node.pod(f"{name_of(request)}-{number}", waiting([{"name": name, **SOURCES[source]}]))
        why_not_mounted(node, made)
    assert not new.exists()


@pytest.mark.parametrize("how", ["up and down", "absolute", "down first"])
@pytest.mark.parametrize("source", with_path(""))
def test_an_items_path_leads_nowhere_else(
    node: Alone, victim: Path, source: str, how: str, request: pytest.FixtureRequest
) -> None:
    for number, target in enumerate([victim / "a.txt", victim / "new.txt"]):
        path = {"up and down": UP + str(target), "absolute": str(target), "down first": f"a/b/../../{UP}{target}"}[how]
        made = node.pod(f"{name_of(request)}-{number}", waiting([{"name": "v", **with_path(path)[source]}]))
        said = why_not_mounted(node, made)
        assert said.startswith('MountVolume.SetUp failed for volume "v" : invalid path: must ')


@pytest.mark.parametrize("key", ["../a.txt", "..", "/a.txt", "x/../../../../a.txt"])
def test_a_key_of_a_configmap_leads_nowhere_else(node: Alone, key: str, request: pytest.FixtureRequest) -> None:
    name = name_of(request)
    node.put(kinds.CONFIGMAPS, name, data={key: "escaped", "good": "stays"})
    made = node.pod(name, waiting([{"name": "v", "configMap": {"name": name}}]))

    why_not_mounted(node, made)

    assert not any("escaped" in path.read_text() for path in node.directory.rglob("a.txt"))


@pytest.mark.parametrize(
    "mount",
    [
        {"subPath": "../../kubeconfig"},
        {"subPath": "/etc"},
        {"subPath": "a/../../.."},
        {"subPathExpr": "$(UP)/kubeconfig"},
        {"subPathExpr": "../.."},
        {"subPathExpr": "$(NOWHERE)"},
        {"subPath": "link"},
        {"subPath": "link/a.txt"},
    ],
    ids=str,
)
def test_a_subpath_stays_in_its_volume(node: Alone, mount: Obj, victim: Path, request: pytest.FixtureRequest) -> None:
    """Also through a link that an init container has laid into the volume."""
    volumes: list[Obj] = [{"name": "v", "emptyDir": {}}]
    lay = {"name": "lay", "image": "podinfo:2.0.0", "command": ["ln", "-s", str(victim), "/v/link"]}
    mounted: Obj = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    spec = waiting(
        volumes, env=[{"name": "UP", "value": "../.."}], volumeMounts=[{"name": "v", "mountPath": "/m", **mount}]
    )
    made = node.pod(name_of(request), spec | {"initContainers": [lay | mounted]})

    said = eventually(lambda: node.events(made["metadata"]["uid"]).get("Failed"))

    assert "subPath" in said or 'missing value for "NOWHERE"' in said


def test_a_mount_of_no_volume_of_the_pod_is_told(node: Alone) -> None:
    made = node.pod("no-such-volume", waiting([], volumeMounts=[{"name": "../..", "mountPath": "/m"}]))

    said = eventually(lambda: node.events(made["metadata"]["uid"]).get("Failed"))

    assert 'cannot find volume "../.." to mount into container "app"' in said


# What a container may lay, in the shell of the container itself: $HOME is the pod's directory.
LAID = {
    "a link for a mounted file": "rm /v/key && ln -s {victim}/a.txt /v/key",
    "a link for a mounted directory": "rm -r /v/deep && ln -s {victim} /v/deep",
    "a link for a whole volume": "rm -r $HOME/volumes/v && ln -s {victim} $HOME/volumes/v",
    "a link for all volumes": "mv $HOME/volumes $HOME/x && ln -s {victim} $HOME/volumes",
    "a link beside the mounted file": "ln -s {victim} /v/more",
    "a link for what is written next": "ln -s {victim}/a.txt /v/.key.new",
    "a link for the kubeconfig": "rm $HOME/kubeconfig && ln -s {victim}/a.txt $HOME/kubeconfig",
    "a hard link": "rm /v/key && ln {victim}/a.txt /v/key",
    "a directory for a mounted file": "rm /v/key && mkdir -p /v/key/full",
}


@pytest.mark.parametrize("what", LAID)
def test_a_refresh_follows_no_link_that_a_container_has_laid(
    node: Alone, victim: Path, what: str, request: pytest.FixtureRequest
) -> None:
    name = name_of(request)
    node.put(kinds.CONFIGMAPS, name, data={"key": "first"})
    items = [{"key": "key", "path": "key"}, {"key": "key", "path": "deep/key"}]
    script = LAID[what].format(victim=victim) + "; touch $HOME/laid; sleep 1000"
    volume = {"name": "v", "configMap": {"name": name, "items": items}}
    made = node.pod(name, shell(script, [volume], volumeMounts=[{"name": "v", "mountPath": "/v"}]))
    [own] = eventually(lambda: list((node.directory / "pods").glob(f"*{made['metadata']['uid']}")))
    eventually((own / "laid").exists)

    node.change(kinds.CONFIGMAPS, name, lambda c: c.update(data={"key": "second"}))

    def arrived() -> bool:
        paths = [own / "volumes" / "v" / "key", own / "volumes" / "v" / "deep" / "key"]
        return all(p.is_file() and not p.parent.is_symlink() and p.read_text() == "second" for p in paths)

    eventually(arrived, seconds=5)
    assert (own / "kubeconfig").read_text() == "a-kubeconfig"
    assert not (own / "kubeconfig").is_symlink()


@pytest.mark.parametrize("where", ["volumes/v/key", "kubeconfig"])
def test_a_pipe_in_place_of_a_file_holds_nobody_up(node: Alone, where: str) -> None:
    name = f"pipe-{where[0]}"
    node.put(kinds.CONFIGMAPS, name, data={"key": "first"})
    script = f"rm $HOME/{where}; mkfifo $HOME/{where}; touch $HOME/laid; sleep 1000"
    made = node.pod(name, shell(script, [{"name": "v", "configMap": {"name": name}}]))
    [own] = eventually(lambda: list((node.directory / "pods").glob(f"*{made['metadata']['uid']}")))
    eventually((own / "laid").exists)
    # Where the kubelet opens the pipe for reading and waits, somebody must write, or no test would ever end.
    rescue = threading.Timer(10, lambda: os.close(os.open(own / where, os.O_RDWR | os.O_NONBLOCK)))
    rescue.start()

    node.change(kinds.CONFIGMAPS, name, lambda c: c.update(data={"key": "second"}))

    eventually(lambda: (own / where).is_file() and (own / "volumes/v/key").read_text() == "second", seconds=8)
    rescue.cancel()


LOGGING = "while ! test -e $HOME/logs/app-0.log; do sleep 0.01; done"
LOGS = {
    "a link for its logs": "rm -r $HOME/logs; ln -s {victim} $HOME/logs",
    "a link for its next log": "ln -s {victim}/a.txt $HOME/logs/app-1.log",
    "a hard link for its next log": "ln {victim}/a.txt $HOME/logs/app-1.log",
}


@pytest.mark.parametrize("what", LOGS)
def test_the_next_log_follows_no_link(node: Alone, victim: Path, what: str, request: pytest.FixtureRequest) -> None:
    name = name_of(request)
    laid = LOGS[what].format(victim=victim)
    script = f"test -e $HOME/once && {{ echo again; sleep 1000; }}; touch $HOME/once; {laid}; exit 1"
    made = node.pod(name, shell(script, []))
    [own] = eventually(lambda: list((node.directory / "pods").glob(f"*{made['metadata']['uid']}")))

    log = own / "logs" / "app-1.log"
    eventually(lambda: "again" in (log.read_text() if log.exists() else ""))

    assert not log.is_symlink()
    assert not log.parent.is_symlink()


@pytest.mark.parametrize("laid", ["ln -sf {victim}/a.txt", "mkfifo"])
def test_what_lies_in_place_of_a_log_is_not_read(node: Alone, victim: Path, laid: str) -> None:
    name = f"log-{laid[:2]}"
    replaced = f"rm $HOME/logs/app-0.log; {laid.format(victim=victim)} $HOME/logs/app-0.log"
    script = f"{LOGGING}; {replaced}; touch $HOME/laid; sleep 1000"
    made = node.pod(name, shell(script, []))
    [own] = eventually(lambda: list((node.directory / "pods").glob(f"*{made['metadata']['uid']}")))
    eventually((own / "laid").exists)

    with pytest.raises(Exception, match="waiting to start"):
        node.call(node.kubelet.log_path, node.find(name), "app")


ENDS = {
    "its directory is a link": "d=$HOME; cd /; mv $d $d.away; ln -s {victim} $d",
    "links in its directory": "ln -s {victim} $HOME/v; ln -s {victim} $HOME/work/v; ln -s {victim}/a.txt $HOME/f",
    "a directory that is closed": "mkdir -p $HOME/shut/in; touch $HOME/shut/in/f; chmod 0 $HOME/shut/in $HOME/shut",
}


@pytest.mark.parametrize("what", ENDS)
def test_the_end_of_a_pod_removes_its_own_and_nothing_else(node: Alone, victim: Path, what: str) -> None:
    name = "end-" + what[0] + str(len(what))
    made = node.pod(name, shell(f"{LOGGING}; {ENDS[what].format(victim=victim)}; sleep 1000", []))
    eventually(lambda: node.ready(name))
    [own] = eventually(lambda: list((node.directory / "pods").glob(f"*{made['metadata']['uid']}")))
    eventually(lambda: own.is_symlink() or (own / "v").exists() or (own / "shut").exists())

    node.delete(kinds.PODS, name)

    eventually(lambda: not os.path.lexists(own))
    assert node.find(name) is None
    shutil.rmtree(f"{own}.away", ignore_errors=True)


def test_a_deep_directory_does_not_keep_a_pod_from_ending(node: Alone) -> None:
    deep = "import os\nfor _ in range(1200): os.mkdir('d'); os.chdir('d')\nopen(os.environ['HOME'] + '/laid', 'w')"
    script = f'python3 -c "{deep}"; sleep 1000'
    made = node.pod("deep", shell(script, []))
    [own] = eventually(lambda: list((node.directory / "pods").glob(f"*{made['metadata']['uid']}")))
    eventually((own / "laid").exists)

    node.delete(kinds.PODS, "deep")

    try:
        eventually(lambda: not own.exists())
    finally:  # what is left would break whoever removes it with a call for each level
        subprocess.run(["rm", "-rf", str(own)], check=True)
    assert node.find("deep") is None


def test_prometheus_configuration_is_written_over_no_link(node: Alone, victim: Path) -> None:
    config = "scrape_configs: [{job_name: pods, kubernetes_sd_configs: [{role: pod}]}]"
    node.put(kinds.CONFIGMAPS, "prometheus", data={"prometheus.yml": config})
    lay = {
        "name": "lay",
        "image": "podinfo:2.0.0",
        "command": ["ln", "-s", f"{victim}/a.txt", "$(HOME)/prometheus.yml"],
    }
    lay["command"] = ["sh", "-c", f"ln -s {victim}/a.txt $HOME/prometheus.yml"]
    spec = waiting(
        [{"name": "v", "configMap": {"name": "prometheus"}}],
        image="prom/prometheus:v2.42.0",
        command=["prometheus"],
        args=["--config.file=/v/prometheus.yml"],
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
    )
    made = node.pod("prometheus", spec | {"initContainers": [lay]})
    [own] = eventually(lambda: list((node.directory / "pods").glob(f"*{made['metadata']['uid']}")))

    eventually(
        lambda: "targets.json" in ((own / "prometheus.yml").read_text() if (own / "prometheus.yml").exists() else "")
    )

    assert not (own / "prometheus.yml").is_symlink()
    node.delete(kinds.PODS, "prometheus")
