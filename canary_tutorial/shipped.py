"""The folders that come with the package: manifests/ and notebooks/.

A wheel has them inside the package, a checkout beside it (pyproject.toml, force-include).
"""

from pathlib import Path

PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `name`, as installed or else in the checkout."""
    installed = PACKAGE / name
    return installed if installed.is_dir() else PACKAGE.parent / name
