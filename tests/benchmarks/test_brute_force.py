"""The three ways to good schedules that share nothing with the search agree with one another."""

from itertools import product

import numpy as np
import pytest
from benchmarks.brute_force import enumerate_schedules, sample_schedules, states_of, table_of_volumes
from tests.benchmarks.quadratic_case import small

from levada.domain.pumping import PumpSchedule


def by_judge_alone() -> float:
    """Every sequence of counts, judged; pumps dealt out A before B."""
    posed = small(max_starts=np.array([6, 6]))
    best = np.inf
    for hours in product(range(3), repeat=6):
        on = np.array([[h >= 1, h >= 2] for h in hours])
        verdict = posed.judge(posed.problem, PumpSchedule(on=on, speed=on.astype(float)))
        if verdict.accepted:
            best = min(best, verdict.trajectory.cost)
    return best


def test_enumeration_finds_what_judging_every_schedule_finds() -> None:
    posed = small(max_starts=np.array([6, 6]))
    found = enumerate_schedules(posed.engine(posed.problem), posed.judge)
    assert found is not None
    assert found.cost == pytest.approx(by_judge_alone(), abs=1e-6)


def test_a_fine_table_of_volumes_finds_the_same_and_samples_nothing_cheaper() -> None:
    posed = small(max_starts=np.array([6, 6]))
    engine = posed.engine(posed.problem)
    best = enumerate_schedules(engine, posed.judge)
    table = table_of_volumes(engine, posed.judge, interval_m3=0.01)
    sampled = sample_schedules(engine, posed.judge, np.random.default_rng(3), count=500)
    assert best is not None
    assert table is not None
    assert sampled is not None
    assert table.cost == pytest.approx(best.cost, abs=1e-6)
    assert best.cost - 1e-6 <= sampled.cost <= 1.5 * best.cost


def test_start_limits_count_in_whole_schedules_and_outages_in_steps() -> None:
    free = small()
    posed = small(max_starts=np.array([1, 1]), available=np.array([[True, True]] * 5 + [[False, False]]))
    loose = enumerate_schedules(free.engine(free.problem), free.judge, twins=True)
    found = enumerate_schedules(posed.engine(posed.problem), posed.judge, twins=True)
    assert loose is not None
    assert found is not None
    assert found.cost >= loose.cost
    assert not found.schedule.on[5].any()
    assert found.schedule.starts("window", np.array([False, False])).max() <= 1


def test_nothing_is_found_where_no_schedule_can_be() -> None:
    posed = small(available=np.zeros((6, 2), bool))
    engine = posed.engine(posed.problem)
    assert enumerate_schedules(engine, posed.judge) is None
    assert table_of_volumes(engine, posed.judge) is None
    assert sample_schedules(engine, posed.judge, np.random.default_rng(0), count=50) is None


def test_states_are_off_and_each_speed_of_each_pump() -> None:
    posed = small(min_speed=np.array([0.8, 1.0]))
    assert states_of(posed.problem).shape == (4, 2)
    assert states_of(posed.problem, speeds=3).tolist() == [[a, b] for a in (0.0, 0.8, 0.9, 1.0) for b in (0.0, 1.0)]
