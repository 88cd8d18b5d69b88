"""How long Flagger's rules think about one tick, without any client: `python benchmarks/tick.py`.

The rules run against scripted answers; what is measured is their time and the sending of answers, nothing else.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit" / "flagger"))

from flagger_world import NS, World, canary, podinfo

from canary_tutorial.flagger.effects import Refused
from canary_tutorial.flagger.rules import advance

ROUNDS = 3000
Script = list[tuple[Any, Refused | None]]


class Recording(World):
    """A world that remembers its answers."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        super().__init__(*objects)
        self.script: Script = []

    def _perform(self, effect: Any) -> Any:
        try:
            answer = super()._perform(effect)
        except Refused as refused:
            self.script.append((None, refused))
            raise
        self.script.append((answer, None))
        return answer


def replay(world: World, script: Script) -> int:
    """One tick from recorded answers; returns the number of effects."""
    rules = advance(world.name, NS, world.settings)
    rules.send(None)
    for answer, refused in script:
        try:
            if refused is None:
                rules.send(answer)
            else:
                rules.throw(refused)
        except StopIteration:
            break
    return len(script)


def measure(world: Recording) -> tuple[float, int]:
    """Microseconds of the tick that the world is about to do (best of five), and its effects."""
    world.script.clear()
    world.tick()
    script, best = list(world.script), float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(ROUNDS):
            replay(world, script)
        best = min(best, (time.perf_counter() - began) / ROUNDS)
    return best * 1e6, len(script)


def main() -> None:
    idle = Recording(podinfo(), canary({"mirror": True}))
    idle.initialized()
    step = Recording(podinfo(), canary({"mirror": True}))
    step.released()
    step.tick(2)
    for name, world in (("idle", idle), ("a step with two checks", step)):
        microseconds, effects = measure(world)
        print(f"{name}: {microseconds:.1f} us, {effects} effects")


if __name__ == "__main__":
    main()
