"""From what a case file says of a value over time to an array over the steps, with every fault named by its field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from levada.cases.case_file import CaseText
from levada.cases.document import CaseDocument
from levada.cases.table import Table, read_table
from levada.cases.terms import Series
from levada.domain.series import Floats
from levada.domain.timeline import Timeline

__all__ = ["SeriesReader"]


class SeriesReader:
    """Reads the values of one case: `over_steps` for a Series, `table` for a file of it (each read once)."""

    def __init__(self, text: CaseText[CaseDocument], timeline: Timeline) -> None:
        self._text, self._timeline = text, timeline
        self._tables: dict[Path, Table] = {}

    def path(self, file: str) -> Path:
        return self._text.path.parent / file

    def table(self, file: str) -> Table:
        """Raises FileError and RowError."""
        path = self.path(file)
        if path not in self._tables:
            self._tables[path] = read_table(path, self._timeline)
        return self._tables[path]

    def over_steps(
        self, series: Series, field: str, *, absent: float | None = None, within: Callable[[Floats], Floats] | None = None, least: float | None = None
    ) -> Floats:
        """Value in each step, (n,): of values that change within a step their mean, or what `within` makes of its minutes.

        `absent` stands where no period holds; without it that is a fault. `least`: the least value that makes sense.
        Raises DocumentError, FileError, RowError.
        """
        timeline, n = self._timeline, len(self._timeline.steps)
        within = within or timeline.mean
        if series.constant is not None:
            values = np.full(n, series.constant)
        elif series.per_step is not None:
            if len(series.per_step) != n:
                raise self._text.fault(field, f"has {len(series.per_step)} values, the horizon has {n} steps")
            values = np.array(series.per_step, np.float64)
        elif series.periods is not None:
            values = within(self._by_periods(series, field, absent))
        else:
            assert series.file is not None
            table = self.table(series.file)
            values = within(table.per_minute(self._column(series, table, field)))
        values = values * series.factor
        if least is not None and (values < least).any():
            raise self._text.fault(field, f"has the value {values.min():g} in step {int(values.argmin())}; at least {least:g} is expected")
        return values

    def _column(self, series: Series, table: Table, field: str) -> str:
        assert series.file is not None
        column = series.column or (table.columns[0] if len(table.columns) == 1 else None)
        if column is None:
            raise self._text.fault(field, f"`column` must name a column of {series.file}; it has {', '.join(table.columns[:20])}")
        if column not in table.columns:
            raise self._text.fault(field, f"{series.file} has no column {column!r}; it has {', '.join(table.columns[:20])}")
        return column

    def _by_periods(self, series: Series, field: str, absent: float | None) -> Floats:
        timeline = self._timeline
        otherwise = series.otherwise if series.otherwise is not None else absent
        values = timeline.by_periods(series.periods or [], otherwise)
        missing = np.flatnonzero(np.isnan(values))
        if len(missing):
            minute, day = int(timeline.clock_minute[missing[0]]), timeline.minutes[missing[0]].astype("datetime64[D]")
            raise self._text.fault(field, f"no period holds at {minute // 60:02d}:{minute % 60:02d} of the local clock ({day}); add a period or `otherwise`")
        return values
