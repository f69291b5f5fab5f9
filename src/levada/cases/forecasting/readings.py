"""CSVs of a forecast case into readings. What cannot be used is left out and named with its line; the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import numpy as np

from levada.cases.case_file import LARGEST_NUMBER
from levada.cases.forecasting.document import TimedFile
from levada.cases.table import Rows, read_rows
from levada.domain.errors import FileError
from levada.domain.series import Readings
from levada.domain.time import Instants, to_np
from levada.domain.timeline import instant_of

__all__ = ["LeftOutRow", "TimedRows", "read_timed_rows"]

_MOST_ROWS = 1_200_000
"""Three years at five minutes are 315,000 rows."""

_MOST_NAMED = 20
_MISSING = {"", "nan", "na", "n/a", "null", "none", "-", "--", "---"}
"""Texts that say that there is no value: gaps, not faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutRow:
    """A place of a file that was not used: its line, column, what stands there and what would do."""

    line: int
    column: str
    found: str
    expected: str


@dataclass
class TimedRows:
    """A CSV with a time in each row. `left_out` counts by column, and the first of them in full."""

    path: Path
    rows: Rows
    times: Instants
    """Starts of the intervals of the rows that have a usable time, rising, each once."""
    order: list[int]
    """Row of each of them."""
    decimal_comma: bool
    left_out: list[LeftOutRow] = field(default_factory=list)
    left_out_count: int = 0

    @property
    def columns(self) -> list[str]:
        return self.rows.header

    def leave_out(self, line: int, column: str, found: str, expected: str) -> None:
        self.left_out_count += 1
        if len(self.left_out) < _MOST_NAMED:
            self.left_out.append(LeftOutRow(line=line, column=column, found=found[:60], expected=expected))

    def readings(self, column: str, factor: float) -> Readings:
        """A column's numbers times `factor`. Empty where no cell is a number."""
        at = self.rows.header.index(column)
        values = np.full(len(self.order), np.nan)
        for i, row in enumerate(self.order):
            line, cells = self.rows.rows[row]
            text = cells[at].strip()
            if text.lower() in _MISSING:
                continue
            value = _number(text, decimal_comma=self.decimal_comma)
            if value is None:
                self.leave_out(line, column, text, f"a number with a decimal {'comma' if self.decimal_comma else 'point'}, not above {LARGEST_NUMBER:g}")
            else:
                values[i] = value
        return Readings.good(self.times, values * factor)

    def has_numbers(self, column: str) -> bool:
        """Whether any cell of a column is a number."""
        at = self.rows.header.index(column)
        return any(_number(cells[at].strip(), decimal_comma=self.decimal_comma) is not None for _, cells in self.rows.rows)

    def only(self, kept: Sequence[bool]) -> TimedRows:
        """The rows for which `kept` holds, one for each of `order`."""
        chosen = np.array(kept, bool)
        return TimedRows(self.path, self.rows, self.times[chosen], [r for r, k in zip(self.order, chosen.tolist(), strict=True) if k], self.decimal_comma)


def _number(text: str, *, decimal_comma: bool) -> float | None:
    if decimal_comma:
        text = text.replace(".", "").replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= LARGEST_NUMBER else None


def read_timed_rows(folder: Path, terms: TimedFile, clock: tzinfo, *, once: bool = True) -> TimedRows:
    """The rows of a file with their instants in UTC, at the start of their interval. `clock`: of times without an offset.

    Rows without a usable time are left out; they may stand in any order. With `once`, of rows with the same time the last one counts.
    Raises FileError (no such file or column, no row with a time) and RowError (rows of another width than the header).
    """
    path = folder / terms.file
    rows = read_rows(path, most_rows=_MOST_ROWS)
    if terms.time_column not in rows.header:
        raise FileError(
            file=str(path), problem=f"has no column {terms.time_column!r}; it has {', '.join(rows.header[:8])}", remedy="name its column of times in `time_column`"
        )
    found = TimedRows(path, rows, np.array([], "datetime64[us]"), [], terms.decimal_comma)
    stamps = list(_stamps(found, terms.time_column, clock))
    if not stamps:
        raise FileError(file=str(path), problem=f"has no row with a time in {terms.time_column!r}", remedy="times are ISO 8601, such as 2026-03-01T00:00:00Z, or without an offset on the case's clock")
    stamps.sort(key=lambda s: s[0])
    if once:
        stamps = _each_once(found, stamps)
    times = np.array([to_np(t) for t, _ in stamps])
    if terms.time_is == "end":
        times = times - _usual_interval(times)
    found.times, found.order = times, [row for _, row in stamps]
    return found


def _stamps(found: TimedRows, column: str, clock: tzinfo) -> Iterator[tuple[datetime, int]]:
    before: datetime | None = None
    for row, (line, text) in enumerate(found.rows.column(column)):
        try:
            when = datetime.fromisoformat(text)
            # Of a clock time that is shown twice, the second where the row before is the first.
            after = before if before is not None and when.tzinfo is None else None
            before = instant_of(when, clock, after=after)
        except ValueError as e:
            found.leave_out(line, column, text, str(e) if "clock" in str(e) else "a time such as 2026-03-01T00:00:00Z, or without an offset on the case's clock")
            continue
        yield before, row


def _each_once(found: TimedRows, stamps: list[tuple[datetime, int]]) -> list[tuple[datetime, int]]:
    kept: list[tuple[datetime, int]] = []
    for instant, row in stamps:
        if kept and kept[-1][0] == instant:
            line = found.rows.rows[kept[-1][1]][0]
            found.leave_out(line, "time", instant.isoformat(), f"each time once: line {found.rows.rows[row][0]} has it again and counts")
            kept[-1] = (instant, row)
        else:
            kept.append((instant, row))
    return kept


def _usual_interval(times: Instants) -> np.timedelta64:
    if len(times) < 2:
        return np.timedelta64(timedelta(hours=1))
    return np.timedelta64(int(np.median(np.diff(times).astype(np.int64))), "us")
