"""How far off a limit still counts as on it: what flows in the second that EPANET rounds to."""

from __future__ import annotations

import pytest

from levada.hydraulics.audit_tank import AuditedTank


def tank(level_m: float, flow_m3_per_s: float) -> AuditedTank:
    """Ten square metres between 1 and 5 m."""
    return AuditedTank(
        name="T", node=1, zero_level_m=0.0, ceiling=5.0, full_m=5.0, lowest_m=1.0, highest_m=5.0, may_stand_full=False, area_m2=10.0, curve=(),
        level_m=level_m, inflow_m3_per_s=flow_m3_per_s, previous_inflow_m3_per_s=flow_m3_per_s,
    )  # fmt: skip


@pytest.mark.parametrize(("level_m", "beyond_m"), [(0.996, 0.0), (0.994, -0.006), (5.004, 0.0), (5.006, 0.006), (3.0, 0.0)])
def test_half_a_centimetre_is_a_second_of_fifty_litres(level_m: float, beyond_m: float) -> None:
    for flow in (0.05, -0.05):
        assert tank(level_m, flow).beyond_m(1.0, 5.0) == pytest.approx(beyond_m, abs=1e-12)


def test_reserves_are_measured_by_their_own_levels() -> None:
    assert tank(3.0, 0.05).beyond_m(3.2, float("inf")) == pytest.approx(-0.2)
    assert tank(3.0, 0.05).beyond_m(float("-inf"), 2.9) == pytest.approx(0.1)
    assert tank(3.0, 0.05).beyond_m(float("-inf"), float("inf")) == 0


def test_a_tank_of_changing_width_is_measured_by_its_volume_curve() -> None:
    cone = tank(2.0, 0.05)
    cone.curve = ((-10.0, 0.0), (2.0, 12.0), (4.0, 12.02), (14.0, 22.02))
    assert cone.beyond_m(3.0, float("inf")) == 0  # so narrow up there that a second's flow fills the metre
    assert cone.beyond_m(4.5, float("inf")) == pytest.approx(-2.5)
