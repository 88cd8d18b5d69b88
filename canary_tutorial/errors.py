"""The exceptions that a learner can meet, with one base class, sorted by what the reader can do about them.

A message says what is missing; `next_step`, printed below it, says what to do. Errors of the Kubernetes client, of
Prometheus and of subprocesses are translated where they are caught (`raise ... from exc`). In a notebook these errors
print their message without a traceback, which helps with bugs of this package, not with a wrong tag.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from types import TracebackType
from typing import Any


class TutorialError(Exception):
    """The base of all. `str()` gives the message and, on a line of its own, the next step."""

    def __init__(self, message: str, next_step: str = "") -> None:
        self.message, self.next_step = message, next_step
        super().__init__(f"{message}\n→ {next_step}" if next_step else message)


class BadInput(TutorialError):
    """What the caller gave does not exist or makes no sense: a file, a field, a tag. The learner can mend it."""


class NoCluster(TutorialError):
    """No lab could be started, or no such context; nothing to talk to."""


class Unreachable(TutorialError):
    """The cluster was there and does not answer (any more)."""


class Refused(TutorialError):
    """The API server said no. `status` is the HTTP code, `reason` Kubernetes' own word (Forbidden, Invalid, ...),
    `causes` the details of its answer."""

    def __init__(
        self,
        message: str,
        next_step: str = "",
        status: int = 0,
        reason: str = "",
        causes: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(message, next_step)
        self.status, self.reason, self.causes = status, reason, causes


class Missing(Refused):
    """The API server has no such object or kind (404)."""


class NotOurs(Refused):
    """The object is there, and somebody else made it: it is left as it is."""


class NotReady(Refused):
    """The cluster lacks something that the tutorial needs and may not bring itself; nothing was written."""


class TookTooLong(TutorialError):
    """A wait ended before what it waited for. The message says how far it came."""


class NoData(TutorialError):
    """Prometheus answered, but has no values for this question; the message says which of the known causes it is."""


class NotInstalled(TutorialError):
    """A package is missing that only an extra of this one brings."""


class CommandFailed(TutorialError):
    """A program, in a pod or here, ended with something else than 0."""

    def __init__(self, message: str, next_step: str = "", code: int = 1) -> None:
        super().__init__(message, next_step)
        self.code = code


NEXT_STEP = {
    401: "The kubeconfig's credentials are not accepted (any more): connect() again, or log in to your cluster.",
    403: "Your account may not do this on that cluster. Ask its owner for the rights, or use the lab: connect().",
    409: "Something else changed the object meanwhile: run the cell again.",
    503: "The cluster, or the service behind it, is not ready: wait a moment and run the cell again.",
}


def refused(status: int, body: dict[str, Any]) -> Refused:
    """The error for an HTTP answer of the API server. `body` is a Kubernetes Status (or {} if there was none)."""
    reason = body.get("reason", "")
    message = body.get("message") or f"the API server answered {status}"
    kind = Missing if status == 404 else Refused
    causes = (body.get("details") or {}).get("causes") or []
    return kind(message, NEXT_STEP.get(status, ""), status=status, reason=reason, causes=causes)


def need(extra: str, *modules: str) -> None:
    """Raise NotInstalled unless every module is there; `extra` is the one that brings them."""
    if missing := [name for name in modules if find_spec(name) is None]:
        raise NotInstalled(f"not installed: {', '.join(missing)}", f'pip install "canary-tutorial[{extra}]"')


OUT_OF_ORDER = "An earlier cell creates it, and this kernel has not run that cell: Run > Run All Above Selected Cell"


def hide_tracebacks(shell: Any) -> None:
    """Make an IPython `shell` print a TutorialError as its message alone, and likewise a name that is not there, which
    in a lesson means that a cell above has not run. The cell fails all the same.

    `_showtraceback` is what IPython itself calls with the finished lines: in a kernel it sends them to the notebook
    (so that papermill and nbval see an error), in a terminal it prints them.
    """

    def handler(
        shell: Any, etype: type[Exception], value: Exception, _tb: TracebackType, tb_offset: int | None = None
    ) -> list[str]:
        message, next_step = (
            (value.message, value.next_step) if isinstance(value, TutorialError) else (str(value), OUT_OF_ORDER)
        )
        lines = [f"\x1b[1;31m{message}\x1b[0m", *([f"→ {next_step}"] if next_step else [])]
        shell._showtraceback(etype, value, lines)
        return lines

    shell.set_custom_exc((TutorialError, NameError), handler)
