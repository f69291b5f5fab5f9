"""The errors that a user, a sender or an operator can cause. Each says what, where and what to do.

LevadaError
├── UnitError            a unit that is unknown or does not fit the quantity
├── DocumentError        a settings document that does not hold (document path, what was found, what is expected)
├── RowError             one row of a delivered file
├── FileError            a delivered file as a whole
├── NetworkError         an EPANET network that cannot be used
├── ProblemError         a scheduling problem that contradicts itself
├── InputGap             a run lacks something that it needs (no levels yet, no tariff for the horizon)
├── NotFound             something asked for that is not there (or that this caller may not see)
├── StateError           what is asked for does not fit how a thing stands (to cancel a run that is done)
├── NotAllowed           signed in, but without the right
└── SetupError           the installation itself is wrong (database not reachable, port taken)

One error serves the log, the page, the API and the quarantine note: `code` is stable, `status` is HTTP's.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "DocumentError",
    "FileError",
    "InputGap",
    "LevadaError",
    "NetworkError",
    "NotAllowed",
    "NotFound",
    "ProblemError",
    "RowError",
    "SetupError",
    "StateError",
    "UnitError",
]


class LevadaError(Exception):
    """Base of all errors that somebody outside the code can cause and mend."""

    code: ClassVar[str] = "levada"
    status: ClassVar[int] = 400

    def as_document(self) -> dict[str, object]:
        """The error as JSON fields: `code`, `message` and the parts it was built from."""
        parts = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {"code": self.code, "message": str(self), **parts}


class UnitError(LevadaError):
    """A unit is unknown, or measures another quantity than the one it is given for."""

    code, status = "unit", 422

    def __init__(self, unit: str, quantity: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unit {unit!r} does not measure {quantity}; use one of {', '.join(known)}")
        self.unit, self.quantity, self.known = unit, quantity, known


class DocumentError(LevadaError):
    """A settings document does not hold: `path` is the place in it, such as `tariff.periods[2].from`."""

    code, status = "document", 422

    def __init__(self, document: str, path: str, problem: str) -> None:
        super().__init__(f"{document}, {path}: {problem}")
        self.document, self.path, self.problem = document, path, problem


class RowError(LevadaError):
    """A row of a delivered file cannot be read. The row goes to quarantine, the others are taken."""

    code, status = "intake-row", 422

    def __init__(self, *, file: str, line: int, column: str, found: str, expected: str) -> None:
        super().__init__(f"{file}, line {line}, column {column!r}: found {found!r}, expected {expected}")
        self.file, self.line, self.column, self.found, self.expected = file, line, column, found, expected


class FileError(LevadaError):
    """A delivered file as a whole cannot be read. It goes to quarantine as it came."""

    code, status = "intake-file", 422

    def __init__(self, *, file: str, problem: str, remedy: str) -> None:
        super().__init__(f"{file}: {problem}; {remedy}")
        self.file, self.problem, self.remedy = file, problem, remedy


class NetworkError(LevadaError):
    """An EPANET network cannot be used: `where` names the file and line, or the element."""

    code, status = "network", 422

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where, self.problem = where, problem


class ProblemError(LevadaError):
    """A scheduling problem contradicts itself: `field` is the field of the problem or of the case file."""

    code, status = "problem", 422

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field, self.problem = field, problem


class InputGap(LevadaError):
    """A run cannot be made since an input is missing; `remedy` says who can supply it and how."""

    code, status = "input-gap", 409

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what, self.remedy = what, remedy


class NotFound(LevadaError):
    """Something asked for is not there, or this caller may not see it: the two look alike from outside."""

    code, status = "not-found", 404

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"no {kind} {name!r}")
        self.kind, self.name = kind, name


class StateError(LevadaError):
    """What is asked for does not fit how a thing stands now, such as to cancel a run that is done; `remedy` says what can be done."""

    code, status = "state", 409

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what, self.remedy = what, remedy


class NotAllowed(LevadaError):
    """The caller is known but lacks the right."""

    code, status = "not-allowed", 403

    def __init__(self, right: str) -> None:
        super().__init__(f"this needs the right {right!r}; ask whoever administers the tenant")
        self.right = right


class SetupError(LevadaError):
    """The installation itself is wrong; `remedy` is what its keeper does about it."""

    code, status = "setup", 500

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy = problem, remedy
