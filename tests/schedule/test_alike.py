"""Pumps that differ in their piece of pipe only count as one class, and no others do; what is promised of such a class holds whichever of its pumps runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.schedule.small_networks import Small, best_by_trying_all

from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.pumping_terms import Meter
from levada.hydraulics.audit import audit
from levada.hydraulics.inp import read_network
from levada.schedule import plant as plant_of
from levada.schedule import solve
from levada.schedule.assignment import Fits
from levada.schedule.candidate import Runner
from levada.schedule.hull_fit import fitted
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Teller
from levada.schedule.tank_bound import bound_by_tanks


@pytest.fixture(autouse=True)
def _put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small stations are put together here that otherwise would not be."""
    monkeypatch.setattr(plant_of, "_MANY", 3)


def station(lengths_m: tuple[float, ...] = (10.0, 10.3, 9.8), diameter_mm: float = 300.0, **changes: object) -> PumpingProblem:
    """A station as models of real ones draw it, each pump between pipes of its own, and a second one of one pump, above the first one's tank."""
    small = Small(pumps=len(lengths_m), demand_l_per_s=16.0, upper=True)
    text = small.inp().decode()
    ends = [f" {name}{i} 0 0" for i in range(len(lengths_m)) for name in "SD"]
    pipes = [f" {name}p{i} {a} {b} {length} {diameter_mm} 120 0 Open" for i, length in enumerate(lengths_m) for name, a, b in (("S", "R", f"S{i}"), ("D", f"D{i}", "J0"))]
    for i in range(len(lengths_m)):
        text = text.replace(f" P{i} R J0 ", f" P{i} S{i} D{i} ")
    text = text.replace("[JUNCTIONS]\n", "[JUNCTIONS]\n" + "\n".join(ends) + "\n").replace("[PIPES]\n", "[PIPES]\n" + "\n".join(pipes) + "\n")
    plain = small.problem(**changes)
    network = read_network(text.encode(), "station.inp")
    demand = np.zeros((len(plain.steps), len(network.junctions)))
    for name in ("J1", "U1"):
        demand[:, network.junction_index[name]] = plain.demand_m3_per_s[:, plain.network.junction_index[name]]
    return replace(plain, network=network, demand_m3_per_s=demand)


def test_pumps_that_differ_in_their_piece_of_pipe_are_one_class() -> None:
    found, upper = Plant(station()).classes
    assert found.pumps == (0, 1, 2)
    assert found.is_nearly
    assert not upper.is_nearly


def test_where_configurations_are_few_each_stays_a_class_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of them runs is worth a litre, and sometimes a schedule hangs on it."""
    monkeypatch.setattr(plant_of, "_MANY", 60)
    assert [c.pumps for c in Plant(station()).classes] == [(0,), (1,), (2,), (3,)]
    assert [c.pumps for c in Plant(station((10.0,) * 6)).classes] == [(0, 1, 2, 3, 4, 5), (6,)]


def test_pumps_at_the_same_nodes_are_alike_and_not_only_nearly() -> None:
    (found,) = Plant(Small(pumps=3).problem()).classes
    assert not found.is_nearly


def test_a_pump_behind_a_long_pipe_is_a_class_of_its_own() -> None:
    assert [c.pumps for c in Plant(station((10.0, 600.0, 10.0), 150.0)).classes] == [(0, 2), (1,), (3,)]


def test_pumps_of_other_meters_prices_or_limited_flows_are_not_put_together() -> None:
    problem = station()
    names = [p.name for p in problem.network.pumps]
    metered = replace(problem, meters=(Meter(name="one", pumps=(names[0],)), Meter(name="rest", pumps=tuple(names[1:3]))))
    dearer = replace(problem, price_per_kwh=problem.price_per_kwh * np.array([1.0, 1.0, 1.1, 1.0]))
    watched = replace(problem, flow_limits_m3_per_s={"Dp0": (-1.0, 1.0)})
    assert [c.pumps for c in Plant(metered).classes] == [(0,), (1, 2), (3,)]
    assert [c.pumps for c in Plant(dearer).classes] == [(0, 1), (2,), (3,)]
    assert [c.pumps for c in Plant(watched).classes] == [(0,), (1,), (2,), (3,)]


def test_what_is_measured_may_be_measured_at_any_pump_of_the_class() -> None:
    plant = Plant(station())
    first = np.tile([1.0, 0.0, 0.0, 1.0], (60, 1))
    swapped = plant.swapped(first, np.random.default_rng(0))
    assert (swapped[:, :3].sum(axis=1) == 1).all()
    assert (swapped[:, 3] == 1).all()
    assert (swapped.sum(axis=0) > 5).all()
    assert (plant.by_class(swapped)[0] == 1).all()
    same = Plant(Small(pumps=3).problem())
    assert (same.swapped(first[:, :3], np.random.default_rng(0)) == first[:, :3]).all()


def test_a_runner_follows_the_pumps_that_are_to_run() -> None:
    plant = Plant(station())
    runner = Runner(plant, Fits(plant))
    counts = np.ones((6, 2), np.int64)
    assert (runner.pump_speeds(np.arange(6), counts, counts * 1.0)[:, 0] == 1).all()
    on = np.concatenate([np.arange(3)[None] == np.array([2, 2, 1, 1, 0, 0])[:, None], np.ones((6, 1), bool)], axis=1)
    schedule = PumpSchedule(on=on, speed=on * 1.0)
    runner.follow(schedule)
    assert (runner.pump_speeds(np.arange(6), counts, counts * 1.0) == schedule.speed).all()


@pytest.mark.parametrize("lengths_m", [(10.0, 14.0), (30.0, 5.0)])
def test_the_schedule_holds_and_the_bound_is_below_every_schedule_of_every_pump(lengths_m: tuple[float, ...]) -> None:
    problem = station(lengths_m, n=4, max_starts=np.full(3, 3))
    assert Plant(problem).classes[0].is_nearly
    tried = best_by_trying_all(problem)
    assert tried is not None
    solution = solve(problem)
    assert solution.feasible
    assert audit(problem, solution.schedule).accepted
    assert solution.certificate.lower_bound is not None
    assert solution.certificate.lower_bound <= tried[0] + 1e-9
    assert solution.certificate.cost <= tried[0] * 1.005


@pytest.mark.parametrize("lengths_m", [(10.0, 14.0), (30.0, 5.0)])
def test_values_by_tank_are_below_every_schedule_of_every_pump(lengths_m: tuple[float, ...]) -> None:
    problem = station(lengths_m, n=4, max_starts=np.full(3, 3))
    tried = best_by_trying_all(problem)
    assert tried is not None
    plant, rng = Plant(problem), np.random.default_rng(0)
    assert plant.classes[0].is_nearly
    fit = fitted(plant, [], rng, Work(hull_solves=2000), Teller(None, plant))
    assert fit is not None
    worth = np.full((plant.n + 1, plant.tanks), tried[0])
    found = bound_by_tanks(plant, fit, worth, tried[1], tried[0], rng, Work(tank_steps=12_000), 0.0, Teller(None, plant))
    assert found is not None
    value = found.bound(tried[0]).value
    assert value is not None
    assert 0.0 < value <= tried[0] + 1e-9
