from __future__ import annotations

import numpy as np
from tests.kpi.kpi_case import problem, schedule, trajectory

from levada.kpi import plan_indicators


def test_all_indicators_of_a_plan_have_names_of_their_own_and_finite_values() -> None:
    asked = problem()
    found = plan_indicators(asked, schedule(), trajectory(asked), trajectory(asked), currency="EUR")
    assert [i.name for i in found] == [
        "demand volume", "specific energy", "energy cost", "average price", "peak share", "off-peak share", "load factor",
        "storage margin", "lowest level", "pump starts", "most starts of a pump", "savings",
    ]  # fmt: skip
    assert all(np.isfinite(i.value) for i in found)


def test_without_a_baseline_nothing_is_said_of_savings() -> None:
    asked = problem()
    assert "savings" not in [i.name for i in plan_indicators(asked, schedule(), trajectory(asked), None)]


def test_what_is_not_defined_is_left_out() -> None:
    asked = problem(demand_m3_per_s=np.zeros((4, 1)))
    nothing = trajectory(asked, power_w=np.zeros((4, 2)), flow=np.zeros((4, 2)))
    assert [i.name for i in plan_indicators(asked, schedule(), nothing, nothing)] == ["demand volume", "lowest level", "pump starts", "most starts of a pump"]
