"""All checks on a parsed file: what is refused joins the file's problems, what is left carries its quality."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats, Quality
from levada.domain.settings import Column
from levada.domain.time import Instants, isoformat_z, to_np
from levada.intake.checks.limits import above, below
from levada.intake.checks.physical import suspect
from levada.intake.checks.repeats import overridden
from levada.intake.checks.times import TOO_OLD, ahead_of, in_the_future, too_long_ago
from levada.intake.contracts.parsed import ParsedFile, ParsedSeries

__all__ = ["CheckedSeries", "check_file"]

_LATE_US = 3_600_000_000


@dataclass(frozen=True, slots=True, eq=False)
class CheckedSeries:
    """Readings of one series that are good to store: UTC, SI, quality; an instant may stand twice with the same value."""

    column: Column
    times: Instants
    values: Floats
    quality: NDArray[np.uint8]


def check_file(parsed: ParsedFile, now: datetime) -> list[CheckedSeries]:
    """Run all checks; `now` is when the file was received. Refused readings are added to `parsed.problems`."""
    return [_check(parsed, one, now) for one in parsed.series]


def _check(parsed: ParsedFile, one: ParsedSeries, now: datetime) -> CheckedSeries:
    contract, problems, column = parsed.contract, parsed.problems, one.column
    named = one.tag if contract.layout == "wide" else contract.value_column
    future, ancient = in_the_future(one.times, column, now), too_long_ago(one.times, now)
    ahead = ahead_of(column)
    problems.add_many(one.lines[future], contract.stamp_column, f"a time before {isoformat_z(now + ahead)}, {ahead.days} d from its receipt")
    problems.add_many(one.lines[ancient], contract.stamp_column, f"a time after {isoformat_z(now - TOO_OLD)}, ten years before its receipt")
    one = one.only(~future & ~ancient)
    low, high = below(one.values, column), above(one.values, column)
    problems.add_many(one.lines[low], named, f"at least {column.minimum} {column.unit}, the least plausible {one.tag}")
    problems.add_many(one.lines[high], named, f"at most {column.maximum} {column.unit}, the most plausible {one.tag}")
    one = one.only(~low & ~high)
    lost, decider = overridden(one.times, one.values, one.lines)
    for i in np.flatnonzero(lost).tolist():
        problems.add(int(one.lines[i]), named, f"one value for each instant: line {decider[i]} has another one, which was taken")
    one = one.only(~lost)
    late_us = max(_LATE_US, 2 * contract.step_s * 1_000_000)
    quality = np.full(len(one.times), Quality.GOOD, np.uint8)
    quality[suspect(one.values, column.quantity)] |= np.uint8(Quality.SUSPECT)
    quality[to_np(now) - one.times > np.timedelta64(late_us, "us")] |= np.uint8(Quality.LATE)
    return CheckedSeries(column, one.times, one.values, quality)
