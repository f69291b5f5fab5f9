"""The search's simulator against the audit, which shares no code with it, and against published verdicts."""

from dataclasses import replace

import numpy as np
import pytest
from tests.hydraulics.networks import problem_for, small_inp
from tests.schedule.small_networks import Small

from benchmarks import anytown_modified
from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.hydraulics.audit import audit
from levada.hydraulics.inp import read_network
from levada.hydraulics.simulate import Simulator, TankShape

needs_data = pytest.mark.skipif(
    not anytown_modified.data_folder().exists(), reason=f"NO BENCHMARK DATA at {anytown_modified.data_folder()}: set LEVADA_BENCH_DATA to check published schedules"
)


@needs_data
def test_published_schedules_get_their_published_cost_and_verdict() -> None:
    for published in anytown_modified.published():
        problem = anytown_modified.problem(published.max_starts)
        found = Simulator(problem).run(published.schedule)
        assert (not found.violations) == published.valid, published.name
        if published.valid:
            assert found.cost == pytest.approx(published.cost, rel=1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_random_schedules_get_the_audits_cost_levels_and_verdict(seed: int) -> None:
    rng = np.random.default_rng(seed)
    small = Small(identical=bool(seed % 2), upper=seed % 3 == 0, pumps=1 + seed % 2)
    problem = small.problem(n=10, pressure_floors_m={"J1": 35.0}, max_power_kw=30.0)
    problem = replace(problem, min_speed=np.full(len(problem.network.pumps), 0.9))
    on = rng.random((10, len(problem.network.pumps))) < 0.45
    schedule = PumpSchedule(on=on, speed=np.where(on, rng.uniform(0.9, 1.0, on.shape), 0.0))
    found, verdict = Simulator(problem).run(schedule), audit(problem, schedule)
    assert (not found.violations) == verdict.accepted
    assert {v.limit for v in found.violations} == {v.limit for v in verdict.trajectory.violations}
    assert found.cost == pytest.approx(verdict.trajectory.cost, rel=1e-4, abs=1e-6)
    np.testing.assert_allclose(found.level_m, verdict.trajectory.level_m, atol=2e-3)


def test_a_tank_that_may_stand_full_fills_to_its_maximum_and_stays() -> None:
    problem = Small(demand_l_per_s=2).problem(n=10, may_stand_full=np.ones(1, bool))
    on = np.ones((10, 2), bool)
    schedule = PumpSchedule(on=on, speed=on.astype(float))
    found, verdict = Simulator(problem).run(schedule), audit(problem, schedule)
    assert found.level_m[-1, 0] == pytest.approx(4.5, abs=1e-3)
    assert not any(v.limit in {"level", "saturation"} for v in found.violations)
    np.testing.assert_allclose(found.level_m, verdict.trajectory.level_m, atol=2e-3)


def test_a_step_does_not_depend_on_what_was_simulated_before() -> None:
    problem = Small().problem()
    fresh, used = Simulator(problem), Simulator(problem)
    rng = np.random.default_rng(0)
    for _ in range(50):
        on = rng.random(2) < 0.5
        used.step(int(rng.integers(6)), used.volumes(rng.uniform(1, 4, 1)), on, on.astype(float))
    volume, on = fresh.volumes(np.array([2.3])), np.array([True, False])
    a, b = fresh.step(3, volume, on, on.astype(float)), used.step(3, volume, on, on.astype(float))
    assert a.volume.tobytes() == b.volume.tobytes()
    assert a.cost == b.cost


_QUIET_ZONE = """[JUNCTIONS]
 J3 10 0
 J4 10 0
 K 10 {drawn}
 L 10 {drawn}
[PIPES]
 c J1 K 2000 60 120
 d J2 J3 1000 300 120
 e J2 J4 800 300 120
 k K L 500 200 120
 m L K 700 250 120
[VALVES]
 V J3 K 150 PRV 20 0
 W J4 L 150 PRV 20 0
"""
"""Two mains with valves into a zone that draws next to nothing: what EPANET's iterations leave of its flow there is about a ten-thousandth."""


def _quiet(accuracy: float, level_m: float, drawn: float, extra: str = "") -> PumpingProblem:
    inp = small_inp(extra=_QUIET_ZONE.format(drawn=drawn) + extra, demand=drawn).replace("Accuracy 0.00001", f"Accuracy {accuracy}")
    return problem_for(read_network(inp.encode(), "zone.inp"), initial_level_m=np.array([level_m]), end_level_m=np.array([1.0]))


_OFF = PumpSchedule(on=np.zeros((4, 1), bool), speed=np.zeros((4, 1)))


@pytest.mark.parametrize("level_m", [1.5, 2.5, 3.5, 4.5])
def test_flows_that_never_settle_to_the_last_digit_are_balanced_by_the_files_own_accuracy(level_m: float) -> None:
    rough, fine = (_quiet(accuracy, level_m, 0.003) for accuracy in (0.001, 0.00001))
    found, verdict = Simulator(rough).run(_OFF), audit(rough, _OFF)
    assert verdict.accepted
    assert not found.violations
    np.testing.assert_allclose(found.level_m, verdict.trajectory.level_m, atol=1e-4)
    assert {v.limit for v in Simulator(fine).run(_OFF).violations} == {"supply"}
    assert not audit(fine, _OFF).accepted


def test_what_does_not_settle_is_tried_once_more_with_smaller_steps() -> None:
    for level_m in (3.5, 4.0):
        problem = _quiet(0.00001, level_m, 0.01)
        assert not Simulator(problem).run(_OFF).violations
        assert audit(problem, _OFF).accepted


@pytest.mark.parametrize("level_m", [1.5, 2.5, 3.5, 4.5])
def test_flows_that_never_settle_do_not_hide_pressures_below_zero(level_m: float) -> None:
    """EPANET has one warning a solve, and says of these that they are not balanced and no more."""
    problem = _quiet(0.001, level_m, 0.001, "[JUNCTIONS]\n H 80 0.001\n[PIPES]\n h J2 H 500 100 120\n")
    (found,) = Simulator(problem).run(_OFF).violations
    assert found.text.startswith("water is drawn at a pressure below zero (EPANET's warning 6) ")
    assert not audit(problem, _OFF).accepted


def test_a_limit_that_fails_for_a_while_is_one_violation_with_its_worst_amount() -> None:
    problem = Small(demand_l_per_s=20).problem()
    off = np.zeros((6, 2), bool)
    found = Simulator(problem).run(PumpSchedule(on=off, speed=off.astype(float)))
    levels = [v for v in found.violations if v.limit == "level"]
    assert len(levels) == 1
    assert levels[0].amount == pytest.approx(0.5 - found.level_m.min(), abs=1e-6)
    assert "below its minimum of 0.500 m" in levels[0].text


def test_volume_and_level_of_a_curved_tank_are_inverse() -> None:
    tank = replace(Small().problem().network.tanks[0], volume_curve=((0.0, 0.0), (1.0, 10.0), (4.0, 100.0)))
    shape = TankShape.of(tank)
    for level in (-0.5, 0.0, 0.4, 1.0, 3.3, 4.0, 5.0):
        assert shape.level(shape.volume(level)) == pytest.approx(level, abs=1e-12)
    assert shape.volume(2.5) == pytest.approx(55.0)
