"""The search led by values by tank: it comes near the best of all schedules, keeps what binds pumps, and what it simulates counts against the bound."""

from __future__ import annotations

import numpy as np
import pytest
from tests.schedule.relaxed import relaxed
from tests.schedule.small_networks import best_by_trying_all
from tests.schedule.two_tanks import two_tanks

from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.schedule.assignment import Fits
from levada.schedule.candidate import SEVERITY, Runner
from levada.schedule.first import full_cost
from levada.schedule.hull_fit import fitted
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Progress, Teller
from levada.schedule.tank_beam import Lead, search_by_tanks
from levada.schedule.tank_bound import ByTanks, bound_by_tanks


def _held(problem: PumpingProblem, schedule: PumpSchedule, cost: float) -> tuple[Plant, ByTanks]:
    plant, _, zones, relaxation = relaxed(problem)
    rng = np.random.default_rng(3)
    fit = fitted(plant, zones, rng, Work(hull_solves=2000), Teller(None, plant))
    assert fit is not None
    found = bound_by_tanks(plant, fit, relaxation.water, schedule, cost, rng, Work(tank_steps=12_000), 0.0, Teller(None, plant))
    assert found is not None
    return plant, found


def _led(plant: Plant, lead: Lead, cost: float, teller: Teller | None = None) -> PumpSchedule | None:
    return search_by_tanks(Runner(plant, Fits(plant)), lead, cost, SEVERITY * full_cost(plant), Work(quick_programmes=0), teller or Teller(None, plant))


@pytest.mark.parametrize("demand_l_per_s", [10.0, 16.0, 21.0])
@pytest.mark.parametrize("starts", [None, 2], ids=["any starts", "2 starts"])
def test_it_comes_to_the_best_of_all_schedules(demand_l_per_s: float, starts: int | None) -> None:
    problem = two_tanks(demand_l_per_s, **({} if starts is None else {"max_starts": np.full(3, starts)}))
    best = best_by_trying_all(problem)
    assert best is not None
    plant, by_tanks = _held(problem, best[1], best[0])
    schedule = _led(plant, by_tanks.lead(), best[0])
    assert schedule is not None
    found = plant.simulator.run(schedule)
    assert not found.violations
    assert best[0] - 1e-9 <= found.cost <= 1.01 * best[0]


def test_what_it_simulates_counts_against_the_bound() -> None:
    problem = two_tanks()
    best = best_by_trying_all(problem)
    assert best is not None
    plant, by_tanks = _held(problem, best[1], best[0])
    before = by_tanks.bound(best[0]).value
    _led(plant, by_tanks.lead(), best[0])
    after = by_tanks.bound(best[0]).value
    assert before is not None
    assert after is not None
    assert after <= before
    assert after <= best[0] + 1e-9


def test_where_no_configuration_was_seen_to_hold_there_is_no_schedule() -> None:
    problem = two_tanks()
    best = best_by_trying_all(problem)
    assert best is not None
    plant, by_tanks = _held(problem, best[1], best[0])
    lead = by_tanks.lead()
    lead.held[2] = False
    assert _led(plant, lead, best[0]) is None


@pytest.mark.parametrize("times", [1, 5])
def test_told_to_stop_it_ends_at_once(times: int) -> None:
    problem = two_tanks()
    best = best_by_trying_all(problem)
    assert best is not None
    plant, by_tanks = _held(problem, best[1], best[0])
    told: list[Progress] = []

    def stop(progress: Progress) -> bool:
        told.append(progress)
        return len(told) < times

    assert _led(plant, by_tanks.lead(), best[0], Teller(stop, plant)) is None
    assert len(told) == times
