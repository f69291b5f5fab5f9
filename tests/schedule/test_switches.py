"""Schedules by the instants of their switches: moving them, tidying them, and simulating them part by part as the whole problem on their steps would be."""

from dataclasses import replace

import numpy as np
import pytest
from tests.schedule.small_networks import Small

from levada.domain.billing import bill_of
from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.pumping_terms import Meter
from levada.hydraulics.operation import operation_violations
from levada.hydraulics.simulate import Simulator
from levada.schedule.assignment import Fits
from levada.schedule.plant import Plant
from levada.schedule.switches import Courses, Switches
from levada.schedule.whole import Whole

HORIZON_S = 6 * 3600


def some(rng: np.random.Generator, pumps: int, before: np.ndarray, *, even: bool, every_s: int = 60) -> Switches:
    counts = rng.integers(0, 4, pumps)
    counts += counts % 2 if even else 0
    at = rng.integers(0, HORIZON_S // every_s, int(counts.sum())) * every_s
    return Switches(before, at.astype(np.int64), np.repeat(np.arange(pumps), counts))


def courses_of(problem: PumpingProblem) -> Courses:
    plant = Plant(problem)
    off = np.zeros((len(problem.steps), plant.pumps), bool)
    return Courses(plant, Whole(plant, Fits(plant)), PumpSchedule(on=off, speed=off.astype(float)))


@pytest.mark.parametrize("count_starts", ["window", "periodic"])
def test_a_schedule_and_its_switches_are_the_same(count_starts: str) -> None:
    problem = Small().problem(count_starts=count_starts)
    on = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [1, 0], [1, 1]], bool)
    switches = Switches.of(problem, PumpSchedule(on=on, speed=on.astype(float)))
    assert (switches.on_at(problem.steps.offsets_s[:-1]) == on).all()
    assert len(switches.at_s) == 6
    assert switches.turns_on().sum() == PumpSchedule(on=on, speed=on.astype(float)).starts(problem.count_starts, problem.initial_on).sum()


def test_a_switch_moved_over_the_end_of_a_period_goes_on_at_its_beginning() -> None:
    runs = Switches(np.array([False]), np.array([3600, 20000]), np.array([0, 0]))
    later = runs.moved(np.array([0, 3000]), HORIZON_S, is_periodic=True)
    assert later.before.tolist() == [True]
    assert later.on_at(np.array([0, 1399, 1400, 3599, 3600, 21599]))[:, 0].tolist() == [True, True, False, False, True, True]
    back = later.moved(np.array([0, -3000]), HORIZON_S, is_periodic=True)
    assert back.key() == runs.key()
    assert runs.moved(np.array([0, 3000]), HORIZON_S, is_periodic=False).at_s.tolist() == [3600, HORIZON_S]


def test_runs_of_no_length_go_and_a_pump_that_takes_over_lets_the_other_go_on() -> None:
    before = np.zeros(2, bool)
    empty = Switches(before, np.array([600, 600, 1200, HORIZON_S]), np.array([0, 0, 1, 1])).plain(HORIZON_S, [], is_periodic=False)
    assert (empty.at_s.tolist(), empty.pump.tolist()) == ([1200], [1])
    takeover = Switches(before, np.array([600, 1800, 1800, 3000]), np.array([0, 0, 1, 1]))
    assert len(takeover.plain(HORIZON_S, [], is_periodic=False).at_s) == 4
    tidy = takeover.plain(HORIZON_S, [(0, 1)], is_periodic=False)
    assert (tidy.at_s.tolist(), tidy.pump.tolist()) == ([600, 3000], [0, 0])


def test_a_takeover_goes_in_a_period_too_where_one_pump_runs_on_from_its_end_to_its_beginning() -> None:
    instants = np.arange(0, HORIZON_S, 600)
    whole = Switches(np.array([True, False]), np.array([1800, 1800, 3000, 9000, 12000, 15000]), np.array([0, 1, 1, 0, 1, 1]))
    tidy = whole.plain(HORIZON_S, [(0, 1)], is_periodic=True)
    assert (tidy.on_at(instants).sum(axis=1) == whole.on_at(instants).sum(axis=1)).all()
    assert tidy.turns_on().sum() == whole.turns_on().sum() - 1
    assert (tidy.on_at(np.array([HORIZON_S]))[0] == tidy.before).all()


