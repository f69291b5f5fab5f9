"""A horizon minute by minute on its local clock: what holds by local hour, by date-time or by the rows of a file, per step.

Days on which clocks change have 23 or 25 hours. A clock time holds whenever the clock shows it: twice in the hour that is repeated, never
in the one that is skipped.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from levada.domain.pumping import Bools, Ints
from levada.domain.series import Floats
from levada.domain.terms import Period, Span
from levada.domain.time import Steps, from_np, to_np

__all__ = ["Timeline", "instant_of"]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def instant_of(when: datetime, clock: tzinfo, after: datetime | None = None) -> datetime:
    """The instant in UTC that `when` names: by its own offset, else on `clock`.

    A clock time that is shown twice is the first of the two, or the second where the first is not after `after`. Raises ValueError
    for a time that the clock skips, or of a year out of range.
    """
    if not 1900 <= when.year <= 2300:
        raise ValueError(f"{when.isoformat()} is out of range: years from 1900 to 2300 are known")
    if when.tzinfo is not None:
        return when.astimezone(UTC)
    instant = when.replace(tzinfo=clock).astimezone(UTC)
    if instant.astimezone(clock).replace(tzinfo=None) != when:
        raise ValueError(f"{when.isoformat()} does not exist on the clock of {clock}: it is skipped in spring; give the time with an offset")
    second = when.replace(tzinfo=clock, fold=1).astimezone(UTC)
    return second if after is not None and instant <= after < second else instant


class Timeline:
    """Steps of whole minutes on a clock. Arrays over minutes have shape (minutes,), over steps (n,). `holidays` are local days."""

    def __init__(self, steps: Steps, clock: tzinfo, holidays: Collection[date] = ()) -> None:
        self.steps, self.clock = steps, clock
        count = int(steps.offsets_s[-1]) // 60
        self.minutes = to_np(steps.start) + np.arange(count) * np.timedelta64(60_000_000, "us")
        self.step_of_minute: Ints = np.repeat(np.arange(len(steps)), np.array(steps.durations_s) // 60)
        self._first = steps.offsets_s[:-1] // 60
        local = self._local()
        since_epoch = local.astype("datetime64[m]").astype(np.int64)
        self.clock_minute: Ints = since_epoch % 1440
        self.local_day: Ints = since_epoch // 1440
        self._weekday = (self.local_day + 3) % 7  # the epoch was a Thursday
        self._month = local.astype("datetime64[M]").astype(np.int64) % 12 + 1
        self._is_holiday = np.isin(local.astype("datetime64[D]"), np.array(sorted(holidays), "datetime64[D]"))

    def _local(self) -> NDArray[np.datetime64]:
        """What the clock shows. Offsets change at quarters of an hour of UTC, so one look per quarter is enough."""
        quarters, index = np.unique(self.minutes.astype("datetime64[m]").astype(np.int64) // 15, return_inverse=True)
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        offset_s = []
        for quarter in quarters:
            offset = (epoch + timedelta(minutes=15 * int(quarter))).astimezone(self.clock).utcoffset()
            assert offset is not None
            offset_s.append(round(offset.total_seconds()))
        local: NDArray[np.datetime64] = self.minutes + np.array(offset_s)[index] * np.timedelta64(1_000_000, "us")
        return local

    @property
    def start_clock_minute(self) -> int:
        return int(self.clock_minute[0])

    def local(self, instant: datetime) -> datetime:
        return instant.astimezone(self.clock)

    def days(self) -> Ints:
        """Number of the local day that each step begins in, from 0."""
        day = self.local_day[self._first]
        return np.asarray(day - day[0], np.int64)

    # --- from minutes to steps ---------------------------------------------------------------------------------------

    def mean(self, values: Floats) -> Floats:
        minutes = np.array(self.steps.durations_s) / 60
        result: Floats = np.add.reduceat(values, self._first) / minutes
        # The mean of equal values is that value, to the last bit.
        return np.where(self.least(values) == self.most(values), values[self._first], result)

    def most(self, values: Floats) -> Floats:
        return np.asarray(np.maximum.reduceat(values, self._first), np.float64)

    def least(self, values: Floats) -> Floats:
        return np.asarray(np.minimum.reduceat(values, self._first), np.float64)

    def touched(self, holds: Bools) -> Bools:
        """Steps in which it holds for a minute or more."""
        return np.asarray(np.logical_or.reduceat(holds, self._first), np.bool_)

    # --- minutes in which something holds ------------------------------------------------------------------------------

    def by_clock(self, start: int, end: int) -> Bools:
        """From clock minute `start` to before `end`, past midnight where that is earlier."""
        if start < end:
            return (self.clock_minute >= start) & (self.clock_minute < end)
        return (self.clock_minute >= start) | (self.clock_minute < end)

    def in_period(self, period: Period) -> Bools:
        holds = self.by_clock(period.start, period.end)
        if period.days is not None:
            on_day = np.isin(self._weekday, [_DAYS.index(d) for d in period.days if d != "holiday"])
            holds &= on_day | self._is_holiday if "holiday" in period.days else on_day
        if period.months is not None:
            holds &= np.isin(self._month, period.months)
        return holds

    def by_periods(self, periods: Sequence[Period], otherwise: float | None) -> Floats:
        """Value in each minute: of the first period that holds, else `otherwise`, or NaN without one."""
        values = np.full(len(self.minutes), np.nan if otherwise is None else otherwise)
        for period in reversed(periods):
            values[self.in_period(period)] = period.value
        return values

    def in_span(self, span: Span) -> Bools:
        """Raises ValueError for a span that ends before it begins, or a time that the clock skips."""
        if not isinstance(span.start, datetime) or not isinstance(span.end, datetime):
            assert isinstance(span.start, int)
            assert isinstance(span.end, int)
            return self.by_clock(span.start, span.end)
        start = instant_of(span.start, self.clock)
        end = instant_of(span.end, self.clock, after=start)
        if end <= start:
            raise ValueError(f"ends {end.isoformat()} before it begins {start.isoformat()}")
        minute = np.timedelta64(60_000_000, "us")
        return np.asarray((self.minutes + minute > to_np(start)) & (self.minutes < to_np(end)), np.bool_)

    def row_of_minute(self, times: Sequence[datetime], last_s: int) -> Ints:
        """Which of the rows, each holding from its time to the next one's and the last for `last_s` seconds, holds in each minute; -1 where none does."""
        edges = np.array([to_np(t) for t in times])
        row = np.searchsorted(edges, self.minutes, side="right") - 1
        row[self.minutes >= edges[-1] + np.timedelta64(last_s * 1_000_000, "us")] = -1
        return np.asarray(row, np.int64)

    def same_offset(self) -> list[tuple[Steps, int, Ints]]:
        """The horizon cut where the clock changes: pieces of steps, the minute at which they begin, and the step that each piece belongs to."""
        shift = self.clock_minute + 1440 * self.local_day - np.arange(len(self.minutes))
        cuts = [0, *(np.flatnonzero(np.diff(shift)) + 1).tolist(), len(self.minutes)]
        pieces = []
        for begin, end in pairwise(cuts):
            owner, counts = np.unique(self.step_of_minute[begin:end], return_counts=True)
            part = Steps(from_np(self.minutes[begin]), tuple((counts * 60).tolist()))
            pieces.append((part, int(begin), np.asarray(owner, np.int64)))
        return pieces
