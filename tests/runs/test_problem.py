from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runs import tiny

from levada.domain.errors import InputGap, ProblemError
from levada.domain.plan import ForecastReport, ZoneForecast
from levada.domain.plan_input import PlanInput
from levada.domain.series import Quality, Readings
from levada.domain.time import Steps, floor_to, to_np
from levada.hydraulics.inp import read_network
from levada.runs.demand import junction_demands
from levada.runs.problem import StatedProblem, state_problem
from levada.runs.steps import forecast_count, plan_steps

NETWORK = read_network(tiny.INP, "tiny")
MID, VIL, STN = (NETWORK.junction_index[n] for n in ("MID", "VIL", "STN"))


def forecast(inputs: PlanInput, flow: np.ndarray | None = None) -> ForecastReport:
    step_s, count = inputs.operation.step_minutes * 60, forecast_count(inputs.operation)
    start = floor_to(inputs.issue_time, timedelta(seconds=step_s))
    q50 = [float(v) for v in (np.arange(1, count + 1) * 1e-3 if flow is None else flow)]
    times = [start + timedelta(seconds=i * step_s) for i in range(count)]
    zone = ZoneForecast(zone="village", method="ensemble", q10_m3_per_s=q50, q50_m3_per_s=q50, q90_m3_per_s=q50)
    return ForecastReport(issue_time=inputs.issue_time, step_s=step_s, times=times, zones=[zone])


def stated(inputs: PlanInput) -> StatedProblem:
    return state_problem(inputs, NETWORK, plan_steps(inputs.issue_time, inputs.operation), forecast(inputs), {})


def with_readings(inputs_level: Readings | None = None, **series: Readings) -> PlanInput:
    readings = {**tiny.readings(), **{k.replace("__", "."): v for k, v in series.items()}}
    if inputs_level is not None:
        readings["tank.TNK.level"] = inputs_level
    return tiny.plan_input(readings=readings)


def one(at: datetime, value: float, quality: Quality = Quality.GOOD) -> Readings:
    return Readings(times=np.array([to_np(at)]), values=np.array([value]), quality=np.array([quality], np.uint8))


# --- demand -----------------------------------------------------------------------------------------------------------


def test_a_zone_s_flow_is_split_over_its_junctions_by_base_demand() -> None:
    demand = stated(tiny.plan_input()).problem.demand_m3_per_s
    assert demand[0, MID] == pytest.approx(1e-3 / 3)
    assert demand[0, VIL] == pytest.approx(2e-3 / 3)
    assert demand[0, STN] == 0.0


def test_a_junction_of_no_zone_follows_the_network_s_patterns_on_the_tenant_s_clock() -> None:
    inputs = tiny.plan_input(operation={"zones": {"village": {"flow_series": "zone.village.flow", "junctions": ["VIL"]}}})
    demand = stated(inputs).problem.demand_m3_per_s
    # 06:00 UTC is 07:00 in Lisbon in June: the pattern's eighth factor is 1.6 of 4 L/s.
    assert demand[0, MID] == pytest.approx(0.004 * 1.6)
    assert demand[0, VIL] == pytest.approx(1e-3)


