"""A first schedule, before anything is learnt of the plant: what level switches would do, put right where that breaks limits.

It takes seconds where the search takes minutes, so that there is something to go by early, and to be left with where the search is stopped.
"""

from __future__ import annotations

import numpy as np

from levada.domain.pumping import PumpSchedule
from levada.domain.series import Floats
from levada.schedule.assignment import Fits, to_pumps
from levada.schedule.candidate import SEVERITY, Runner, Trial
from levada.schedule.mend import mend, usual_speeds
from levada.schedule.near import levers_of
from levada.schedule.plant import Ints, Plant
from levada.schedule.progress import Teller
from levada.schedule.replan import Descent
from levada.schedule.rules import rules_of

__all__ = ["first_schedule", "full_cost", "rules_within_starts"]

_PROGRAMMES = 4
"""Most programmes of a kind to put right what is amiss."""


def first_schedule(runner: Runner, teller: Teller, *, programmes: bool) -> Trial:
    """Counts, speeds and valves that level switches give, made to fit what binds the pumps by themselves; with `programmes` what is amiss then is put right, as far as a few of them do."""
    plant = runner.plant
    found = runner.simulate((*_by_rules(plant, runner.fits), runner.first_choices))
    teller("rules", found.cost if found.severity == 0 else None)
    # What the first better schedules of programmes do not put right, the best of theirs may.
    if programmes and found.severity > 0 and not teller.is_stopped:
        levers, price = levers_of(plant), SEVERITY * full_cost(plant)
        for is_first in (True, False):
            way = Descent(runner, found, levers, price, teller, is_first=is_first)
            for _ in range(_PROGRAMMES):
                if found.severity == 0:
                    return found.trial
                found = way.go(1)
    return found.trial


def rules_within_starts(plant: Plant, fits: Fits) -> PumpSchedule:
    """What level switches would do, made to fit what binds the pumps by themselves: for a search that was stopped before it had anything."""
    return to_pumps(plant, *_by_rules(plant, fits))


def _by_rules(plant: Plant, fits: Fits) -> tuple[Ints, Floats]:
    """Counts and speeds (n, classes) of level switches, made to fit."""
    counts, speeds = plant.by_class(rules_of(plant).speed)
    counts = mend(plant, fits, counts)
    return counts, usual_speeds(plant, counts, speeds)


def full_cost(plant: Plant) -> float:
    """Cost of running everything throughout at the mean absolute price, about: the scale of money here."""
    solve = plant.solve(0, np.full(plant.tanks, 0.5), np.ones(plant.pumps, bool), plant.problem.max_speed)
    kw = max(float(solve.power.sum()) / 1000.0, 0.01)
    return kw * float((np.abs(plant.class_price).mean(axis=1) * plant.problem.steps.hours).sum()) + 1e-6
