"""Reasons of switches: what it costs to move or forbid each, and which limit binds."""

import numpy as np
import pytest
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpSchedule
from levada.schedule.plant import Plant
from levada.schedule.reasons import SwitchReason, explain

WATER = np.zeros((7, 1))


def _reasons(on: list[list[int]], **changes: object) -> tuple[Plant, PumpSchedule, list[SwitchReason]]:
    plant = Plant(Small(demand_l_per_s=12).problem(**changes))  # type: ignore[arg-type]
    runs = np.array(on, bool)
    schedule = PumpSchedule(on=runs, speed=runs.astype(float))
    return plant, schedule, list(explain(plant, schedule, plant.simulator.run(schedule), WATER))


def test_costs_of_moving_and_forbidding_a_switch_are_those_of_simulations() -> None:
    plant, schedule, reasons = _reasons([[0, 0], [1, 0], [1, 0], [0, 0], [1, 0], [1, 0]])
    own = plant.simulator.run(schedule).cost

    def cost(*changes: tuple[int, bool]) -> float:
        on = schedule.on.copy()
        for k, state in changes:
            on[k, 0] = state
        return plant.simulator.run(PumpSchedule(on=on, speed=on.astype(float))).cost - own

    start = next(r for r in reasons if r.step == 1)
    assert start.figures["delay_cost"] == pytest.approx(cost((1, False)))
    assert start.figures["advance_cost"] == pytest.approx(cost((0, True)))
    assert start.figures["forbid_cost"] == pytest.approx(cost((1, False), (2, False)))
    stop = next(r for r in reasons if r.step == 3)
    assert stop.figures["forbid_cost"] == pytest.approx(cost((3, True)))


def test_the_limit_that_fails_first_without_a_switch_is_named() -> None:
    _, _, reasons = _reasons([[1, 0], [1, 0], [0, 0], [1, 0], [1, 0], [0, 0]], initial_level_m=np.array([0.8]), end_level_m=np.array([0.5]))
    first = reasons[0]
    assert first.binding.endswith("of T")
    assert "T" in first.text
    assert "UTC" in first.text


def test_a_pump_that_must_run_or_must_not_says_so() -> None:
    forced, available = np.zeros((6, 2), bool), np.ones((6, 2), bool)
    forced[1, 0], available[2:, 0] = True, False
    _, _, reasons = _reasons([[0, 0], [1, 0], [0, 0], [0, 1], [0, 1], [0, 1]], forced_on=forced, available=available)
    assert "must run" in reasons[0].text
    assert "not available" in reasons[1].text