@given(st.integers(0, 86399), st.sampled_from([15, 30, 60]), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_uneven_steps_draw_the_forecast_s_volume(second: int, minutes: int, seed: int) -> None:
    at = datetime(2026, 6, 3, tzinfo=UTC) + timedelta(seconds=second)
    inputs = tiny.plan_input(at, operation={"step_minutes": minutes})
    flow = np.random.default_rng(seed).uniform(0, 0.02, forecast_count(inputs.operation))
    steps, report = plan_steps(at, inputs.operation), forecast(inputs, flow)
    volume = (junction_demands(inputs, NETWORK, steps, report)[:, [MID, VIL]].sum(axis=1) * np.array(steps.durations_s)).sum()
    # By brute force, minute by minute.
    minute = [(steps.start + timedelta(minutes=i) - report.times[0]).total_seconds() // report.step_s for i in range(24 * 60)]
    assert volume == pytest.approx(sum(flow[int(i)] * 60 for i in minute), rel=1e-9)


def test_a_forecast_that_is_too_short_is_an_error_and_not_extrapolated() -> None:
    inputs = tiny.plan_input()
    with pytest.raises(InputGap, match="the forecast covers"):
        junction_demands(inputs, NETWORK, Steps.even(tiny.NOW, timedelta(hours=1), 80), forecast(inputs))


# --- tanks ------------------------------------------------------------------------------------------------------------


def test_the_end_level_is_the_start_level_and_nothing_is_flagged_when_all_is_well() -> None:
    made = stated(tiny.plan_input(level_m=2.5))
    assert made.problem.initial_level_m[0] == made.problem.end_level_m[0] == pytest.approx(2.5)
    assert (made.problem.min_level_m[0], made.problem.max_level_m[0]) == (1.0, 4.3)
    assert made.flags == ()


def test_the_start_level_is_the_usable_reading_nearest_to_the_start() -> None:
    readings = tiny.readings()["tank.TNK.level"]
    quality = readings.quality.copy()
    quality[-1] = Quality.SUSPECT
    made = stated(with_readings(Readings(times=readings.times, values=readings.values, quality=quality)))
    assert made.problem.initial_level_m[0] == readings.values[-2]
    assert made.flags == ("tank TNK: the level at the start is a reading 15 minutes away from it",)


def test_a_tank_below_its_limit_is_planned_from_there_must_come_back_and_says_so() -> None:
    made = stated(with_readings(one(tiny.NOW, 0.8)))
    assert made.problem.initial_level_m[0] == 0.8
    assert made.problem.min_level_m[0] == pytest.approx(0.8 - 0.02 * 4.0)
    assert made.problem.end_level_m[0] == 1.0
    assert made.flags == ("tank TNK: stands at 0.80 m, at or below its lower limit 1.00 m; the limit is relaxed to 0.72 m",)


def test_a_tank_above_its_limit_is_planned_from_there_and_need_not_end_full() -> None:
    made = stated(with_readings(one(tiny.NOW, 4.4)))
    assert made.problem.max_level_m[0] == pytest.approx(4.4 + 0.02 * 4.0)
    assert made.problem.end_level_m[0] == pytest.approx(1.0 + 0.9 * 3.3)
    assert len(made.flags) == 2


def test_a_level_that_the_network_s_tank_cannot_have_is_brought_inside_and_says_so() -> None:
    made = stated(with_readings(one(tiny.NOW, 5.2)))
    assert made.problem.initial_level_m[0] == pytest.approx(4.5)
    assert made.flags[0] == "tank TNK: measured 5.20 m, outside the tank of the network (0.5 to 4.5 m); planned from 4.50 m"


@given(st.floats(-1, 7))
@settings(max_examples=50, deadline=None)
def test_whatever_is_measured_a_problem_can_be_stated_and_the_start_is_within_its_limits(level: float) -> None:
    problem = stated(with_readings(one(tiny.NOW, level))).problem
    assert problem.min_level_m[0] <= problem.initial_level_m[0] <= problem.max_level_m[0]
    assert problem.min_level_m[0] <= problem.end_level_m[0] <= problem.max_level_m[0]


def test_a_tank_without_a_usable_level_is_named() -> None:
    with pytest.raises(InputGap, match=r"tank TNK: no usable level is known \(series tank.TNK.level\)"):
        stated(with_readings(one(tiny.NOW, 2.5, Quality.SUSPECT)))


def test_limits_that_leave_no_room_in_the_network_s_tank_contradict_it() -> None:
    with pytest.raises(ProblemError, match="tank TNK"):
        stated(tiny.plan_input(operation={"tanks": {"TNK": {"level_series": "tank.TNK.level", "min_level_m": 4.6, "max_level_m": 4.8}}}))


# --- pumps and prices -------------------------------------------------------------------------------------------------


def status(*switches: tuple[str, float], on_day: str = "2026-06-03") -> Readings:
    times = np.array([f"{on_day}T{at}" for at, _ in switches], "datetime64[us]")
    return Readings.good(times, np.array([v for _, v in switches]))


def test_starts_since_local_midnight_are_already_made_in_the_first_day() -> None:
    # Local midnight is 23:00 UTC the day before; a start before it is yesterday's. The horizon's 17 h until midnight leave 7 h of tomorrow.
    times = np.array(["2026-06-02T22:00", "2026-06-02T22:30", "2026-06-02T23:30", "2026-06-03T01:00", "2026-06-03T02:00", "2026-06-03T03:00"], "datetime64[us]")
    problem = stated(with_readings(pump__PU1__status=Readings.good(times, np.array([0.0, 1, 0, 1, 0, 1])))).problem
    assert problem.starts_made is not None
    assert problem.day is not None
    assert problem.starts_made.tolist() == [2, 0]
    assert problem.max_starts.tolist() == [6, 6]
    assert problem.day.tolist() == [0] * 17 + [1] * 7
    assert problem.count_starts == "window"


def test_more_starts_than_a_day_may_have_leave_none_before_midnight_and_it_says_so() -> None:
    many = [(f"{h:02d}:{m:02d}", float(m == 0)) for h in range(6) for m in (0, 30)]
    made = stated(with_readings(pump__PU1__status=status(*many, ("05:45", 1.0))))
    assert made.problem.starts_made is not None
    assert made.problem.starts_made[0] == 6
    assert made.flags == ()
    made = stated(with_readings(pump__PU1__status=status(("00:00", 0), *[(f"00:{m:02d}", float(m % 2)) for m in range(1, 16)], ("05:45", 1.0))))
    assert made.problem.starts_made is not None
    assert made.problem.starts_made[0] == 6
    assert made.flags == ("pump PU1: was started 8 times today, more than the 6 it may be; no further start before midnight",)


def test_pumps_run_as_last_measured_else_as_the_network_starts_and_it_says_which() -> None:
    made = stated(with_readings(pump__PU1__status=status(("05:45", 0)), pump__PU2__status=status(("05:45", 1))))
    assert made.problem.initial_on.tolist() == [False, True]
    assert made.flags == ()
    old = stated(with_readings(pump__PU1__status=status(("01:00", 0))))
    assert old.problem.initial_on[0]
    assert old.flags == ("pump PU1: no status within 3 h; assumed on, as the network starts",)


def test_a_pump_out_of_service_is_available_in_no_step() -> None:
    pumps: dict[str, Any] = {"PU1": {"available": False}, "PU2": {"status_series": "pump.PU2.status"}}
    made = stated(tiny.plan_input(operation={"pumps": pumps}))
    assert not made.problem.available[:, 0].any()
    assert made.problem.available[:, 1].all()
    assert "pump PU1 is set out of service" in made.flags


def test_day_ahead_prices_are_those_published_and_the_rest_is_flagged() -> None:
    tariff = {"tariff": {"kind": "day-ahead", "price_series": "market.energy.price", "typical_day_per_kwh": [0.1] * 24, "contracted_power_kw": 40}}
    times = to_np(tiny.NOW) + np.arange(10) * np.timedelta64(3600, "s")
    inputs = tiny.plan_input(tariff=tariff, readings={**tiny.readings(), "market.energy.price": Readings.good(times, np.full(10, 0.25))})
    made = stated(inputs)
    np.testing.assert_allclose(made.problem.price_per_kwh[:, 0], [0.25] * 10 + [0.1] * 14)
    assert made.problem.max_power_kw == 40
    assert made.flags == ("no published energy price for 14 of 24 steps: the typical day's price stands in",)
