"""GOPS's CSV networks are read rightly: the published optima come out of a table of volumes that knows nothing of our search."""

import numpy as np
import pytest
from benchmarks.brute_force import table_of_volumes
from benchmarks.cases import gops
from benchmarks.cases.case import Posed, networks_folder, required

from levada.domain.pumping import PumpSchedule

pytestmark = pytest.mark.skipif(
    not (networks_folder() / gops.SIMPLE).exists(), reason=f"NO BENCHMARK DATA at {networks_folder()}: set LEVADA_BENCH_DATA to compare with published optima"
)


@pytest.mark.parametrize("day", [1, 2, 3, 4, 5])
def test_simple_fsd_has_the_published_optimum_of_each_day(day: int) -> None:
    case = next(c for c in gops.simple_cases() if c.name == f"GOPS Simple FSD T=24 day {day}")
    posed = case.pose()
    found = table_of_volumes(posed.engine(posed.problem), posed.judge)
    assert found is not None
    assert round(found.cost, 1) == case.published


@pytest.mark.parametrize("day", [1, 2, 3, 4, 5])
def test_anytown_in_twelve_steps_has_the_published_optimum_of_each_day(day: int) -> None:
    case = next(c for c in gops.anytown_cases() if c.name == f"GOPS Anytown T=12 day {day}")
    posed = case.pose()
    found = table_of_volumes(posed.engine(posed.problem), posed.judge, interval_m3=30, worth_per_m3=0.022)
    assert found is not None
    # Published to one decimal and to the solver's own tolerance of 1e-4 or so.
    assert found.cost == pytest.approx(case.published, abs=0.07)


def best_count_path_with_runs_of_two_steps(posed: Posed, interval_m3: float) -> float:
    """Cheapest way through (volume, pumps running, of these just started): who has started goes on for another step. Costs as the engine says."""
    problem, engine = posed.problem, posed.engine(posed.problem)
    n, pumps = problem.available.shape
    volume, cost = engine.volumes(problem.initial_level_m)[None], np.zeros(1)
    running, fresh = np.array([pumps]), np.array([0])  # all were on before the start, long enough
    for k in range(n):
        parent, count = np.repeat(np.arange(len(cost)), pumps + 1), np.tile(np.arange(pumps + 1), len(cost))
        speed = (np.arange(pumps) < count[:, None]).astype(float)
        step = engine.steps(np.full(len(parent), k), volume[parent], speed, np.zeros((len(parent), 0), np.int64))
        holds = (step.severity <= 0) & (count >= fresh[parent])
        if k == n - 1:
            holds &= (step.volume >= engine.end_volume - 1e-6).all(axis=1)
        started = np.maximum(count - running[parent], 0)
        total = cost[parent] + step.cost
        place = np.stack([np.floor(step.volume[:, 0] / interval_m3), count, started])[:, holds]
        order = np.lexsort((total[holds], *place))
        rows = np.flatnonzero(holds)[order][np.concatenate([[True], (np.diff(place[:, order], axis=1) != 0).any(axis=0)])]
        volume, cost, running, fresh = step.volume[rows], total[rows], count[rows], started[rows]
    return float(cost.min())


@pytest.mark.parametrize("day", [1, 2, 3, 4, 5])
def test_simple_fsd_in_half_hours_has_the_published_cost_of_each_day(day: int) -> None:
    case = next(c for c in gops.simple_cases() if c.name == f"GOPS Simple FSD T=48 day {day}")
    # Published as within 0.2 to 0.9 % of the optimum: they were all but optimal.
    assert best_count_path_with_runs_of_two_steps(case.pose(), 0.7) == pytest.approx(case.published, abs=0.1)


def test_simple_fsd_in_twelve_steps_has_no_schedule_as_published() -> None:
    case = next(c for c in gops.simple_cases() if "T=12 day 1" in c.name)
    posed = case.pose()
    assert case.what == "infeasible"
    assert table_of_volumes(posed.engine(posed.problem), posed.judge) is None


def test_units_become_si_and_prices_per_kwh() -> None:
    posed = next(c for c in gops.simple_cases() if "FSD T=24 day 1" in c.name).pose()
    problem = posed.problem
    assert problem.demand_m3_per_s[0].tolist() == pytest.approx([0.4 * 0.158, 0.0])
    assert problem.price_per_kwh[0, 0] == pytest.approx(0.04968)
    assert problem.initial_level_m == pytest.approx([42 / 70])
    assert problem.max_level_m == pytest.approx([7.0])
    assert {p.start_node for p in problem.network.pumps} == {"R"}


def test_half_hour_steps_ask_for_runs_of_an_hour_and_rows_are_taken_not_averaged() -> None:
    where = required(gops.SIMPLE)
    read, day = gops.read_gops(where), gops.profile_days(where / "Profile_5d_30m.csv")[0]
    half, hour = gops.pose(read, day, 48).problem, gops.pose(read, day, 24).problem
    assert half.min_on_s is not None
    assert half.min_on_s.tolist() == [3600.0] * 3
    assert hour.min_on_s is None
    assert hour.demand_m3_per_s == pytest.approx(half.demand_m3_per_s[::2])


@pytest.mark.parametrize("name", ["Simple FSD T=24 day 2", "Simple VSD T=24 day 1", "Anytown T=24 day 1"])
def test_engine_and_judge_agree_on_random_schedules(name: str) -> None:
    case = next(c for c in (*gops.simple_cases(), *gops.anytown_cases()) if name in c.name)
    posed = case.pose()
    rng = np.random.default_rng(8)
    n, pumps = posed.problem.available.shape
    for _ in range(3):
        on = rng.random((n, pumps)) < 0.5
        plan = PumpSchedule(on=on, speed=on * rng.uniform(posed.problem.min_speed, posed.problem.max_speed, (n, pumps)))
        ours, theirs = posed.engine(posed.problem).run(plan), posed.judge(posed.problem, plan).trajectory
        assert ours.level_m == pytest.approx(theirs.level_m, abs=1e-5)
        assert ours.cost == pytest.approx(theirs.cost, abs=1e-4)
        assert {v.limit for v in ours.violations} == {v.limit for v in theirs.violations}


@pytest.mark.parametrize("year", [2011, 2012])
def test_a_year_has_365_days(year: int) -> None:
    days = gops.days_of_year(year)
    assert len(days) == 365
    assert all(d.price_eur_per_mwh.shape == (48,) for d in days)
