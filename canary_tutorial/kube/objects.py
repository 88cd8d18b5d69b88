"""What an object of Kubernetes is here: what its YAML says, as a dict."""

from typing import Any

Obj = dict[str, Any]
