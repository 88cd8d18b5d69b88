"""Content negotiation: an object as it is, as rows of a table (kubectl), or only its metadata. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from canary_tutorial.lab.errors import NotAcceptable
from canary_tutorial.lab.objects import Obj

META = "meta.k8s.io/v1"


@dataclass(frozen=True)
class View:
    form: Literal["plain", "table", "metadata"] = "plain"
    include: str = "Metadata"  # how much of each object goes with its row of a table: None, Metadata, Object


@lru_cache(maxsize=256)
def wanted(accept: str, include: str = "Metadata") -> View:
    """The first form in an Accept header that this server has; it answers in JSON alone."""
    for choice in accept.split(",") if accept.strip() else ["*/*"]:
        media, *parameters = (part.strip() for part in choice.split(";"))
        options = dict(part.split("=", 1) for part in parameters if "=" in part)
        if media not in ("application/json", "application/*", "*/*", "text/*"):
            continue
        if "as" not in options:
            return View()
        if options["as"] == "Table" and options.get("v", "v1") == "v1":
            return View("table", include=include)
        if options["as"] in ("PartialObjectMetadata", "PartialObjectMetadataList") and options.get("v", "v1") == "v1":
            return View("metadata")
    raise NotAcceptable("only the following media types are accepted: application/json")


def metadata_only(obj: Obj) -> Obj:
    return {"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": obj["metadata"]}
