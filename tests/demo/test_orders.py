"""Set-point files: read whole or not at all, obeyed while they hold."""

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from levada.demo.orders import Plans, read_set_points
from levada.demo.utilities import list_utilities
from levada.domain.errors import FileError
from levada.domain.plan import AuditReport, Certificate, Ladder, Plan, PumpPlan
from levada.domain.settings import Utility, read_document
from levada.publish.plan_csv import plan_csv

TEXT = """\
# tenant: serra
# plan_id: 5f0c
# issue_time: {issue}
# expires_at: {expires}
# ladder: new
# cost: 182.40 EUR
# lower_bound: 176.10 EUR
time_utc;time_local;duration_s;P1.on;P1.speed;P-2.on;P-2.speed
2026-03-01T04:00:00Z;2026-03-01T04:00:00+00:00;3600;1;1.0;0;0
2026-03-01T05:00:00Z;2026-03-01T05:00:00+00:00;3600;0;0;1;0.875
"""
FOUR = datetime(2026, 3, 1, 4, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def text(issue: str = "2026-03-01T03:55:00Z", expires: str = "2026-03-01T05:30:00Z") -> bytes:
    return TEXT.format(issue=issue, expires=expires).encode()


def test_each_step_gives_speed_and_rest() -> None:
    plan = read_set_points(text())
    assert plan.at(FOUR) == {"P1": 1.0, "P-2": 0.0}
    assert plan.at(FOUR + 60 * MINUTE) == {"P1": 0.0, "P-2": 0.875}
    assert (plan.plan_id, plan.ladder, plan.cost) == ("5f0c", "new", "182.40 EUR")


def test_the_file_that_levada_publishes_is_understood() -> None:
    hour, odd = timedelta(hours=1), 'P "2"; old'
    audit = AuditReport(accepted=True, cost=12.5, energy_kwh=90.0, engine="EPANET", hydraulic_step_s=900)
    pumps = [
        PumpPlan(name="EE1-1", on=[True, False], speed=[1.0, 0.0], flow_m3_per_s=[0.04, 0.0], power_w=[5e4, 0.0], starts=0),
        PumpPlan(name=odd, on=[False, True], speed=[0.0, 0.8725], flow_m3_per_s=[0.0, 0.02], power_w=[0.0, 1e4], starts=1),
    ]
    published = Plan(
        tenant_id="serra", issue_time=FOUR - 5 * MINUTE, starts_at=FOUR, expires_at=FOUR + 6 * hour, ladder=Ladder.NEW, currency="EUR",
        step_starts=[FOUR, FOUR + hour], step_seconds=[3600, 3600], price_per_kwh=[0.1, 0.2], price_period=["a", "b"], price_assumed=[False, False],
        pumps=pumps, tanks=[], demand_m3_per_s=[0.05, 0.05], cost=12.5, energy_kwh=90.0, step_cost=[5.0, 7.5],
        certificate=Certificate(cost=12.5, lower_bound=12.1, gap=0.032, kind="exact", method="test"), audit=audit, flags=["a flag: # with; signs"],
    )  # fmt: skip
    serra = cast(Utility, read_document("utility", list_utilities()[0].documents["utility"]))
    plan = read_set_points(plan_csv(published, serra, plan_id="77"))
    assert (plan.plan_id, plan.issue_time, plan.expires_at) == ("77", published.issue_time, published.expires_at)
    assert plan.at(FOUR) == {"EE1-1": 1.0, odd: 0.0}
    assert plan.at(FOUR + hour) == {"EE1-1": 0.0, odd: 0.8725}
    assert plan.at(FOUR + 2 * hour) is None


def test_a_plan_is_not_obeyed_before_its_steps_nor_from_its_expiry_on() -> None:
    plan = read_set_points(text())
    assert plan.at(FOUR - MINUTE) is None
    assert plan.at(FOUR + 89 * MINUTE) is not None
    assert plan.at(FOUR + 90 * MINUTE) is None


def test_nothing_is_obeyed_before_it_was_made() -> None:
    plan = read_set_points(text(issue="2026-03-01T04:20:00Z"))
    assert plan.at(FOUR + 15 * MINUTE) is None
    assert plan.at(FOUR + 20 * MINUTE) is not None


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xff\xfe",
        text().replace(b"# expires_at: 2026-03-01T05:30:00Z\n", b""),
        text(expires="soon"),
        text(expires="2026-03-01T05:30:00"),
        text().replace(b"P-2.speed", b"P-2.spd"),
        text().replace(b"3600;1;1.0;0;0", b"3600;1;1.0"),
        text().replace(b".on", b".run"),
    ],
)
def test_what_is_not_fully_understood_is_refused(broken: bytes) -> None:
    with pytest.raises(FileError, match=r"plan_current.csv: .*by its rules"):
        read_set_points(broken)


def test_the_plan_made_last_wins_and_the_one_before_fills_in() -> None:
    plans = Plans()
    old, new = read_set_points(text()), read_set_points(text(issue="2026-03-01T05:05:00Z", expires="2026-03-01T05:20:00Z").replace(b"P1.on", b"P9.on").replace(b"P1.speed", b"P9.speed"))
    assert plans.add(new)
    assert plans.add(old)
    assert not plans.add(old)
    assert plans.at(FOUR) == old.at(FOUR)
    assert plans.at(FOUR + 70 * MINUTE) == new.at(FOUR + 70 * MINUTE)
    assert plans.at(FOUR + 85 * MINUTE) == old.at(FOUR + 85 * MINUTE)
    assert plans.at(FOUR + 95 * MINUTE) is None
