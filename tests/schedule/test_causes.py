"""Violations that an outage causes say so, and no others do."""

import numpy as np
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpSchedule
from levada.schedule.causes import with_causes
from levada.schedule.plant import Plant


def test_an_empty_tank_is_put_down_to_the_pump_that_is_missing() -> None:
    available = np.ones((6, 2), bool)
    available[2:, 1] = False
    plant = Plant(Small(demand_l_per_s=35).problem(available=available))
    on = np.zeros((6, 2), bool)
    on[:, 0] = True
    schedule = PumpSchedule(on=on, speed=on.astype(float))
    trajectory = plant.simulator.run(schedule)
    assert trajectory.violations
    told = with_causes(plant, schedule, trajectory)
    assert [(v.limit, v.amount) for v in told] == [(v.limit, v.amount) for v in trajectory.violations]
    assert any(v.text.endswith("because P1 is out of service") for v in told)
    early = [v for v in told if v.at_s is not None and v.at_s < 7200]
    assert all("because" not in v.text for v in early)


def test_nothing_is_blamed_where_every_pump_is_ready_or_nothing_would_help() -> None:
    idle = PumpSchedule(on=np.zeros((6, 2), bool), speed=np.zeros((6, 2)))
    ready = Plant(Small().problem())
    assert with_causes(ready, idle, ready.simulator.run(idle)) == ready.simulator.run(idle).violations
    available = np.ones((6, 2), bool)
    available[5, 1] = False  # too late to help
    plant = Plant(Small(demand_l_per_s=30).problem(available=available))
    told = with_causes(plant, idle, plant.simulator.run(idle))
    assert all("because" not in v.text for v in told if v.limit == "level" and v.at_s is not None and v.at_s < 5 * 3600)


def test_what_no_pump_mends_by_itself_is_put_down_to_all_that_are_missing() -> None:
    plant = Plant(Small(demand_l_per_s=60).problem(available=np.zeros((6, 2), bool)))
    idle = PumpSchedule(on=np.zeros((6, 2), bool), speed=np.zeros((6, 2)))
    trajectory = plant.simulator.run(idle)
    told = with_causes(plant, idle, trajectory)
    one = np.zeros((6, 2), bool)
    one[:, 0] = True
    alone = plant.simulator.run(PumpSchedule(on=one, speed=one.astype(float)))
    still = {v.element for v in alone.violations if v.limit == "level"}
    assert still, "a pump by itself is too little"
    assert any(v.limit == "level" and v.text.endswith("because P0 and P1 are out of service") for v in told)
