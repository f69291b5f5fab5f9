"""What a plan says about an instant, what was spent so far, and lines of readings."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.web.samples import NOW, plan

from levada.domain.series import CellMethod, Readings
from levada.domain.time import Steps, Window, to_np
from levada.store.plans import StoredPlan
from levada.web.views.board import age_colour, mode_of, plan_in_force
from levada.web.views.cost import Issued, energy_used_kwh, measured_so_far, planned_so_far
from levada.web.views.plan import bars, plan_end, pump_now, step_at, step_edges, switches
from levada.web.views.series import measured_bars, thinned, total

START = NOW.replace(minute=0)
ONE = plan("t")


def readings(values: list[float], start: datetime = START, step_s: int = 900) -> Readings:
    times = np.array([to_np(start + timedelta(seconds=i * step_s)) for i in range(len(values))], "datetime64[us]")
    return Readings.good(times, np.array(values, dtype=float))


# --- a plan at an instant


def test_the_step_that_holds_an_instant_begins_no_later_and_ends_after_it() -> None:
    edges = step_edges(ONE)
    for minutes in range(-30, 25 * 60, 7):
        instant = START + timedelta(minutes=minutes)
        step = step_at(ONE, instant)
        if step is None:
            assert instant < edges[0] or instant >= edges[-1]
        else:
            assert edges[step] <= instant < edges[step + 1]


def test_bars_cover_exactly_the_steps_in_which_a_pump_runs() -> None:
    for pump in ONE.pumps:
        covered = {b.start + timedelta(hours=k) for b in bars(ONE, pump) for k in range(int((b.end - b.start) / timedelta(hours=1)))}
        assert covered == {t for t, on in zip(ONE.step_starts, pump.on, strict=True) if on}


def test_switches_lead_from_each_state_to_the_next() -> None:
    for pump in ONE.pumps:
        on, changes = pump.on[0], {s.time: s for s in switches(ONE, START - timedelta(days=1)) if s.pump == pump.name}
        for time, wanted in zip(ONE.step_starts[1:], pump.on[1:], strict=True):
            change = changes.get(time)
            if change is not None and change.action in ("start", "stop"):
                on = change.action == "start"
            assert on == wanted


def test_a_switch_comes_with_the_reason_that_the_plan_gives_for_it() -> None:
    by_key = {(s.pump, s.time): s for s in switches(ONE, START)}
    for reason in ONE.reasons:
        assert by_key[reason.pump, reason.time].reason == reason


def test_a_pump_holds_its_state_until_its_next_switch() -> None:
    for state in pump_now(ONE, NOW):
        until = state.next.time if state.next else plan_end(ONE)
        assert state.until == until
        pump = next(p for p in ONE.pumps if p.name == state.name)
        held = [pump.on[i] for i, t in enumerate(ONE.step_starts) if START <= t < until]
        assert set(held) == {state.on}
    assert pump_now(ONE, plan_end(ONE)) == []


def test_the_plan_in_force_is_the_newest_that_has_begun_and_not_expired() -> None:
    old = StoredPlan(uuid4(), uuid4(), NOW - timedelta(hours=1), plan("t", NOW - timedelta(hours=1)))
    new = StoredPlan(uuid4(), uuid4(), NOW, plan("t", NOW + timedelta(hours=1)))
    assert plan_in_force([old, new], new, NOW) == old
    assert plan_in_force([old, new], new, NOW + timedelta(hours=1)) == new
    assert plan_in_force([], new, NOW) == new
    assert mode_of(old, NOW + timedelta(hours=5)) == "expired"
    assert mode_of(None, NOW) == "none"


@pytest.mark.parametrize(("minutes", "colour"), [(89, "ok"), (91, "amber"), (180, "amber"), (181, "red")])
def test_age_turns_amber_at_half_of_what_is_allowed_and_red_past_it(minutes: int, colour: str) -> None:
    assert age_colour(timedelta(minutes=minutes), 180) == colour
    assert age_colour(None, 180) == "red"


# --- spent so far


def test_planned_cost_so_far_is_the_sum_of_the_steps_that_have_passed() -> None:
    day = Window(START, START + timedelta(hours=24))
    spent = planned_so_far([Issued(START, ONE)], day, START + timedelta(hours=2, minutes=30))
    assert spent is not None
    assert spent.amount == pytest.approx(ONE.step_cost[0] + ONE.step_cost[1] + ONE.step_cost[2] / 2)
    assert spent.covered == pytest.approx(1.0)


def test_a_newer_plan_counts_from_its_publication_and_the_older_one_before() -> None:
    day, now = Window(START, START + timedelta(hours=24)), START + timedelta(hours=3)
    dear = plan("t", step_cost=[100.0] * 24)
    spent = planned_so_far([Issued(START + timedelta(hours=1), dear), Issued(START, ONE)], day, now)
    assert spent is not None
    assert spent.amount == pytest.approx(ONE.step_cost[0] + 200.0)


def test_an_expired_plan_does_not_count_and_uncovered_time_is_told() -> None:
    day = Window(START - timedelta(hours=3), START + timedelta(hours=21))
    spent = planned_so_far([Issued(START, plan("t", hours_valid=1.0))], day, START + timedelta(hours=5))
    assert spent is not None
    assert spent.amount == pytest.approx(ONE.step_cost[0])
    assert spent.covered == pytest.approx(1 / 8)
    assert planned_so_far([], day, NOW) is None


def test_a_counter_gives_the_energy_between_its_readings_and_nothing_over_a_reset() -> None:
    steps = Steps.even(START, timedelta(minutes=15), 4)
    kwh = 3.6e6
    assert energy_used_kwh(readings([5 * kwh, 6 * kwh, 8 * kwh, 8 * kwh, 9 * kwh]), CellMethod.POINT, steps) == pytest.approx([1, 2, 0, 1])
    assert energy_used_kwh(readings([5 * kwh, 6 * kwh, 0.5 * kwh, 1 * kwh, 2 * kwh]), CellMethod.POINT, steps) == pytest.approx([1, 0, 0.5, 1])
    assert np.isnan(energy_used_kwh(readings([5 * kwh, 6 * kwh]), CellMethod.POINT, steps)).tolist() == [False, True, True, True]
    assert energy_used_kwh(readings([1 * kwh, 2 * kwh, 0.0, 3 * kwh, 9 * kwh]), CellMethod.SUM, steps) == pytest.approx([1, 2, 0, 3])


@given(st.lists(st.floats(0, 1e8), min_size=2, max_size=40))
def test_a_counters_energy_adds_up_to_its_rise(rises: list[float]) -> None:
    counter = np.concatenate([[1e9], 1e9 + np.cumsum(rises)]).tolist()
    steps = Steps.even(START, timedelta(minutes=15), len(rises))
    assert energy_used_kwh(readings(counter), CellMethod.POINT, steps).sum() == pytest.approx((counter[-1] - counter[0]) / 3.6e6, abs=1e-6)


def test_measured_cost_counts_only_what_every_meter_reports() -> None:
    steps, kwh = Steps.even(START, timedelta(minutes=15), 4), 3.6e6
    day = Window(START, START + timedelta(hours=24))
    dear, cheap = np.array([0.1, 0.2, 9.0, 9.0]), np.array([0.05, 0.1, 9.0, 9.0])
    both = [(readings([0, kwh, 2 * kwh, 3 * kwh, 4 * kwh]), CellMethod.POINT, dear), (readings([0, kwh, 2 * kwh]), CellMethod.POINT, cheap)]
    spent = measured_so_far(both, steps, day, START + timedelta(hours=1))
    assert spent is not None
    assert spent.amount == pytest.approx(0.1 + 0.2 + 0.05 + 0.1)
    assert spent.covered == pytest.approx(0.5)
    assert measured_so_far([], steps, day, NOW) is None


# --- lines of readings


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4000))
def test_thinning_keeps_ends_and_extremes(values: list[float]) -> None:
    full = readings(values, step_s=1)
    few = thinned(full, limit=100)
    assert len(few) <= 102
    assert (few.times[0], few.times[-1]) == (full.times[0], full.times[-1])
    assert (few.values.min(), few.values.max()) == (full.values.min(), full.values.max())


def test_a_total_exists_only_where_every_zone_reports() -> None:
    found = total([readings([1, 2, 3]), readings([10, 20], START + timedelta(minutes=15))])
    assert found.values.tolist() == [12, 23]
    assert len(total([])) == 0


def test_reported_states_become_bars_that_end_at_a_gap() -> None:
    found = measured_bars(readings([1, 1, 0, 1]), None, 3600)
    assert [(b.start - START, b.end - START) for b in found] == [(timedelta(0), timedelta(minutes=30)), (timedelta(minutes=45), timedelta(minutes=105))]
    status = readings([1], START)
    assert measured_bars(status, readings([0.8], START - timedelta(minutes=15)), 600)[0].speed == 0.8
