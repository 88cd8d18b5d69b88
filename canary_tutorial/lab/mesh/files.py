"""Writes Envoy's configuration: each changed file is written under another name and moved into place. I/O: files.

Envoy reads a file at the moment it is moved into place, one after the other. So the order is make before break: new
clusters first, then the routes and listeners that use them, and last the removal of unused files. At no moment does a
route name a cluster that does not exist.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from canary_tutorial.lab.mesh.compile import Files

Resources = list[dict[str, Any]]


class Directory:
    """The directory that Envoy reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._versions: dict[str, str] = {}
        self._clusters: dict[str, Resources] = {}
        path.mkdir(parents=True, exist_ok=True)

    def write(self, files: Files) -> list[str]:
        """Write what changed; returns the names of those files."""
        groups = (self._with_old(files.clusters), files.routes, files.listeners, files.clusters)
        changed = [name for group in groups for name, resources in group.items() if self._put(name, resources)]
        wanted = {name for group in groups for name in group}
        for name in self._versions.keys() - wanted:
            (self.path / name).unlink(missing_ok=True)
            del self._versions[name]
        self._clusters = files.clusters
        return list(dict.fromkeys(changed))

    def _with_old(self, clusters: dict[str, Resources]) -> dict[str, Resources]:
        """The new clusters, and those of before that will go."""
        both = {}
        for name, resources in clusters.items():
            fresh = {each["name"] for each in resources}
            old = [each for each in self._clusters.get(name, []) if each["name"] not in fresh]
            both[name] = sorted(resources + old, key=lambda each: str(each["name"]))
        return both

    def _put(self, name: str, resources: Resources) -> bool:
        body = json.dumps(resources, sort_keys=True)
        version = hashlib.sha256(body.encode()).hexdigest()[:16]
        if self._versions.get(name) == version:
            return False
        fresh = self.path / f".{name}.new"
        fresh.write_text(f'{{"version_info": "{version}", "resources": {body}}}')
        fresh.replace(self.path / name)
        self._versions[name] = version
        return True
