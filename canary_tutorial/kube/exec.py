"""Runs programs in pods: `kubectl exec` over the API's WebSocket; the output is printed as it comes."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from canary_tutorial.errors import CommandFailed, Refused, Unreachable, refused
from canary_tutorial.kube.api import NO_ANSWER, Api
from canary_tutorial.kube.objects import Obj
from canary_tutorial.screen.progress import StatusLine


def main_container(pod: Obj) -> str:
    """The container that kubectl takes unasked: the annotated one, else the first that is no sidecar."""
    annotated = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    names = [container["name"] for container in pod["spec"]["containers"]]
    return str(annotated or next((name for name in names if name != "istio-proxy"), names[0]))


def run(api: Api, pod: Obj, container: str, command: list[str], show: bool = True) -> str:
    """Run `command` in a container; returns its stdout. Raises CommandFailed, Refused, Unreachable."""
    session = _session(api, pod, container, command)
    out, err = "", ""
    try:
        with StatusLine(f"{command[0]} runs in {pod['metadata']['name']}") as line:
            while session.is_open():
                session.update(timeout=1)
                fresh = session.read_stdout(timeout=0) or ""
                error = session.read_stderr(timeout=0) or ""
                out, err = out + fresh, err + error
                if show and (fresh or error):
                    line.clear()
                    print(fresh, end="", flush=True)
                    print(error, end="", file=sys.stderr, flush=True)
                elif not (show and (out or err)):  # a program that prints as it goes needs no other line
                    line.say("")
            line.clear()
        code = session.returncode
    except (OSError, TypeError, KeyError) as exc:
        raise Unreachable(f"the connection to {pod['metadata']['name']} was lost: {exc}", NO_ANSWER) from exc
    finally:
        session.close()
        session.sock.shutdown()  # the client's own close leaves the socket open where the server closed first
    if code:
        said = (err or out).strip().splitlines()[-1:] or ["it said nothing"]
        raise CommandFailed(f"`{' '.join(command)}` ended with exit code {code}: {said[0]}", code=code)
    return out


def _session(api: Api, pod: Obj, container: str, command: list[str]) -> Any:
    """An open exec session. A client of its own, since `stream` swaps the client's transport for the moment."""
    from kubernetes import client, stream

    core = client.CoreV1Api(client.ApiClient(api.configuration))
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    try:
        return stream.stream(
            core.connect_get_namespaced_pod_exec, name, namespace, container=container, command=command,
            stdin=False, stdout=True, stderr=True, tty=False, _preload_content=False,
        )  # fmt: skip
    except client.ApiException as exc:
        raise _refusal(name, str(exc.reason)) from exc


def _refusal(pod: str, reason: str) -> Refused:
    """The client knows a refused WebSocket only as a text, in which the server's Status is the last part."""
    answer = re.search(r"Handshake status (\d+).*?({\"kind\":.*)", reason, re.DOTALL)
    if not answer:
        return Refused(f"exec in {pod} was refused: {reason}", "Is the pod still running?")
    return refused(int(answer[1]), {"message": f"exec in {pod}: {json.loads(answer[2])['message']}"})
