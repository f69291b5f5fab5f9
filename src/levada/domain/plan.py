"""A plan: a schedule that EPANET has confirmed, with what it costs, how good it is, why, and when it expires.

These documents are what the API gives, what is stored and what the screens draw. SI units inside; times in UTC.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from levada.domain.billing import Bill

__all__ = [
    "AuditReport",
    "BillReport",
    "Certificate",
    "Change",
    "ForecastReport",
    "Indicator",
    "Ladder",
    "LeftOut",
    "MeterBill",
    "Plan",
    "PlanResult",
    "PumpPlan",
    "Reason",
    "SpecialDay",
    "TankPlan",
    "ValvePlan",
    "ViolationReport",
    "ZoneForecast",
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ladder(StrEnum):
    """Which rung of the ladder a plan stands on. Always shown."""

    NEW = "new"
    """Computed now from current data."""
    PREVIOUS = "previous"
    """No new plan could be made: the last valid one, re-checked in EPANET against current levels."""
    RULES = "rules"
    """Neither could be had: what rule-based control (tank levels switch pumps) will do."""


class PumpPlan(_Part):
    """One pump. Lists have one value per step; flow and power are the means that the audit found."""

    name: str
    on: list[bool]
    speed: list[float]
    flow_m3_per_s: list[float]
    power_w: list[float]
    starts: int


class TankPlan(_Part):
    """One tank. `level_m` has one value more than there are steps: at the start and after each step."""

    name: str
    level_m: list[float]
    min_level_m: float
    max_level_m: float
    end_level_m: Annotated[float, Field(description="The least level asked for at the end")]
    end_level_max_m: Annotated[float | None, Field(description="The greatest level allowed at the end")] = None
    reserve_level_m: Annotated[list[float] | None, Field(description="Least level by step, where more is asked for than min_level_m")] = None
    ceiling_level_m: Annotated[list[float] | None, Field(description="Greatest level by step, where less is allowed than max_level_m")] = None


class ValvePlan(_Part):
    """A valve that the plan sets: its choice in each step."""

    link: str
    choice: list[Literal["open", "closed"] | float]


class MeterBill(_Part):
    """A meter: energy drawn from the grid less what export is paid, by step; its peak (mean of a step), and the charge on it."""

    name: str
    energy: list[float]
    peak_kw: float
    demand_charge: float


class BillReport(_Part):
    """What the plan costs, item by item, in the currency of the plan; `total` is their sum."""

    total: float
    energy: float
    demand_charge: float
    water: Annotated[float, Field(description="Water of sources that cost")]
    wear: Annotated[float, Field(description="Starts of pumps")]
    co2: float
    co2_kg: float
    deviation: Annotated[float, Field(description="Hours in which pumps are not as in the previous plan")]
    stored_water: Annotated[float, Field(description="Worth of the water that tanks hold less than at the start; negative where they hold more")]
    meters: list[MeterBill]

    @classmethod
    def of(cls, bill: Bill) -> Self:
        return cls(
            total=bill.total,
            energy=float(bill.energy.sum()),
            demand_charge=float(bill.demand_charge.sum()),
            water=float(bill.water.sum()),
            wear=float(bill.starts.sum()),
            co2=bill.co2,
            co2_kg=bill.co2_kg,
            deviation=bill.deviation,
            stored_water=bill.stored_water,
            meters=[
                MeterBill(name=name, energy=bill.energy[:, i].tolist(), peak_kw=float(bill.peak_kw[i]), demand_charge=float(bill.demand_charge[i]))
                for i, name in enumerate(bill.meters)
            ],
        )


class Certificate(_Part):
    """How good the schedule provably is. No schedule of the stated problem costs less than `lower_bound`."""

    cost: float
    lower_bound: Annotated[float | None, Field(description="None on the lower rungs of the ladder, where nothing was optimised")]
    gap: Annotated[float | None, Field(description="(cost - lower_bound) / cost, a fraction")]
    kind: Annotated[str, Field(description="`exact`, or `sampled`: valid up to margins that so many independent samples did not exceed; `none`")]
    method: str
    samples: int = 0
    work: Annotated[dict[str, int], Field(description="Deterministic work spent, such as nodes, iterations, simulations")] = {}


class ViolationReport(_Part):
    """A limit that does not hold, or one that had to be relaxed. `text` says it in English and UTC; the other fields say the same in figures."""

    limit: Annotated[str, Field(description="Kind of limit, such as `reserve`")]
    element: str
    at: Annotated[AwareDatetime | None, Field(description="When it begins; null where it is of the whole horizon")]
    amount: float
    unit: str
    text: str
    kind: Annotated[str, Field(description="What of it does not hold, such as `above` or `below`")] = ""
    until: Annotated[AwareDatetime | None, Field(description="When it ends; null for an instant")] = None


class AuditReport(_Part):
    """What EPANET says of the plan, by code that did not make it."""

    accepted: bool
    cost: float
    energy_kwh: float
    engine: str
    hydraulic_step_s: int
    violations: list[ViolationReport] = []


class Reason(_Part):
    """Why a pump is switched when it is. `text` says it in English; `cause`, `figures` and `binding_...` say the same in figures."""

    pump: str
    time: AwareDatetime
    action: str
    text: str
    figures: dict[str, float] = {}
    cause: Annotated[str, Field(description="`out of service`, `must run`, `water` (what a cubic metre costs and is worth) or `price` (beside the mean)")] = ""
    binding_limit: Annotated[str, Field(description="Kind of the limit that would fail first without this switch; empty where none would")] = ""
    binding_element: Annotated[str, Field(description="Where it would fail")] = ""


class LeftOut(_Part):
    """Readings that cannot be demand and were not used: `what` they are, how many, and the instants of the first and last."""

    what: Annotated[str, Field(description="`readings below zero`, `readings of a frozen sensor` or `spikes`")]
    count: int
    first: AwareDatetime
    last: AwareDatetime


class Change(_Part):
    """A lasting change of level that the forecast follows: since when, and the flow after over the flow before."""

    since: AwareDatetime
    ratio: float


class SpecialDay(_Part):
    """A local day of the horizon that is no ordinary one."""

    day: date
    sort: Annotated[str, Field(description="`holiday`, `bridge day`, `local day` or `clock change`")]
    name: str


class ZoneForecast(_Part):
    """Demand of one zone: quantiles of the mean flow over each forecast step; q10 <= q50 <= q90, none negative."""

    zone: str
    method: Annotated[str, Field(description="`ensemble`, `seasonal` or `network pattern`: the rung that could be reached")]
    q10_m3_per_s: list[float]
    q50_m3_per_s: list[float]
    q90_m3_per_s: list[float]
    notes: Annotated[list[str], Field(description="What was missing or assumed, in words")] = []
    members: Annotated[dict[str, float], Field(description="Share of each member in the median, together 1")] = {}
    special_days: list[SpecialDay] = []
    left_out: list[LeftOut] = []
    changes: list[Change] = []


class ForecastReport(_Part):
    """Demand ahead, per zone. `times` are the starts of the forecast's steps, each of `step_s`."""

    issue_time: AwareDatetime
    step_s: int
    times: list[AwareDatetime]
    zones: list[ZoneForecast]


