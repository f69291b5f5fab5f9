"""case.toml: what a case file may hold. Each field says its meaning and unit; docs/reference/case.md is made from here.

Lengths, levels and pressures in m (of water), power in kW, volumes in m3, money in the case's currency; flows name their unit beside them.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from levada.cases.terms import Duration, FlowUnit, Part, Series, Span, When
from levada.domain.pumping_terms import LIMITS
from levada.domain.terms import FlowLimit, ValveTerms
from levada.domain.terms import SourceTerms as SharedSourceTerms

__all__ = ["DEFAULT", "CaseDocument", "Co2Terms", "Demand", "FlowLimit", "MeterTerms", "Pressure", "Previous", "PumpTerms", "ScenarioTerms", "SourceTerms", "TankTerms", "Tariff", "ValveTerms"]

DEFAULT = "default"
"""Name under [tanks] and [pumps] whose terms hold for all that do not say otherwise."""


class Tariff(Series):
    """Price of energy, per kWh: a number, a list with a price per step, or a table. `network = true` takes the INP's own [ENERGY] prices and patterns."""

    network: Annotated[bool, Field(description="Prices of the INP's [ENERGY] section; `factor` makes the currency of them, such as 0.01 for cents")] = False

    @classmethod
    def _kinds(cls) -> tuple[str, ...]:
        return (*super()._kinds(), "network")

    def _has(self, kind: str) -> bool:
        return self.network if kind == "network" else super()._has(kind)


class Demand(Part):
    """Water drawn: by the INP's patterns, or by a CSV with a column per junction or zone."""

    file: Annotated[str | None, Field(min_length=1, description="A CSV with a column `time` or `step` and a column per junction or zone; absent: the INP's patterns alone")] = None
    unit: Annotated[FlowUnit | None, Field(description="Of the file's flows. Required with `file`")] = None
    multiplier: Annotated[float, Field(ge=0, le=100, description="All demands are multiplied by it, the INP's own too")] = 1.0
    zones: Annotated[
        dict[str, list[str] | dict[str, float]],
        Field(description="Zone -> its junctions, which share the zone's flow by base demand, or junction -> its share"),
    ] = Field(default_factory=dict)
    others: Annotated[Literal["patterns", "zero"], Field(description="Junctions that the file says nothing of: by the INP's patterns, or nothing")] = "patterns"
    patterns_begin: Annotated[
        Literal["clock", "start"],
        Field(description="`clock`: the INP's Start ClockTime (midnight if it has none) is where patterns begin, read on the case's clock; `start`: they begin at the case's start"),
    ] = "clock"

    @model_validator(mode="after")
    def _file_has_unit(self) -> Self:
        if self.file is not None and self.unit is None:
            raise ValueError('`file` needs `unit`: "m3/s", "l/s", "m3/h" or "m3/d"')
        if self.unit is not None and self.file is None:
            raise ValueError("`unit` goes with `file` only; the INP has its own")
        if self.others == "zero" and self.file is None:
            raise ValueError("`others` goes with `file` only")
        return self


class ScenarioTerms(Part):
    """Demands that may come instead. Tank limits hold in at least `share` of them when the plan is followed as it is."""

    demands: Annotated[list[Demand], Field(min_length=1, max_length=200, description="Each with a file like [demand]'s (and its zones where it names none), or only a `multiplier` of the expected demand")]
    share: Annotated[float, Field(gt=0, le=1, description="A fraction of the scenarios")] = 0.9


class MeterTerms(Part):
    """Pumps that are billed together."""

    pumps: Annotated[list[str], Field(min_length=1, description="Their names")]
    tariff: Annotated[Tariff | None, Field(description="Price of energy here, per kWh; the case's `tariff` when absent")] = None
    contracted_kw: Annotated[float | None, Field(gt=0, description="Power that must not be exceeded, own power not taken off, kW")] = None
    demand_charge_per_kw: Annotated[float, Field(ge=0, description="On the highest mean power of a step drawn from the grid, per kW")] = 0.0
    peak_so_far_kw: Annotated[float, Field(ge=0, description="Highest power already reached in this billing period, kW; only what is above it is charged")] = 0.0
    own_power_kw: Annotated[Series | None, Field(description="Photovoltaic power on site, kW")] = None
    export_price_per_kwh: Annotated[Series | None, Field(description="Paid for own power that the pumps do not use, per kWh; absent: nothing")] = None


