"""Links, nodes, sources, valves, scenarios and the order of relaxation: from the operation document to the problem."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from tests.runs import tiny
from tests.runs.stating import at_utc, stated
from tests.runs.test_ladder import plan_of

from levada.domain.errors import DocumentError
from levada.domain.plan import PlanResult, ValvePlan
from levada.domain.pumping_terms import RELAX_ORDER
from levada.runs.pipeline import compute


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


def test_scenarios_are_the_forecast_s_paths_split_over_the_zones_junctions() -> None:
    paths = np.random.default_rng(1).uniform(0.01, 0.02, (5, 1, 48))
    made = stated(operation={"scenarios": {"count": 5, "share": 0.8}}, paths=paths).problem
    assert made.scenarios is not None
    assert made.scenarios.share == 0.8
    np.testing.assert_allclose(made.scenarios.demand_m3_per_s.sum(axis=2), paths[:, 0, :24])


def test_a_run_plans_with_paths_that_err_as_the_forecast_did() -> None:
    inputs = tiny.plan_input(operation={"scenarios": {"count": 20}})
    found, again = (PlanResult.model_validate_json(compute(inputs.to_bundle())) for _ in range(2))
    assert found == again
    assert found.plan.ladder == "new"
    assert not [flag for flag in found.plan.flags if "scenario" in flag]


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ({"relax_order": ["start"]}, "operation, relax_order: Value error, 'start' is no kind of limit; there are end level, co2"),
        ({"flow_limits": {"P1": {"unit": "l/s", "min": 3, "max": 2}}}, "operation, flow_limits: Value error, P1: min 3.0 is above max 2.0"),
        ({"flow_limits": {"P1": {"max": 2}}}, "operation, flow_limits.P1.unit: Field required"),
        ({"sources": {"WELL": {"max_flow": 2}}}, "operation, sources.WELL: Value error, `max_flow` and `unit` go together"),
        ({"valves": {"P3": {"choices": ["open", "closed"], "before": 3.0}}}, "operation, valves: Value error, P3: before 3.0 is none of its choices"),
        ({"valves": {"P3": {"choices": ["open"]}}}, "operation, valves.P3.choices"),
        ({"scenarios": {"count": 1}}, "operation, scenarios.count"),
        ({"deviation_cost_per_h": -1}, "operation, deviation_cost_per_h: is negative"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_field(operation: dict[str, Any], said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        stated(operation=operation)
    assert said in str(caught.value)
