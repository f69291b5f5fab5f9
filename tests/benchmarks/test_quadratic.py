"""The engine for networks of quadratic equations, and its judge: each against the equations by hand, and one against the other."""

import numpy as np
import pytest
from tests.benchmarks.quadratic_case import EQUATIONS, no_valves, small

from levada.domain.pumping import PumpSchedule

HOUR = 3600


def schedule(*hours: int, speed: float = 1.0) -> PumpSchedule:
    """So many pumps in each hour, A before B."""
    on = np.array([[h >= 1, h >= 2] for h in hours])
    return PumpSchedule(on=on, speed=on * speed)


def test_a_pump_meets_the_curve_of_its_main_as_computed_by_hand() -> None:
    posed = small()
    engine = posed.engine(posed.problem)
    volume = np.array([[250.0]])
    solve = engine.solves_at(np.array([0]), volume, np.array([[1.0, 0.0]]), no_valves(1))[0]
    # 40 - 0.004 q^2 = 20 + 2.5 + 0.001 q^2
    q = np.sqrt((40 - 22.5) / 0.005)
    assert solve.flow == pytest.approx([q / 1000, 0.0])
    assert solve.power == pytest.approx([1000 * (10 + 0.3 * q), 0.0])
    assert solve.inflow == pytest.approx([(q - 20) / 1000])
    assert solve.delivers.tolist() == [True, True]
    step = engine.steps(np.array([0]), volume, np.array([[1.0, 0.0]]), no_valves(1))[0]
    assert step.volume == pytest.approx(250 + (q - 20) * 3.6)
    assert step.cost == pytest.approx((10 + 0.3 * q) * 0.05)
    assert step.severity == 0


def test_speed_follows_the_affinity_laws() -> None:
    posed = small(min_speed=np.full(2, 0.8))
    engine = posed.engine(posed.problem)
    solve = engine.solves_at(np.array([0]), np.array([[250.0]]), np.array([[0.9, 0.0]]), no_valves(1))[0]
    q = np.sqrt((40 * 0.81 - 22.5) / 0.005)
    assert solve.flow[0] == pytest.approx(q / 1000)
    assert solve.power[0] == pytest.approx(1000 * (10 * 0.9**3 + 0.3 * q * 0.9**2))


def test_a_pump_too_slow_for_the_head_is_shut_by_its_check_valve_and_said_not_to_deliver() -> None:
    posed = small(min_speed=np.full(2, 0.5))
    engine = posed.engine(posed.problem)
    solve = engine.solves_at(np.array([0]), np.array([[250.0]]), np.array([[1.0, 0.6]]), no_valves(1))[0]
    assert solve.flow[1] == 0
    assert solve.delivers.tolist() == [True, False]
    assert engine.steps(np.array([0]), np.array([[250.0]]), np.array([[1.0, 0.6]]), no_valves(1)).severity[0] > 0


def test_many_rows_at_once_give_what_each_gives_alone() -> None:
    posed = small(min_speed=np.full(2, 0.5))
    engine = posed.engine(posed.problem)
    rng = np.random.default_rng(1)
    rows = 200
    step, volume = rng.integers(0, 6, rows), rng.uniform(0, 500, (rows, 1))
    speed = (rng.random((rows, 2)) < 0.7) * rng.uniform(0.5, 1.0, (rows, 2))
    together = engine.steps(step, volume, speed, no_valves(rows))
    alone = [engine.steps(step[[i]], volume[[i]], speed[[i]], no_valves(1))[0] for i in range(rows)]
    assert together.volume == pytest.approx(np.array([a.volume for a in alone]), abs=1e-6)
    assert together.cost == pytest.approx([a.cost for a in alone], abs=1e-9)
    assert (together.severity > 0).tolist() == [a.severity > 0 for a in alone]


