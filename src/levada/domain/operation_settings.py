"""The operation document: the network as it is operated, with its limits and the series that tell its state."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from levada.domain.document import Document, SeriesName
from levada.domain.pumping_terms import LIMITS
from levada.domain.terms import ClockValue, Duration, FlowLimit, SourceTerms, Span, ValveTerms

__all__ = ["Operation", "PressureCeiling", "PressureFloor", "PumpSettings", "ScenarioTerms", "TankSettings", "Zone", "ZoneBalance"]


class TankSettings(Document):
    """Limits and series of a tank of the network; levels are metres above the tank's elevation in the INP."""

    level_series: SeriesName
    min_level_m: float
    max_level_m: float
    end: Annotated[
        Literal[">= start", "free"] | float | tuple[float, float],
        Field(description='At the end of a plan: ">= start" (of a tank that starts nearly full a little less is enough), "free", a number (at least, m) or a band [least, greatest], m'),
    ] = ">= start"
    value_per_m3: Annotated[float, Field(description="Worth of water left at the end, per m3; what the tank gains counts against the cost")] = 0.0
    may_stand_full: Annotated[bool, Field(description="May stay at its maximum with its inlet shut by a float valve")] = False
    reserve: Annotated[ClockValue | None, Field(description="Least level by time, m, such as a fire reserve; where no period holds only `min_level_m` counts")] = None
    ceiling: Annotated[ClockValue | None, Field(description="Greatest level by time, m; where no period holds only `max_level_m` counts")] = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min_level_m < self.max_level_m:
            raise ValueError(f"min_level_m {self.min_level_m} is not below max_level_m {self.max_level_m}")
        least, most = self.end if isinstance(self.end, tuple) else (self.end, self.end)
        if not isinstance(least, str) and not isinstance(most, str):
            if least > most:
                raise ValueError(f"end: the band's least level {least} is above its greatest {most}")
            if least > self.max_level_m or most < self.min_level_m:
                raise ValueError(f"end: cannot be reached between min_level_m {self.min_level_m} and max_level_m {self.max_level_m}")
        for field in ("reserve", "ceiling"):
            value: ClockValue | None = getattr(self, field)
            levels = [] if value is None else [x for x in (value.constant, value.otherwise, *(p.value for p in value.periods or ())) if x is not None]
            for level in levels:
                if not self.min_level_m <= level <= self.max_level_m:
                    raise ValueError(f"{field}: {level} is not between min_level_m {self.min_level_m} and max_level_m {self.max_level_m}")
        return self


class PumpSettings(Document):
    """How a pump may be run and which series tell its state."""

    status_series: Annotated[SeriesName | None, Field(description="Tells whether it runs, since when, and how often it was started today")] = None
    speed_series: Annotated[SeriesName | None, Field(description="Relative speed; tells the same where `status_series` does not")] = None
    energy_series: SeriesName | None = None
    max_starts_per_day: Annotated[int, Field(ge=1, le=48, description="Most starts in a day, from midnight to midnight on the tenant's clock; those made today count")] = 6
    min_speed: Annotated[float, Field(gt=0, le=1.5, description="Below max_speed for a variable-speed pump")] = 1.0
    max_speed: Annotated[float, Field(gt=0, le=1.5)] = 1.0
    available: Annotated[bool, Field(description="False where it is out of service until further notice; stronger than `forced_on`")] = True
    min_on: Annotated[Duration | None, Field(description="Least time that it stays on")] = None
    min_off: Annotated[Duration | None, Field(description="Least time that it stays off")] = None
    outages: Annotated[tuple[Span, ...], Field(max_length=1000, description="When it must not run; a step that an outage touches is out")] = ()
    forced_on: Annotated[tuple[Span, ...], Field(max_length=1000, description="When it must run; a step that is touched is on throughout")] = ()
    wear_per_start: Annotated[float, Field(ge=0, description="Cost of a start")] = 0.0
    deviation_cost_per_h: Annotated[ClockValue | None, Field(description="Cost of an hour in which it is not as in the previous plan; that of all pumps when absent")] = None
    run_hours: Annotated[float | None, Field(ge=0, description="Hours run so far, h, where no series tells them: pumps that can be swapped are chosen so that these come together")] = None
    run_hours_series: Annotated[SeriesName | None, Field(description="The pump's counter of hours run")] = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_speed > self.max_speed:
            raise ValueError(f"min_speed {self.min_speed} is above max_speed {self.max_speed}")
        return self


class ZoneBalance(Document):
    """How the demand of an area without a meter is found: what flows into its tanks and pipes, less what flows on, less what its tanks gain.

    The tanks' levels are smoothed as far as their noise asks for.
    """

    tanks: Annotated[tuple[str, ...], Field(min_length=1, description="Its tanks, by their names in the network; their levels are read from `tanks.*.level_series`")]
    inflow_series: Annotated[tuple[SeriesName, ...], Field(min_length=1, description="All metered flows into the area, such as those of the pumps that fill its tanks")]
    outflow_series: Annotated[tuple[SeriesName, ...], Field(description="Metered flows out of it into other areas")] = ()


