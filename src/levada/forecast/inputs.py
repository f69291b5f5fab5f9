"""What a forecast is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise

from levada.domain.errors import ProblemError
from levada.domain.series import Floats, Readings
from levada.domain.time import floor_to, require_utc

__all__ = ["MAX_HORIZON_S", "MAX_SCENARIOS", "QUANTILES", "ForecastInput", "Weather"]

MAX_HORIZON_S = 8 * 86_400
"""Longest horizon. A local week may have 169 hours, and the contest's week starts at a midnight: eight days hold both."""

MAX_SCENARIOS = 1000

QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""The levels that are given when none are asked for: the median, and intervals of 50, 80 and 90 %."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weather:
    """Weather of the place, variable -> readings labelled by interval start; names carry the unit, such as `temperature_c`, `rain_mm`.

    | field | meaning |
    |---|---|
    | observed | what was measured; only what ended by the issue time is used |
    | forecast | what was foretold for times from the issue time on, as known at the issue time; what is before it is not used |
    """

    observed: Mapping[str, Readings]
    forecast: Mapping[str, Readings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForecastInput:
    """Zones, what was measured in them, and the steps to forecast.

    | field | meaning |
    |---|---|
    | issue_time | only readings of intervals that ended by then are used |
    | step_s | length of a step; divides an hour |
    | count | number of steps; at most eight days of them |
    | time_zone | IANA name of the tenant's zone: weekdays, holidays and hours of the day are told on its clock |
    | zones | zone -> readings of its mean flow, m3/s, labelled by interval start, of any interval; suspect ones are left out |
    | holidays | local day -> name, over the history as far as known and over the horizon: national, regional and municipal |
    | local_days | local day -> name: other days on which the zones draw unusually, such as a market or a feast; one name, one sort of day |
    | weather | observed and foretold, apart; used for a zone only where a test on its own past shows that it helps |
    | fallback | zone -> (count,) mean flow by the network's own demand patterns, m3/s; for a zone with too little history |
    | quantiles | levels in (0, 1), increasing, with 0.5 among them |
    | scenarios | number of equally likely paths to draw, dependent over time and zones |
    | models | zone -> text of train(): such a zone is forecast from it, not trained afresh |
    | seed | of LightGBM, of the choice of training rows and of the paths |

    The steps start at `start`: the issue time, or where it lies within a step, the start of that step.
    Raises ProblemError for a field that does not fit.
    """

    issue_time: datetime
    step_s: int
    count: int
    time_zone: str
    zones: Mapping[str, Readings]
    holidays: Mapping[date, str] = field(default_factory=dict)
    local_days: Mapping[date, str] = field(default_factory=dict)
    weather: Weather | None = None
    fallback: Mapping[str, Floats] | None = None
    quantiles: tuple[float, ...] = QUANTILES
    scenarios: int = 0
    models: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "issue_time", require_utc(self.issue_time, "issue time"))
        if self.step_s < 60 or 3600 % self.step_s:
            raise ProblemError("step_s", f"{self.step_s} s does not divide an hour into steps of at least a minute")
        if not 0 < self.count * self.step_s <= MAX_HORIZON_S:
            raise ProblemError("count", f"{self.count} steps of {self.step_s} s are not within (0, {MAX_HORIZON_S // 3600}] hours")
        for zone, flow in (self.fallback or {}).items():
            if flow.shape != (self.count,):
                raise ProblemError(f"fallback[{zone}]", f"has shape {flow.shape}, expected {(self.count,)}")
        if not all(0 < q < 1 for q in self.quantiles) or not all(a < b for a, b in pairwise(self.quantiles)):
            raise ProblemError("quantiles", f"{self.quantiles} are not increasing levels between 0 and 1")
        if 0.5 not in self.quantiles:
            raise ProblemError("quantiles", f"{self.quantiles} lack 0.5: the median is the forecast itself")
        if not 0 <= self.scenarios <= MAX_SCENARIOS:
            raise ProblemError("scenarios", f"{self.scenarios} is not within 0 and {MAX_SCENARIOS}")
        for zone in self.models:
            if zone not in self.zones:
                raise ProblemError(f"models[{zone}]", f"is of no zone that is asked for ({', '.join(sorted(self.zones)) or 'none'})")

    @property
    def start(self) -> datetime:
        """Start of the first step."""
        return floor_to(self.issue_time, timedelta(seconds=self.step_s))
