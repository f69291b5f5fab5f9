"""CSV files of a case: a column `time` or `step`, and columns of numbers.

`step`: a row per step, numbered from 0. `time`: ISO 8601, with an offset or on the case's clock; a value holds from its time to the next row's.
Rows may begin earlier and end later than the horizon; they are evenly spaced or stand at the steps' own starts, so that a missing row is seen.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from levada.cases.case_file import LARGEST_NUMBER, read_bytes
from levada.domain.errors import FileError, RowError
from levada.domain.pumping import Ints
from levada.domain.series import Floats
from levada.domain.time import to_np
from levada.domain.timeline import Timeline, instant_of

__all__ = ["Rows", "Table", "read_rows", "read_table", "time_of"]

_LARGEST_BYTES = 50_000_000
_MOST_ROWS = 300_000
_MOST_COLUMNS = 5_000


class Rows:
    """A CSV's header and rows of text, each with its line; every row has as many cells as the header."""

    def __init__(self, path: Path, header: list[str], rows: list[tuple[int, list[str]]]) -> None:
        self.path, self.header, self.rows = path, header, rows

    def fault(self, line: int, column: str, found: str, expected: str) -> RowError:
        return RowError(file=str(self.path), line=line, column=column, found=found, expected=expected)

    def column(self, name: str) -> Iterator[tuple[int, str]]:
        at = self.header.index(name)
        return ((line, cells[at].strip()) for line, cells in self.rows)

    def numbers(self, name: str) -> Floats:
        """A column as finite numbers. Raises RowError."""
        values = []
        for line, text in self.column(name):
            try:
                value = float(text)
            except ValueError:
                raise self.fault(line, name, text, "a number with a decimal point") from None
            if not abs(value) <= LARGEST_NUMBER:
                raise self.fault(line, name, text, f"a finite number, not above {LARGEST_NUMBER:g}")
            values.append(value)
        return np.array(values)


def read_rows(path: Path, *, most_rows: int = _MOST_ROWS) -> Rows:
    """Read a CSV, delimited by commas or semicolons. Raises FileError (no file, no rows, too large, a name twice) and RowError."""
    try:
        text = read_bytes(path, _LARGEST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise FileError(file=str(path), problem=f"is not UTF-8 text (byte {e.start})", remedy="save it as UTF-8") from None
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",")
    rows: list[tuple[int, list[str]]] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        for cells in reader:
            if not any(c.strip() for c in cells):
                continue
            if len(cells) != len(header):
                raise RowError(file=str(path), line=reader.line_num, column=header[0] if header else "", found=f"{len(cells)} cells", expected=f"{len(header)}, as in the header")
            rows.append((reader.line_num, cells))
            if len(rows) > most_rows:
                raise FileError(file=str(path), problem=f"has more than {most_rows} rows", remedy="cut it to what the case needs")
    except csv.Error as e:
        raise FileError(file=str(path), problem=f"is not CSV: line {reader.line_num}: {e}", remedy="look for unbalanced quotes") from None
    if not rows or not header:
        raise FileError(file=str(path), problem="has no rows below a header", remedy="the first line names the columns, values follow")
    if len(header) > _MOST_COLUMNS:
        raise FileError(file=str(path), problem=f"has {len(header)} columns, more than {_MOST_COLUMNS}", remedy="take out the columns that are not needed")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or "" in header:
        raise FileError(file=str(path), problem=f"has the column {twice[0]!r} twice" if twice else "has a column without a name", remedy="give each column a name of its own")
    return Rows(path, header, rows)


def time_of(rows: Rows, timeline: Timeline) -> list[datetime]:
    """The column `time` as rising instants in UTC. Raises RowError."""
    times: list[datetime] = []
    for line, text in rows.column("time"):
        try:
            instant = instant_of(datetime.fromisoformat(text), timeline.clock, after=times[-1] if times else None)
        except ValueError as e:
            expected = str(e) if "clock" in str(e) or "range" in str(e) else "a time such as 2026-03-01T00:00:00Z, or without an offset on the case's clock"
            raise rows.fault(line, "time", text, expected) from None
        if times and instant <= times[-1]:
            raise rows.fault(line, "time", text, "a time after that of the row before; each time once")
        times.append(instant)
    return times


class Table:
    """A CSV laid over the horizon: `mean`, `most` and `least` of a column in each step."""

    def __init__(self, rows: Rows, timeline: Timeline) -> None:
        """Raises FileError and RowError where the rows do not cover the horizon."""
        self._rows, self._timeline = rows, timeline
        kinds = [name for name in ("time", "step") if name in rows.header]
        if len(kinds) != 1:
            raise FileError(file=str(rows.path), problem=f"needs one column `time` or `step`; found the columns {', '.join(rows.header[:8])}", remedy="name its first column `time` or `step`")
        self.index = kinds[0]
        self._row_of_minute = self._by_time() if self.index == "time" else self._by_step()
        self._cache: dict[str, Floats] = {}

    @property
    def columns(self) -> list[str]:
        return [name for name in self._rows.header if name != self.index]

    def per_minute(self, column: str) -> Floats:
        if column not in self._cache:
            self._cache[column] = self._rows.numbers(column)
        return self._cache[column][self._row_of_minute]

    def mean(self, column: str) -> Floats:
        return self._timeline.mean(self.per_minute(column))

    def _by_step(self) -> Ints:
        n, path = len(self._timeline.steps), str(self._rows.path)
        if len(self._rows.rows) != n:
            raise FileError(file=path, problem=f"has {len(self._rows.rows)} rows, the horizon has {n} steps", remedy="give one row per step, numbered from 0")
        for k, (line, text) in enumerate(self._rows.column("step")):
            if text != str(k):
                raise self._rows.fault(line, "step", text, f"{k}: steps are numbered from 0 without a gap")
        return self._timeline.step_of_minute

    def _by_time(self) -> Ints:
        times = time_of(self._rows, self._timeline)
        edges = np.array([to_np(t) for t in times])
        spacing = (np.diff(edges) // np.timedelta64(1_000_000, "us")).astype(np.int64)
        steps = self._timeline.steps
        if np.isin(steps.times, edges).all() and len(edges) == len(steps):
            last = steps.durations_s[-1]
        else:
            last = int(np.median(spacing)) if len(spacing) else steps.durations_s[0]
            odd = np.flatnonzero(spacing != last)
            if len(odd):
                line, cells = self._rows.rows[int(odd[0]) + 1]
                found = cells[self._rows.header.index("time")]
                raise self._rows.fault(line, "time", found, f"rows {last} s apart, as most are (this one is {spacing[odd[0]]} s after the one before), or rows at the steps' own starts")
        row = self._timeline.row_of_minute(times, last)
        if (row < 0).any():
            start, end = steps.window.start, steps.window.end
            raise FileError(
                file=str(self._rows.path), problem=f"covers {times[0]:%Y-%m-%d %H:%M} to {_end(edges[-1], last)} UTC, the horizon is {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
                remedy="give rows for all of it",
            )  # fmt: skip
        return row


def _end(edge: np.datetime64, last_s: int) -> str:
    return str((edge + np.timedelta64(last_s, "s")).astype("datetime64[m]")).replace("T", " ")


def read_table(path: Path, timeline: Timeline) -> Table:
    """A CSV of numbers over the horizon. Raises FileError and RowError."""
    return Table(read_rows(path), timeline)
