"""The set-point file, read back by the standard library's csv as a SCADA system would."""

import csv
from datetime import UTC, datetime, timedelta

from tests.store.conftest import a_plan

from levada.domain.plan import Ladder, Plan, PumpPlan, ValvePlan
from levada.domain.settings import Utility
from levada.publish.plan_csv import plan_csv, plan_file_name

T = datetime(2026, 3, 29, 0, tzinfo=UTC)  # in Lisbon the clocks go forward at 01:00
LISBON = Utility(name="U", time_zone="Europe/Lisbon")


def two_pumps() -> Plan:
    pumps = [
        PumpPlan(name="P1", on=[True, False], speed=[0.93456, 0.5], flow_m3_per_s=[0.1, 0.0], power_w=[1e5, 0.0], starts=1),
        PumpPlan(name="P;2", on=[False, True], speed=[1.0, 1.0], flow_m3_per_s=[0.0, 0.1], power_w=[0.0, 1e5], starts=1),
    ]
    return a_plan("serra", T).model_copy(update={"pumps": pumps, "step_starts": [T, T + timedelta(hours=1)]})


def parts(content: bytes) -> tuple[dict[str, str], list[dict[str, str]]]:
    lines = content.decode().splitlines()
    comments = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    return comments, list(csv.DictReader([line for line in lines if not line.startswith("#")], delimiter=";"))


def test_each_step_is_a_row_with_each_pump_s_state_and_speed() -> None:
    _, rows = parts(plan_csv(two_pumps(), LISBON))
    assert rows == [
        {"time_utc": "2026-03-29T00:00:00Z", "time_local": "2026-03-29T00:00:00+00:00", "duration_s": "3600", "P1.on": "1", "P1.speed": "0.9346", "P;2.on": "0", "P;2.speed": "0.0000"},
        {"time_utc": "2026-03-29T01:00:00Z", "time_local": "2026-03-29T02:00:00+01:00", "duration_s": "3600", "P1.on": "0", "P1.speed": "0.0000", "P;2.on": "1", "P;2.speed": "1.0000"},
    ]


def test_a_valve_that_the_plan_sets_has_a_column_of_its_choices() -> None:
    plan = two_pumps().model_copy(update={"valves": [ValvePlan(link="V1", choice=["closed", 12.5])]})
    _, rows = parts(plan_csv(plan, LISBON))
    assert [row["V1.choice"] for row in rows] == ["closed", "12.5"]


def test_the_head_says_what_the_plan_promises_and_until_when() -> None:
    plan = two_pumps().model_copy(update={"ladder": Ladder.PREVIOUS, "ladder_reason": "levels are\ntoo old", "flags": ["one\r\n# tenant: other"]})
    content = plan_csv(plan, LISBON, plan_id="abc")
    head, rows = parts(content)
    assert head["tenant"] == "serra"
    assert head["plan"] == "abc"
    assert head["expires_at"].startswith("2026-03-29T06:00:00Z")
    assert head["cost"] == "12.50 EUR"
    assert head["lower_bound"] == "12.00 EUR"
    assert head["ladder"] == "previous (levels are too old)"
    assert head["note"] == "one # tenant: other"
    assert len(rows) == 2


def test_a_plan_that_was_not_optimised_claims_no_bound() -> None:
    plan = two_pumps()
    plan = plan.model_copy(update={"certificate": plan.certificate.model_copy(update={"lower_bound": None})})
    assert parts(plan_csv(plan, LISBON))[0]["lower_bound"] == "none"


def test_file_names_sort_by_issue_time() -> None:
    names = [plan_file_name(a_plan("t", T + timedelta(hours=h))) for h in (0, 1, 10, 24)]
    assert names[0] == "plan_20260329T000000Z.csv"
    assert names == sorted(names)
