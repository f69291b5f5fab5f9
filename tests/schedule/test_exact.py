"""The exact search and its bound: against brute force, published optima and a plain reading of the dynamic programme."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from tests.schedule.feature_cases import with_valve
from tests.schedule.small_networks import Small

from benchmarks import anytown_modified
from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.hydraulics.audit import audit
from levada.hydraulics.compiled import library, pointer
from levada.hydraulics.simulate import Simulator
from levada.schedule import Progress, solve
from levada.schedule.joint import Histories, JointConfigurations
from levada.schedule.locks import Locks
from levada.schedule.plant import Plant
from levada.schedule.volume_bound import COMPILED, _Step

needs_data = pytest.mark.skipif(
    not anytown_modified.data_folder().exists(), reason=f"NO BENCHMARK DATA at {anytown_modified.data_folder()}: set LEVADA_BENCH_DATA to check published optima"
)


def best_of_all(problem: PumpingProblem) -> float:
    """The least cost of all on/off schedules, with all choices of valves, that the simulator finds nothing amiss with, starts and times included; inf where there is none."""
    simulator, best = Simulator(problem), np.inf
    n, pumps = problem.available.shape
    settings = [np.array(c, np.int64).reshape(n, -1) for c in product(*(range(len(v.choices)) for _ in range(n) for v in problem.valves))]
    for bits, choice in product(product((False, True), repeat=n * pumps), settings):
        on = np.array(bits).reshape(n, pumps)
        if (on & ~problem.available).any():
            continue
        found = simulator.run(PumpSchedule(on=on, speed=on.astype(float), valve_choice=choice))
        if not found.violations:
            best = min(best, found.cost)
    return best


CHANGES: dict[str, dict[str, object]] = {
    "one start in the window": {"max_starts": np.array([1, 1])},
    "one start counted periodically": {"max_starts": np.array([1, 1]), "count_starts": "periodic"},
    "least times": {"min_on_s": np.full(2, 7200.0), "min_off_s": np.full(2, 7200.0)},
    "wear and water that is worth something": {"wear_cost_per_start": np.full(2, 0.4), "stored_value_per_m3": np.array([0.02])},
    "a reserve in the evening": {"reserve_level_m": np.array([[0.5]] * 3 + [[2.6]] * 2)},
    "a band at the end": {"end_level_max_m": np.array([2.3])},
    "negative prices": {"prices": [0.1, -0.2, -0.1, 0.2, 0.1]},
    "an outage": {"available": np.array([[True, True]] * 2 + [[True, False]] * 2 + [[True, True]])},
    "two days": {"day": np.array([0, 0, 1, 1, 1]), "max_starts": np.array([1, 1]), "starts_made": np.array([1, 0])},
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_search_finds_the_best_of_all_schedules_and_no_bound_is_above_it(name: str) -> None:
    problem = Small().problem(n=5, **CHANGES[name])  # type: ignore[arg-type]
    best, solution = best_of_all(problem), solve(problem)
    assert np.isfinite(best), "the case has no feasible schedule, so it tests nothing"
    assert solution.feasible
    assert solution.certificate.cost == pytest.approx(best, rel=1e-4, abs=1e-6)
    assert solution.certificate.lower_bound is not None
    assert solution.certificate.lower_bound <= best + 1e-9
    assert best - solution.certificate.lower_bound <= 1e-3 * abs(best), "proved"
    assert audit(problem, solution.schedule).accepted


@pytest.mark.parametrize("count_starts", ["window", "periodic"])
def test_a_valve_that_the_plan_sets_is_searched_through_as_well(count_starts: str) -> None:
    small = Small(demand_l_per_s=38)
    plain = small.problem(n=4, prices=[0.1, 0.3, 0.1, 0.25], max_starts=np.full(2, 2), count_starts=count_starts)
    problem = with_valve(plain, small)
    best, solution = best_of_all(problem), solve(problem)
    assert best < 0.99 * best_of_all(plain), "the valve changes little, so the case tests nothing"
    assert solution.certificate.cost == pytest.approx(best, rel=1e-4)
    assert solution.certificate.lower_bound is not None
    assert 0.0 <= best - solution.certificate.lower_bound <= 1e-3 * best, "proved"
    assert audit(problem, solution.schedule).accepted


@needs_data
def test_a_search_that_is_told_to_stop_returns_what_it_has() -> None:
    told: list[Progress] = []

    def stop_at_the_first_schedule(p: Progress) -> bool:
        told.append(p)
        return p.cost is None

    solution = solve(anytown_modified.problem(3), progress=stop_at_the_first_schedule)
    assert solution.feasible
    assert told[-1].cost == pytest.approx(solution.certificate.cost)
    assert audit(anytown_modified.problem(3), solution.schedule).accepted


def test_the_same_problem_gives_the_same_bytes_with_two_threads() -> None:
    problem = Small().problem(n=8)
    first, second = solve(problem), solve(problem)
    assert first.certificate.model_dump_json() == second.certificate.model_dump_json()
    assert first.schedule.on.tobytes() == second.schedule.on.tobytes()


def test_a_backward_step_is_the_least_over_all_that_can_be_reached() -> None:
    rng = np.random.default_rng(3)
    cells_a, cells_b, used = 7, 2, 4
    histories = Histories.of(JointConfigurations(Plant(Small().problem())), 2)
    kinds, groups, count = histories.after.shape[1], len(histories.group_after), len(histories.last)
    shape = (groups, kinds, cells_a, cells_b)
    a0 = rng.integers(0, cells_a, shape).astype(np.int16)
    a1 = np.minimum(a0 + rng.integers(-1, 3, shape), cells_a - 1).astype(np.int16)
    b0 = rng.integers(0, cells_b, shape).astype(np.int8)
    b1 = np.maximum(b0, rng.integers(0, cells_b, shape)).astype(np.int8)
    cost = rng.uniform(-1, 5, shape).astype(np.float32)
    following = rng.integers(-1, used, (kinds, kinds, used)).astype(np.int32)
    extra = rng.uniform(0, 1, (kinds, kinds)).astype(np.float32)
    after = rng.uniform(0, 10, (count, cells_a * cells_b, used)).astype(np.float32)
    last, group, target = (np.ascontiguousarray(x, np.int32) for x in (histories.last, histories.group, histories.after))
    before = np.empty_like(after)
    step = _Step(kinds, cells_a, cells_b, used, *(pointer(x) for x in (last, group, target, a0, a1, b0, b1, cost, following, extra, after)))
    assert library(COMPILED).levada_cost_to_go(ctypes.byref(step), 0, count, pointer(before)) == 0
    view = after.reshape(count, cells_a, cells_b, used)
    for h, i, j, u in product(range(count), range(cells_a), range(cells_b), range(used)):
        least = np.inf
        for c in range(kinds):
            at = (group[h], c, i, j)
            nxt = following[last[h], c, u]
            reached = view[target[h, c], a0[at] : a1[at] + 1, b0[at] : b1[at] + 1, nxt] if nxt >= 0 else np.zeros(0)
            if reached.size:
                least = min(least, float(reached.min() + (cost[at] + extra[last[h], c])))
        assert before[h, i * cells_b + j, u] == pytest.approx(least, rel=1e-6)


def test_least_times_bar_a_count_that_would_stop_a_pump_just_started() -> None:
    problem = replace(Small().problem(n=6), min_on_s=np.full(2, 7200.0), min_off_s=np.full(2, 10800.0))
    plant = Plant(problem)
    joint = JointConfigurations(plant)
    locks = Locks(plant, joint)
    none, one, two = (joint.index_of(np.array([c]), np.zeros(0, np.int64)) for c in (0, 1, 2))
    assert locks.memory == 3
    recent = np.array([[one, none, none], [two, one, one], [one, one, none]])
    assert locks.allow(2, recent, np.array([none, one, none])).tolist() == [False, True, True]
    # A pump stopped two steps ago stays off for three hours: only one may run.
    assert locks.allow(3, np.array([[one, one, two]]), np.array([two])).tolist() == [False]
    assert locks.allow(4, np.array([[one, one, one]]), np.array([two])).tolist() == [True]
