"""What one person takes on a JupyterHub or on Binder: JupyterLab, one kernel and a lab in the middle of a release.

`python benchmarks/person.py` (about a minute) prints the peak of each as PSS in MB; the aim for all together is under 1 GB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from canary_tutorial.reports.pss import PeakMemory

ROOT = Path(__file__).parents[1]
SCRIPT = """
from canary_tutorial import connect, prepare
from canary_tutorial.widgets import ReleaseBoard
cluster = connect()
canary = prepare(cluster)
release = canary.release("stefanprodan/podinfo:2.1.3")
ReleaseBoard(release).wait()
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "CANARY_TUTORIAL_HOME": home, "CANARY_TUTORIAL_LAB": "person"}
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            "--port=0",
            "--ServerApp.token=x",
        ]
        jupyter = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        lab = [sys.executable, "-m", "canary_tutorial.lab"]
        try:
            time.sleep(5)  # its own start
            subprocess.run([*lab, "up", "--name", "person"], env=environment, check=True, capture_output=True)
            guard = next(p for p in psutil.process_iter(["cmdline"]) if home in " ".join(p.info["cmdline"] or []))
            notebook = Path(home) / "person.py"
            notebook.write_text(SCRIPT)
            kernel = subprocess.Popen(
                [sys.executable, "-m", "IPython", str(notebook)], env=environment, stdout=subprocess.DEVNULL
            )
            with PeakMemory(jupyter.pid) as server, PeakMemory(kernel.pid) as person, PeakMemory(guard.pid) as cluster:
                kernel.wait(timeout=180)
            total = server.mb + person.mb + cluster.mb
            print(
                f"JupyterLab {server.mb:.0f} MB, kernel {person.mb:.0f} MB, lab {cluster.mb:.0f} MB: {total:.0f} MB (PSS)"
            )
        finally:
            jupyter.terminate()
            jupyter.wait()
            subprocess.run([*lab, "down", "--name", "person"], env=environment, capture_output=True)


if __name__ == "__main__":
    main()
