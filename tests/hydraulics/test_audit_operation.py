"""What the audit judges without hydraulics: starts by day, least times on and off, pumps forced on, pumps that start together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.hydraulics.networks import START, problem_for, schedule_of, small_network, two_pump_network, violations_of

from levada.domain.pumping import Violation
from levada.domain.time import Steps
from levada.hydraulics.audit import audit


def found(limit: str, *on: str, **changes: Any) -> list[Violation]:
    network = small_network(demand=1) if len(on) == 1 else two_pump_network(demand=1)
    return violations_of(audit(problem_for(network, hours=len(on[0]), max_level_m=np.array([50.0]), **changes), schedule_of(*on)), limit)


def test_starts_are_limited_in_each_day_of_its_own() -> None:
    day = np.array([0, 0, 0, 1, 1, 1])
    assert not found("starts", "010010", day=day, max_starts=np.array([1]))
    assert len(found("starts", "010010", max_starts=np.array([1]))) == 1
    (violation,) = found("starts", "010101", day=day, max_starts=np.array([1]))
    assert (violation.element, violation.at_s, violation.amount, violation.unit) == ("P", 3 * 3600, 1, "1")
    assert violation.text == "pump P starts 2 times, allowed are 1, in the day from 2026-03-02 03:00 to 06:00 UTC"


def test_a_start_at_the_first_step_of_a_day_counts_in_that_day_and_running_on_from_the_day_before_does_not() -> None:
    day = np.array([0, 0, 1, 1])
    assert not found("starts", "0111", day=day, max_starts=np.array([1]))
    (violation,) = found("starts", "0010", day=day, max_starts=np.array([0]))
    assert violation.at_s == 2 * 3600


def test_starts_already_made_count_in_the_first_day_only() -> None:
    day, made = np.array([0, 0, 0, 1, 1, 1]), np.array([2])
    assert not found("starts", "010010", day=day, starts_made=made, max_starts=np.array([3]))
    (violation,) = found("starts", "010010", day=day, starts_made=made, max_starts=np.array([2]))
    assert (violation.at_s, violation.amount) == (0, 1)
    assert violation.text == "pump P starts 3 times, 2 of them before the plan, allowed are 2, in the day from 2026-03-02 00:00 to 03:00 UTC"
    (violation,) = found("starts", "010010", starts_made=made, max_starts=np.array([3]))
    assert (violation.at_s, violation.amount) == (None, 1)


def test_too_many_starts_before_the_plan_are_no_fault_of_a_plan_that_adds_none() -> None:
    for on, count in (("1110", 0), ("1010", 1)):
        violations = found("starts", on, starts_made=np.array([5]), max_starts=np.array([3]), initial_on=np.array([True]))
        assert len(violations) == count


def test_the_last_step_comes_before_the_first_where_starts_are_counted_periodically() -> None:
    for on, starts in (("1001", 1), ("1000", 1), ("1010", 2), ("1111", 0)):
        assert not found("starts", on, count_starts="periodic", max_starts=np.array([starts]))
        if starts:
            assert len(found("starts", on, count_starts="periodic", max_starts=np.array([starts - 1]))) == 1


@pytest.mark.parametrize(("least_s", "short_s"), [(7200, []), (7201, [1]), (10800, [3600])])
def test_a_run_is_as_long_as_asked_for(least_s: float, short_s: list[float]) -> None:
    violations = found("on time", "011011", min_on_s=np.array([float(least_s)]))
    assert [v.amount for v in violations] == short_s  # the run that the end of the horizon cuts may be short
    if least_s == 10800:
        (violation,) = violations
        assert (violation.element, violation.at_s, violation.unit) == ("P", 3600, "s")
        assert violation.text == "pump P runs for only 2 h, at least 3 h are asked for from 2026-03-02 01:00 to 03:00 UTC"


def test_a_pause_is_as_long_as_asked_for_and_each_short_one_is_told() -> None:
    assert not found("off time", "101001", initial_on=np.array([True]), min_off_s=np.array([3600.0]))
    violations = found("off time", "101001", initial_on=np.array([True]), min_off_s=np.array([9000.0]))
    assert [(v.at_s, v.amount) for v in violations] == [(3600, 5400), (3 * 3600, 1800)]
    assert violations[0].text == "pump P stands for only 1 h, at least 2 h 30 min are asked for from 2026-03-02 01:00 to 02:00 UTC"


@pytest.mark.parametrize(("held_s", "short_s"), [(None, []), (3600.0, []), (1800.0, [1800])])
def test_time_before_the_start_counts_for_a_pump_that_goes_on_as_it_was(held_s: float | None, short_s: list[float]) -> None:
    held = None if held_s is None else np.array([held_s])
    violations = found("on time", "1000", initial_on=np.array([True]), held_s=held, min_on_s=np.array([7200.0]))
    assert [v.amount for v in violations] == short_s
    for v in violations:
        assert v.text == "pump P runs for only 1 h 30 min (30 min of it before the plan), at least 2 h are asked for from 2026-03-02 00:00 to 01:00 UTC"


def test_a_pump_that_turns_at_the_start_had_to_stay_as_it_was_before() -> None:
    for held_s, short in ((7200.0, []), (1800.0, [5400.0])):
        violations = found("off time", "1111", initial_on=np.array([False]), held_s=np.array([held_s]), min_off_s=np.array([7200.0]))
        assert [v.amount for v in violations] == short
        assert [v.at_s for v in violations] == [0] * len(short)
    assert not found("off time", "1111", initial_on=np.array([False]), min_off_s=np.array([7200.0]))


def test_a_run_that_goes_on_at_the_beginning_of_the_period_is_one_run() -> None:
    periodic: dict[str, Any] = {"count_starts": "periodic", "held_s": np.array([0.0])}
    assert not found("on time", "100001", min_on_s=np.array([7200.0]), **periodic)
    (violation,) = found("on time", "100001", min_on_s=np.array([9000.0]), **periodic)
    assert (violation.at_s, violation.amount) == (5 * 3600, 1800)
    assert "runs for only 2 h (1 h of it at the beginning of the period)" in violation.text
    # One that ends with the period is whole, and its end excuses nothing.
    (violation,) = found("on time", "000001", min_on_s=np.array([7200.0]), **periodic)
    assert violation.at_s == 5 * 3600
    (violation,) = found("off time", "011110", min_off_s=np.array([9000.0]), **periodic)
    assert (violation.at_s, violation.amount) == (5 * 3600, 1800)
    assert not found("on time", "111111", min_on_s=np.array([1e6]), **periodic)


def test_times_on_are_measured_in_seconds_where_steps_are_uneven() -> None:
    steps = Steps(START, (3600, 900, 1800, 3600))
    n = len(steps)
    changes = {"steps": steps, "demand_m3_per_s": np.zeros((n, 2)), "price_per_kwh": np.zeros((n, 1)), "available": np.ones((n, 1), dtype=bool)}
    assert not found("on time", "0110", min_on_s=np.array([2700.0]), **changes)
    (violation,) = found("on time", "0100", min_on_s=np.array([2700.0]), **changes)
    assert violation.text == "pump P runs for only 15 min, at least 45 min are asked for from 2026-03-02 01:00 to 01:15 UTC"


def test_a_pump_forced_on_must_run() -> None:
    forced = np.array([[False], [True], [True], [False]])
    assert not found("availability", "0110", forced_on=forced)
    (violation,) = found("availability", "0100", forced_on=forced)
    assert (violation.element, violation.at_s) == ("P", 2 * 3600)
    assert violation.text == "pump P stands although it must run from 2026-03-02 02:00 to 03:00 UTC"


def test_pumps_that_start_in_one_step_are_counted() -> None:
    assert not found("simultaneous starts", "0101", "0111", max_simultaneous_starts=2)
    assert not found("simultaneous starts", "0100", "1101", max_simultaneous_starts=1)
    (violation,) = found("simultaneous starts", "0101", "0111", max_simultaneous_starts=1)
    assert (violation.element, violation.at_s, violation.amount) == ("all pumps", 3600, 1)
    assert violation.text == "2 pumps start at once (P, Q), allowed are 1, at 2026-03-02 01:00 UTC"


def test_pumps_running_before_do_not_start_in_the_first_step() -> None:
    assert not found("simultaneous starts", "1111", "1111", max_simultaneous_starts=1, initial_on=np.array([True, False]))
    (violation,) = found("simultaneous starts", "1111", "1111", max_simultaneous_starts=1)
    assert violation.at_s == 0
    assert not found("simultaneous starts", "1111", "1111", max_simultaneous_starts=1, count_starts="periodic")


def test_starts_of_all_pumps_together_are_limited_in_each_day() -> None:
    assert not found("starts", "010100", "001001", max_starts_total=4)
    (violation,) = found("starts", "010100", "001001", max_starts_total=3)
    assert (violation.element, violation.at_s, violation.amount) == ("all pumps", None, 1)
    assert violation.text == "all pumps together start 4 times, allowed are 3"
    day = np.array([0, 0, 0, 1, 1, 1])
    assert not found("starts", "010100", "001001", day=day, max_starts_total=2)
    (violation,) = found("starts", "010100", "001001", day=day, max_starts_total=2, starts_made=np.array([1, 0]))
    assert violation.text == "all pumps together start 3 times, 1 of them before the plan, allowed are 2, in the day from 2026-03-02 00:00 to 03:00 UTC"


def test_too_many_starts_of_all_pumps_before_the_plan_are_no_fault_of_a_plan_that_adds_none() -> None:
    assert not found("starts", "000000", "111111", max_starts_total=2, starts_made=np.array([3, 3]), initial_on=np.array([False, True]))
