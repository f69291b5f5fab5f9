"""What could not be taken, as it is kept for somebody to look at: rows with line, column and reason; whole files as they came."""

from __future__ import annotations

from collections.abc import Iterable

from levada.intake.contracts.parsed import Problem
from levada.store.files import QuarantineRow

__all__ = ["quarantine_rows"]


def quarantine_rows(file: str, problems: Iterable[Problem]) -> list[QuarantineRow]:
    """Problems as they are stored; each says in words what RowError says."""
    return [QuarantineRow(line=p.line, column=p.column, found=p.found, problem=str(p.error(file)), raw=p.raw) for p in problems]
