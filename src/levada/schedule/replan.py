"""Planning anew from a schedule: the best that a programme near it promises is simulated, and if it is better, it is the next to begin from.

A programme's model holds near its base; how far is learnt: so many changes may it make, twice as many after a success, half as many after a
failure. What EPANET finds amiss in a promise by a little is put right by another programme, made near it, with a few changes and room to the limits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from levada.schedule.candidate import Candidate, Runner, Trial
from levada.schedule.mend import mend
from levada.schedule.near import Lever, Near, near
from levada.schedule.programme import Scope, best_near
from levada.schedule.progress import Teller

__all__ = ["replan"]

_ROOM = 0.0005
_REPAIRS = ((16.0, 0.001), (8.0, 0.003))
"""How a promise that is a little amiss is put right: most changes, room to the limits."""

_LITTLE = 0.05
"""Severity that can be put right."""

_STRICT = 10.0
"""In programmes limits count so many times more than in comparing schedules, where any violation counts besides its size."""

_RADIUS, _LEAST_RADIUS = 16.0, 4.0
"""Changes that a programme may make at first, and the fewest worth a programme."""


_DIVERTING = 3000
"""Options of all levers times steps: larger programmes in which full tanks send water elsewhere take minutes."""


def replan(runner: Runner, start: Candidate, levers: list[Lever], price: float, *, programmes: int, teller: Teller) -> Candidate:
    """The best found from `start` in at most so many programmes, repairs besides. `price`: cost of a unit of severity."""
    scopes = _scopes(len(levers), runner.plant.n * sum(len(lever.counts) for lever in levers) <= _DIVERTING)
    radius = np.full(len(scopes), _RADIUS)
    best, known = start, near(runner, start, levers)
    way = 0
    for _ in range(programmes):
        if teller.is_stopped or (radius < _LEAST_RADIUS).all():
            break
        while radius[way] < _LEAST_RADIUS:
            way = (way + 1) % len(scopes)
        scope = replace(scopes[way], changes=float(radius[way]))
        found = _promised(runner, known, levers, scope, price)
        for changes, room in _REPAIRS:
            if found is None or found.key == best.key or not 0 < found.severity < _LITTLE or (best.severity == 0 and found.cost >= best.cost):
                break
            repair = replace(scopes[0], changes=changes, room=room)
            repaired = _promised(runner, near(runner, found, levers), levers, repair, price)
            found = repaired if repaired is not None and repaired.objective(price) < found.objective(price) else found
        if found is not None and found.objective(price) < best.objective(price) - 1e-6 * (1.0 + abs(best.cost)):
            best, known = found, near(runner, found, levers)
            radius = np.maximum(radius, _LEAST_RADIUS)
            radius[way] *= 2.0
            teller("search", best.cost if best.severity == 0 else None)
        else:
            radius[way] = 0.0 if found is not None and found.key == best.key else radius[way] / 2.0
            way = (way + 1) % len(scopes)
    return best


def _promised(runner: Runner, known: Near, levers: list[Lever], scope: Scope, price: float) -> Candidate | None:
    trial = best_near(runner, known, levers, scope, _STRICT * price)
    return None if trial is None else runner.simulate(_fitting(runner, trial))


def _scopes(levers: int, diverting: bool) -> list[Scope]:
    everything = tuple(range(levers))
    alone = [(i,) for i in everything] if levers > 1 else []
    ways = [(everything, False), *([(everything, True)] if diverting else []), *((one, False) for one in alone)]
    return [Scope(levers=free, diverts=diverts, room=_ROOM) for free, diverts in ways]


def _fitting(runner: Runner, trial: Trial) -> Trial:
    """The schedule, changed where its counts cannot be assigned to pumps."""
    counts, speeds, choices = trial
    if runner.fits(counts):
        return trial
    counts = mend(runner.plant, runner.fits, counts)
    return counts, np.where(counts > 0, np.where(speeds > 0, speeds, runner.plant.top_speed), 0.0), choices
