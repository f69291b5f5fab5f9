"""What reading a file gives: a series a tag, and the problems of rows that could not be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from levada.domain.errors import RowError
from levada.domain.series import Floats
from levada.domain.settings import Column, FileContract
from levada.domain.time import Instants
from levada.intake.contracts.sheet import Sheet

__all__ = ["KEPT_PROBLEMS", "ParsedFile", "ParsedSeries", "Problem", "Problems"]

KEPT_PROBLEMS = 1000
"""Problems that are kept with all their words; of a file with more, the first by line. All are counted."""

_SHOWN = 60


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing in a row that cannot be taken. `raw` is the row as it came (the first 500 characters)."""

    line: int
    column: str
    found: str
    expected: str
    raw: str = field(compare=False, repr=False)

    def error(self, file: str) -> RowError:
        return RowError(file=file, line=self.line, column=self.column, found=self.found, expected=self.expected)


class Problems:
    """Collects problems of one file. However many there are, memory stays bounded and the count exact."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._bad = np.zeros(sheet.last_line + 1, bool)
        self._kept: list[tuple[int, int, str, str, str | None]] = []

    @property
    def rows_refused(self) -> int:
        """Rows with at least one problem."""
        return int(self._bad.sum())

    def add(self, line: int, column: str, expected: str, *, found: str | None = None) -> None:
        """A problem on a line; `found` is the cell of the file when not given."""
        self.add_many([line], column, expected, found=found)

    def add_many(self, lines: Iterable[int] | NDArray[np.int64], column: str, expected: str, *, found: str | None = None) -> None:
        """The same problem on several lines."""
        at = np.fromiter(lines, np.int64)
        if not len(at):
            return
        self._bad[at] = True
        order = self._sheet.position(column)
        self._kept.extend((int(line), order, column, expected, found) for line in np.sort(at)[:KEPT_PROBLEMS])
        if len(self._kept) > 8 * KEPT_PROBLEMS:
            self._keep_first()

    def _keep_first(self) -> None:
        self._kept.sort(key=lambda p: p[:2])
        del self._kept[KEPT_PROBLEMS:]

    def first(self) -> tuple[Problem, ...]:
        """The first KEPT_PROBLEMS by line, then by the order of columns."""
        self._keep_first()
        return tuple(
            Problem(line, column, _short(self._sheet.cell(line, column) if found is None else found), expected, self._sheet.raw(line))
            for line, _, column, expected, found in self._kept
        )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


@dataclass(frozen=True, slots=True, eq=False)
class ParsedSeries:
    """Readings of one tag in the order of the file: UTC instants, SI values (finite), and the line that each stands on."""

    tag: str
    column: Column
    times: Instants
    values: Floats
    lines: NDArray[np.int64]

    def only(self, kept: NDArray[np.bool_]) -> ParsedSeries:
        return ParsedSeries(self.tag, self.column, self.times[kept], self.values[kept], self.lines[kept])


@dataclass(frozen=True, slots=True, eq=False)
class ParsedFile:
    """A file as read by its contract. Nothing is dropped in silence: what is not in `series` is in `problems`, tags or notes."""

    contract: FileContract
    name: str
    series: tuple[ParsedSeries, ...]
    problems: Problems
    rows_total: int
    unknown_tags: tuple[str, ...]
    """Tags (columns, in wide files) that the contract does not name, without those that it ignores."""
    absent_tags: tuple[str, ...]
    """Tags of the contract that the file does not have."""
    notes: tuple[str, ...]
    """How something was read that could be read in more than one way."""