def test_tidying_never_changes_how_many_of_the_pumps_alike_run() -> None:
    rng = np.random.default_rng(3)
    instants = np.arange(0, HORIZON_S, 60)
    for even in (True, False) * 20:
        switches = some(rng, 3, rng.random(3) < 0.5, even=even, every_s=3600)
        tidy = switches.plain(HORIZON_S, [(0, 1, 2)], is_periodic=even)
        assert (tidy.on_at(instants).sum(axis=1) == switches.on_at(instants).sum(axis=1)).all()
        assert len(tidy.at_s) <= len(switches.at_s)
        if even:
            assert (tidy.on_at(np.array([HORIZON_S]))[0] == tidy.before).all()


@pytest.mark.parametrize("full", [False, True])
def test_parts_of_steps_come_out_as_the_problem_on_their_steps_to_the_bit_and_restarts_change_nothing(full: bool) -> None:
    meter = Meter(name="m", pumps=("P0", "P1"), demand_charge_per_kw=2.0, peak_so_far_kw=3.0, own_power_kw=np.array([0.0, 4.0, 9.0, 9.0, 2.0, 0.0]), export_price_per_kwh=np.full(6, 0.03))
    problem = Small(identical=False).problem(
        meters=(meter,), may_stand_full=np.array([full]), wear_cost_per_start=np.array([0.2, 0.3]), count_starts="periodic", stored_value_per_m3=np.array([0.01]),
        previous_on=np.ones((6, 2), bool), deviation_cost_per_h=np.full((6, 2), 0.05),
    )  # fmt: skip
    courses, rng = courses_of(problem), np.random.default_rng(0)
    base = courses.run([some(rng, 2, np.array([False, True]), even=True)])[0]
    others = [base.switches.moved(rng.integers(-20, 20, len(base.switches.at_s)) * 60, HORIZON_S, is_periodic=True) for _ in range(8)]
    for course in (base, *courses.run(others, base)):
        asked, schedule = courses.schedule(course.switches)
        simulator = Simulator(asked)
        found = simulator.run(schedule)
        place = np.searchsorted(asked.steps.offsets_s, problem.steps.offsets_s)
        assert np.array([simulator.levels(v) for v in course.volume]) == pytest.approx(found.level_m[place], abs=1e-12)
        at = np.searchsorted(asked.steps.offsets_s, course.switches.at_s)
        assert np.array([simulator.levels(v) for v in course.at_volume]).reshape(-1, 1) == pytest.approx(found.level_m[at], abs=1e-12)
        assert course.cost == pytest.approx(found.cost, rel=1e-12)
        own = [v for v in found.violations if v not in operation_violations(asked, schedule)]
        assert (course.severity > 0) == bool(own)


def test_what_is_billed_by_the_step_is_the_same_however_a_step_is_cut() -> None:
    meter = Meter(name="m", pumps=("P0", "P1"), demand_charge_per_kw=2.0, own_power_kw=np.array([0.0, 4.0, 9.0, 9.0, 2.0, 0.0]), export_price_per_kwh=np.full(6, 0.03))
    problem = Small().problem(meters=(meter,), co2_kg_per_kwh=np.linspace(0.1, 0.3, 6), co2_price_per_kg=0.5)
    cut = problem.on_steps(np.array([600, 5400, 9000, 9060]))
    assert cut.steps.durations_s == (600, 3000, 1800, 1800, 1800, 60, 1740, 3600, 3600, 3600)
    assert cut.switch_resolution_s is None
    rng = np.random.default_rng(1)
    parts = rng.uniform(0, 8000, (10, 2))
    of = np.searchsorted(problem.steps.offsets_s, cut.steps.offsets_s[:-1], side="right") - 1
    whole = np.stack([np.bincount(of, parts[:, j] * cut.steps.hours) / problem.steps.hours for j in range(2)], axis=1)
    on = np.ones((10, 2), bool)
    fine = bill_of(cut, PumpSchedule(on=on, speed=on.astype(float)), parts, np.zeros((10, 0)), np.zeros(1))
    coarse = bill_of(problem, PumpSchedule(on=on[:6], speed=on[:6].astype(float)), whole, np.zeros((6, 0)), np.zeros(1))
    assert fine.total == pytest.approx(coarse.total, rel=1e-12)
    assert fine.peak_kw == pytest.approx(coarse.peak_kw, rel=1e-12)
    again = cut.on_steps(np.array([300]))
    assert again.metered is not None
    assert again.metered.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 4, 5]


def test_instants_beyond_the_horizon_are_refused() -> None:
    with pytest.raises(ValueError, match="outside the horizon"):
        replace(Small().problem(), max_starts_total=3).on_steps(np.array([HORIZON_S + 60]))
