"""`Obj`: a Kubernetes object as a dict, with the fields of its YAML."""

from typing import Any

Obj = dict[str, Any]
