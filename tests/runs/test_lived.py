"""A decision's input as other plans would have made it."""

from __future__ import annotations

import numpy as np
from tests.runs import tiny
from tests.runs.stating import NETWORK
from tests.runs.test_zones import unmetered

from levada.domain.plan_input import PlanInput
from levada.domain.series import Readings
from levada.domain.time import to_np
from levada.runs.lived import as_lived, with_flows
from levada.runs.outcome import Outcome
from levada.runs.zones import zone_demands


def outcome(level_m: float) -> Outcome:
    """Three hours up to now with the level somewhere else."""
    times = [tiny.NOW - (12 - i) * (tiny.NOW - tiny.NOW.replace(minute=0, hour=tiny.NOW.hour - 1)) / 4 for i in range(12)]
    return Outcome(
        step_starts=times, until=tiny.NOW, cost=1.0, energy_kwh=1.0, demand_m3=1.0, stored_m3=0.0, starts=0, by_rules_s=0, violations=[],
        level_m={"TNK": [level_m] * 13}, on={"PU1": [True] * 12, "PU2": [False] * 12}, speed={"PU1": [1.0] * 12, "PU2": [0.0] * 12}, flags=[],
    )  # fmt: skip


def test_a_zone_told_by_its_tanks_keeps_its_demand_when_their_levels_are_replaced() -> None:
    inputs, _ = unmetered(0.0)
    before = zone_demands(inputs.operation, NETWORK, inputs.readings, inputs.issue_time)["village"]
    lived = as_lived(with_flows(inputs, NETWORK), outcome(1.5), None)
    assert lived.readings["tank.TNK.level"].values[-1] == 1.5
    after = zone_demands(lived.operation, NETWORK, lived.readings, lived.issue_time)["village"]
    np.testing.assert_array_equal(after.values, before.values)
    # It is a bundle like any other.
    assert PlanInput.of(lived.to_bundle()).operation == lived.operation


def test_a_utility_whose_zones_all_have_meters_is_left_as_it_is() -> None:
    inputs = tiny.plan_input()
    assert with_flows(inputs, NETWORK) is inputs


def test_what_lived_on_was_known_no_sooner_than_what_was_measured() -> None:
    inputs = tiny.plan_input()
    level = inputs.readings["tank.TNK.level"]
    late = level.times <= to_np(tiny.NOW) - np.timedelta64(60, "m")
    readings = {**inputs.readings, "tank.TNK.level": Readings(times=level.times[late], values=level.values[late], quality=level.quality[late])}
    lived = as_lived(tiny.plan_input(readings=readings), outcome(1.5), None).readings["tank.TNK.level"]
    assert lived.times[-1] == level.times[late][-1]
    assert (lived.values[-8:] == 1.5).all()