class TankTerms(Part):
    """A tank. Numbers are EPANET levels, m above the tank's elevation, or heads where `datum` says so."""

    datum: Annotated[Literal["level", "head"] | None, Field(description="What the numbers are: `level` (m above the tank's elevation; when absent) or `head` (m above the network's zero)")] = None
    initial: Annotated[float | None, Field(description="At the start, m; the INP's initial level when absent")] = None
    min: Annotated[float | None, Field(description="Least, at every instant, m; the INP's minimum level when absent")] = None
    max: Annotated[float | None, Field(description="Greatest, at every instant, m; the INP's maximum level when absent")] = None
    end: Annotated[
        float | list[float] | Literal[">= start", "free"] | None,
        Field(description='At the end: ">= start" (when absent), "free", a number (at least, m) or a band [least, greatest], m', union_mode="left_to_right"),
    ] = None
    value_per_m3: Annotated[float | None, Field(description="Worth of water left at the end, per m3; what the tank gains counts against the cost")] = None
    may_stand_full: Annotated[bool | None, Field(description="May stay at its maximum with its inlet shut by a float valve; false when absent")] = None
    reserve: Annotated[Series | None, Field(description="Least level by time, m, such as a fire reserve; where no period holds only `min` counts")] = None
    ceiling: Annotated[Series | None, Field(description="Greatest level by time, m; where no period holds only `max` counts")] = None

    @model_validator(mode="after")
    def _end_is_a_band(self) -> Self:
        if isinstance(self.end, list) and (len(self.end) != 2 or self.end[0] > self.end[1]):
            raise ValueError("`end` as a list is a band [least, greatest]")
        return self


class PumpTerms(Part):
    """A pump."""

    speed: Annotated[
        float | list[float] | None,
        Field(description="Relative speed: a number for a fixed-speed pump, [least, greatest] for a variable one; the INP's speed when absent, 1 for a pump that is closed there", union_mode="left_to_right"),
    ] = None
    max_starts: Annotated[int | None, Field(ge=0, le=10_000, description="Most starts in a day (see `days`); no limit when absent")] = None
    starts_made: Annotated[int | None, Field(ge=0, description="Starts already made in the first day; none when absent")] = None
    on_before: Annotated[bool | None, Field(description="Running just before the start; the INP's initial status when absent")] = None
    since: Annotated[When | None, Field(description="Since when it has been so; long enough for every limit when absent")] = None
    min_on: Annotated[Duration | None, Field(description="Least time that it stays on")] = None
    min_off: Annotated[Duration | None, Field(description="Least time that it stays off")] = None
    outages: Annotated[list[Span] | None, Field(max_length=1000, description="When it must not run; a step that an outage touches is out")] = None
    forced_on: Annotated[list[Span] | None, Field(max_length=1000, description="When it must run; a step that is touched is on throughout")] = None
    wear_per_start: Annotated[float | None, Field(ge=0, description="Cost of a start")] = None
    deviation_cost_per_h: Annotated[Series | None, Field(description="Cost of an hour in which it is not as in the previous plan; that of [previous] when absent")] = None
    run_hours: Annotated[float | None, Field(ge=0, description="Hours run so far, h: pumps that can be swapped are chosen so that these come together")] = None

    @model_validator(mode="after")
    def _speed_is_a_range(self) -> Self:
        speeds = self.speed if isinstance(self.speed, list) else [] if self.speed is None else [self.speed, self.speed]
        if self.speed is not None and (len(speeds) != 2 or not 0 < speeds[0] <= speeds[1] <= 2):
            raise ValueError("`speed` is a relative speed above 0 and at most 2 (1 = that of the head curve), or a range [least, greatest] of it")
        return self


class Pressure(Part):
    """Pressures at nodes, m of water, at every hydraulic solve."""

    floors: Annotated[dict[str, float], Field(description="Node -> least pressure, m of water")] = Field(default_factory=dict)
    ceilings: Annotated[dict[str, float], Field(description="Node -> greatest pressure, m of water")] = Field(default_factory=dict)
    floor_at_demands: Annotated[float | None, Field(description="Least pressure at each junction that has a demand and is not named in `floors`, m of water")] = None


class SourceTerms(SharedSourceTerms):
    """A reservoir that water is drawn from at a cost or within limits."""

    cost_per_m3: Annotated[Series | None, Field(description="Cost of its water, per m3")] = None
    max_volume_m3_per_day: Annotated[float | None, Field(gt=0, description="Most water in a day (see `days`), m3")] = None


class Co2Terms(Part):
    """Emissions of the energy drawn from the grid."""

    kg_per_kwh: Annotated[Series, Field(description="Of the grid's energy, kg/kWh")]
    price_per_kg: Annotated[float, Field(ge=0, description="Counts as a cost")] = 0.0
    max_kg: Annotated[float | None, Field(ge=0, description="Most over the horizon, kg")] = None


class Previous(Part):
    """The plan followed until now: the search begins from it, and leaving it can cost."""

    file: Annotated[str, Field(min_length=1, description="A schedule.csv; steps that it does not cover are free")]
    deviation_cost_per_h: Annotated[Series | None, Field(description="Cost of an hour in which a pump is not as in that plan; absent: none")] = None


