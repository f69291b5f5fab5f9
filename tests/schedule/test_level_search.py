"""The search by the level of one tank: near the best that any speeds can do, and never beyond a limit."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpingProblem
from levada.domain.pumping_terms import Meter
from levada.hydraulics.audit import audit
from levada.schedule.assignment import Fits
from levada.schedule.level_search import ByLevel, search_by_level
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Teller
from levada.schedule.solve import solve


def _found(problem: PumpingProblem) -> tuple[Plant, ByLevel | None]:
    plant = Plant(problem)
    return plant, search_by_level(plant, np.random.default_rng(3), Fits(plant), Work(), Teller(None, plant))


def _best_of_many_speeds(plant: Plant, speeds: np.ndarray) -> float:
    """The least cost of one pump at these speeds or off, each way tried."""
    n, engine = plant.n, plant.simulator
    ways = np.array(list(product([0.0, *speeds], repeat=n)))
    volume, cost, holds = np.tile(engine.volumes(plant.problem.initial_level_m), (len(ways), 1)), np.zeros(len(ways)), np.ones(len(ways), bool)
    for k in range(n):
        steps = engine.steps(np.full(len(ways), k), volume, ways[:, k : k + 1], np.repeat(plant.first_choice, len(ways), axis=0))
        volume, cost, holds = steps.volume, cost + steps.cost, holds & (steps.severity == 0)
    holds &= (volume >= engine.end_volume).all(axis=1)
    return float(cost[holds].min())


def test_it_is_as_good_as_trying_many_speeds_and_its_bound_close_below() -> None:
    problem = Small(pumps=1, demand_l_per_s=13).problem(n=4, prices=[0.1, 0.3, 0.15, 0.2], min_speed=np.full(1, 0.8))
    plant, found = _found(problem)
    best = _best_of_many_speeds(plant, np.linspace(0.8, 1.0, 12))
    assert found is not None
    assert found.best is not None
    bound = found.bound().value
    assert bound is not None
    assert found.best.cost <= best
    assert 0.98 * best < bound <= found.best.cost


@pytest.mark.parametrize("may_stand_full", [False, True])
@pytest.mark.parametrize("prices", [[0.1, 0.12, 0.3, 0.25], [-0.1, 0.1, -0.05, 0.2]])
def test_what_it_finds_is_accepted_by_the_audit(may_stand_full: bool, prices: list[float]) -> None:
    problem = Small(demand_l_per_s=20).problem(
        n=8, prices=prices * 2, min_speed=np.full(2, 0.8), may_stand_full=np.full(1, may_stand_full), max_starts=np.full(2, 8)
    )
    _, found = _found(problem)
    assert found is not None
    assert found.schedule is not None
    assert found.best is not None
    verdict = audit(problem, found.schedule)
    assert verdict.accepted
    assert verdict.trajectory.cost == pytest.approx(found.best.cost, rel=2e-3)


def test_a_solve_with_variable_speeds_is_proved_by_it() -> None:
    problem = Small(demand_l_per_s=20).problem(n=12, min_speed=np.full(2, 0.8), max_starts=np.full(2, 12))
    solution = solve(problem)
    assert solution.feasible
    assert "level of the one tank" in solution.certificate.method
    assert solution.certificate.gap is not None
    assert solution.certificate.gap <= 0.02
    # Water in the tank is worth what pumping it costs, before the end asks for it.
    assert (solution.water_value_per_m3[1:-2] > 0).all()


def test_a_demand_charge_which_values_do_not_know_leads_to_the_search_for_any_plant() -> None:
    charged = (Meter(name="M", pumps=("P0", "P1"), demand_charge_per_kw=5.0),)
    problem = Small(demand_l_per_s=20).problem(n=6, min_speed=np.full(2, 0.8), max_starts=np.full(2, 6), meters=charged)
    _, found = _found(problem)
    assert found is not None
    assert found.best is not None
    assert solve(problem).certificate.cost < found.best.cost


def test_limits_of_starts_that_its_way_breaks_leave_it_without_a_schedule() -> None:
    problem = Small(demand_l_per_s=12).problem(n=8, prices=[0.1, 0.9] * 4, min_speed=np.full(2, 0.9), max_starts=np.full(2, 1))
    _, found = _found(problem)
    assert found is not None
    assert found.best is None
    assert solve(problem).feasible


def test_two_tanks_have_no_values() -> None:
    assert _found(Small(upper=True, demand_l_per_s=14).problem(n=4))[1] is None
