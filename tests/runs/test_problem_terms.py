"""Links, nodes, sources, valves, scenarios and the order of relaxation: from the operation document to the problem."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from tests.runs import tiny
from tests.runs.stating import NETWORK, at_utc, forecast_of, stated
from tests.runs.test_ladder import plan_of

from levada.domain.errors import DocumentError
from levada.domain.plan import ValvePlan
from levada.domain.pumping_terms import RELAX_ORDER
from levada.runs.demand import demand_scenarios
from levada.runs.steps import plan_steps


def test_a_document_that_states_nothing_more_asks_for_nothing_more() -> None:
    problem = stated().problem
    assert problem.pressure_ceilings_m == problem.flow_limits_m3_per_s == {}
    assert problem.sources == problem.valves == ()
    assert problem.scenarios is problem.max_simultaneous_starts is problem.previous_on is problem.forced_on is problem.run_hours_h is problem.wear_cost_per_start is None
    assert problem.relax_order == RELAX_ORDER


def test_flow_limits_pressure_ceilings_and_simultaneous_starts_reach_the_problem_in_si() -> None:
    problem = stated(operation={
        "flow_limits": {"P1": {"unit": "l/s", "max": 30}, "P3": {"unit": "m3/h", "min": -36}},
        "pressure_ceilings": [{"node": "VIL", "max_pressure_m": 60}], "max_simultaneous_starts": 1, "relax_order": ["starts", "power"],
    }).problem  # fmt: skip
    assert problem.flow_limits_m3_per_s == {"P1": (-np.inf, pytest.approx(0.03)), "P3": (pytest.approx(-0.01), np.inf)}
    assert problem.pressure_ceilings_m == {"VIL": 60}
    assert problem.max_simultaneous_starts == 1
    assert problem.relax_order == ("starts", "power")


def test_a_source_has_its_cost_by_the_tenant_s_clock_and_its_limits() -> None:
    made = stated(operation={"sources": {"WELL": {"cost_per_m3": {"periods": [{"value": 0.02, "from": "08:00", "to": "10:00"}], "otherwise": 0.01}, "max_flow": 72, "unit": "m3/h", "max_volume_m3_per_day": 900}}})
    (source,) = made.problem.sources
    assert source.cost_per_m3 is not None
    assert source.cost_per_m3[:5].tolist() == [0.01, 0.02, 0.02, 0.01, 0.01]
    assert source.max_flow_m3_per_s == pytest.approx(0.02)
    assert source.max_volume_m3_per_day == 900
    assert made.flags == ("source WELL: what was drawn today before the plan's start does not count against its 900 m3 per day",)
    assert stated(at_utc("2026-06-02T23:00"), operation={"sources": {"WELL": {"max_volume_m3_per_day": 900}}}).flags == ()


def test_a_valve_begins_as_the_plan_that_is_followed_has_it_else_as_stated() -> None:
    valves = {"valves": {"P3": {"choices": ["open", "closed"], "before": "closed"}}}
    (valve,) = stated(operation=valves).problem.valves
    assert (valve.link, valve.choices, valve.initial) == ("P3", ("open", "closed"), 1)
    previous = plan_of(tiny.plan_input())
    follows = previous.model_copy(update={"valves": [ValvePlan(link="P3", choice=["open"] * len(previous.step_starts))]})
    later = tiny.NOW + timedelta(hours=1)
    assert stated(later, operation=valves, previous=follows).problem.valves[0].initial == 0


def test_scenarios_lie_about_the_expected_demand_as_the_forecast_s_quantiles_do() -> None:
    made = stated(operation={"scenarios": {"count": 200, "share": 0.8}}).problem
    assert made.scenarios is not None
    assert made.scenarios.share == 0.8
    zone = made.scenarios.demand_m3_per_s.sum(axis=2)
    assert zone.shape == (200, 24)
    # 10 % lie below 10 L/s and 10 % above 16 L/s, about half of them below 12 L/s.
    assert [float((zone < q).mean()) for q in (0.010, 0.012, 0.016)] == pytest.approx([0.1, 0.5, 0.9], abs=0.03)
    # They come in pairs, of which one is above where the other is below.
    assert ((zone[:100] > 0.012) == (zone[100:] < 0.012)).all()
    # A course wanders: an hour is like the one before, and unlike that of half a day before.
    assert np.corrcoef(zone[:, 5], zone[:, 6])[0, 1] > 0.7 > 0.4 > abs(np.corrcoef(zone[:, 3], zone[:, 15])[0, 1])


def test_scenarios_are_the_same_for_the_same_seed_alone() -> None:
    inputs = tiny.plan_input(operation={"scenarios": {"count": 4}})
    steps, report = plan_steps(inputs.issue_time, inputs.operation), forecast_of(inputs)
    first, again, other = (demand_scenarios(inputs, NETWORK, steps, report, seed) for seed in (1, 1, 2))
    assert first is not None
    assert again is not None
    assert other is not None
    np.testing.assert_array_equal(first.demand_m3_per_s, again.demand_m3_per_s)
    assert (first.demand_m3_per_s != other.demand_m3_per_s).any()


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ({"relax_order": ["start"]}, "operation, relax_order: Value error, 'start' is no kind of limit; there are end level, co2"),
        ({"flow_limits": {"P1": {"unit": "l/s", "min": 3, "max": 2}}}, "operation, flow_limits: Value error, P1: min 3.0 is above max 2.0"),
        ({"flow_limits": {"P1": {"max": 2}}}, "operation, flow_limits.P1.unit: Field required"),
        ({"sources": {"WELL": {"max_flow": 2}}}, "operation, sources.WELL: Value error, `max_flow` and `unit` go together"),
        ({"valves": {"P3": {"choices": ["open", "closed"], "before": 3.0}}}, "operation, valves: Value error, P3: before 3.0 is none of its choices"),
        ({"valves": {"P3": {"choices": ["open"]}}}, "operation, valves.P3.choices"),
        ({"scenarios": {"count": 3}}, "operation, scenarios.count"),
        ({"deviation_cost_per_h": -1}, "operation, deviation_cost_per_h: is negative"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_field(operation: dict[str, Any], said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        stated(operation=operation)
    assert said in str(caught.value)