class Plan(_Part):
    """What the pumps are to do. A promise with an expiry: it must not be followed after `expires_at`."""

    tenant_id: str
    issue_time: Annotated[AwareDatetime, Field(description="The plan uses what was known by then")]
    starts_at: AwareDatetime
    expires_at: AwareDatetime
    ladder: Ladder
    ladder_reason: str = ""
    currency: str
    step_starts: list[AwareDatetime]
    step_seconds: list[int]
    price_per_kwh: list[float]
    price_period: list[str]
    price_assumed: Annotated[list[bool], Field(description="True where no published price was known")]
    pumps: list[PumpPlan]
    tanks: list[TankPlan]
    valves: list[ValvePlan] = []
    demand_m3_per_s: Annotated[list[float], Field(description="All zones together, the expected demand that was planned for")]
    cost: float
    energy_kwh: float
    step_cost: Annotated[list[float], Field(description="Energy and water by step; what belongs to the plan as a whole is in `bill` only")]
    bill: Annotated[BillReport | None, Field(description="What it costs, item by item; absent in plans made before there were items")] = None
    certificate: Certificate
    audit: AuditReport
    reasons: list[Reason] = []
    flags: Annotated[list[str], Field(description="Whatever was filled, assumed, relaxed or left out, in words")] = []


class Indicator(_Part):
    """A key performance indicator, such as specific energy, over the plan's horizon or a past day."""

    name: str
    value: float
    unit: str
    description: str = ""


class PlanResult(_Part):
    """The result of a planning run: the same bundle and code give the same bytes of this document."""

    plan: Plan
    forecast: ForecastReport
    indicators: list[Indicator] = []
