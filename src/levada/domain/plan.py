"""A plan: a schedule that EPANET has confirmed, with what it costs, how good it is, why, and when it expires.

These documents are what the API gives, what is stored and what the screens draw. SI units inside; times in UTC.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

__all__ = [
    "AuditReport",
    "Certificate",
    "ForecastReport",
    "Indicator",
    "Ladder",
    "Plan",
    "PlanResult",
    "PumpPlan",
    "Reason",
    "TankPlan",
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
    """A limit that does not hold, or one that had to be relaxed."""

    limit: str
    element: str
    at: AwareDatetime | None
    amount: float
    unit: str
    text: str


class AuditReport(_Part):
    """What EPANET says of the plan, by code that did not make it."""

    accepted: bool
    cost: float
    energy_kwh: float
    engine: str
    hydraulic_step_s: int
    violations: list[ViolationReport] = []


class Reason(_Part):
    """Why a pump is switched when it is. `figures` holds the numbers that the text names."""

    pump: str
    time: AwareDatetime
    action: str
    text: str
    figures: dict[str, float] = {}


class ZoneForecast(_Part):
    """Demand of one zone: quantiles of the mean flow over each forecast step; q10 <= q50 <= q90, none negative."""

    zone: str
    method: Annotated[str, Field(description="`ensemble`, `seasonal` or `network pattern`: the rung that could be reached")]
    q10_m3_per_s: list[float]
    q50_m3_per_s: list[float]
    q90_m3_per_s: list[float]
    notes: list[str] = []


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
    demand_m3_per_s: Annotated[list[float], Field(description="All zones together, the expected demand that was planned for")]
    cost: float
    energy_kwh: float
    step_cost: list[float]
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
