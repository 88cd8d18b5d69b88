"""The errors that the API server returns.

Every one is an `ApiError`; its class is the HTTP answer (`class Conflict: code = 409`). The texts are Kubernetes' own,
because people search for them and programs match on them. `status_object()` is the `Status` that goes over the
wire. Pure: raising and rendering only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from canary_tutorial.lab.kinds import Kind


class ApiError(Exception):
    """A request refused: `code` is the HTTP status, `reason` the word that clients switch on."""

    code = 500
    reason = "InternalError"

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def status_object(self) -> dict[str, Any]:
        """The Kubernetes `Status` object of this error, ready for JSON."""
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status |= {"message": self.message} | ({"reason": self.reason} if self.reason else {})
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized") -> None:
        super().__init__(message)


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"

    @classmethod
    def to(cls, kind: Kind, name: str, why: str) -> Forbidden:
        return cls(f'{kind.resource} "{name}" is forbidden: {why}', details_of(kind, name))


class NotFound(ApiError):
    code, reason = 404, "NotFound"

    @classmethod
    def of(cls, kind: Kind, name: str) -> NotFound:
        return cls(f'{kind.resource} "{name}" not found', details_of(kind, name))

    @classmethod
    def path(cls) -> NotFound:
        """Nobody serves this path: the words that kubectl turns into its "doesn't have a resource type"."""
        return cls("the server could not find the requested resource", {})


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"

    def __init__(self, message: str = "the server does not allow this method on the requested resource") -> None:
        super().__init__(message, {})


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"

    @classmethod
    def of(cls, kind: Kind, name: str) -> AlreadyExists:
        return cls(f'{kind.resource} "{name}" already exists', details_of(kind, name))


class Conflict(ApiError):
    code, reason = 409, "Conflict"

    @classmethod
    def modified(cls, kind: Kind, name: str) -> Conflict:
        why = "the object has been modified; please apply your changes to the latest version and try again"
        return cls.because(kind, name, why)

    @classmethod
    def because(cls, kind: Kind, name: str, why: str) -> Conflict:
        return cls(f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}', details_of(kind, name))


class Gone(ApiError):
    """The requested history is no longer kept: list again."""

    code, reason = 410, "Expired"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """The object breaks a rule of its kind; `causes` says which field and why, one line each."""

    code, reason = 422, "Invalid"

    @classmethod
    def of(cls, kind: Kind, name: str, causes: list[Cause]) -> Invalid:
        qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
        details = {
            "name": name,
            **({"group": kind.group} if kind.group else {}),
            "kind": kind.kind,
            "causes": [cause.as_dict() for cause in causes],
        }
        return cls(_invalid(qualified, name, causes), details)

    @classmethod
    def asked(cls, what: str, *causes: Cause) -> Invalid:
        """A request's own fault rather than an object's; `what` it broke is `ListOptions.meta.k8s.io` or the like."""
        kind, _, group = what.partition(".")
        named = {"group": group, "kind": kind} if group == "meta.k8s.io" else {}
        return cls(_invalid(what, "", causes), named | {"causes": [cause.as_dict() for cause in causes]})


def _invalid(what: str, name: str, causes: Iterable[Cause]) -> str:
    lines = list(dict.fromkeys(str(cause) for cause in causes))
    text = lines[0] if len(lines) == 1 else "[" + ", ".join(lines) + "]"
    return f'{what} "{name}" is invalid: {text}'


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class Unreadable(ApiError):
    """Go's own error, which nobody gave a reason: something in the request is not a number, say."""

    code, reason = 400, ""  # a real server answers 500, and kubectl shows the same words


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


class Cause:
    """One broken rule: the field's path, the kind of fault (`FieldValueInvalid`, ...) and the sentence."""

    def __init__(self, field: str, fault: str, message: str) -> None:
        self.field, self.fault, self.message = field, fault, message

    @classmethod
    def required(cls, field: str, hint: str = "") -> Cause:
        return cls(field, "FieldValueRequired", "Required value" + (f": {hint}" if hint else ""))

    @classmethod
    def invalid(cls, field: str, value: Any, hint: str) -> Cause:
        return cls(field, "FieldValueInvalid", f"Invalid value: {shown(value)}: {hint}")

    @classmethod
    def wrong_type(cls, field: str, value: Any, hint: str) -> Cause:
        return cls(field, "FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {hint}")

    @classmethod
    def unsupported(cls, field: str, value: Any, allowed: list[Any]) -> Cause:
        choices = ", ".join(shown(choice) for choice in allowed)
        return cls(field, "FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {choices}")

    @classmethod
    def forbidden(cls, field: str, hint: str) -> Cause:
        return cls(field, "FieldValueForbidden", f"Forbidden: {hint}")

    def as_dict(self) -> dict[str, Any]:
        return {"reason": self.fault, "message": self.message, "field": self.field}

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def shown(value: Any) -> str:
    """A value as Go's `%#v`-like field errors print it: strings quoted, objects by their type."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None:
        return '"null"'
    if isinstance(value, dict):
        return '"object"'
    if isinstance(value, list):
        return '"array"'
    return str(value)


def details_of(kind: Kind, name: str) -> dict[str, Any]:
    group = {"group": kind.group} if kind.group else {}
    return {"name": name, **group, "kind": kind.plural}
