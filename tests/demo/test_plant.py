"""The plant: real hydraulics, limits kept, the same again when taken up again."""

import functools
import itertools
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from epanet import toolkit

from levada.demo.demand import QUARTER
from levada.demo.plant import Plant, PlantState
from levada.demo.utilities import DemoUtility, list_utilities
from levada.hydraulics.epanet import open_project

UTILITIES = list_utilities()
START = datetime(2026, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

each = pytest.mark.parametrize("utility", UTILITIES, ids=lambda u: u.tenant_id)


@functools.cache
def week(tenant_id: str, start: datetime) -> list[PlantState]:
    """States at the quarter-hours of a week under rules."""
    plant = Plant(next(u for u in UTILITIES if u.tenant_id == tenant_id), start=start)
    states: list[PlantState] = []
    plant.advance(start + 7 * DAY, lambda time: states.append(plant.state))
    return [*states, plant.state]


@each
@pytest.mark.parametrize("start", [START, datetime(2026, 7, 20, tzinfo=UTC)], ids=["winter", "summer"])
def test_rules_keep_a_week_within_all_limits_and_pumps_work_half_of_the_time(utility: DemoUtility, start: datetime) -> None:
    states = week(utility.tenant_id, start)
    plant = Plant(utility, start=start)
    for name, limits in plant.operation.tanks.items():
        levels = np.array([s.level_m[name] for s in states])
        assert levels.min() >= limits.min_level_m
        assert levels.max() <= limits.max_level_m
        assert np.ptp(levels) > 0.3, "the tank is used"
    assert not any(s.tripped for s in states), "the plant's own switches were not needed"
    running = np.mean([[v > 0 for v in s.speed.values()] for s in states])
    assert 0.3 < running < 0.75
    starts = np.array([[b and not a for a, b in zip(old.speed.values(), new.speed.values(), strict=True)] for old, new in itertools.pairwise(states)])
    assert starts.sum(axis=0).max() <= 7 * 6


@each
def test_the_same_seed_gives_the_same_plant(utility: DemoUtility) -> None:
    once, again = Plant(utility, start=START), Plant(utility, start=START)
    assert once.advance(START + DAY) == again.advance(START + DAY)
    assert once.state == again.state


@each
@pytest.mark.parametrize("cut", [1, 37, 96, 150])
def test_a_plant_taken_up_again_goes_on_as_if_it_had_never_stopped(utility: DemoUtility, cut: int) -> None:
    whole, first = Plant(utility, start=START), Plant(utility, start=START)
    expected = whole.advance(START + 2 * DAY)
    measured = first.advance(START + cut * QUARTER)
    on_disk = json.dumps(first.state.as_document())
    second = Plant(utility, state=PlantState.from_document(json.loads(on_disk)))
    measured += second.advance(START + 2 * DAY)
    assert measured == expected
    assert second.state == whole.state


def test_orders_are_obeyed_and_where_there_are_none_rules_hold() -> None:
    plant = Plant(UTILITIES[0], start=START)
    told = {"EE1-1": 0.0, "EE1-2": 1.0, "EE1-3": 1.0, "EE2-1": 0.9, "EE2-2": 0.0}
    until = START + 2 * QUARTER
    plant.advance(until, lambda time: told)
    assert plant.state.speed == told
    plant.advance(until + QUARTER, lambda time: told if time < until else None)
    assert plant.state.level_m["Castelo"] < plant.settings.rules["EE1-1"].on_below_m
    assert plant.state.speed["EE1-1"] == 1.0


def test_nothing_is_asked_of_the_future() -> None:
    asked: list[datetime] = []

    def orders(time: datetime) -> None:
        asked.append(time)

    Plant(UTILITIES[0], start=START).advance(START + timedelta(minutes=59), orders)
    assert asked == [START, START + QUARTER, START + 2 * QUARTER]


@each
@pytest.mark.parametrize("all_on", [False, True])
def test_switches_save_the_plant_from_the_worst_orders(utility: DemoUtility, all_on: bool) -> None:
    plant = Plant(utility, start=START)
    tripped = set()

    def orders(time: datetime) -> dict[str, float]:
        tripped.update(plant.state.tripped)
        for tank in plant.network.tanks:
            assert tank.min_level_m + 0.01 < plant.state.level_m[tank.name] < tank.max_level_m - 0.01
        return {name: float(all_on) for name in plant.state.speed}

    plant.advance(START + 3 * DAY, orders)
    assert any(word.endswith("high" if all_on else "low") for word in tripped)


@each
def test_what_is_measured_is_near_what_is_true(utility: DemoUtility) -> None:
    plant = Plant(utility, start=START)
    off, wild = [], 0
    for _ in range(96 * 3):
        (m,) = plant.advance(plant.state.time + QUARTER)
        flow = dict(zip(plant.demand.zones, plant.demand.flow_m3_per_s(m.time - QUARTER), strict=True))
        for name, zone in plant.operation.zones.items():
            if zone.flow_series in m.means:
                off.append(abs(m.means[zone.flow_series] / flow[name] - 1))
        for name, tank in plant.operation.tanks.items():
            if tank.level_series in m.points and abs(m.points[tank.level_series] - plant.state.level_m[name]) > 0.06:
                wild += 1
    assert np.median(off) < 0.03
    assert wild < 0.05 * 96 * 3 * 3, "but for sensors that stick or talk nonsense"


@each
def test_energy_counters_only_count_up(utility: DemoUtility) -> None:
    states = week(utility.tenant_id, START)
    for name in states[0].energy_j:
        counter = np.array([s.energy_j[name] for s in states])
        assert (np.diff(counter) >= 0).all()
        running = np.array([s.speed[name] > 0 for s in states[1:]])
        assert (np.diff(counter)[~running] == 0).all()
        assert (np.diff(counter)[running] > 0).all()


def test_a_meter_tells_the_mean_power_of_its_pumps_over_the_quarter_hour() -> None:
    plant = Plant(UTILITIES[0], start=START)
    seen = 0
    for _ in range(48):
        before = plant.state.energy_j
        (m,) = plant.advance(plant.state.time + QUARTER)
        true_w = sum(plant.state.energy_j[pump] - before[pump] for pump in ("EE1-1", "EE1-2", "EE1-3")) / 900
        if true_w > 0 and "meter.EE1.power" in m.means:
            assert m.means["meter.EE1.power"] == pytest.approx(true_w, rel=0.02)
            seen += 1
    assert seen > 5


def test_epanet_in_one_run_agrees_with_the_plants_quarter_hours() -> None:
    """The judge is EPANET with the same truth and demands as patterns of quarter-hours, in one run without a stop."""
    utility = UTILITIES[0]
    plant = Plant(utility, start=START)
    told = {"EE1-1": 1.0, "EE1-2": 0.0, "EE1-3": 0.0, "EE2-1": 0.92, "EE2-2": 0.0}
    quarters = 24
    flow = np.array([plant.demand.flow_m3_per_s(START + i * QUARTER) for i in range(quarters)]) * 1000  # l/s, the network's unit
    before = plant.state
    plant.advance(START + quarters * QUARTER, lambda time: told)
    assert not plant.state.tripped

    with open_project(utility.inp, "judge") as project:
        ph = project.handle
        toolkit.settimeparam(ph, toolkit.DURATION, quarters * 900)
        toolkit.settimeparam(ph, toolkit.HYDSTEP, 900)
        toolkit.settimeparam(ph, toolkit.PATTERNSTEP, 900)
        for column, zone in enumerate(plant.demand.zones):
            toolkit.addpattern(ph, f"of-{zone}")
            pattern = toolkit.getpatternindex(ph, f"of-{zone}")
            values = toolkit.doubleArray(quarters)
            for i in range(quarters):
                values[i] = flow[i, column]
            toolkit.setpattern(ph, pattern, values, quarters)
            for junction, part in plant.truth.share[zone].items():
                node = toolkit.getnodeindex(ph, junction)
                toolkit.setbasedemand(ph, node, 1, part)
                toolkit.setdemandpattern(ph, node, 1, pattern)
        for name, factor in plant.truth.roughness.items():
            link = toolkit.getlinkindex(ph, name)
            toolkit.setlinkvalue(ph, link, toolkit.ROUGHNESS, toolkit.getlinkvalue(ph, link, toolkit.ROUGHNESS) * factor)
        for name, speed in told.items():
            link = toolkit.getlinkindex(ph, name)
            toolkit.setlinkvalue(ph, link, toolkit.INITSTATUS, float(speed > 0))
            if speed > 0:
                # The running pumps are the only ones of their stations, so that their shared curves may be theirs alone.
                toolkit.setlinkvalue(ph, link, toolkit.INITSETTING, speed)
                curve = toolkit.getheadcurveindex(ph, link)
                for i in range(1, toolkit.getcurvelen(ph, curve) + 1):
                    q, h = toolkit.getcurvevalue(ph, curve, i)
                    toolkit.setcurvevalue(ph, curve, i, q, h * plant.truth.pump_head[name])
        tanks = {name: toolkit.getnodeindex(ph, name) for name in before.level_m}
        for name, node in tanks.items():
            toolkit.setnodevalue(ph, node, toolkit.TANKLEVEL, before.level_m[name])
        energy_kwh = dict.fromkeys(told, 0.0)
        with project.hydraulics():
            toolkit.initH(ph, toolkit.NOSAVE)
            step = 1
            while step > 0:
                toolkit.runH(ph)
                power = {name: toolkit.getlinkvalue(ph, toolkit.getlinkindex(ph, name), toolkit.ENERGY) for name in told}
                step = toolkit.nextH(ph)
                for name, kw in power.items():
                    energy_kwh[name] += kw * step / 3600
            for name, node in tanks.items():
                level = toolkit.getnodevalue(ph, node, toolkit.HEAD) - toolkit.getnodevalue(ph, node, toolkit.ELEVATION)
                assert plant.state.level_m[name] == pytest.approx(level, abs=2e-3)
    for name, kwh in energy_kwh.items():
        counted = (plant.state.energy_j[name] - before.energy_j[name]) / 3.6e6
        assert counted == pytest.approx(kwh * plant.truth.pump_power[name], rel=1e-3)
    assert energy_kwh["EE1-1"] > 100
