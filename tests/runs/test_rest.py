"""What a plan says for other steps than its own, and a problem cut short: nothing that the whole one states is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from tests.runs import tiny
from tests.runs.stating import NETWORK, stated
from tests.runs.test_ladder import plan_of
from tests.runs.whole import OPERATION, TARIFF

from levada.domain.plan import Plan, ValvePlan
from levada.domain.pumping_terms import ControllableValve
from levada.domain.time import Steps
from levada.runs.rest import carried_on, first_steps, plan_over_steps

VALVES = (ControllableValve(link="P3", choices=("open", "closed")),)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def previous() -> Plan:
    plan = plan_of(tiny.plan_input())
    return plan.model_copy(update={"valves": [ValvePlan(link="P3", choice=["open", "closed"] * 12)]})


def test_a_plan_is_read_at_the_beginning_of_each_step_and_only_where_it_reaches(previous: Plan) -> None:
    given = plan_over_steps(previous, NETWORK, VALVES, Steps(tiny.NOW + 21 * HOUR, (1800, 3600, 3600, 3600, 3600)))
    assert given is not None
    # The plan ends after three hours: the step that begins half an hour before its end is not covered whole.
    assert given.is_covered.tolist() == [True, True, True, False, False]
    assert given.schedule.on[:3, 0].tolist() == [previous.pumps[0].on[i] for i in (21, 21, 22)]
    assert given.schedule.valve_choice[:, 0].tolist() == [1, 1, 0, 0, 0]
    assert not given.schedule.on[3:].any()


def test_a_plan_before_the_steps_or_after_them_covers_none(previous: Plan) -> None:
    for start in (tiny.NOW - 5 * HOUR, tiny.NOW + 24 * HOUR):
        given = plan_over_steps(previous, NETWORK, VALVES, Steps.even(start, HOUR, 5))
        assert given is not None
        assert not given.is_covered.any()


@pytest.mark.parametrize(
    "valves", [(), (ControllableValve(link="P2", choices=("open", "closed")),), (ControllableValve(link="P3", choices=("open", 2.0)),)], ids=["none", "another", "other choices"]
)
def test_a_plan_of_other_valves_or_choices_says_nothing(previous: Plan, valves: Any) -> None:
    assert plan_over_steps(previous, NETWORK, valves, Steps.even(tiny.NOW, HOUR, 5)) is None


def test_a_plan_is_carried_on_beyond_its_end_by_what_it_says_a_day_before(previous: Plan) -> None:
    carried = carried_on(previous, NETWORK, VALVES, Steps.even(tiny.NOW + 21 * HOUR, HOUR, 30))
    assert carried is not None
    assert carried.on[:, 0].tolist() == [previous.pumps[0].on[(21 + i) % 24] for i in range(30)]
    assert carried.valve_choice[:, 0].tolist() == [(21 + i) % 2 for i in range(30)]


def test_a_step_across_the_plans_end_is_carried_on_by_what_the_plan_says_for_its_beginning(previous: Plan) -> None:
    # As when a plan made a few minutes after the hour is made anew at the hour: no step of the new one ends where the old one does.
    carried = carried_on(previous, NETWORK, VALVES, Steps.even(tiny.NOW + HOUR / 4, HOUR, 26))
    assert carried is not None
    assert carried.on[:, 0].tolist() == [previous.pumps[0].on[i % 24] for i in range(26)]


def test_a_plan_that_never_spoke_of_such_a_time_or_that_is_of_other_valves_is_not_carried_on(previous: Plan) -> None:
    short = previous.model_copy(update={
        "step_starts": previous.step_starts[:9], "step_seconds": previous.step_seconds[:9],
        "pumps": [p.model_copy(update={"on": p.on[:9], "speed": p.speed[:9]}) for p in previous.pumps],
        "valves": [v.model_copy(update={"choice": v.choice[:9]}) for v in previous.valves],
    })  # fmt: skip
    assert carried_on(short, NETWORK, VALVES, Steps.even(tiny.NOW + 2 * HOUR, HOUR, 24)) is None
    assert carried_on(previous, NETWORK, (), Steps.even(tiny.NOW, HOUR, 24)) is None


def test_a_problem_cut_short_keeps_all_that_is_stated_of_the_steps_that_are_left() -> None:
    full = stated(operation=OPERATION, tariff=TARIFF, paths=np.full((4, 1, 48), 0.012)).problem
    forced = np.zeros((24, 2), bool)
    whole = replace(full, forced_on=forced, previous_on=forced, deviation_cost_per_h=np.full((24, 2), 0.1))
    cut = first_steps(whole, 9)
    assert len(cut.steps) == 9
    # PumpingProblem checks the shapes of all; these are the values.
    np.testing.assert_array_equal(cut.reserve_level_m, whole.reserve_level_m[:9])  # type: ignore[index]
    np.testing.assert_array_equal(cut.meters[0].own_power_kw, whole.meters[0].own_power_kw[:9])  # type: ignore[index]
    np.testing.assert_array_equal(cut.sources[0].cost_per_m3, whole.sources[0].cost_per_m3[:9])  # type: ignore[index]
    assert cut.scenarios is not None
    assert cut.scenarios.demand_m3_per_s.shape[1] == 9
    assert cut.meters[0].demand_charge_per_kw == 0.5
    assert first_steps(whole, 24) is whole