def test_ports_say_which_way_water_goes_into_the_tank() -> None:
    posed = small()
    engine = posed.engine(posed.problem)
    assert engine.ports == (("rising", 0, 1.0), ("falling", 0, -1.0))
    solve = engine.solves_at(np.array([0]), np.array([[250.0]]), np.array([[1.0, 0.0]]), no_valves(1))[0]
    assert solve.port_flow.sum() == pytest.approx(solve.inflow[0])
    assert solve.port_flow[1] == pytest.approx(-0.02)


@pytest.mark.parametrize("hours", [(1, 1, 1, 0, 1, 1), (2, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0), (2, 2, 2, 2, 2, 2)])
def test_engine_and_judge_agree_on_levels_cost_and_verdict(hours: tuple[int, ...]) -> None:
    posed = small()
    ours, verdict = posed.engine(posed.problem).run(schedule(*hours)), posed.judge(posed.problem, schedule(*hours))
    theirs = verdict.trajectory
    assert ours.level_m == pytest.approx(theirs.level_m, abs=1e-7)
    assert ours.flow_m3_per_s == pytest.approx(theirs.flow_m3_per_s, abs=1e-8)
    assert ours.cost == pytest.approx(theirs.cost, abs=1e-6)
    assert {v.limit for v in ours.violations} == {v.limit for v in theirs.violations}
    assert verdict.accepted == (not ours.violations)


@pytest.mark.parametrize(
    ("changes", "hours", "limit"),
    [
        ({}, (0, 0, 0, 0, 0, 0), "end level"),
        ({}, (2, 2, 2, 2, 2, 2), "level"),
        ({"max_starts": np.array([1, 3])}, (1, 0, 1, 1, 1, 1), "starts"),
        ({"min_on_s": np.full(2, 2.0 * HOUR)}, (1, 0, 1, 1, 1, 1), "on time"),
        ({"min_off_s": np.full(2, 2.0 * HOUR)}, (1, 1, 0, 1, 1, 1), "off time"),
        ({"available": np.repeat(np.arange(6)[:, None] != 1, 2, axis=1)}, (1, 1, 1, 0, 1, 1), "availability"),
        ({"max_power_kw": 40.0}, (2, 1, 0, 0, 1, 1), "power"),
        ({"reserve_level_m": np.full((6, 1), 2.4)}, (0, 1, 1, 1, 1, 1), "reserve"),
        ({"flow_limits_m3_per_s": {"rising": (0.0, 0.07)}}, (2, 1, 0, 0, 1, 1), "flow"),
        ({"pressure_floors_m": {"C": 21.5}}, (0, 2, 0, 0, 0, 2), "pressure"),
    ],
)
def test_each_limit_that_fails_is_named_by_both(changes: dict[str, object], hours: tuple[int, ...], limit: str) -> None:
    posed = small(**changes)
    plan = schedule(*hours)
    assert limit in {v.limit for v in posed.engine(posed.problem).run(plan).violations}
    verdict = posed.judge(posed.problem, plan)
    assert not verdict.accepted
    assert limit in {v.limit for v in verdict.trajectory.violations}


def test_a_last_run_cut_by_the_end_may_be_short_and_so_may_the_first_of_a_pump_long_on() -> None:
    plan = schedule(1, 0, 1, 1, 1, 1)
    long_on = small(min_on_s=np.full(2, 2.0 * HOUR), initial_on=np.array([True, False]))
    cut = small(min_on_s=np.full(2, 3.0 * HOUR))
    assert "on time" not in {v.limit for v in long_on.judge(long_on.problem, plan).trajectory.violations}
    assert "on time" not in {v.limit for v in cut.judge(cut.problem, schedule(0, 0, 0, 0, 1, 1)).trajectory.violations}


def test_the_judge_refuses_a_schedule_of_another_shape() -> None:
    posed = small()
    with pytest.raises(ValueError, match="shape"):
        posed.judge(posed.problem, PumpSchedule(on=np.ones((3, 2), bool), speed=np.ones((3, 2))))


def test_the_equations_number_junctions_tanks_reservoirs_in_this_order() -> None:
    assert EQUATIONS.incidence.shape == (4, 4)
    assert EQUATIONS.incidence.sum(axis=1).tolist() == [0, 0, 0, 0]
