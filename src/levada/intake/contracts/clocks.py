"""Local time -> UTC for whole columns, with the hour that autumn has twice and spring has not.

The hour that occurs twice is told apart
1. by order, where the file has a local time twice: the first occurrence is summer time, the second winter time (the other way round in
   files that begin with the newest row);
2. by the file's step, where it has the time once: the reading that lies whole steps after the last certain stamp before, if just one does (steps
   of two hours, or clocks that go back by half an hour);
3. by the time of receipt otherwise: winter time when the newest of these stamps, so read, is less than an hour old at receipt (a file sent each
   quarter of an hour in the second pass), else summer time.
A local time that does not exist in spring cannot be converted.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

__all__ = ["to_utc"]

_DAY_US = 86_400_000_000
_QUARTER_US = 900_000_000
_HOUR_US = 3_600_000_000
_LAST_DAY = 80_000  # in the year 2189; stamps beyond are refused later, whatever their offset
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  on a wall clock


def _offset_us(local_us: int, tz: ZoneInfo, fold: int) -> int:
    local = (_EPOCH + timedelta(microseconds=local_us)).replace(tzinfo=tz, fold=fold)
    offset = local.utcoffset()
    return 0 if offset is None else offset // timedelta(microseconds=1)


def to_utc(local_us: NDArray[np.int64], tz: ZoneInfo, now: datetime, step_us: int) -> tuple[NDArray[np.int64], NDArray[np.bool_], int]:
    """UTC microseconds; a mask of stamps that exist; how many were in an hour that occurs twice. `local_us` is in the file's order.

    `step_us`: what usually lies between stamps.

    Zones change their clocks at multiples of a quarter of an hour, at most once a day.
    """
    exists = np.ones(len(local_us), bool)
    if not len(local_us):
        return local_us.copy(), exists, 0
    days, day_of = np.unique(np.clip(local_us // _DAY_US, 0, _LAST_DAY), return_inverse=True)
    at_start = np.array([_offset_us(int(d) * _DAY_US, tz, 0) for d in days], np.int64)
    at_end = np.array([_offset_us((int(d) + 1) * _DAY_US, tz, 0) for d in days], np.int64)
    utc = local_us - at_start[day_of]
    changing = np.flatnonzero((at_start != at_end)[day_of])
    if not len(changing):
        return utc, exists, 0
    quarters, quarter_of = np.unique(local_us[changing] // _QUARTER_US, return_inverse=True)
    first = np.array([_offset_us(int(q) * _QUARTER_US, tz, 0) for q in quarters], np.int64)[quarter_of]
    second = np.array([_offset_us(int(q) * _QUARTER_US, tz, 1) for q in quarters], np.int64)[quarter_of]
    utc[changing] = local_us[changing] - first
    exists[changing] = first >= second  # in a gap the offset before the change is the smaller one
    twice = first > second
    ambiguous = changing[twice]
    if len(ambiguous):
        as_first_us, as_second_us = local_us[ambiguous] - first[twice], local_us[ambiguous] - second[twice]
        is_certain = exists.copy()
        is_certain[ambiguous] = False
        is_second, is_paired = _by_order(local_us[ambiguous], _newest_first(local_us))
        fits = _by_step(as_first_us, as_second_us, utc[is_certain], step_us)
        is_second = np.where(is_paired, is_second, np.where(fits != 0, fits > 0, _by_receipt(as_second_us[~is_paired], now)))
        utc[ambiguous] = np.where(is_second, as_second_us, as_first_us)
    return utc, exists, len(ambiguous)


def _newest_first(local_us: NDArray[np.int64]) -> bool:
    return bool(local_us[-1] < local_us[0])


def _by_order(local_us: NDArray[np.int64], newest_first: bool) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of these ambiguous stamps are in the second pass through the hour, and which are there twice, so that order tells."""
    order = np.argsort(local_us, kind="stable")
    occurrence = np.zeros(len(local_us), np.int64)
    paired = np.zeros(len(local_us), bool)
    for i in np.flatnonzero(np.diff(local_us[order]) == 0):
        occurrence[order[i + 1]] = occurrence[order[i]] + 1
        paired[order[i]] = paired[order[i + 1]] = True
    second = occurrence >= 1
    return ~second if newest_first else second, paired


def _by_step(as_first_us: NDArray[np.int64], as_second_us: NDArray[np.int64], certain_us: NDArray[np.int64], step_us: int) -> NDArray[np.int64]:
    """1 where only the second pass, -1 where only the first, is whole steps after the last certain stamp before it; else 0."""
    certain_us = np.sort(certain_us)
    place = np.searchsorted(certain_us, as_first_us) - 1
    if not len(certain_us):
        return np.zeros(len(as_first_us), np.int64)
    before = certain_us[np.maximum(place, 0)]
    fits_second, fits_first = (as_second_us - before) % step_us == 0, (as_first_us - before) % step_us == 0
    return np.where(place >= 0, fits_second.astype(np.int64) - fits_first, 0)


def _by_receipt(as_second_us: NDArray[np.int64], now: datetime) -> bool:
    """Whether stamps that order does not tell apart are of the second pass: the newest is then younger than an hour."""
    if not len(as_second_us):
        return False
    now_us = (now.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return 0 <= now_us - int(as_second_us.max()) < _HOUR_US
