from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.runs import tiny
from tests.runs.whole import OPERATION, TARIFF

from levada.domain.bundle import Bundle, BundleError, RecordedRun, canonical_json
from levada.domain.errors import DocumentError, NetworkError
from levada.domain.plan import Ladder, PlanResult
from levada.domain.plan_input import PlanInput
from levada.domain.pumping import PumpSchedule
from levada.domain.series import Readings
from levada.domain.time import to_np
from levada.hydraulics.audit import audit
from levada.hydraulics.inp import read_network
from levada.runs import ladder
from levada.runs.pipeline import compute
from levada.runs.problem import state_problem
from levada.runs.replay import replay_file
from levada.runs.steps import plan_steps
from levada.schedule import Work, solve


def result_of(inputs: PlanInput) -> PlanResult:
    return PlanResult.model_validate_json(compute(inputs.to_bundle()))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny.plan_input().to_bundle()


@pytest.fixture(scope="module")
def computed(bundle: Bundle) -> bytes:
    return compute(bundle)


@pytest.fixture(scope="module")
def result(computed: bytes) -> PlanResult:
    return PlanResult.model_validate_json(computed)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler spends little work: for tests of what is around it."""
    monkeypatch.setattr(ladder, "solve", partial(solve, work=Work(audit_samples=300, beam=100, candidates=3, simulations=1500, quick_programmes=2, programmes=2)))


def test_a_fresh_process_gives_the_same_bytes_and_one_that_differs_is_named_with_its_place(bundle: Bundle, computed: bytes) -> None:
    tampered = json.loads(computed)
    tampered["plan"]["pumps"][0]["on"][3] ^= True
    report = asyncio.run(replay_file(RecordedRun(bundle=bundle, result=canonical_json(tampered), made_with={}, run={})))
    assert report.result == computed
    assert not report.identical
    assert [d.path for d in report.differences] == ["$.plan.pumps[0].on[3]"]


def test_the_result_is_canonical_json(computed: bytes) -> None:
    assert canonical_json(json.loads(computed)) == computed


def test_an_ordinary_day_gives_a_new_plan_within_its_bound_that_epanet_accepts(result: PlanResult) -> None:
    plan = result.plan
    assert plan.ladder is Ladder.NEW
    assert plan.ladder_reason == ""
    assert plan.audit.accepted
    assert plan.audit.violations == []
    assert plan.certificate.lower_bound is not None
    assert 0 < plan.certificate.lower_bound <= plan.cost
    assert plan.audit.cost == pytest.approx(plan.cost, rel=1e-3)
    assert plan.expires_at == plan.starts_at + timedelta(hours=6)
    assert result.indicators


def test_lists_have_a_value_a_step_and_levels_one_more(result: PlanResult) -> None:
    plan = result.plan
    n = len(plan.step_starts)
    assert n == 24
    for pump in plan.pumps:
        assert len(pump.on) == len(pump.speed) == len(pump.flow_m3_per_s) == len(pump.power_w) == n
    for tank in plan.tanks:
        assert len(tank.level_m) == n + 1
    assert len(plan.price_per_kwh) == len(plan.price_period) == len(plan.price_assumed) == len(plan.demand_m3_per_s) == len(plan.step_cost) == n


def test_the_figures_of_the_plan_agree_with_an_audit_of_the_published_lists(result: PlanResult) -> None:
    """Only what the document says goes in: whoever reads it can check it."""
    inputs, plan = tiny.plan_input(), result.plan
    network = read_network(tiny.INP, "tiny")
    stated = state_problem(inputs, network, plan_steps(inputs.issue_time, inputs.operation), result.forecast, {})
    on = np.array([pump.on for pump in plan.pumps]).T
    verdict = audit(stated.problem, PumpSchedule(on=on, speed=np.where(on, np.array([pump.speed for pump in plan.pumps]).T, 0.0)))
    assert verdict.accepted
    assert verdict.trajectory.cost == pytest.approx(plan.audit.cost)
    assert sum(plan.step_cost) == pytest.approx(plan.audit.cost, rel=1e-9)
    kwh = sum(p * s / 3.6e6 for pump in plan.pumps for p, s in zip(pump.power_w, plan.step_seconds, strict=True))
    assert kwh == pytest.approx(plan.energy_kwh, rel=1e-9)


def test_each_switch_in_the_plan_has_its_reason(result: PlanResult) -> None:
    plan = result.plan
    switches = {
        (pump.name, at) for pump in plan.pumps for at, before, now in zip(plan.step_starts[1:], pump.on, pump.on[1:], strict=False) if before != now
    }
    assert switches
    assert switches <= {(reason.pump, reason.time) for reason in plan.reasons}


def test_a_plan_made_between_the_hours_starts_now_and_keeps_to_the_clock(quickly: None) -> None:
    plan = result_of(tiny.plan_input(tiny.NOW + timedelta(minutes=33))).plan
    assert plan.ladder is Ladder.NEW
    assert plan.starts_at == tiny.NOW + timedelta(minutes=30)
    assert sum(plan.step_seconds) == 24 * 3600
    assert {at.minute for at in plan.step_starts[1:]} == {0}


def test_what_was_assumed_is_flagged_in_the_plan(quickly: None) -> None:
    readings = {**tiny.readings(), "zone.village.flow": Readings.empty()}
    readings["tank.TNK.level"] = Readings.good(np.array([to_np(tiny.NOW - timedelta(minutes=45))]), np.array([2.5]))
    plan = result_of(tiny.plan_input(readings=readings)).plan
    assert any("zone village: demand is by network pattern" in flag for flag in plan.flags)
    assert "tank TNK: the level at the start is a reading 45 minutes away from it" in plan.flags


def test_a_limit_that_cannot_be_kept_leads_to_rule_based_control_with_the_reason(quickly: None) -> None:
    plan = result_of(tiny.plan_input(operation={"pressure_floors": [{"node": "VIL", "min_pressure_m": 150}]})).plan
    assert plan.ladder is Ladder.RULES
    assert "VIL" in plan.ladder_reason
    assert plan.certificate.lower_bound is None
    assert plan.certificate.kind == "none"
    assert not plan.audit.accepted
    assert any(v.limit == "pressure" and v.element == "VIL" for v in plan.audit.violations)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"inp": b"[JUNCTIONS]\n A 0 0\n[END]\n"}, NetworkError, "has no pump|network"),
        ({"operation": {"hydraulic_step_s": 700}}, DocumentError, "hydraulic_step_s"),
    ],
    ids=["a network without pumps", "a hydraulic step that divides no step"],
)
def test_an_input_that_no_plan_can_be_made_from_is_an_error_that_names_it(change: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        compute(tiny.plan_input(**change).to_bundle())


def test_a_bundle_of_another_kind_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="for 'backtest', not for a plan"):
        compute(Bundle("backtest", bundle.parts))


def test_the_computing_process_knows_no_database_queue_or_web() -> None:
    program = "import sys, levada.runs.pipeline, levada.runs.child; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "levada.hydraulics.audit" in modules
    assert not {"psycopg", "procrastinate", "litestar", "asyncssh", "levada.store"} & set(modules)


def test_with_everything_stated_a_plan_holds_and_its_bill_has_each_item(quickly: None) -> None:
    plan = result_of(tiny.plan_input(operation=OPERATION, tariff=TARIFF)).plan
    assert plan.ladder is Ladder.NEW
    assert plan.audit.accepted
    assert plan.bill is not None
    items = {name: getattr(plan.bill, name) for name in ("energy", "demand_charge", "water", "wear", "co2")}
    assert all(value > 0 for value in items.values()), items
    assert plan.bill.total == pytest.approx(plan.cost) == pytest.approx(sum(items.values()) + plan.bill.deviation + plan.bill.stored_water)
    assert sum(plan.step_cost) == pytest.approx(plan.bill.energy + plan.bill.water)
    assert [valve.link for valve in plan.valves] == ["P3"]
    assert plan.tanks[0].reserve_level_m == [1.0, *[1.6] * 12, *[1.0] * 11]
    assert plan.tanks[0].end_level_max_m == 3.5


def test_each_switch_has_its_cause_in_figures_and_an_outage_is_one(quickly: None) -> None:
    pumps = {"PU1": {"status_series": "pump.PU1.status", "outages": [{"from": "12:00", "to": "14:00"}]}, "PU2": {"status_series": "pump.PU2.status", "forced_on": [{"from": "12:00", "to": "14:00"}]}}
    plan = result_of(tiny.plan_input(operation={"pumps": pumps})).plan
    # 12:00 in Lisbon is 11:00 UTC; by which causes the other switches come about is the scheduler's business.
    causes = {(r.pump, r.action, r.cause) for r in plan.reasons if r.time == tiny.NOW + timedelta(hours=5)}
    assert causes <= {("PU1", "off", "out of service"), ("PU2", "on", "must run")}
    assert ("PU2", "on", "must run") in causes
    assert all(r.cause in ("water", "price") for r in plan.reasons if r.time != tiny.NOW + timedelta(hours=5))
    assert all(r.binding_element for r in plan.reasons if r.binding_limit)


def test_a_limit_that_does_not_hold_says_of_what_kind_and_until_when(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = tiny.plan_input(level_m=1.2, operation={"pumps": {name: {"status_series": f"pump.{name}.status", "available": False} for name in ("PU1", "PU2")}})
    monkeypatch.setattr(ladder, "solve", partial(solve, work=Work(audit_samples=300, beam=10, candidates=1, simulations=50, quick_programmes=0, programmes=0)))
    plan = result_of(inputs).plan
    assert plan.ladder is Ladder.RULES
    low = next(v for v in plan.audit.violations if v.limit == "level")
    assert (low.element, low.kind) == ("TNK", "below")
    assert low.at is not None
    assert low.until is not None
    assert low.at < low.until
