"""Which cluster? Without being asked, the lab; another one only by its name.

`connect()` never reads the user's current context: it asks the lab's own command where the lab is, and starts one if
none runs. `connect(context="kind-demo")`, or CANARY_TUTORIAL_CONTEXT in the environment, chooses a context of a
kubeconfig; its server and the namespace that will be written are shown before anything is. From here on nothing in
the helper knows which of the two it talks to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from canary_tutorial.errors import NoCluster, show_plainly
from canary_tutorial.kube import api, manifests
from canary_tutorial.kube.cluster import Cluster
from canary_tutorial.screen import progress

CONTEXT = "CANARY_TUTORIAL_CONTEXT"
KUBECONFIG = "CANARY_TUTORIAL_KUBECONFIG"
LAB = "CANARY_TUTORIAL_LAB"  # the lab's name, for those who run several
NAMESPACE = "CANARY_TUTORIAL_NAMESPACE"


def connect(
    context: str | None = None, *, namespace: str | None = None, show: bool = True, start: bool = True
) -> Cluster:
    """The lab (started if need be and if `start`), or the `context` of a kubeconfig. Says which it is, if `show`.

    `namespace` is where the lessons write; left out, CANARY_TUTORIAL_NAMESPACE or "test". Raises NoCluster if the lab
    cannot start, BadInput for an unknown context, Unreachable if no one answers.
    """
    _prepare_notebook()
    context = context or os.environ.get(CONTEXT)
    if context:
        name, door = context, api.of_kubeconfig(os.environ.get(KUBECONFIG) or None, context)
    else:
        lab = _lab(start)
        name, door = lab["name"], api.of_kubeconfig(lab["kubeconfig"], None)
    version = door.request("GET", "/version", timeout=10)["gitVersion"]
    chosen = namespace or os.environ.get(NAMESPACE)
    cluster = Cluster(name, door, version, chosen or manifests.NAMESPACE, chosen=bool(chosen))
    if show:
        print(f"Connected to {name}: {door.server}, Kubernetes {version}.")
    if show and context:
        print(f"The lessons write to its namespace {cluster.namespace}. Before they do, cluster.preflight() lists each")
        print("object that they would create. clean_up() deletes what they created, and nothing else.")
    return cluster


def _lab(start: bool) -> dict[str, Any]:
    """What `status --json` says of the running lab; one is started if none runs."""
    name = os.environ.get(LAB, "lab")
    status = _command("status", "--json", "--name", name)
    if not status.get("running") and not start:
        raise NoCluster(f"the lab {name!r} is not running", f"Start it: canary-tutorial up --name {name}")
    if not status.get("running"):
        with progress.Line("Starting the lab") as line:
            _command("up", "--name", name)
            status = _command("status", "--json", "--name", name)
            line.done(f"Started the lab {name!r}; it runs until `canary-tutorial down`.")
    return status


def _command(*words: str) -> dict[str, Any]:
    """The lab's own command, as a process of its own: that is all the helper knows of it."""
    ended = subprocess.run(
        [sys.executable, "-m", "canary_tutorial.lab", *words], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise NoCluster((ended.stderr or ended.stdout).strip() or f"the lab's command ended with {ended.returncode}")
    return dict(json.loads(ended.stdout)) if "--json" in words else {}


def _prepare_notebook() -> None:
    """In IPython, let errors that a reader can mend be a sentence rather than a traceback."""
    if "IPython" in sys.modules:
        from IPython import get_ipython

        if shell := get_ipython():
            show_plainly(shell)
