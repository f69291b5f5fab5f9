"""Kicks: other valleys beside the best schedule's are found, the same each time, and nothing is made worse."""

from __future__ import annotations

import numpy as np
from benchmarks.cases.grown import grown_network
from benchmarks.cases.large import day_of

from levada.domain.pumping import PumpingProblem
from levada.schedule.assignment import Fits
from levada.schedule.candidate import SEVERITY, Candidate, Runner
from levada.schedule.first import full_cost, rules_within_starts
from levada.schedule.kicks import kicked
from levada.schedule.near import levers_of
from levada.schedule.plant import Plant
from levada.schedule.progress import Progress, Teller
from levada.schedule.replan import Descent


def _at_an_end(problem: PumpingProblem) -> tuple[Runner, Candidate, float, Teller]:
    """A schedule near which programmes promise nothing more, begun from the plant's own rules."""
    plant = Plant(problem)
    runner, price, teller = Runner(plant, Fits(plant)), SEVERITY * full_cost(plant), Teller(None, plant)
    schedule = rules_within_starts(plant, Fits(plant))
    counts, _ = plant.by_class(np.where(schedule.on, schedule.speed, 0.0))
    way = Descent(runner, runner.simulate((counts, np.where(counts > 0, plant.top_speed, 0.0), schedule.valve_choice)), levers_of(plant), price, teller)
    return runner, way.go(200), price, teller


def test_kicks_find_what_is_beyond_a_ridge() -> None:
    problem = day_of(grown_network(seed=33, tanks=3, stations=3))
    runner, start, price, teller = _at_an_end(problem)
    found = kicked(runner, start, levers_of(runner.plant), price, 24, 0, teller)
    assert found.objective(price) < start.objective(price)
    assert runner.fits(found.counts)
    again, begun, _, _ = _at_an_end(problem)
    assert begun.key == start.key
    assert kicked(again, begun, levers_of(again.plant), price, 24, 0, teller).key == found.key


def test_who_stops_gets_the_best_so_far() -> None:
    runner, start, price, _ = _at_an_end(day_of(grown_network(seed=33, tanks=3, stations=3)))

    def stop(progress: Progress) -> bool:
        return False

    assert kicked(runner, start, levers_of(runner.plant), price, 24, 0, Teller(stop, runner.plant)) is start
