"""How a pump stands is taken from readings, else from the plan that is followed; times of day and days are the tenant's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from tests.runs import tiny
from tests.runs.stating import at_utc, hourly, stated, switches
from tests.runs.test_ladder import plan_of

from levada.domain.errors import DocumentError
from levada.domain.plan import Ladder, Plan
from levada.domain.series import Readings


@pytest.fixture(scope="module")
def previous() -> Plan:
    return plan_of(tiny.plan_input())


@pytest.mark.parametrize(
    ("start", "first_day"), [("2026-03-28T12:00", 12), ("2026-03-29T00:00", 23), ("2026-10-24T23:00", 24), ("2026-10-25T12:00", 12)], ids=["eve", "23 h", "25 h", "winter"]
)
def test_days_are_the_tenant_s_with_23_or_25_hours_where_the_clock_changes(start: str, first_day: int) -> None:
    day = stated(at_utc(start)).problem.day
    assert day is not None
    assert int((day == 0).sum()) == first_day
    assert (np.diff(day) >= 0).all()


def test_starts_after_a_midnight_of_summer_time_are_today_s_also_in_the_night_of_25_hours() -> None:
    # Lisbon's 25 October 2026 begins at 23:00 UTC the day before.
    status = switches(("2026-10-24T22:00", 0), ("2026-10-24T22:30", 1), ("2026-10-24T22:45", 0), ("2026-10-24T23:15", 1), ("2026-10-25T01:00", 0), ("2026-10-25T02:00", 1))
    problem = stated(at_utc("2026-10-25T02:00"), readings={"pump.PU1.status": status}).problem
    assert problem.starts_made is not None
    assert problem.starts_made.tolist() == [2, 0]


def test_least_times_come_with_how_long_the_state_has_held() -> None:
    problem = stated(pump={"min_on": "2h", "min_off": "90min"}, readings={"pump.PU1.status": switches(("2026-06-03T00:00", 0), ("2026-06-03T05:15", 1), ("2026-06-03T05:45", 1))}).problem
    assert problem.min_on_s is not None
    assert problem.min_off_s is not None
    assert problem.held_s is not None
    assert problem.min_on_s.tolist() == [7200, 0]
    assert problem.min_off_s.tolist() == [5400, 0]
    assert problem.held_s[0] == 2700
    assert stated().problem.held_s is None


def test_a_state_that_is_not_known_has_held_long_enough() -> None:
    made = stated(pump={"min_on": "2h", "min_off": "90min", "status_series": None})
    assert made.problem.held_s is not None
    assert made.problem.held_s[0] == 7200
    assert made.flags == (
        "pump PU1: no status within 3 h; assumed on, as the network starts",
        "pump PU1: its starts of today are not known; planned as if there were none",
    )


def test_outages_and_duties_by_clock_and_by_date_touch_whole_steps() -> None:
    made = stated(pump={
        "outages": [{"from": "09:30", "to": "11:00"}, {"from": "2026-06-03T20:00:00", "to": "2026-06-03T20:30:00"}],
        "forced_on": [{"from": "2026-06-03T13:00:00+00:00", "to": "2026-06-03T15:00:00+00:00"}],
    })  # fmt: skip
    problem = made.problem
    assert problem.forced_on is not None
    # The first step begins at 07:00 local time, 06:00 UTC.
    assert np.flatnonzero(~problem.available[:, 0]).tolist() == [2, 3, 13]
    assert np.flatnonzero(problem.forced_on[:, 0]).tolist() == [7, 8]
    assert made.flags == ("pump PU1 is out of service in 3 of 24 steps",)


def test_a_pump_that_is_out_of_service_is_not_forced_on_and_it_says_so() -> None:
    made = stated(pump={"available": False, "forced_on": [{"from": "09:00", "to": "11:00"}]})
    assert made.problem.forced_on is None or not made.problem.forced_on.any()
    assert "pump PU1: forced on and out of service in 2 steps; it is out there" in made.flags


def test_an_outage_at_a_time_that_the_clock_skips_is_named() -> None:
    with pytest.raises(DocumentError, match=r"operation, pumps\.PU1\.outages\[0\]: .*does not exist on the clock of Europe/Lisbon"):
        stated(pump={"outages": [{"from": "2026-03-29T01:30:00", "to": "2026-03-29T03:00:00"}]})


def test_wear_and_hours_run_by_counter_or_as_stated_reach_the_problem() -> None:
    made = stated(pump={"wear_per_start": 1.5, "run_hours_series": "pump.PU1.hours"}, readings={"pump.PU1.hours": hourly("2026-06-03T05:00", [3600.0 * 812])})
    assert made.problem.wear_cost_per_start is not None
    assert made.problem.run_hours_h is not None
    assert made.problem.wear_cost_per_start.tolist() == [1.5, 0.0]
    assert made.problem.run_hours_h.tolist() == [812.0, 812.0]
    stated_only = stated(pump={"run_hours": 700.0, "run_hours_series": "pump.PU1.hours"})
    assert stated_only.problem.run_hours_h is not None
    assert stated_only.problem.run_hours_h[0] == 700.0
    assert stated_only.flags == ("pump PU1: no hours run are known (series pump.PU1.hours); those of the settings stand in",)


LATER = tiny.NOW + timedelta(hours=2, minutes=20)


def test_leaving_the_plan_that_is_followed_costs_as_far_as_it_reaches(previous: Plan) -> None:
    night = {"periods": [{"value": 2.0, "from": "22:00", "to": "06:00"}], "otherwise": 0.5}
    problem = stated(LATER, previous=previous, pump={"deviation_cost_per_h": night}, operation={"deviation_cost_per_h": 0.1}).problem
    assert problem.previous_on is not None
    assert problem.deviation_cost_per_h is not None
    # It starts at 08:15 UTC with a short step, and the plan of 06:00 reaches to 06:00 the next day: the last two steps are free.
    assert problem.previous_on[:22, 0].tolist() == previous.pumps[0].on[2:]
    assert problem.deviation_cost_per_h[:, 1].tolist() == [0.1] * 22 + [0.0] * 3
    assert problem.deviation_cost_per_h[:, 0].tolist() == [0.5] * 13 + [2.0] * 8 + [0.5] + [0.0] * 3


@pytest.mark.parametrize(
    "change", [{"ladder": Ladder.RULES}, {"expires_at": LATER}, {"pumps": []}], ids=["rules", "expired", "other pumps"]
)
def test_what_nobody_follows_costs_nothing_to_leave(previous: Plan, change: dict[str, Any]) -> None:
    problem = stated(LATER, previous=previous.model_copy(update=change), operation={"deviation_cost_per_h": 0.1}).problem
    assert problem.previous_on is None
    assert problem.deviation_cost_per_h is None


def test_a_status_that_is_lost_is_taken_from_the_plan_that_is_followed(previous: Plan) -> None:
    made = stated(LATER, previous=previous, readings={"pump.PU1.status": Readings.empty()})
    assert made.problem.initial_on[0] == previous.pumps[0].on[2]
    assert made.flags[0].startswith("pump PU1: no status within 3 h; assumed as in the previous plan")


@pytest.mark.parametrize(
    ("pump", "said"),
    [
        ({"min_on": 60}, 'expected a duration with its unit in quotes, such as "60min"'),
        ({"min_on": "1 hour"}, 'expected a duration such as "60min"'),
        ({"outages": [{"from": "08:00", "to": "2026-06-03T10:00:00"}]}, "must both be date-times or both be clock times"),
        ({"wear_per_start": -1}, "greater than or equal to 0"),
        ({"wear_per_start": float("nan")}, "finite number"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_it_is_put_in(pump: dict[str, Any], said: str) -> None:
    with pytest.raises(DocumentError, match=r"operation, pumps\.PU1") as caught:
        stated(pump=pump)
    assert said in str(caught.value)
