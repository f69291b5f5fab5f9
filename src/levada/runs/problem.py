"""From what is known and the forecast to what is asked of the pumps. Whatever is assumed or relaxed on the way is told in `flags`.

| of the problem | rule | where |
|---|---|---|
| demand | a zone's expected flow (the forecast's median), split over its junctions by base demand; junctions of no zone follow the network's own patterns on the tenant's clock; scenarios by the forecast's paths | demand.py |
| initial level | the usable reading nearest to the start | tank_fields.py |
| limits, reserve, ceiling | those of the operation document; where a tank already stands outside them, opened to its level and a little more: limits throughout, reserve and ceiling until they next let the tank be | tank_fields.py |
| end level | as the document says; by default the level at the start, or the lower limit where the tank stands below it, at most 0.9 of the way up: a tank asked to end full could only be full at that very instant | tank_fields.py |
| running before, and since when | the latest status reading, else the plan that is followed, else the network's initial status, for long enough | pump_fields.py |
| starts | a limit for each day from midnight to midnight on the tenant's clock; those that the status readings tell of today are already made | pump_fields.py |
| the plan followed until now | what an hour of leaving it costs, as far as it reaches | pump_fields.py |
| prices, meters, emissions | as contracted, period by period on the tenant's clock; readings where they tell of what is to come; the peak that the billing period has already had | contract_fields.py |
| days | the tenant's, of 23, 24 or 25 hours: for starts and for water drawn from a source | here |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta

import numpy as np

from levada.domain.network import Network
from levada.domain.plan import ForecastReport
from levada.domain.plan_input import PlanInput
from levada.domain.pumping import PumpingProblem
from levada.domain.pumping_terms import RELAX_ORDER, ControllableValve, Source
from levada.domain.series import Floats
from levada.domain.tariff import EnergyPrices
from levada.domain.terms import FlowLimit, flow_factor
from levada.domain.time import Steps
from levada.runs.contract_fields import contract_fields
from levada.runs.demand import demand_scenarios, junction_demands
from levada.runs.horizon import Horizon
from levada.runs.pump_fields import deviation, pump_fields
from levada.runs.tank_fields import tank_fields

__all__ = ["StatedProblem", "state_problem"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StatedProblem:
    """The problem, the prices behind it, and in words whatever was assumed or relaxed to state it."""

    problem: PumpingProblem
    prices: EnergyPrices
    flags: tuple[str, ...]


def state_problem(
    inputs: PlanInput, network: Network, steps: Steps, forecast: ForecastReport, holidays: Mapping[date, str], *, paths: Floats | None = None
) -> StatedProblem:
    """State the scheduling problem of a planning run. `paths`: the forecast's (paths, zones, steps), where scenarios are asked for.

    Raises InputGap for a tank without a usable level or a tariff without a price, DocumentError where a setting cannot be meant,
    ProblemError where the settings contradict each other.
    """
    horizon, operation = Horizon(inputs=inputs, network=network, steps=steps, holidays=holidays), inputs.operation
    contract = contract_fields(horizon)
    tanks, tank_flags = tank_fields(horizon)
    pumps, pump_flags = pump_fields(horizon)
    sources, source_flags = _sources(horizon)
    valves = _valves(horizon)
    previous_on, deviation_cost = deviation(horizon, valves)
    problem = PumpingProblem(
        network=network,
        steps=steps,
        demand_m3_per_s=junction_demands(inputs, network, steps, forecast),
        price_per_kwh=contract.price_per_kwh,
        **{field.name: getattr(tanks, field.name) for field in fields(tanks)},
        **{field.name: getattr(pumps, field.name) for field in fields(pumps)},
        pressure_floors_m={floor.node: floor.min_pressure_m for floor in operation.pressure_floors},
        pressure_ceilings_m={ceiling.node: ceiling.max_pressure_m for ceiling in operation.pressure_ceilings},
        flow_limits_m3_per_s={link: _flow_range(limit) for link, limit in operation.flow_limits.items()},
        count_starts="window",
        max_power_kw=contract.max_power_kw,
        hydraulic_step_s=operation.hydraulic_step_s,
        meters=contract.meters,
        sources=sources,
        valves=valves,
        co2_kg_per_kwh=contract.co2_kg_per_kwh,
        co2_price_per_kg=contract.co2_price_per_kg,
        max_co2_kg=contract.max_co2_kg,
        day=horizon.timeline.days(),
        max_simultaneous_starts=operation.max_simultaneous_starts,
        previous_on=previous_on,
        deviation_cost_per_h=deviation_cost,
        scenarios=None if paths is None else demand_scenarios(inputs, network, steps, forecast, paths),
        relax_order=RELAX_ORDER if operation.relax_order is None else operation.relax_order,
    )
    return StatedProblem(problem=problem, prices=contract.prices, flags=(*contract.flags, *tank_flags, *pump_flags, *source_flags))


def _flow_range(limit: FlowLimit) -> tuple[float, float]:
    factor = flow_factor(limit.unit)
    return -np.inf if limit.min is None else limit.min * factor, np.inf if limit.max is None else limit.max * factor


def _sources(horizon: Horizon) -> tuple[tuple[Source, ...], list[str]]:
    sources, flags = [], list[str]()
    for name, terms in horizon.inputs.operation.sources.items():
        sources.append(Source(
            reservoir=name,
            cost_per_m3=None if terms.cost_per_m3 is None else horizon.over_steps(terms.cost_per_m3, "operation", f"sources.{name}.cost_per_m3"),
            max_flow_m3_per_s=None if terms.max_flow is None or terms.unit is None else terms.max_flow * flow_factor(terms.unit),
            max_volume_m3_per_day=terms.max_volume_m3_per_day,
        ))  # fmt: skip
        if terms.max_volume_m3_per_day is not None and horizon.steps.start - horizon.local_day_start > timedelta(0):
            flags.append(f"source {name}: what was drawn today before the plan's start does not count against its {terms.max_volume_m3_per_day:g} m3 per day")
    return tuple(sources), flags


def _valves(horizon: Horizon) -> tuple[ControllableValve, ...]:
    """A valve stands as the plan that is followed has it, else as the settings say."""
    plan, found = horizon.followed, []
    planned = {} if plan is None else {valve.link: valve.choice for valve in plan.valves}
    for link, terms in horizon.inputs.operation.valves.items():
        before = terms.choices[0] if terms.before is None else terms.before
        if plan is not None and link in planned:
            now = planned[link][max(i for i, at in enumerate(plan.step_starts) if at <= horizon.inputs.issue_time)]
            before = now if now in terms.choices else before
        found.append(ControllableValve(link=link, choices=tuple(terms.choices), initial=terms.choices.index(before)))
    return tuple(found)
