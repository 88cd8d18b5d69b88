"""Handing configuration to Envoy: files written beside and moved over, only those that changed. I/O: files.

Envoy takes a file at the moment it is moved into place. Endpoints come first, then clusters, routes and listeners, so
that nothing is named before it is known; what is no longer named is removed last.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from canary_tutorial.lab.mesh.compile import Files


class Directory:
    """The directory that Envoy reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: dict[str, str] = {}
        path.mkdir(parents=True, exist_ok=True)

    def write(self, files: Files) -> list[str]:
        """Write what changed; returns the names of those files."""
        groups = (files.endpoints, files.clusters, files.routes, files.listeners)
        changed = [name for group in groups for name, resources in group.items() if self._put(name, resources)]
        wanted = {name for group in groups for name in group}
        for name in self._written.keys() - wanted:
            (self.path / name).unlink(missing_ok=True)
            del self._written[name]
        return changed

    def _put(self, name: str, resources: list[dict[str, Any]]) -> bool:
        body = json.dumps(resources, sort_keys=True)
        version = hashlib.sha256(body.encode()).hexdigest()[:16]
        if self._written.get(name) == version:
            return False
        fresh = self.path / f".{name}.new"
        fresh.write_text(f'{{"version_info": "{version}", "resources": {body}}}')
        fresh.replace(self.path / name)
        self._written[name] = version
        return True