class CaseDocument(Part):
    """A case: a network, a horizon, prices and limits. Only `network`, `start`, `tariff` and `horizon` (or `steps`) are required."""

    name: Annotated[str | None, Field(max_length=200, description="Title; the folder's name when absent")] = None
    network: Annotated[str, Field(min_length=1, description="The EPANET INP file, beside the case file or by its path")]
    start: Annotated[When, Field(description="Start of the first step; without an offset it is on the case's clock")]
    time_zone: Annotated[str | None, Field(description="IANA zone of the case's clock, such as Europe/Lisbon. Required where `start` has no offset; when absent the clock has the offset of `start`")] = None
    horizon: Annotated[Duration | None, Field(description="Length of the plan, such as `24h`")] = None
    step: Annotated[Duration | None, Field(description="Length of a step; `60min` when absent. Whole minutes")] = None
    steps: Annotated[list[Annotated[tuple[Duration, Annotated[int, Field(ge=1, le=5000)]], Field(strict=False)]] | None, Field(min_length=1, max_length=200, description='Uneven steps, instead of `step` and `horizon`: [["15min", 16], ["60min", 20]]')] = None
    hydraulic_step: Annotated[Duration | None, Field(description="EPANET's hydraulic time step: solves are at the beginning of each step and so often after it. When absent the longest that divides all steps and the INP's own")] = None
    also_hydraulic_steps: Annotated[list[Duration], Field(max_length=5, description="Hydraulic steps at which the limits must hold too, such as `10min`; costs are those at `hydraulic_step`. Goes with `switch_resolution`")] = Field(default_factory=list)
    switch_resolution: Annotated[Duration | None, Field(description="Pumps may be switched within steps too, at multiples of this from the start; whole minutes that divide every step. When absent at the beginning of a step only")] = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code")] = "EUR"
    days: Annotated[
        Literal["calendar", "start", "horizon"] | None,
        Field(description="What a day is for limits per day: `calendar`, from midnight to midnight on the case's clock; `start`, each 24 h from the start; `horizon`, all of it. `calendar` when absent, `horizon` where starts are counted periodically"),
    ] = None
    count_starts: Annotated[Literal["window", "periodic"], Field(description="`window`: the first step follows `on_before`; `periodic`: it follows the last one")] = "window"
    max_starts_total: Annotated[int | None, Field(ge=0, le=100_000, description="Most starts of all pumps together in a day (see `days`); no limit when absent")] = None
    max_simultaneous_starts: Annotated[int | None, Field(ge=1, description="Most pumps that start in one step; no limit when absent")] = None
    max_power_kw: Annotated[float | None, Field(gt=0, description="Electric power of all pumps together, kW; no limit when absent")] = None
    tariff: Annotated[Tariff, Field(description="Price of energy, per kWh")]
    demand: Annotated[Demand, Field(description="Water drawn; by the INP's patterns when absent")] = Demand()
    scenarios: Annotated[ScenarioTerms | None, Field(description="Demands that may come instead; none when absent")] = None
    meters: Annotated[dict[str, MeterTerms], Field(description="Name -> meter. Pumps of no meter share one without a demand charge")] = Field(default_factory=dict)
    tanks: Annotated[dict[str, TankTerms], Field(description="Tank -> its terms; `default` holds for what a tank does not say itself")] = Field(default_factory=dict)
    pumps: Annotated[dict[str, PumpTerms], Field(description="Pump -> its terms; `default` holds for what a pump does not say itself")] = Field(default_factory=dict)
    pressure: Annotated[Pressure, Field(description="Limits of pressure at nodes; none when absent")] = Pressure()
    flow_limits: Annotated[dict[str, FlowLimit], Field(description="Link -> limits of its flow")] = Field(default_factory=dict)
    sources: Annotated[dict[str, SourceTerms], Field(description="Reservoir -> its terms")] = Field(default_factory=dict)
    valves: Annotated[dict[str, ValveTerms], Field(description="Pipe or valve -> what the plan may set it to")] = Field(default_factory=dict)
    co2: Annotated[Co2Terms | None, Field(description="Emissions: their price and limit; not counted when absent")] = None
    previous: Annotated[Previous | None, Field(description="The plan followed until now; none when absent")] = None
    relax_order: Annotated[list[str] | None, Field(description=f"Kinds of limits, those that give way first named first, where not all can hold; kinds: {', '.join(LIMITS)}")] = None
    work: Annotated[dict[str, int | float | bool], Field(description="How much work the search may spend: the fields of levada.schedule.Work, such as `beam` and `seed`")] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_one_horizon(self) -> Self:
        if (self.horizon is None) == (self.steps is None):
            raise ValueError('needs `horizon` (with `step`), such as horizon = "24h", or a list `steps`, and not both')
        if self.also_hydraulic_steps and self.switch_resolution is None:
            raise ValueError("`also_hydraulic_steps` goes with `switch_resolution` only: searches on steps do not heed it")
        if self.steps is not None and self.step is not None:
            raise ValueError("`step` goes with `horizon`; `steps` says the lengths itself")
        return self
