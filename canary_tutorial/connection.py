"""Connects to a cluster: to the lab by default, to a kubeconfig's context only when it is named.

`connect()` never reads the user's current context: it runs the lab's `status` command for the address, and starts a lab if
none runs. `connect(context="kind-demo")`, or CANARY_TUTORIAL_CONTEXT in the environment, selects a context of the
kubeconfig; the server and the namespace to be written are printed before anything is written. All other modules work
the same way on either cluster.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from canary_tutorial.errors import NoCluster, hide_tracebacks
from canary_tutorial.install import applying, clean_up, installed, ownership, preflight
from canary_tutorial.kube import api, cluster, manifests
from canary_tutorial.kube.objects import Obj
from canary_tutorial.metrics.prometheus import Metrics
from canary_tutorial.release.canary import Canary
from canary_tutorial.release.release import Release
from canary_tutorial.screen import progress
from canary_tutorial.screen.tables import Table

CONTEXT = "CANARY_TUTORIAL_CONTEXT"
KUBECONFIG = "CANARY_TUTORIAL_KUBECONFIG"
LAB = "CANARY_TUTORIAL_LAB"  # the lab's name, for those who run several
NAMESPACE = "CANARY_TUTORIAL_NAMESPACE"
NOT_RUNNING = 3  # what the lab's `status` ends with where there is no lab


class Cluster(cluster.Cluster):
    """What `connect()` returns: kubectl's verbs, and what the tutorial does with a cluster.

    `apply` is a server-side apply that takes nothing over: an object that somebody else made is left as it is, and so is
    a field that somebody else has set since (install/ownership.py).
    """

    _ready = False
    _prometheus = ""

    def apply(self, *files: str | Path, **settings: Any) -> Table:
        """`kubectl apply --server-side -f` for each file, by path or by name in manifests/, changed by `settings`.

        Settings are those of `manifests.SETTINGS` (`interval="5s"`); the table's title lists what they changed. The
        tutorial's manifests go into this cluster's namespace. Nothing is written unless all of it may be: raises
        NotReady for a file that this cluster cannot run, NotOurs for an object or a field that somebody else set.
        """
        return applying.apply(self, files, settings)

    def apply_object(self, obj: Obj) -> str:
        """Server-side apply of one object: `created`, `configured`, `unchanged`, or `left as it is` where somebody
        else's serves as well. Raises NotOurs."""
        result = applying.write(self, obj, applying.before(self, obj))
        applying.settle(self, [obj] if obj["kind"] == applying.CRD else [])
        return result

    def install(self, *files: str | Path, **settings: Any) -> Table:
        """Apply those of `files` whose part nothing on the cluster stands in for, and wait until they run; what is
        there already stays as its owner has it. Runs `preflight` first: raises NotReady while a row is missing."""
        if not self._ready:
            self.preflight(*files).require()
            self._ready = True
        return applying.install(self, files, settings)

    def clean_up(self) -> Table:
        """Delete what the tutorial created, wait until it is gone, and list what was deleted and what was kept and why.

        A namespace or a CustomResourceDefinition that holds anyone else's objects stays.
        """
        return clean_up.clean_up(self)

    def canary(self, name: str = "podinfo", namespace: str | None = None) -> Canary:
        """The Canary of that name: its state, its verbs and its releases."""
        return Canary(self, name, namespace or self.namespace, lambda: self.metrics)

    @property
    def flagger(self) -> Obj:
        """The Deployment of the Flagger that watches this cluster's namespace, wherever it was installed. Raises
        Missing."""
        return installed.the_flagger(self)

    def is_ours(self, obj: Obj) -> bool:
        """Whether the tutorial created `obj`: only that is what `clean_up` deletes (install/ownership.py)."""
        return ownership.is_ours(obj)

    def manifest(self, file: str | Path) -> str:
        """The text of a YAML file, by path or by name in manifests/. Raises BadInput."""
        return manifests.find(file).read_text()

    @property
    def metrics(self) -> Metrics:
        """Queries to this cluster's Prometheus."""
        return Metrics.of_cluster(self, self.prometheus)

    @property
    def prometheus(self) -> str:
        """Where the Prometheus is that counts the requests, as `namespace/service:port` (installed.py)."""
        self._prometheus = self._prometheus or installed.prometheus(self)
        return self._prometheus or installed.DEFAULT_PROMETHEUS

    def preflight(self, *files: str | Path) -> preflight.Preflight:
        """What the tutorial needs, what of it is there, and every object that it would create: a table, made without
        writing anything. `files`: manifests beyond those that each lesson brings ("gates.yaml")."""
        return preflight.look(self, files)


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
        name, client = context, api.of_kubeconfig(os.environ.get(KUBECONFIG) or None, context)
    else:
        lab = _lab(start)
        name, client = lab["name"], api.of_kubeconfig(lab["kubeconfig"], None)
    version = client.request("GET", "/version", timeout=10)["gitVersion"]
    chosen = namespace or os.environ.get(NAMESPACE)
    connected = Cluster(name, client, version, chosen or manifests.NAMESPACE, chosen=bool(chosen))
    if show:
        print(f"Connected to {name}: {client.server}, Kubernetes {version}.")
    if show and context:
        print(
            f"The lessons write to its namespace {connected.namespace}. Before they do, cluster.preflight() lists each"
        )
        print("object that they would create. clean_up() deletes what they created, and nothing else.")
    return connected


def _lab(start: bool) -> dict[str, Any]:
    """What `status --json` says of the running lab; one is started if none runs."""
    name = os.environ.get(LAB, "lab")
    status = _command("status", "--json", "--name", name)
    if not status.get("running") and not start:
        raise NoCluster(f"the lab {name!r} is not running", f"Start it: canary-tutorial up --name {name}")
    if not status.get("running"):
        with progress.StatusLine("Starting the lab") as line:
            _command("up", "--name", name)
            status = _command("status", "--json", "--name", name)
            line.done(f"Started the lab {name!r}; it runs until `canary-tutorial down`.")
    return status


def _command(*words: str) -> dict[str, Any]:
    """The lab's own command, as a process of its own: that is all the helper knows of it."""
    ended = subprocess.run(
        [sys.executable, "-m", "canary_tutorial.lab", *words], capture_output=True, text=True, check=False
    )
    if ended.returncode not in (0, NOT_RUNNING):
        raise NoCluster((ended.stderr or ended.stdout).strip() or f"the lab's command ended with {ended.returncode}")
    return dict(json.loads(ended.stdout)) if "--json" in words else {}


def _prepare_notebook() -> None:
    """In IPython, errors that a reader can mend are a sentence rather than a traceback, and releases are drawn."""
    if "IPython" in sys.modules:
        from IPython import get_ipython

        if shell := get_ipython():
            from canary_tutorial.charts import display

            hide_tracebacks(shell)
            Release.draw = display.Picture
