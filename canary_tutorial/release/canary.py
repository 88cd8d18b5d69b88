"""One Canary and its verbs (release, approve, pause, abort, ...), all through the Kubernetes API.

`release` changes the target's image as `kubectl set image` does. Flagger does the rest, which `Release` (release.py)
watches.
"""

from __future__ import annotations

import json
import shlex
import threading
import time
from collections.abc import Callable, Sequence

from canary_tutorial.errors import BadInput, Refused, TookTooLong, TutorialError
from canary_tutorial.kube.objects import Obj
from canary_tutorial.kube.wait import wait_until
from canary_tutorial.release.release import Release
from canary_tutorial.release.state import CanaryState
from canary_tutorial.release.timeline import ENDED, RUNNING, service_names
from canary_tutorial.screen.progress import StatusLine

GATES = "gates"  # the Service of manifests/gates.yaml
ABORT = {"name": "abort", "type": "rollback", "url": f"http://{GATES}.{{namespace}}/rollback/check"}
FAULTS = ("--random-error", "--random-delay", "--unhealthy", "--unready")  # podinfo's own switches, with their values


class Canary(CanaryState):
    """What `cluster.canary()` returns. `say` gets the command that does the same as a verb."""

    say: Callable[[str], None] = staticmethod(print)

    def wait(self, *phases: str, timeout: float | None = None) -> None:
        """Until the canary is in one of `phases`. Raises TookTooLong, with the reason."""
        timeout = timeout or 60 + 4 * self.interval

        def reached() -> tuple[bool, str]:
            phase = self.phase
            return phase in phases, f"it is {phase or 'new'}"

        try:
            wait_until(reached, f"the canary {self.name} to be {' or '.join(phases)}", timeout)
        except TookTooLong as exc:
            raise TookTooLong(exc.message, self.explain()) from exc

    def wait_until_idle(self, timeout: float = 180, *, promoted: bool = False) -> None:
        """Wait until Flagger has initialized the Canary and no release runs; with `promoted`, also until users get the
        very image that its target is set to. Raises TookTooLong."""

        def idle() -> tuple[bool, str]:
            phase = self.phase
            under_way = f"a release is under way ({phase})" if phase in RUNNING else phase
            if not phase or phase == "Initializing" or phase in RUNNING:
                return False, under_way or "not yet seen by Flagger"
            missed = promoted and self.image() != self.primary_image()
            return not missed, f"{phase}; users do not get {self.image().rpartition('/')[2]} yet" if missed else phase

        wait_until(idle, "the canary to be idle", timeout, next_step="canary.explain() says what it waits for.")
        self.cluster.rollout_status(f"deployment/{self.target}-primary", namespace=self.namespace)
        with StatusLine("Waiting for Flagger's VirtualService") as line:
            name = service_names(self.obj)[0]
            while not self.cluster.get_or_none("virtualservices", name, self.namespace) and line.elapsed < 10:
                line.say("")
                time.sleep(0.2)

    def release(
        self, image: str, *, flags: Sequence[str] | None = None, watch: bool = True, show: bool = True
    ) -> Release:
        """Set the target's image, as `kubectl set image` does; returns the Release, already being watched. Prints the
        command, if `show`.

        `flags` also sets podinfo's fault switches (["--random-error=true"]), [] removes them, None leaves them alone.
        Raises BadInput where Flagger would ignore the change, since nothing would happen.
        """
        target = self.deployment()
        container = self.container_of(target)
        command = container.get("command") or [] if flags is None else with_flags(container.get("command") or [], flags)
        if image == container["image"] and command == (container.get("command") or []):
            raise BadInput(
                f"Nothing to release: {self.target} is already set to {image}. The same template is not a new revision.",
                "Choose another tag.",
            )
        if show and self.phase in RUNNING:
            print("A release is under way. Flagger restarts the analysis with this version.")
        release = Release(self, image, self.primary_image(), list(flags or []))
        if watch:
            release.start()
        changed = None if command == (container.get("command") or []) else command
        if show:
            print(set_image_command(self, container["name"], image, changed))
        if changed is None:
            self.cluster.set_image(f"deployment/{self.target}", self.namespace, **{container["name"]: image})
        else:
            self.cluster.patch(
                "deployments", self.target, template_of(container["name"], image, changed), self.namespace
            )
        return release

    # -- an operator's part; each prints the command that it stands for

    def approve(self) -> None:
        """Open the gate: confirm-rollout, confirm-promotion and confirm-traffic-increase hooks that call /gate/check."""
        self._gate("gate/open")

    def hold(self) -> None:
        """Close the gate: the release waits from the next time that Flagger calls it."""
        self._gate("gate/close")

    def pause(self) -> None:
        """Suspend the Canary: Flagger skips its ticks; the weights stay."""
        self._patch({"spec": {"suspend": True}})

    def resume(self) -> None:
        """End the pause: Flagger goes on from where the release was."""
        self._patch({"spec": {"suspend": False}})

    def abort(self) -> None:
        """Roll back at the next tick, by Flagger's rollback hook; the hook is added to the Canary if it has none."""
        self._require("Progressing", "WaitingPromotion", to="roll back")
        self._require_gates()
        hooks = self.spec.get("analysis", {}).get("webhooks") or []
        if not any(hook.get("type") == "rollback" for hook in hooks):
            hook = {**ABORT, "url": ABORT["url"].format(namespace=self.namespace)}
            self._patch({"spec": {"analysis": {"webhooks": [*hooks, hook]}}})
        self._gate("rollback/open")
        self._afterwards(lambda: self._gate("rollback/close"))

    def promote(self) -> None:
        """Promote at the next tick without further checks (spec.skipAnalysis), and check again after that release."""
        self._require("Waiting", "Progressing", "WaitingPromotion", to="promote")
        self._patch({"spec": {"skipAnalysis": True}})
        self._afterwards(lambda: self._patch({"spec": {"skipAnalysis": False}}))

    def retry(self) -> Release:
        """Try the rejected version once more: a new revision of the same image. Returns the Release, being watched."""
        release = Release(self, self.image(), self.primary_image(), []).start()
        self.say(f"kubectl -n {self.namespace} rollout restart deployment/{self.target}")
        stamp = {"kubectl.kubernetes.io/restartedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        body = {"spec": {"template": {"metadata": {"annotations": stamp}}}}
        self.cluster.patch("deployments", self.target, body, self.namespace)
        return release

    def gate_is_open(self) -> bool:
        """Whether the gate would let Flagger pass now: asked as Flagger asks it."""
        try:
            self._gate("gate/check", show=False)
        except Refused as error:
            if error.status != 403 or error.reason:  # with a reason it is the API server that refuses
                raise
            return False
        return True

    def withdraw_abort(self) -> None:
        """Let the rollback hook say no again, after an abort whose release nobody saw end."""
        self._gate("rollback/close", show=False)

    def _require_gates(self) -> None:
        if self.cluster.get_or_none("services", GATES, self.namespace) is None:
            raise BadInput(
                f'Service "{GATES}" not found in namespace "{self.namespace}"', 'cluster.apply("gates.yaml")'
            )

    def _gate(self, path: str, show: bool = True) -> None:
        self._require_gates()
        page = self.cluster.proxy_path(f"{GATES}:80", path, self.namespace)
        body = {"name": self.name, "namespace": self.namespace}
        if show:
            self.say(f"echo {shlex.quote(json.dumps(body))} | kubectl create --raw {page} -f -")
        self.cluster.api.request("POST", page, body, accept="*/*", parse=False)

    def _require(self, *phases: str, to: str) -> None:
        """Raise BadInput unless the Canary is in a phase in which Flagger would act on what is asked of it."""
        phase = self.phase
        if phase in phases:
            return
        if phase not in RUNNING:
            raise BadInput(
                f"No release to {to}: the canary is {phase or 'new'}. Flagger has not detected a new revision.",
                'After canary.release(...): canary.wait("Progressing")',
            )
        if phase == "Waiting":
            raise BadInput(
                f"Flagger cannot {to} yet: the canary is Waiting, behind a closed gate.",
                "Open it with canary.approve(), and roll back once it is Progressing; or set the old image again.",
            )
        raise BadInput(
            f"Too late to {to}: the canary is {phase}, the new version has passed its checks and is being promoted.",
            "To have the old version again, release it: canary.release(IMAGE)",
        )

    def _patch(self, body: Obj) -> None:
        patch = shlex.quote(json.dumps(body))
        self.say(f"kubectl -n {self.namespace} patch canary {self.name} --type merge -p {patch}")
        self.cluster.patch("canaries", self.name, body, self.namespace)

    def _afterwards(self, revert: Callable[[], None]) -> None:
        """Run `revert` once the release has ended: the switch was meant for this one only."""

        def wait() -> None:
            try:
                while self.phase not in ENDED:
                    time.sleep(0.5)
                revert()
            except TutorialError:
                return  # the cluster is gone, and its switches with it

        threading.Thread(target=wait, daemon=True).start()


def template_of(container: str, image: str, command: list[str]) -> Obj:
    """The patch of a Deployment that changes a container's image and its command at once: one new revision."""
    change = {"containers": [{"name": container, "image": image, "command": command}]}
    return {"spec": {"template": {"spec": change}}}


def set_image_command(canary: CanaryState, container: str, image: str, command: list[str] | None = None) -> str:
    """What `release` does, as a kubectl command; with `command` where that changes, too."""
    kubectl = f"kubectl -n {canary.namespace}"
    if command is None:
        return f"{kubectl} set image deployment/{canary.target} {container}={image}"
    patch = json.dumps(template_of(container, image, command))
    return f"{kubectl} patch deployment {canary.target} -p {shlex.quote(patch)}"


def with_flags(command: Sequence[str], flags: Sequence[str]) -> list[str]:
    """A container's command with podinfo's fault switches taken out and `flags` put in."""
    return [word for word in command if not word.startswith(FAULTS)] + list(flags)
