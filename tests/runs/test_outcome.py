"""What came of plans: followed as made, carried through by EPANET, judged and billed with what really came."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from tests.runs import tiny
from tests.runs.test_ladder import plan_of

from levada.domain.bundle import Bundle, BundleError
from levada.domain.errors import InputGap
from levada.domain.plan import Plan
from levada.domain.plan_input import PlanInput
from levada.domain.series import Readings
from levada.domain.time import to_np
from levada.runs.lived import as_lived
from levada.runs.outcome import Followed, Outcome, compute, outcome_bundle

HOUR = timedelta(hours=1)
NOW = tiny.NOW


@pytest.fixture(scope="module")
def inputs() -> PlanInput:
    return tiny.plan_input()


@pytest.fixture(scope="module")
def plan(inputs: PlanInput) -> Plan:
    return plan_of(inputs)


def drawn(factor: float = 1.0, until: datetime = NOW + 24 * HOUR) -> dict[str, Readings]:
    return {"village": replace(r := tiny.readings(until)["zone.village.flow"], values=r.values * factor)}


def lived(inputs: PlanInput, followed: list[Followed], until: datetime, demand: dict[str, Readings] | None = None) -> Outcome:
    return Outcome.model_validate_json(compute(outcome_bundle(inputs, demand or drawn(), followed, until)))


def test_with_the_demand_that_was_planned_for_it_costs_and_does_what_the_plan_says(inputs: PlanInput, plan: Plan) -> None:
    flat = {"village": Readings.good(to_np(NOW) + np.arange(24) * np.timedelta64(1, "h"), np.array(plan.demand_m3_per_s))}
    outcome = lived(inputs, [Followed(since=NOW, plan=plan)], plan.expires_at, flat)
    steps = int((plan.expires_at - NOW) / HOUR)
    assert outcome.cost == pytest.approx(sum(plan.step_cost[:steps]), rel=1e-6)
    np.testing.assert_allclose(outcome.level_m["TNK"][::4], plan.tanks[0].level_m[: steps + 1], atol=1e-6)
    assert outcome.by_rules_s == 0
    assert not outcome.violations


def test_what_comes_in_two_stretches_is_what_comes_in_one(inputs: PlanInput, plan: Plan) -> None:
    followed = [Followed(since=NOW, plan=plan)]
    first, whole = lived(inputs, followed, NOW + 3 * HOUR), lived(inputs, followed, NOW + 6 * HOUR)
    assert whole.level_m["TNK"][: len(first.level_m["TNK"])] == first.level_m["TNK"]
    later = as_lived(tiny.plan_input(NOW + 3 * HOUR), first, plan)
    second = lived(later, [Followed(since=NOW + 3 * HOUR, plan=plan)], NOW + 6 * HOUR)
    assert second.level_m["TNK"][-1] == pytest.approx(whole.level_m["TNK"][-1], abs=1e-4)
    assert first.cost + second.cost == pytest.approx(whole.cost, rel=1e-4)
    assert second.on["PU1"] == whole.on["PU1"][12:]


def test_more_demand_than_planned_for_empties_the_tank_and_is_told_with_its_amount(inputs: PlanInput, plan: Plan) -> None:
    outcome = lived(inputs, [Followed(since=NOW, plan=plan)], plan.expires_at, drawn(3.0))
    assert any(v.limit == "level" and v.element == "TNK" and v.amount > 0 for v in outcome.violations), outcome.violations


def test_after_a_plan_has_expired_level_switches_keep_the_town_supplied(inputs: PlanInput, plan: Plan) -> None:
    outcome = lived(inputs, [Followed(since=NOW, plan=plan)], NOW + 24 * HOUR)
    assert outcome.by_rules_s == (NOW + 24 * HOUR - plan.expires_at).total_seconds()
    assert not [v for v in outcome.violations if v.limit in ("level", "supply")]
    none = lived(inputs, [Followed(since=NOW, plan=None)], NOW + 24 * HOUR)
    assert none.by_rules_s == 24 * 3600
    assert none.energy_kwh > 0


def test_a_newer_plan_takes_the_place_of_the_one_before(inputs: PlanInput, plan: Plan) -> None:
    idle = plan.model_copy(update={
        "issue_time": NOW + HOUR, "pumps": [p.model_copy(update={"on": [False] * len(p.on), "speed": [0.0] * len(p.speed)}) for p in plan.pumps],
    })  # fmt: skip
    outcome = lived(inputs, [Followed(since=NOW, plan=plan), Followed(since=NOW + HOUR, plan=idle)], NOW + 3 * HOUR)
    assert outcome.on["PU1"][:4] == [plan.pumps[0].on[0]] * 4
    assert not any(outcome.on["PU1"][4:])


def test_a_few_gaps_in_what_was_drawn_are_bridged_and_told_and_many_are_refused(inputs: PlanInput, plan: Plan) -> None:
    full = drawn()["village"]
    at = to_np(NOW)

    def without(hours: int) -> dict[str, Readings]:
        kept = (full.times < at) | (full.times >= at + np.timedelta64(hours, "h"))
        return {"village": Readings(times=full.times[kept], values=full.values[kept], quality=full.quality[kept])}

    assert any("not known for 4 of 24 steps" in flag for flag in lived(inputs, [Followed(since=NOW, plan=plan)], NOW + 6 * HOUR, without(1)).flags)
    with pytest.raises(InputGap, match="zone village: what it drew is known for 4 of 24 steps"):
        lived(inputs, [Followed(since=NOW, plan=plan)], NOW + 6 * HOUR, without(5))


def test_the_next_decision_sees_the_levels_and_pumps_that_its_plans_led_to_and_all_else_as_measured(inputs: PlanInput, plan: Plan) -> None:
    outcome = lived(inputs, [Followed(since=NOW, plan=plan)], NOW + 3 * HOUR)
    measured = tiny.plan_input(NOW + 3 * HOUR)
    then = as_lived(measured, outcome, plan)
    level, status = then.readings["tank.TNK.level"], then.readings["pump.PU1.status"]
    assert level.values[-13:].tolist() == outcome.level_m["TNK"]
    assert level.times[-1] == to_np(NOW + 3 * HOUR)
    assert (np.diff(level.times.astype(np.int64)) > 0).all()
    assert status.values[-12:].tolist() == [float(on) for on in outcome.on["PU1"]]
    before = measured.readings["tank.TNK.level"]
    np.testing.assert_array_equal(level.values[:-13], before.values[before.times < to_np(NOW)])
    assert then.readings["zone.village.flow"] is measured.readings["zone.village.flow"]
    assert then.previous_plan is plan
    assert as_lived(measured, None, plan) is measured


def test_another_kind_of_bundle_is_refused() -> None:
    with pytest.raises(BundleError, match="not for what came of plans"):
        compute(Bundle("plan", {}))
