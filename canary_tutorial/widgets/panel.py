"""The operator panel: gates, pause, abort, promote, retry; each through Flagger's own means, each shown as a command."""

from __future__ import annotations

import json
import shlex
import threading
import time
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from canary_tutorial.charts.display import live
from canary_tutorial.errors import BadInput, TutorialError
from canary_tutorial.kube.api import MERGE, STRATEGIC
from canary_tutorial.release.timeline import ENDED, RUNNING
from canary_tutorial.widgets import keys

if TYPE_CHECKING:
    from canary_tutorial.release.canary import Canary

GATES = "gates"  # the Service of manifests/gates.yaml
ABORT = {"name": "abort", "type": "rollback", "url": f"http://{GATES}.{{namespace}}/rollback/check"}


class OperatorPanel:
    """What a person may do to a release. Every method prints the command that it stands for."""

    def __init__(self, canary: Canary) -> None:
        self.canary = canary
        self._box: Any = None
        self._said: Any = None
        self._pressed = False  # whether what is done was asked for by a button

    # -- gates

    def open_gate(self) -> None:
        """Approve: confirm-rollout, confirm-promotion and confirm-traffic-increase hooks that ask /gate/check."""
        self._gate("gate/open")

    def close_gate(self) -> None:
        """Hold: the next time that Flagger asks, it is told to wait."""
        self._gate("gate/close")

    def _gate(self, path: str) -> None:
        cluster, namespace = self.canary.cluster, self.canary.namespace
        if cluster.find("services", GATES, namespace) is None:
            raise BadInput("there are no gates in this namespace", 'Bring them: cluster.apply("gates.yaml").')
        page = cluster.page(f"{GATES}:80", path, namespace)
        body = {"name": self.canary.name, "namespace": namespace}
        self._say(f"echo {shlex.quote(json.dumps(body))} | kubectl create --raw {page} -f -")
        cluster.api.request("POST", page, body, accept="*/*", parse=False)

    # -- pause

    def pause(self) -> None:
        """spec.suspend: Flagger looks away; weights stay as they are."""
        self._patch({"spec": {"suspend": True}})

    def resume(self) -> None:
        """Flagger looks again, and goes on from where it was."""
        self._patch({"spec": {"suspend": False}})

    # -- the end of it

    def abort(self) -> None:
        """Roll back on the next look, by Flagger's rollback hook; the hook is added to the Canary if it has none."""
        self._must_run()
        analysis = self.canary.spec.get("analysis", {})
        hooks = analysis.get("webhooks") or []
        if not any(hook.get("type") == "rollback" for hook in hooks):
            hook = {**ABORT, "url": ABORT["url"].format(namespace=self.canary.namespace)}
            self._patch({"spec": {"analysis": {"webhooks": [*hooks, hook]}}})
        self._gate("rollback/open")
        self._afterwards(lambda: self._gate("rollback/close"))

    def promote(self) -> None:
        """Promote on the next look without further checks (spec.skipAnalysis), and check again after that release."""
        self._must_run()
        self._patch({"spec": {"skipAnalysis": True}})
        self._afterwards(lambda: self._patch({"spec": {"skipAnalysis": False}}))

    def retry(self) -> None:
        """Try the rejected version once more: a new revision of the same image."""
        target, namespace = self.canary.target, self.canary.namespace
        self._say(f"kubectl -n {namespace} rollout restart deployment/{target}")
        stamp = {"kubectl.kubernetes.io/restartedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        body = {"spec": {"template": {"metadata": {"annotations": stamp}}}}
        self.canary.cluster.patch("deployments", target, body, namespace, how=STRATEGIC)

    # -- inside

    def _must_run(self) -> None:
        phase = self.canary.phase
        if phase not in RUNNING:
            raise BadInput(
                f"there is no release to end: the canary is {phase or 'new'}",
                "Set an image first. Flagger notices it on its next look; then this can be done.",
            )

    def _patch(self, body: dict[str, Any]) -> None:
        name, namespace = self.canary.name, self.canary.namespace
        self._say(f"kubectl -n {namespace} patch canary {name} --type merge -p {shlex.quote(json.dumps(body))}")
        self.canary.cluster.patch("canaries", name, body, namespace, how=MERGE)

    def _afterwards(self, put_back: Callable[[], None]) -> None:
        """Put a switch back once the release has ended: it was meant for this one only."""

        pressed = self._pressed

        def wait() -> None:
            try:
                while self.canary.phase not in ENDED:
                    time.sleep(0.5)
                self._pressed = pressed
                put_back()
            except TutorialError:
                return  # the cluster is gone, and its switches with it
            finally:
                self._pressed = False

        threading.Thread(target=wait, daemon=True).start()

    def _say(self, command: str) -> None:
        """Into the panel where a button was pressed; else into the cell that called."""
        if self._pressed:
            self._said.value = f"<code>{escape(command)}</code>"
        else:
            print(command)

    def text(self) -> str:
        return "open_gate, close_gate, pause, resume, abort, promote, retry: each prints the command that it stands for"

    __repr__ = text

    def close(self) -> None:
        if self._box is not None:
            self._box.close()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if not live():
            display({"text/plain": self.text()}, raw=True)  # type: ignore[no-untyped-call]
            return
        import ipywidgets as widgets

        self._said = widgets.HTML("<i>Each button shows the command that it stands for.</i>")
        buttons = [
            self._button(widgets, *each)
            for each in (
                ("Open gate", "check", self.open_gate),
                ("Close gate", "lock", self.close_gate),
                ("Pause", "pause", self.pause),
                ("Resume", "play", self.resume),
                ("Abort", "undo", self.abort),
                ("Promote now", "forward", self.promote),
                ("Retry", "refresh", self.retry),
            )
        ]
        wrap = widgets.Layout(flex_flow="row wrap")
        self._box = keys.box(widgets.HBox(buttons, layout=wrap), self._said)
        display(self._box)  # type: ignore[no-untyped-call]

    def _button(self, widgets: Any, name: str, icon: str, do: Callable[[], None]) -> Any:
        meaning = (do.__doc__ or name).split("\n")[0]
        button = widgets.Button(description=name, icon=icon, tooltip=meaning)

        def clicked(_button: Any) -> None:
            self._pressed = True
            try:
                do()
                self._said.value = f"<div role='status'>{self._said.value}<br>✔ {escape(meaning)}</div>"
            except TutorialError as error:
                self._said.value = f"<div role='status'>✘ {escape(str(error))}</div>"
            finally:
                self._pressed = False

        button.on_click(clicked)
        return button
