"""Planning anew from a schedule: the best that a programme near it promises is simulated, and if it is better, it is the next to begin from.

A programme's model holds near its base; how far is learnt: so many changes may it make, twice as many after a success, half as many after a
failure. What EPANET finds amiss in a promise by a little is put right by another programme, made near it, with a few changes and room to the limits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from levada.schedule.candidate import Candidate, Runner, Trial
from levada.schedule.mend import mend
from levada.schedule.near import Lever, Near, is_large, near
from levada.schedule.programme import Effort, Scope, best_near
from levada.schedule.progress import Teller

__all__ = ["Descent"]

_ROOM = 0.0005
_REPAIRS = ((16.0, 0.001), (8.0, 0.003))
"""How a promise that is a little amiss is put right: most changes, room to the limits."""

_LITTLE = 0.05
"""Severity that can be put right."""

_STRICT = 10.0
"""In programmes limits count so many times more than in comparing schedules, where any violation counts besides its size."""

_RADIUS, _LEAST_RADIUS = 16.0, 4.0
"""Changes that a programme may make at first, and the fewest worth a programme."""

_LEAST_GAIN = 1e-4
"""Share of the cost that is gained where a success is worth another programme of its kind; one that gains less is taken, and its kind has come to an end."""


class Descent:
    """A way down from one schedule, programme by programme, that can be gone on with. `best` is the best schedule on it so far."""

    def __init__(self, runner: Runner, start: Candidate, levers: list[Lever], price: float, teller: Teller, *, is_first: bool = False) -> None:
        """`price`: cost of a unit of severity. `is_first`: any schedule that keeps the limits will do."""
        self._runner, self._levers, self._price, self._teller = runner, levers, price, teller
        self._scopes = _scopes(len(levers), not is_large(runner.plant, levers))
        self._radius = np.full(len(self._scopes), _RADIUS)
        self._way = 0
        self._effort: Effort = "first" if is_first else "swift" if is_large(runner.plant, levers) else "quick"
        self._failed: set[bytes] = set()
        self._near: Near | None = None
        self.best = start

    @property
    def is_at_end(self) -> bool:
        """Whether nothing more is promised near the best schedule."""
        return bool((self._radius < _LEAST_RADIUS).all())

    def go(self, programmes: int, *, thoroughly: bool = False) -> Candidate:
        """The best found in at most so many programmes more, repairs besides. Once they are thorough, what quick ones came to an end with is tried again."""
        runner, levers, price, radius = self._runner, self._levers, self._price, self._radius
        if thoroughly and self._effort != "thorough":
            self._effort, self._way = "thorough", 0
            radius[:] = _RADIUS
            self._failed.clear()
        for _ in range(programmes):
            if self._teller.is_stopped or self.is_at_end:
                break
            self._near = self._near or near(runner, self.best, levers)
            while radius[self._way] < _LEAST_RADIUS:
                self._way = (self._way + 1) % len(radius)
            scope = replace(self._scopes[self._way], changes=float(radius[self._way]), effort=self._effort)
            found = self._repaired(_promised(runner, self._near, levers, scope, price))
            gain = 0.0 if found is None else self.best.objective(price) - found.objective(price)
            if found is not None and gain > 1e-6 * (1.0 + abs(self.best.cost)):
                self.best, self._near = found, None
                self._teller("search", found.cost if found.severity == 0 else None)
            if gain > _LEAST_GAIN * abs(self.best.cost):
                np.maximum(radius, _LEAST_RADIUS, out=radius)
                radius[self._way] *= 2.0
            else:
                radius[self._way] = 0.0 if found is not None and found.key == self.best.key else radius[self._way] / 2.0
                self._way = (self._way + 1) % len(radius)
        return self.best

    def _repaired(self, found: Candidate | None) -> Candidate | None:
        """What was found, put right as far as it is a little amiss, unless that was tried in vain before: the best has only come down since."""
        promised = found
        for changes, room in _REPAIRS:
            if found is None or found.key == self.best.key or found.key in self._failed or not 0 < found.severity < _LITTLE:
                break
            if self.best.severity == 0 and found.cost >= self.best.cost:
                break
            repair = replace(self._scopes[0], changes=changes, room=room, effort=self._effort)
            repaired = _promised(self._runner, near(self._runner, found, self._levers), self._levers, repair, self._price)
            found = repaired if repaired is not None and repaired.objective(self._price) < found.objective(self._price) else found
        if promised is not None and found is not None and found.objective(self._price) >= self.best.objective(self._price):
            self._failed.add(promised.key)
        return found


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