class Zone(Document):
    """A demand area: the junctions that it serves, and the series with its metered flow or, where no meter is, its balance."""

    flow_series: SeriesName | None = None
    balance: ZoneBalance | None = None
    junctions: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_known_in_one_way(self) -> Self:
        if (self.flow_series is None) == (self.balance is None):
            raise ValueError("a zone has either `flow_series` or `balance`")
        return self

    @property
    def metered_flows(self) -> tuple[SeriesName, ...]:
        """The flow meters that its demand is known by."""
        if self.balance is not None:
            return (*self.balance.inflow_series, *self.balance.outflow_series)
        return () if self.flow_series is None else (self.flow_series,)


class PressureFloor(Document):
    """A node whose pressure must not fall below a floor."""

    node: str
    min_pressure_m: float


class PressureCeiling(Document):
    """A node whose pressure must not rise above a ceiling."""

    node: str
    max_pressure_m: float


class ScenarioTerms(Document):
    """Demands that may come instead of the expected one: equally likely paths of the forecast.

    Each errs as forecasts of a past day did, in all zones alike, so that what is wrong stays wrong for as long as it does in truth.
    """

    count: Annotated[int, Field(ge=2, le=200, description="How many")] = 20
    share: Annotated[float, Field(gt=0, le=1, description="Tank limits hold in at least this share of them when the plan is followed as it is")] = 0.9


class Operation(Document):
    """The network as it is operated: limits, pumps, zones and how plans are made."""

    network: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the EPANET INP file, as `levada network add` prints it")]
    tanks: Annotated[dict[str, TankSettings], Field(min_length=1)]
    pumps: Annotated[dict[str, PumpSettings], Field(min_length=1)]
    zones: Annotated[dict[str, Zone], Field(min_length=1)]
    pressure_floors: tuple[PressureFloor, ...] = ()
    pressure_ceilings: tuple[PressureCeiling, ...] = ()
    flow_limits: Annotated[dict[str, FlowLimit], Field(description="Link -> limits of its flow")] = Field(default_factory=dict)
    sources: Annotated[dict[str, SourceTerms], Field(description="Reservoir -> what its water costs, and limits of what is drawn")] = Field(default_factory=dict)
    valves: Annotated[dict[str, ValveTerms], Field(description="Pipe or valve -> what the plan may set it to")] = Field(default_factory=dict)
    max_simultaneous_starts: Annotated[int | None, Field(ge=1, description="Most pumps that start in one step; no limit when absent")] = None
    deviation_cost_per_h: Annotated[ClockValue | None, Field(description="Cost of an hour in which a pump is not as in the previous plan, while that has not expired; none when absent")] = None
    scenarios: Annotated[ScenarioTerms | None, Field(description="Demands that may come instead; the plan is for the expected one alone when absent")] = None
    relax_order: Annotated[
        tuple[str, ...] | None, Field(description=f"Kinds of limits, those that give way first named first, where not all can hold; kinds: {', '.join(LIMITS)}")
    ] = None
    step_minutes: Literal[15, 30, 60] = 60
    horizon_hours: Annotated[int, Field(ge=6, le=72)] = 24
    forecast_hours: Annotated[int, Field(ge=24, le=168)] = 48
    hydraulic_step_s: Annotated[int, Field(ge=60, le=3600)] = 900
    plan_valid_hours: Annotated[float, Field(gt=0, le=24, description="After this a plan must not be followed")] = 6.0
    max_data_age_minutes: Annotated[int, Field(gt=0, description="Levels older than this are too old to plan from")] = 180

    @model_validator(mode="after")
    def _horizon_within_forecast(self) -> Self:
        if self.horizon_hours > self.forecast_hours:
            raise ValueError(f"horizon_hours {self.horizon_hours} is longer than forecast_hours {self.forecast_hours}")
        return self

    @field_validator("relax_order")
    @classmethod
    def _kinds_are_known(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for kind in value or ():
            if kind not in LIMITS:
                raise ValueError(f"{kind!r} is no kind of limit; there are {', '.join(LIMITS)}")
        return value

    @field_validator("flow_limits")
    @classmethod
    def _flows_are_ordered(cls, value: dict[str, FlowLimit]) -> dict[str, FlowLimit]:
        for link, limit in value.items():
            if limit.min is not None and limit.max is not None and limit.min > limit.max:
                raise ValueError(f"{link}: min {limit.min} is above max {limit.max}")
        return value

    @field_validator("valves")
    @classmethod
    def _valves_begin_with_a_choice(cls, value: dict[str, ValveTerms]) -> dict[str, ValveTerms]:
        for link, terms in value.items():
            if terms.before is not None and terms.before not in terms.choices:
                raise ValueError(f"{link}: before {terms.before!r} is none of its choices")
        return value
