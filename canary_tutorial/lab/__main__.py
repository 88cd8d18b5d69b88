"""`python -m canary_tutorial.lab`: runs the lab's command, or names the extra to install where its packages are missing."""

import sys
from importlib.util import find_spec

NEEDED = ("aiohttp", "cryptography", "httpx2", "jsonpatch", "lightkube", "prometheus_client", "psutil", "re2", "yarl")

if __name__ == "__main__":
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        sys.exit(f'The lab is not installed (missing: {", ".join(missing)}).\n→ pip install "canary-tutorial[lab]"')

    from canary_tutorial.lab.commands import cli

    cli(prog_name="canary-tutorial")
