"""The broad search under random subsets of all that a problem can ask: what it calls feasible the audit accepts, and its cost is the bill's."""

from itertools import product

import numpy as np
import pytest
from tests.schedule.feature_cases import random_problem, search_broadly

from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.hydraulics.audit import audit
from levada.schedule.assignment import Fits, to_pumps
from levada.schedule.candidate import Runner
from levada.schedule.plant import Plant


@pytest.mark.parametrize("seed", range(20))
def test_what_the_search_calls_feasible_the_audit_accepts_at_the_same_cost(seed: int) -> None:
    problem, asked = random_problem(seed)
    plant, found = search_broadly(problem)
    trajectory, verdict = plant.simulator.run(found.schedule), audit(problem, found.schedule)
    assert (not trajectory.violations) == verdict.accepted, (asked, verdict.trajectory.violations)
    assert (found.bound.cost < np.inf) == verdict.accepted
    if verdict.accepted:
        assert found.bound.cost == pytest.approx(trajectory.cost, rel=1e-5, abs=1e-5)
        assert verdict.trajectory.cost == pytest.approx(trajectory.cost, rel=1e-3, abs=1e-3)


def _best_of_all(problem: PumpingProblem) -> float:
    """The least cost of schedules of counts that hold, every one simulated side by side; full speed, valves at their first choice."""
    plant = Plant(problem)
    runner = Runner(plant, Fits(plant))
    sizes = [range(int(s) + 1) for s in plant.class_size]
    trials = []
    for picked in product(product(*sizes), repeat=plant.n):
        counts = np.array(picked, np.int64)
        if (counts <= plant.available).all() and (counts >= plant.forced).all() and runner.fits(counts):
            trials.append((counts, np.where(counts > 0, plant.top_speed, 0.0), runner.first_choices))
    found = runner.simulate_all(trials, worse_than=0.0, price=1.0) if trials else []
    return min((c.cost for c in found if c is not None and c.severity == 0), default=np.inf)


@pytest.mark.parametrize("seed", [33, 35, 44, 46, 70])
def test_the_search_comes_near_the_best_of_all_schedules(seed: int) -> None:
    problem, asked = random_problem(seed, most_steps=6, most_pumps=2)
    assert not {"valve", "speed"} & asked
    best = _best_of_all(problem)
    _, found = search_broadly(problem)
    assert np.isfinite(best), "the case has no feasible schedule, so it tests nothing"
    assert found.bound.cost <= best + 0.02 * abs(best)


def test_pumps_given_by_the_assignment_break_nothing_that_the_counts_did_not() -> None:
    problem, _ = random_problem(7)
    plant = Plant(problem)
    counts = np.clip(np.ones((plant.n, len(plant.classes)), np.int64), plant.forced, plant.available)
    schedule = to_pumps(plant, counts, np.where(counts > 0, plant.top_speed, 0.0))
    assert isinstance(schedule, PumpSchedule)
    assert not (schedule.on & ~problem.available).any()
