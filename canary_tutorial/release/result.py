"""The result of a release, in numbers that a program can read. Pure but for `record`, which displays.

A notebook ends by recording its results as an output of its own media type. Whoever executed the notebook reads them from
its file: no path has to be agreed on, and the results outlive the kernel.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from canary_tutorial.errors import need
from canary_tutorial.metrics.prometheus import UNCOUNTED
from canary_tutorial.release import timeline
from canary_tutorial.release.plan import plan

if TYPE_CHECKING:
    from canary_tutorial.release.release import Release

MEDIA_TYPE = "application/vnd.canary-tutorial.result+json"


def of_release(release: Release) -> dict[str, Any]:
    """A release as a dict of JSON: seconds are counted from the change of the image."""
    users, spec = release.impact(), release.spec
    planned = plan(spec)
    return {
        "canary": f"{release.canary.namespace}/{release.canary.name}",
        "from": release.before,
        "image": release.image,
        "flags": release.flags,
        "phase": release.phase,
        "phases": [[name, round(max(0.0, at - release.began), 1)] for name, at in timeline.phases(release.points)],
        "weights": release.weights,
        "mirrored": any(point.mirror for point in release.points if point.phase),
        "seconds": round(release.seconds, 1),
        "intervals_seconds": planned.seconds,
        "interval_seconds": planned.interval,
        "requests": round(users.answered),
        "failed": round(users.failed),
        "counted_by": users.reporter,
        "uncounted": users.uncounted,
        "mirrored_requests": round(users.mirrored),
        "mirrored_failed": round(users.mirrored_failed),
        "events": release.messages,
    }


def record(name: str, result: Release | dict[str, Any], expected: str = "Succeeded", **more: Any) -> None:
    """Leave `result` in this notebook's output under `name`, for the report and for `make tutorial`'s summary.

    `expected` is the phase in which this release should end: "Failed" where a lesson breaks it on purpose. `more` is kept
    beside the release.
    """
    need("notebooks", "IPython")
    from IPython.display import display

    data = (result if isinstance(result, dict) else {**of_release(result), "expected": expected}) | more
    text = as_text(data) if "phases" in data else f"{name}: {data}"
    bundle = {MEDIA_TYPE: {"name": name, "data": data}, "text/plain": text}
    display(bundle, raw=True)  # type: ignore[no-untyped-call]


def recorded(notebook: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What an executed notebook recorded: {name: data}."""
    outputs = (out for cell in notebook["cells"] for out in cell.get("outputs", []))
    found: Iterable[dict[str, Any]] = (out["data"][MEDIA_TYPE] for out in outputs if MEDIA_TYPE in out.get("data", {}))
    return {entry["name"]: entry["data"] for entry in found}


def as_text(data: dict[str, Any]) -> str:
    """A release's result in a few lines."""
    weights = ", ".join(str(weight) for weight in data["weights"])
    if data["mirrored"]:
        weights = f"{weights} after mirroring" if weights else "none: it was mirrored, and no user sent to it"
    phases = ", ".join(f"{name} {at:.0f} s" for name, at in data["phases"] if name)
    ideal = data["intervals_seconds"]
    before, image = (data[key].rpartition("/")[2] for key in ("from", "image"))
    lines = [
        f"{before} → {image} {' '.join(data['flags'])}".rstrip() + f": {data['phase']}",
        f"  weights   {weights or 'none'}",
        f"  phases    {phases}",
        f"  users     {data['requests']} requests served, {data['failed']} failed",
    ]
    if data.get("uncounted"):
        lines.append(f"            ({UNCOUNTED})")
    if data["mirrored"]:
        lines.append(f"  mirrored  {data['mirrored_requests']} requests, {data['mirrored_failed']} failed")
    if data["phase"] == "Succeeded":
        noticed = next((at for name, at in data["phases"] if name in timeline.RUNNING), 0.0)
        rest = data["seconds"] - noticed
        lines.append(
            f"  time      {data['seconds']:.1f} s: detected after {noticed:.1f} s, then {rest:.1f} s; "
            f"the sum of its intervals is {ideal:.0f} s" + (f" ({rest / ideal:.2f} times)" if ideal else "")
        )
    else:
        lines.append(f"  time      {data['seconds']:.1f} s")
    return "\n".join(lines)
