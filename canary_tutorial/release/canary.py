"""One Canary, and what one does with it. Everything goes through the Kubernetes API.

`release` changes the image of the target as `kubectl set image` does; the rest is Flagger's work, which `Release`
(release.py) watches.
"""

from __future__ import annotations

from collections.abc import Sequence

from canary_tutorial.errors import BadInput, TookTooLong
from canary_tutorial.kube.api import STRATEGIC
from canary_tutorial.kube.wait import until
from canary_tutorial.release.release import Release
from canary_tutorial.release.state import CanaryState
from canary_tutorial.release.timeline import RUNNING

FAULTS = ("--random-error", "--random-delay", "--unhealthy", "--unready")  # podinfo's own switches, with their values


class Canary(CanaryState):
    """What `cluster.canary()` returns."""

    def wait(self, *phases: str, timeout: float | None = None) -> None:
        """Until the canary is in one of `phases`. Raises TookTooLong, saying what keeps it."""
        timeout = timeout or 60 + 4 * self.interval

        def reached() -> tuple[bool, str]:
            phase = self.phase
            return phase in phases, f"it is {phase or 'new'}"

        try:
            until(reached, f"the canary {self.name} to be {' or '.join(phases)}", timeout)
        except TookTooLong as exc:
            raise TookTooLong(exc.message, self.why()) from exc

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
                f"{self.target} is already set to {image}: Kubernetes sees no change, and Flagger no new revision",
                "Choose another tag.",
            )
        if show and self.phase in RUNNING:
            print("A release is under way. Flagger gives it up, and begins anew with this version.")
        release = Release(self, image, self.image(primary=True), list(flags or []))
        if watch:
            release.start()
        name = container["name"]
        if show:
            print(f"kubectl -n {self.namespace} set image deployment/{self.target} {name}={image}")
        if show and flags is not None:
            print(f"... and its command: {' '.join(command)}")
        if flags is None:
            self.cluster.set_image(f"deployment/{self.target}", self.namespace, **{name: image})
        else:
            change = {"containers": [{"name": name, "image": image, "command": command}]}
            body = {"spec": {"template": {"spec": change}}}
            self.cluster.patch("deployments", self.target, body, self.namespace, how=STRATEGIC)
        return release


def with_flags(command: Sequence[str], flags: Sequence[str]) -> list[str]:
    """A container's command with podinfo's fault switches taken out and `flags` put in."""
    return [word for word in command if not word.startswith(FAULTS)] + list(flags)
