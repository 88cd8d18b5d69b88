"""The folders that come with the package: manifests/ and notebooks/.

They are inside the package in a wheel, and beside it in a checkout (pyproject.toml, force-include).
"""

from pathlib import Path

PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `name`, as installed or else in the checkout."""
    installed = PACKAGE / name
    return installed if installed.is_dir() else PACKAGE.parent / name
