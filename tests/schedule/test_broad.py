"""The broad search where a rule binds: peaks, least times, valves, forced pumps, totals."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from tests.schedule.feature_cases import search_broadly, with_valve
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpingProblem, Trajectory
from levada.domain.pumping_terms import Meter
from levada.hydraulics.audit import audit
from levada.schedule.assignment import Fits
from levada.schedule.candidate import Runner
from levada.schedule.first import rules_within_starts
from levada.schedule.plant import Plant


def _solve(problem: PumpingProblem) -> tuple[Trajectory, np.ndarray]:
    _, found = search_broadly(problem)
    verdict = audit(problem, found.schedule)
    assert verdict.accepted, verdict.trajectory.violations
    return verdict.trajectory, found.schedule.on


def test_a_demand_charge_lowers_the_peak() -> None:
    fields: dict[str, Any] = {"n": 12, "max_starts": np.full(2, 6)}
    small = Small(demand_l_per_s=12)
    free, _ = _solve(small.problem(**fields))
    charged, _ = _solve(small.problem(**fields, meters=(Meter(name="M", pumps=("P0", "P1"), demand_charge_per_kw=2.0),)))
    assert charged.bill.peak_kw.max() < 0.8 * free.power_w.sum(axis=1).max() / 1000
    assert charged.cost < free.cost + 2.0 * free.power_w.sum(axis=1).max() / 1000


def test_least_times_hold_in_short_steps() -> None:
    fields: dict[str, Any] = {"n": 24, "minutes": 15, "hydraulic_step_s": 900, "prices": [0.1, 0.3] * 12}
    trajectory, on = _solve(Small(demand_l_per_s=10).problem(**fields, min_on_s=np.full(2, 3600.0), min_off_s=np.full(2, 2700.0), max_starts=np.full(2, 8)))
    assert on.any()
    assert not trajectory.violations


def test_a_forced_pump_runs() -> None:
    forced = np.zeros((6, 2), bool)
    forced[1:3, 1] = True
    _, on = _solve(Small(demand_l_per_s=9).problem(forced_on=forced))
    assert on[1:3, 1].all()


def test_a_valve_that_saves_energy_is_set_and_the_bound_knows_it() -> None:
    small = Small(demand_l_per_s=26)
    shut, _ = _solve(small.problem(n=12, max_starts=np.full(2, 6)))
    problem = with_valve(small.problem(n=12, max_starts=np.full(2, 6)), small)
    _, found = search_broadly(problem)
    verdict = audit(problem, found.schedule)
    assert verdict.accepted
    assert verdict.trajectory.cost < 0.99 * shut.cost
    assert found.schedule.valve_choice.any()
    assert found.bound.value is not None
    assert 0.9 * verdict.trajectory.cost < found.bound.value <= verdict.trajectory.cost


def test_the_bound_with_a_valve_is_below_every_schedule_of_pumps_and_valve() -> None:
    small = Small(demand_l_per_s=38)
    plain = small.problem(n=5, prices=[0.1, 0.3, 0.1, 0.25, 0.2], max_starts=np.full(2, 3))
    problem = with_valve(plain, small)
    plant, found = search_broadly(problem)
    runner = Runner(plant, Fits(plant))
    trials = []
    for picked in product(product(range(3), range(2)), repeat=5):
        counts, choices = (np.array(column, np.int64)[:, None] for column in zip(*picked, strict=True))
        if runner.fits(counts):
            trials.append((counts, np.where(counts > 0, 1.0, 0.0), choices))
    best = min(c.cost for c in runner.simulate_all(trials, worse_than=0.0, price=1.0) if c is not None and c.severity == 0)
    assert found.bound.cost == pytest.approx(best, rel=1e-6)
    assert found.bound.value is not None
    assert found.bound.value <= best
    _, without = search_broadly(plain)
    assert without.bound.value is not None
    assert without.bound.value > best, "the valve changes little, so the case tests nothing"


def test_a_limit_of_emissions_is_kept_at_some_cost() -> None:
    co2 = np.array([0.5, 0.5, 0.1, 0.1, 0.5, 0.5] * 2)
    fields: dict[str, Any] = {"n": 12, "prices": [0.1, 0.1, 0.3, 0.3, 0.1, 0.1] * 2, "co2_kg_per_kwh": co2, "max_starts": np.full(2, 6)}
    free, _ = _solve(Small().problem(**fields))
    tight, _ = _solve(Small().problem(**fields, max_co2_kg=0.85 * free.bill.co2_kg))
    assert tight.bill.co2_kg <= 0.85 * free.bill.co2_kg
    assert tight.cost >= free.cost - 1e-9


def test_water_worth_more_than_it_costs_is_stored() -> None:
    plain, _ = _solve(Small(demand_l_per_s=12).problem())
    worth, _ = _solve(Small(demand_l_per_s=12).problem(stored_value_per_m3=np.array([1.0])))
    assert worth.level_m[-1, 0] > plain.level_m[-1, 0] + 0.5


def test_rules_are_made_to_fit_what_binds_the_pumps() -> None:
    problem = Small().problem(n=24, max_starts=np.full(2, 1), min_off_s=np.full(2, 10800.0))
    plant = Plant(problem)
    schedule = rules_within_starts(plant, Fits(plant))
    assert not {v.limit for v in plant.simulator.run(schedule).violations} & {"starts", "off time", "availability"}
