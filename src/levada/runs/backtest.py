"""History as a test bed: the decisions of past days made again by one version or two, and what would have come of them.

A day goes from its first decision to the next day's first one. It begins with levels as they were measured; from then on each version lives with what
its own plans have led to (lived.py), while demand and prices are those that came (outcome.py). So days do not depend on each other: they are done
side by side, and a version's day is compared with the other's from the same beginning.

What a decision knew is a query: documents, models, readings as of its issue time. History that was loaded in bulk was known to nobody at the time: for
that `on_time` takes each reading as known at the instant that it is for; what is told ahead, as prices are, then counts as told early enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np

from levada.domain.calendar import holidays_in
from levada.domain.errors import LevadaError
from levada.domain.network import Network
from levada.domain.plan import ForecastReport, Plan, PlanResult
from levada.domain.plan_input import PlanInput
from levada.domain.run import RunKind
from levada.domain.series import Readings
from levada.domain.settings import Timetable
from levada.domain.time import Window, local_midnight, zone
from levada.forecast.grid import even_steps, usual_interval_s
from levada.hydraulics.inp import read_network
from levada.runs.child import ComputeChild
from levada.runs.contender import Contender
from levada.runs.day_kind import DayKind, kind_of
from levada.runs.due import due_between
from levada.runs.freeze import Stated, known_readings, require_fresh_levels, stated_at
from levada.runs.limits import RunLimits
from levada.runs.lived import as_lived, with_flows
from levada.runs.outcome import Followed, Outcome, OutcomeViolation, outcome_bundle
from levada.runs.steps import HISTORY_DAYS, MODEL_HISTORY_DAYS
from levada.runs.zones import zone_demands
from levada.store.database import Database, TenantConnection
from levada.store.documents import find_document
from levada.store.models import current_models
from levada.store.plans import current_plan
from levada.store.series import oldest

__all__ = ["Asked", "DayResult", "Decision", "ForecastScore", "TriedDay", "backtest", "days_known"]

EVERY = timedelta(hours=4)
"""Where the timetable names no times for plans, a decision is made so often."""

_LEAST_HISTORY = timedelta(days=14)
"""A day can be tried from so long after the first measurement on: before, there is nothing to forecast from."""

_SCORED = timedelta(hours=24)
"""Forecasts are scored over so much of what they tell, as far as it was measured."""

_PATIENT = RunLimits(timeout_s=3600.0, cpu_s=3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be tried: versions, of which the first is the one to compare with; days on the tenant's clock; `every`: in place of the timetable; `now`: what
    has become known by then counts as what came."""

    versions: tuple[Contender, ...]
    days: tuple[date, ...]
    now: datetime
    every: timedelta | None = None
    on_time: bool = False
    workers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastScore:
    """Of forecast steps with a measurement: how many, sums of what was drawn, of errors and of their sizes (m3/s), and how many lay within the 80 % band."""

    steps: int = 0
    drawn: float = 0.0
    error: float = 0.0
    size: float = 0.0
    within: int = 0

    def __add__(self, other: ForecastScore) -> ForecastScore:
        return ForecastScore(
            steps=self.steps + other.steps, drawn=self.drawn + other.drawn, error=self.error + other.error, size=self.size + other.size, within=self.within + other.within
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision made again: its rung of the ladder and what computing it took, or why there is no plan."""

    issue_time: datetime
    ladder: str | None
    failure: str | None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DayResult:
    """A version's day. Costs as in Outcome; `failure`: why nothing can be said of the day at all, the figures being 0 then."""

    decisions: tuple[Decision, ...] = ()
    forecast: ForecastScore = ForecastScore()
    cost: float = 0.0
    energy_kwh: float = 0.0
    demand_m3: float = 0.0
    stored_m3: float = 0.0
    starts: int = 0
    by_rules_s: int = 0
    violations: tuple[OutcomeViolation, ...] = ()
    failure: str | None = None

    @property
    def failures(self) -> tuple[str, ...]:
        """Whatever failed, in words."""
        return (*((self.failure,) if self.failure else ()), *(f"{d.issue_time:%H:%M} UTC: {d.failure}" for d in self.decisions if d.failure))

    @property
    def cpu_s(self) -> float:
        return sum(d.cpu_s for d in self.decisions)

    @property
    def peak_memory_bytes(self) -> int:
        return max((d.peak_memory_bytes for d in self.decisions), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedDay:
    """A day of a tenant: `results` in the order of the versions."""

    day: date
    kind: DayKind
    results: tuple[DayResult, ...]


async def days_known(database: Database, tenant_id: str, now: datetime) -> list[date]:
    """The local days that can be tried: whole ones, measured to their end, with history before them. Raises InputGap where a document is missing."""
    async with database.tenant(tenant_id) as db:
        stated = await stated_at(db)
        levels = [tank.level_series for tank in stated.operation.tanks.values()]
        begun = await oldest(db, levels)
    if set(begun) != set(levels):
        return []
    tz = zone(stated.utility.time_zone)
    first, end = (max(begun.values()) + _LEAST_HISTORY).astimezone(tz).date() + timedelta(days=1), now.astimezone(tz).date()
    # The last decision of a day leads into the next one, which must be there too.
    return [first + timedelta(days=i) for i in range((end - first).days - 1)]


async def backtest(
    database: Database, tenant_id: str, asked: Asked, told: Callable[[TriedDay], None] = lambda _: None, seats: asyncio.Semaphore | None = None
) -> list[TriedDay]:
    """Try the versions on each day, `asked.workers` days at a time; `told` is called for each day that is done. Never raises for what a version or a day does.

    `seats`: shared by backtests of several utilities side by side: each worker takes one for as long as its utility has days that wait, so that the
    last days of one utility and the first of the next are computed together.

    Raises InputGap where a document is missing, DocumentError where one does not hold.
    """
    async with database.tenant(tenant_id) as db:
        utility = (await stated_at(db)).utility
    tz = zone(utility.time_zone)
    first, last = min(asked.days), max(asked.days)
    holidays = holidays_in(utility, Window(local_midnight(first, tz), local_midnight(last + timedelta(days=1), tz)))
    waiting, done = list(asked.days), list[TriedDay]()
    seats = seats or asyncio.Semaphore(asked.workers)

    async def work() -> None:
        async with seats:
            await work_seated()

    async def work_seated() -> None:
        children, judge = [version.child() for version in asked.versions], ComputeChild("levada.runs.outcome:compute")
        try:
            while waiting:
                day = waiting.pop(0)
                past = _Past(database, tenant_id, asked, day, judge)
                tried = TriedDay(day=day, kind=kind_of(day, tz, holidays), results=tuple([await past.lived_by(child) for child in children]))
                done.append(tried)
                told(tried)
        finally:
            await asyncio.gather(*(child.close() for child in (*children, judge)))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(asked.workers, len(waiting))):
            group.create_task(work())
    return sorted(done, key=lambda tried: tried.day)


class _Past:
    """One day of a tenant."""

    def __init__(self, database: Database, tenant_id: str, asked: Asked, day: date, judge: ComputeChild) -> None:
        self._database, self._tenant_id, self._asked, self._day, self._judge = database, tenant_id, asked, day, judge

    async def lived_by(self, child: ComputeChild) -> DayResult:
        """What a version makes of the day; whatever goes wrong is told in it."""
        try:
            return await self._lived_by(child)
        except LevadaError as e:
            return DayResult(failure=str(e))

    async def _lived_by(self, child: ComputeChild) -> DayResult:
        async with self._database.tenant(self._tenant_id) as db:
            times = await self._decision_times(db)
            begin, stated, network = await self._begun(db, times[0])
            drawn = await self._drawn(db, stated, network, times)
        plan, outcome = begin.previous_plan, None
        followed, decisions, score = list[Followed](), list[Decision](), ForecastScore()
        for at, until in pairwise(times):
            decision, result = await self._decided(child, at, outcome, plan)
            decisions.append(decision)
            if result is not None:
                plan = result.plan
                score += _score(result.forecast, drawn)
            if result is not None or not followed:
                followed.append(Followed(since=at, plan=plan))
            outcome = Outcome.model_validate_json((await self._judge.compute(outcome_bundle(begin, drawn, followed, until), _PATIENT)).result)
        assert outcome is not None
        return DayResult(
            decisions=tuple(decisions), forecast=score, cost=outcome.cost, energy_kwh=outcome.energy_kwh, demand_m3=outcome.demand_m3, stored_m3=outcome.stored_m3,
            starts=outcome.starts, by_rules_s=outcome.by_rules_s, violations=tuple(outcome.violations),
        )  # fmt: skip

    async def _decision_times(self, db: TenantConnection) -> list[datetime]:
        """Instants of the day's decisions, and of the next day's first one."""
        stated = await stated_at(db)
        tz = zone(stated.utility.time_zone)
        start, end, after = (local_midnight(self._day + timedelta(days=i), tz) for i in range(3))
        timetable, every = await find_document(db, "timetable"), self._asked.every
        found: list[datetime] = []
        if every is None and isinstance(timetable, Timetable):
            just_before = start - timedelta(microseconds=1)
            found = sorted({due.at for due in due_between(timetable.entries, stated.utility.time_zone, just_before, after) if due.kind is RunKind.PLAN})
        if not any(start <= at < end for at in found):
            step = every or EVERY
            found = [start + i * step for i in range(-(-(end - start) // step))] + [end]
        inside = [at for at in found if start <= at < end]
        return [*inside, next((at for at in found if at >= end), end + (inside[0] - start))]

    async def _begun(self, db: TenantConnection, at: datetime) -> tuple[PlanInput, Stated, Network]:
        """How things stood at the day's first decision, with the prices as they came."""
        inputs, stated, network = await self._known(db, at, known_at=self._asked.now)
        return inputs, stated, network

    async def _known(self, db: TenantConnection, at: datetime, *, known_at: datetime) -> tuple[PlanInput, Stated, Network]:
        stated, models, previous = await stated_at(db, at), await current_models(db, at), await current_plan(db, at)
        readings = await known_readings(db, stated, at, HISTORY_DAYS if models is None else MODEL_HISTORY_DAYS, known_at=known_at)
        network = read_network(stated.inp, stated.operation.network)
        inputs = PlanInput(
            tenant_id=self._tenant_id, issue_time=at, utility=stated.utility, tariff=stated.tariff, operation=stated.operation, inp=stated.inp, readings=readings,
            previous_plan=None if previous is None else previous.plan, models=models,
        )  # fmt: skip
        return with_flows(inputs, network), stated, network

    async def _drawn(self, db: TenantConnection, stated: Stated, network: Network, times: Sequence[datetime]) -> dict[str, Readings]:
        """What zones drew on the day and before, and as far after it as forecasts are scored."""
        until = min(times[-1] + _SCORED, self._asked.now)
        readings = await known_readings(db, stated, until, (until - times[0]).days + 2, known_at=self._asked.now)
        return zone_demands(stated.operation, network, readings, until)

    async def _decided(self, child: ComputeChild, at: datetime, outcome: Outcome | None, previous: Plan | None) -> tuple[Decision, PlanResult | None]:
        try:
            async with self._database.tenant(self._tenant_id) as db:
                known, stated, _ = await self._known(db, at, known_at=self._asked.now if self._asked.on_time else at)
            inputs = as_lived(known, outcome, previous)
            require_fresh_levels(stated.operation, inputs.readings, at)
            computed = await child.compute(inputs.to_bundle(), _PATIENT)
            result = PlanResult.model_validate_json(computed.result)
        except LevadaError as e:
            return Decision(issue_time=at, ladder=None, failure=str(e)), None
        except ValueError as e:  # pydantic's ValidationError
            return Decision(issue_time=at, ladder=None, failure=f"its result cannot be read by this version: {' '.join(str(e).split())[:300]}"), None
        took = Decision(
            issue_time=at, ladder=result.plan.ladder.value, failure=None, wall_s=computed.wall_s, cpu_s=computed.cpu_s, peak_memory_bytes=computed.peak_memory_bytes
        )
        return took, result


def _score(forecast: ForecastReport, drawn: dict[str, Readings]) -> ForecastScore:
    n = min(len(forecast.times), int(_SCORED.total_seconds() // forecast.step_s))
    start, step = forecast.times[0], timedelta(seconds=forecast.step_s)
    total = ForecastScore()
    for area in forecast.zones:
        readings = drawn.get(area.zone, Readings.empty()).usable()
        flow = np.full(n, np.nan)
        found = even_steps(readings, usual_interval_s(readings), start + n * step, forecast.step_s)[-n:]
        flow[n - len(found) :] = found
        known = ~np.isnan(flow)
        q10, q50, q90 = (np.array(q[:n])[known] for q in (area.q10_m3_per_s, area.q50_m3_per_s, area.q90_m3_per_s))
        came = flow[known]
        error = q50 - came
        total += ForecastScore(
            steps=int(known.sum()), drawn=float(came.sum()), error=float(error.sum()), size=float(np.abs(error).sum()), within=int(((q10 <= came) & (came <= q90)).sum())
        )
    return total
