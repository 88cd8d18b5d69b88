"""Commands in a running container: exec and probes see what the container was started with, and odd ones are told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from kubelet_alone import Alone, Obj, alone, eventually

from canary_tutorial.lab import kinds
from canary_tutorial.lab.errors import ApiError


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    with alone(tmp_path_factory.mktemp("commands")) as one:
        one.pod("shell", spec())
        eventually(lambda: one.ready("shell"))
        yield one


def spec(**container: object) -> Obj:
    return {"containers": [{"name": "app", "image": "podinfo:2.0.0", "command": ["sleep", "1000"]} | container]}


def run(node: Alone, name: str, *command: str, tty: bool = False) -> tuple[int, str]:
    """Run a command in a pod's container: exit code, output."""

    async def one() -> tuple[int, str]:
        session = await node.kubelet.exec(node.store.get(kinds.PODS, name, "test"), "app", list(command), False, tty)
        output = b""
        while piece := await session.read():
            output += piece[1]
        return await session.wait(), output.decode()

    return asyncio.run_coroutine_threadsafe(one(), node.loop).result(20)


COMMANDS: dict[str, list[str]] = {
    "nothing": [],
    "an empty name": [""],
    "NUL in its name": ["a\0b"],
    "NUL in an argument": ["true", "a\0b"],
    "a long name": ["x" * 5000],
    "a long path": ["x/" * 3000],
    "a directory": ["/"],
    "dots": [".."],
    "half a character": ["\ud800"],
    "a long argument": ["true", "x" * 300_000],
}


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_cannot_be_run_is_an_answer(node: Alone, command: str, tty: bool) -> None:
    with pytest.raises(
        ApiError, match="OCI runtime exec failed: exec failed: unable to start container process"
    ) as error:
        run(node, "shell", *COMMANDS[command], tty=tty)

    assert len(error.value.message) < 500
    assert run(node, "shell", "echo", "alive") == (0, "alive\n")


def test_exec_sees_the_environment_of_the_start(node: Alone) -> None:
    node.put(kinds.CONFIGMAPS, "settings", data={"LEVEL": "debug"})
    node.pod("settled", spec(envFrom=[{"configMapRef": {"name": "settings"}}]))
    eventually(lambda: node.ready("settled"))

    node.change(kinds.CONFIGMAPS, "settings", lambda c: c.update(data={"LEVEL": "info"}))
    assert run(node, "settled", "printenv", "LEVEL") == (0, "debug\n")
    node.delete(kinds.CONFIGMAPS, "settings")
    assert run(node, "settled", "printenv", "LEVEL") == (0, "debug\n")


def test_an_image_gives_exec_its_variables_too(node: Alone) -> None:
    node.pod("flagger", spec(image="flagger:1.42.0"))
    eventually(lambda: node.ready("flagger"))

    assert run(node, "flagger", "printenv", "FLAGGER_TRACE") == (0, "1\n")


def test_an_exec_probe_runs_on_when_the_configmap_of_the_start_is_gone(node: Alone) -> None:
    node.put(kinds.CONFIGMAPS, "gone", data={"A": "1"})
    probe = {"exec": {"command": ["sh", "-c", "test -e $HOME/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    container = {"envFrom": [{"configMapRef": {"name": "gone"}}], "readinessProbe": probe}
    made = node.pod("probed", spec(command=["sh", "-c", "touch $HOME/ready; sleep 1000"], **container))
    eventually(lambda: node.ready("probed"))

    node.delete(kinds.CONFIGMAPS, "gone")
    [own] = (node.directory / "pods").glob(f"*{made['metadata']['uid']}")
    (own / "ready").unlink()

    eventually(lambda: not node.ready("probed"))


def test_a_probe_that_can_no_longer_be_run_has_failed(node: Alone) -> None:
    """The directory that its program starts in is gone: a ready container becomes unready."""
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1, "failureThreshold": 1}
    made = node.pod("lost", spec(readinessProbe=probe))
    eventually(lambda: node.ready("lost"))
    [own] = (node.directory / "pods").glob(f"*{made['metadata']['uid']}")

    (own / "work").rmdir()

    eventually(lambda: not node.ready("lost"))
    assert "Readiness probe failed" in node.events(made["metadata"]["uid"])["Unhealthy"]
