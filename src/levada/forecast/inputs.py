"""What a forecast is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from levada.domain.errors import ProblemError
from levada.domain.series import Floats, Readings
from levada.domain.time import floor_to, require_utc

__all__ = ["MAX_HORIZON_S", "ForecastInput"]

MAX_HORIZON_S = 8 * 86_400
"""Longest horizon. A local week may have 169 hours, and the contest's week starts at a midnight: eight days hold both."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForecastInput:
    """Zones, what was measured in them, and the steps to forecast.

    | field | meaning |
    |---|---|
    | issue_time | only readings of intervals that ended by then are used |
    | step_s | length of a step; divides an hour |
    | count | number of steps; at most eight days of them |
    | time_zone | IANA name of the tenant's zone: weekdays, holidays and hours of the day are told on its clock |
    | holidays | local day -> name, over the history as far as known and over the horizon |
    | zones | zone -> readings of its mean flow, m3/s, labelled by interval start, of any interval; suspect ones are left out |
    | fallback | zone -> (count,) mean flow by the network's own demand patterns, m3/s; for a zone with too little history |
    | seed | of LightGBM and of the choice of training rows |

    The steps start at `start`: the issue time, or where it lies within a step, the start of that step.
    Raises ProblemError for a step, count or fallback that does not fit.
    """

    issue_time: datetime
    step_s: int
    count: int
    time_zone: str
    holidays: Mapping[date, str]
    zones: Mapping[str, Readings]
    fallback: Mapping[str, Floats] | None
    seed: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "issue_time", require_utc(self.issue_time, "issue time"))
        if self.step_s < 60 or 3600 % self.step_s:
            raise ProblemError("step_s", f"{self.step_s} s does not divide an hour into steps of at least a minute")
        if not 0 < self.count * self.step_s <= MAX_HORIZON_S:
            raise ProblemError("count", f"{self.count} steps of {self.step_s} s are not within (0, {MAX_HORIZON_S // 3600}] hours")
        for zone, flow in (self.fallback or {}).items():
            if flow.shape != (self.count,):
                raise ProblemError(f"fallback[{zone}]", f"has shape {flow.shape}, expected {(self.count,)}")

    @property
    def start(self) -> datetime:
        """Start of the first step."""
        return floor_to(self.issue_time, timedelta(seconds=self.step_s))
