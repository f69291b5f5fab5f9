"""What all parts of a problem's statement look at: the run's input, the network, and the steps on the tenant's own clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Literal

import numpy as np

from levada.domain.errors import DocumentError
from levada.domain.network import Network
from levada.domain.plan import Plan
from levada.domain.plan_input import PlanInput
from levada.domain.series import Floats, Readings
from levada.domain.tariff_settings import SignalValue
from levada.domain.terms import ClockValue
from levada.domain.time import Steps, from_np, local_midnight, zone
from levada.domain.timeline import Timeline
from levada.runs.rest import is_followed

__all__ = ["Horizon"]

_HOLDS = np.timedelta64(1, "h")  # how long a reading of what is told ahead holds, at most


@dataclass(frozen=True, kw_only=True, eq=False)
class Horizon:
    """The steps of a plan, and what is known at its start. Arrays over steps have shape (n,)."""

    inputs: PlanInput
    network: Network
    steps: Steps
    holidays: Mapping[date, str]

    @cached_property
    def timeline(self) -> Timeline:
        return Timeline(self.steps, zone(self.inputs.utility.time_zone), self.holidays)

    @cached_property
    def followed(self) -> Plan | None:
        """The plan that pumps follow until this one is there, if any."""
        previous = self.inputs.previous_plan
        return previous if previous is not None and is_followed(previous, self.inputs.issue_time) else None

    @cached_property
    def local_day_start(self) -> datetime:
        """When the tenant's day began in which the plan starts."""
        return local_midnight(self.timeline.local(self.steps.start).date(), zone(self.inputs.utility.time_zone))

    def readings(self, series: str | None) -> Readings:
        """Usable readings of a series; none where it has no name."""
        return Readings.empty() if series is None else self.inputs.readings.get(series, Readings.empty()).usable()

    def over_steps(
        self, value: ClockValue, document: Literal["operation", "tariff"], path: str, *, absent: float | None = None, within: Callable[[Floats], Floats] | None = None
    ) -> Floats:
        """A stated value in each step: where it changes within a step the mean, or what `within` makes of its minutes.

        `absent` stands where no period holds. Raises DocumentError where one is needed and none holds.
        """
        return (within or self.timeline.mean)(self._stated(value, document, path, absent))

    def told(self, value: SignalValue, path: str, *, factor: float = 1.0, least: float = -np.inf) -> tuple[Floats, tuple[str, ...]]:
        """A value of the tariff document that readings may tell better: in each step, and in words where they do not.

        Readings times `factor` are in the value's unit. Raises DocumentError for values below `least`, or where no period holds.
        """
        minutes = self._stated(value, "tariff", path, None)
        if value.series is None:
            lacking = 0
        else:
            known, at = self.readings(value.series), self.timeline.minutes
            row = np.searchsorted(known.times, at, side="right") - 1
            holds = row >= 0
            holds[holds] = at[holds] - known.times[row[holds]] < _HOLDS
            minutes[holds] = known.values[row[holds]] * factor
            lacking = int(self.timeline.touched(~holds).sum())
        values = self.timeline.mean(minutes)
        if (values < least).any():
            at_worst = from_np(self.steps.times[int(values.argmin())])
            raise DocumentError("tariff", path, f"is {values.min():g} from {at_worst:%Y-%m-%d %H:%M} UTC; at least {least:g} is expected")
        if not lacking:
            return values, ()
        return values, (f"{path}: series {value.series} does not tell it for {lacking} of {len(self.steps)} steps; the stated value stands in",)

    def _stated(self, value: ClockValue, document: str, path: str, absent: float | None) -> Floats:
        """In each minute."""
        if value.periods is None:
            assert value.constant is not None
            return np.full(len(self.timeline.minutes), value.constant)
        values = self.timeline.by_periods(value.periods, absent if value.otherwise is None else value.otherwise)
        missing = np.flatnonzero(np.isnan(values))
        if len(missing):
            local = self.timeline.local(from_np(self.timeline.minutes[missing[0]]))
            raise DocumentError(document, path, f"no period holds on {local:%A %d %B at %H:%M}; add a period or `otherwise`")
        return values
