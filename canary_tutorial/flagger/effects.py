"""The effects that the rules yield: every read, write, webhook call, metric query and log line of a tick.

The rules are generators. They yield an effect and are sent its answer; a refusal is thrown in as `Refused`. So they need
no client, no clock and no network, and their ticks can be recorded, replayed and tested with scripted answers.
Named tuples, because a tick makes some thirty of them and should compute for less than 50 microseconds.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

Obj = dict[str, Any]
PASSED = "passed"  # a check's verdict


class Refused(Exception):
    """The Kubernetes API said no; the message is its own. `missing` tells a 404, `conflict` a 409.

    `passing` is a trouble of the server or of the way to it: the same request may be answered a moment later.
    """

    def __init__(self, message: str, missing: bool = False, conflict: bool = False, passing: bool = False) -> None:
        super().__init__(message)
        self.message, self.missing, self.conflict, self.passing = message, missing, conflict, passing


class TickEnds(Exception):
    """The tick cannot go on; the message becomes a Warning event (none if empty)."""


class Explained:
    """`with Explained("get query error"):` puts what was tried before why it failed, as Go's `%w` does."""

    __slots__ = ("_colon", "_what")

    def __init__(self, what: str, colon: str = ": ") -> None:
        self._what, self._colon = what, colon

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, (Refused, TickEnds)) and str(error):
            raise TickEnds(f"{self._what}{self._colon}{error}") from error


class Get(NamedTuple):
    """-> the object, as the API has it now; refused if it is missing."""

    kind: str
    name: str
    namespace: str


class Create(NamedTuple):
    kind: str
    obj: Obj


class Update(NamedTuple):
    """PUT the whole object, with the resourceVersion that it was read with."""

    kind: str
    obj: Obj


class Patch(NamedTuple):
    """A JSON merge patch."""

    kind: str
    name: str
    namespace: str
    body: Obj


class WriteStatus(NamedTuple):
    """PUT /status of a Canary with `fields` changed; on a conflict on a fresh read. -> the Canary written."""

    name: str
    namespace: str
    fields: Obj


class Emit(NamedTuple):
    """An event about the Canary, a log line, and a call of its event webhooks. `phase` goes to those only."""

    canary: Obj
    type: str
    message: str
    phase: str = ""
    level: str = "info"


class Log(NamedTuple):
    level: str
    message: str


class CallHook(NamedTuple):
    """POST a webhook; -> None if it approves, else the error text."""

    canary: Obj
    hook: Obj
    phase: str


class Query(NamedTuple):
    """A PromQL query; -> `Value`. `server` None means the controller's -metrics-server."""

    server: str | None
    promql: str
    name: str
    template: Obj | None = None
    credentials: Obj | None = None


class Value(NamedTuple):
    """The answer: a number, or nothing was found, or the query failed."""

    value: float | None = None
    missing: bool = False
    error: str = ""


class Checked(NamedTuple):
    """A metric was judged: for traces and for the gauge flagger_canary_metric_analysis.

    A check begins as one that passes; a `verdict` of another text is what the event says of a failed one.
    """

    canary: Obj
    metric: str
    query: str
    interval: str
    threshold: str
    unit: str = ""
    value: float | None = None
    verdict: str = PASSED
    level: str = "info"

    def judged(self, value: float, why: str) -> Checked:
        """With a value; `why` is what is wrong with it, or ""."""
        return self._replace(value=value, verdict=why or PASSED)

    def failed(self, why: str, level: str = "info") -> Checked:
        """Without one; "error" where the question could not be asked."""
        return self._replace(verdict=why, level=level)


class Now(NamedTuple):
    """-> the time, a datetime in UTC."""


class RandomLetters(NamedTuple):
    """-> as many random letters."""

    length: int


class Uuid(NamedTuple):
    """-> a uuid4."""


class Gauge(NamedTuple):
    """A figure of the Canary: `weight`, `status`, `success`, `failure`."""

    canary: Obj
    name: str
    values: Mapping[str, Any]


class Timed(NamedTuple):
    """This tick gets as far as an analysis: its length goes into flagger_canary_duration_seconds."""

    canary: Obj


class Alert(NamedTuple):
    """A message for one AlertProvider (name and namespace); None means the one of the controller's flags."""

    canary: Obj
    message: str
    severity: str
    metadata: bool = True
    provider: tuple[str, str] | None = None


Effect: TypeAlias = (
    Get | Create | Update | Patch | WriteStatus | Emit | Log | CallHook | Query | Checked | Now
    | RandomLetters | Uuid | Gauge | Timed | Alert
)  # fmt: skip
T = TypeVar("T")
Rules = Generator[Effect, Any, T]  # what is sent in depends on the effect, which Python's types cannot say
