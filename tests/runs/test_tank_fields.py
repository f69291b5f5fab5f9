"""What the operation document says of a tank reaches the problem, by the tenant's clock; what it already breaks is opened and said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runs.stating import at_utc, hourly, stated

from levada.domain.errors import DocumentError

FIRE = {"periods": [{"value": 2.2, "from": "08:00", "to": "20:00"}]}


def test_a_reserve_by_time_of_day_holds_on_the_tenant_s_clock_and_only_where_a_period_does() -> None:
    reserve = stated(tank={"reserve": FIRE}).problem.reserve_level_m
    assert reserve is not None
    # 06:00 UTC is 07:00 in Lisbon in June: the reserve holds from the second step on, for twelve.
    assert reserve[:, 0].tolist() == [1.0, *[2.2] * 12, *[1.0] * 11]


@pytest.mark.parametrize(
    ("start", "hours"),
    [("2026-03-29T00:00", 5), ("2026-10-24T23:00", 7), ("2026-06-02T23:00", 6)],
    ids=["spring: 23 h", "autumn: 25 h", "an ordinary day"],
)
def test_on_days_on_which_the_clock_changes_a_reserve_begins_at_its_clock_time(start: str, hours: int) -> None:
    reserve = stated(at_utc(start), tank={"reserve": {"periods": [{"value": 2.2, "from": "06:00", "to": "20:00"}]}}).problem.reserve_level_m
    assert reserve is not None
    assert np.flatnonzero(reserve[:, 0] == 2.2)[0] == hours


def test_a_period_of_holidays_holds_on_the_utility_s_holidays_alone() -> None:
    value = {"periods": [{"value": 2.2, "days": ["holiday"]}]}
    ordinary, holiday = (stated(at_utc(f"2026-06-{day}T23:00"), tank={"reserve": value}).problem.reserve_level_m for day in ("02", "09"))  # 10 June: Portugal's day
    assert ordinary is not None
    assert holiday is not None
    assert (ordinary == 1.0).all()
    assert (holiday == 2.2).all()


def test_a_ceiling_and_a_reserve_that_change_within_a_step_count_by_their_stricter_value() -> None:
    problem = stated(tank={"reserve": {"periods": [{"value": 2.2, "from": "08:30", "to": "09:30"}]}, "ceiling": {"periods": [{"value": 3.5, "from": "10:30", "to": "11:00"}]}}).problem
    assert problem.reserve_level_m is not None
    assert problem.ceiling_level_m is not None
    assert problem.reserve_level_m[:5, 0].tolist() == [1.0, 2.2, 2.2, 1.0, 1.0]
    assert problem.ceiling_level_m[:5, 0].tolist() == [4.3, 4.3, 4.3, 3.5, 4.3]


def test_a_reserve_that_the_level_already_breaks_is_opened_until_it_lets_the_tank_be_and_says_so() -> None:
    made = stated(tank={"reserve": {"periods": [{"value": 3.0, "from": "06:00", "to": "09:00"}, {"value": 3.0, "from": "19:00", "to": "21:00"}]}}, level_m=2.5)
    assert made.problem.reserve_level_m is not None
    assert made.problem.reserve_level_m[:4, 0].tolist() == pytest.approx([2.42, 2.42, 1.0, 1.0])
    assert made.problem.reserve_level_m[12:14, 0].tolist() == [3.0, 3.0]
    assert made.flags == ("tank TNK: stands at 2.50 m, at or below its reserve 3.00 m; the reserve is relaxed to 2.42 m until 09:00",)


def test_a_tank_below_a_reserve_that_always_holds_must_be_back_in_it_at_the_end() -> None:
    made = stated(tank={"reserve": 3.0}, level_m=2.5)
    assert made.problem.reserve_level_m is not None
    assert made.problem.reserve_level_m[:, 0] == pytest.approx(np.full(24, 2.42))
    assert made.problem.end_level_m[0] == 3.0
    assert "the reserve is relaxed to 2.42 m throughout" in made.flags[0]


def test_a_tank_above_a_ceiling_is_given_room_and_need_not_end_above_it() -> None:
    made = stated(tank={"ceiling": 2.0}, level_m=2.5)
    assert made.problem.ceiling_level_m is not None
    assert made.problem.ceiling_level_m[:, 0] == pytest.approx(np.full(24, 2.58))
    assert made.problem.end_level_m[0] == 2.0


@pytest.mark.parametrize(
    ("end", "least", "most"), [(">= start", 2.5, None), ("free", 1.0, None), (3.1, 3.1, None), ([2.0, 2.8], 2.0, 2.8)], ids=["start", "free", "number", "band"]
)
def test_the_level_at_the_end_is_as_stated(end: Any, least: float, most: float | None) -> None:
    problem = stated(tank={"end": end}).problem
    assert problem.end_level_m[0] == pytest.approx(least)
    assert (None if problem.end_level_max_m is None else problem.end_level_max_m[0]) == most


def test_worth_of_water_and_a_float_valve_reach_the_problem() -> None:
    problem = stated(tank={"value_per_m3": 0.04, "may_stand_full": True}).problem
    assert problem.stored_value_per_m3 is not None
    assert problem.stored_value_per_m3.tolist() == [0.04]
    assert problem.may_stand_full.tolist() == [True]
    plain = stated().problem
    assert plain.stored_value_per_m3 is plain.reserve_level_m is plain.ceiling_level_m is plain.end_level_max_m is None


def test_a_reserve_above_the_ceiling_is_named_with_its_field_and_local_time() -> None:
    with pytest.raises(DocumentError, match=r"operation, tanks\.TNK\.reserve: asks for at least 3 m and at most 2 m on Wednesday 03 June at 12:00"):
        stated(tank={"reserve": {"periods": [{"value": 3.0, "from": "12:00", "to": "13:00"}]}, "ceiling": {"periods": [{"value": 2.0, "from": "12:00", "to": "13:00"}]}})


@pytest.mark.parametrize(
    ("tank", "said"),
    [
        ({"end": [3.0, 2.0]}, "the band's least level 3.0 is above its greatest 2.0"),
        ({"end": 4.4}, "end: cannot be reached between min_level_m 1.0 and max_level_m 4.3"),
        ({"reserve": 4.4}, "reserve: 4.4 is not between min_level_m 1.0 and max_level_m 4.3"),
        ({"reserve": {"periods": [{"value": 2.0, "from": "8:00"}]}}, 'expected a local clock time such as "07:30"'),
        ({"reserve": {"constant": 2.0, "periods": [{"value": 2.0}]}}, "expected exactly one of constant, periods"),
        ({"reserve": {"series": "tank.reserve"}}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_it_is_put_in(tank: dict[str, Any], said: str) -> None:
    with pytest.raises(DocumentError, match=r"operation, tanks\.TNK") as caught:
        stated(tank=tank)
    assert said in str(caught.value)


def test_a_tank_exactly_at_its_reserve_has_room_to_move() -> None:
    made = stated(tank={"reserve": 2.5, "ceiling": 4.0}, level_m=2.5)
    assert made.problem.reserve_level_m is not None
    assert made.problem.reserve_level_m[0, 0] == pytest.approx(2.42)
    assert made.problem.end_level_m[0] == 2.5


@given(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 30)), st.floats(0.5, 4.5), st.floats(1.0, 4.3), st.floats(1.0, 4.3), st.integers(0, 23), st.integers(1, 23))
@settings(max_examples=40, deadline=None)
def test_whenever_a_plan_is_made_and_whatever_the_level_the_start_is_within_all_limits(at: datetime, level: float, a: float, b: float, hour: int, long: int) -> None:
    low, high = sorted((a, b))
    period = {"from": f"{hour:02d}:00", "to": f"{(hour + long) % 24:02d}:00"}
    tank = {"reserve": {"periods": [{"value": low, **period}]}, "ceiling": {"periods": [{"value": high, **period}]}}
    problem = stated(at.replace(tzinfo=UTC), tank=tank, readings={"tank.TNK.level": hourly(at.isoformat(), [level])}).problem
    assert problem.reserve_level_m is not None
    assert problem.ceiling_level_m is not None
    assert problem.day is not None
    assert max(problem.min_level_m[0], problem.reserve_level_m[0, 0]) <= problem.initial_level_m[0] <= min(problem.max_level_m[0], problem.ceiling_level_m[0, 0])
    assert (problem.reserve_level_m <= problem.ceiling_level_m).all()
    assert problem.day[-1] <= 1


def test_a_tank_below_its_lower_limit_where_no_reserve_holds_is_told_of_once() -> None:
    made = stated(tank={"reserve": {"periods": [{"value": 1.5, "from": "12:00", "to": "14:00"}]}}, readings={"tank.TNK.level": hourly("2026-06-03T06:00", [0.8])})
    assert made.problem.reserve_level_m is not None
    assert made.problem.reserve_level_m[:6, 0] == pytest.approx([0.72] * 5 + [1.5])
    assert len(made.flags) == 1
