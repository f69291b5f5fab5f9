"""Planning anew from a schedule: the best that a programme near it promises is simulated, and if it is better, it is the next to begin from.

A programme's model holds near its base; how far is learnt: so many changes may it make, twice as many after a success, half as many after a
failure. What EPANET finds amiss in a promise by a little is put right by another programme, made near it, with a few changes and room to the limits.

A programme is solved by annealing (anneal.py), or where speeds may be mixed as a mixed-integer one (programme.py). They take much of the time, so two are solved at once: those of different ways, or where there is one way alone, the next one that
it would come to if this one fails. What a way comes to is the same whichever other ways go beside it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import numpy as np

from levada.schedule.anneal import Annealing, can_be_annealed
from levada.schedule.candidate import Candidate, Runner, Trial
from levada.schedule.mend import mend
from levada.schedule.near import Lever, Near, is_large, near
from levada.schedule.programme import Programme
from levada.schedule.progress import Teller
from levada.schedule.scope import Effort, Scope, Search

__all__ = ["Descent", "go_together", "onward"]

_ROOM = 0.0005
_REPAIRS = ((16.0, 0.001), (8.0, 0.003))
"""How a promise that is a little amiss is put right: most changes, room to the limits."""

_LITTLE = 0.05
"""Severity that can be put right."""

_STRICT = 10.0
"""In programmes limits count so many times more than in comparing schedules, where any violation counts besides its size."""

_RADIUS, _LEAST_RADIUS = 16.0, 4.0
"""Changes that a programme may make at first, and the fewest worth a programme."""

_SAME = 1e-4
"""Schedules whose costs differ by no more than this share are taken for those of one valley."""

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
        self._kind = Annealing if can_be_annealed(levers) else Programme
        self._failed: set[bytes] = set()
        self._near: Near | None = None
        self.best = start

    @property
    def is_at_end(self) -> bool:
        """Whether nothing more is promised near the best schedule."""
        return bool((self._radius < _LEAST_RADIUS).all())

    def go(self, programmes: int, *, thoroughly: bool = False) -> Candidate:
        """The best found in at most so many programmes more, repairs besides. Once they are thorough, what quick ones came to an end with is tried again."""
        go_together([self], programmes, thoroughly=thoroughly)
        return self.best

    def going(self, programmes: int, *, thoroughly: bool, is_alone: bool) -> _Going[None]:
        """The way on, as a generator of programmes that is sent what they come to."""
        runner, price, radius = self._runner, self._price, self._radius
        if thoroughly and self._effort != "thorough":
            self._effort, self._way = "thorough", 0
            radius[:] = _RADIUS
            self._failed.clear()
        ahead: dict[int, Trial | None] = {}
        for _ in range(programmes):
            if not self._teller("search") or self.is_at_end:
                break
            self._near = self._near or near(runner, self.best, self._levers)
            self._way, *others = self._open()
            if self._way not in ahead:
                asked = [self._way, *others[: int(is_alone)]]
                trials = yield [self._search(self._near, replace(self._scopes[i], changes=float(radius[i]))) for i in asked]
                ahead = dict(zip(asked, trials, strict=True))
            found = yield from self._repaired(self._promised(ahead.pop(self._way)))
            gain = 0.0 if found is None else self.best.objective(price) - found.objective(price)
            if found is not None and gain > 1e-6 * (1.0 + abs(self.best.cost)):
                self.best, self._near = found, None
                ahead.clear()
                self._teller("search", found.cost if found.severity == 0 else None)
            if gain > _LEAST_GAIN * abs(self.best.cost):
                np.maximum(radius, _LEAST_RADIUS, out=radius)
                radius[self._way] *= 2.0
            else:
                radius[self._way] = 0.0 if found is not None and found.key == self.best.key else radius[self._way] / 2.0
                self._way = (self._way + 1) % len(radius)

    def _open(self) -> list[int]:
        """The scopes that are worth a programme, from the one whose turn it is."""
        turn = [(self._way + i) % len(self._radius) for i in range(len(self._radius))]
        return [i for i in turn if self._radius[i] >= _LEAST_RADIUS]

    def _search(self, base: Near, scope: Scope) -> Search:
        return self._kind(self._runner, base, self._levers, replace(scope, effort=self._effort), _STRICT * self._price)

    def _promised(self, trial: Trial | None) -> Candidate | None:
        return None if trial is None else self._runner.simulate(_fitting(self._runner, trial))

    def _repaired(self, found: Candidate | None) -> _Going[Candidate | None]:
        """What was found, put right as far as it is a little amiss, unless that was tried in vain before: the best has only come down since."""
        promised = found
        for changes, room in _REPAIRS:
            if found is None or found.key == self.best.key or found.key in self._failed or not 0 < found.severity < _LITTLE:
                break
            if self.best.severity == 0 and found.cost >= self.best.cost:
                break
            (trial,) = yield [self._search(near(self._runner, found, self._levers), replace(self._scopes[0], changes=changes, room=room))]
            repaired = self._promised(trial)
            found = repaired if repaired is not None and repaired.objective(self._price) < found.objective(self._price) else found
        if promised is not None and found is not None and found.objective(self._price) >= self.best.objective(self._price):
            self._failed.add(promised.key)
        return found


_Result = TypeVar("_Result")
_Going = Generator[list[Search], list[Trial | None], _Result]


def go_together(ways: Sequence[Descent], programmes: int, *, thoroughly: bool = False) -> None:
    """Each way goes on by at most so many programmes, repairs besides."""
    going = [way.going(programmes, thoroughly=thoroughly, is_alone=len(ways) == 1) for way in ways]
    asked = [(g, p) for g in going if (p := next(g, None)) is not None]
    while asked:
        found = iter(_solved([p for _, of_way in asked for p in of_way]))
        answered = [(g, [next(found) for _ in of_way]) for g, of_way in asked]
        asked = [(g, p) for g, trials in answered if (p := _sent(g, trials)) is not None]


def onward(ways: Sequence[Descent], price: float) -> list[Descent]:
    """Those of the ways that are worth more programmes, the best first: the better half, without those that have come to where a better one is; and the
    one that would be best if what is amiss counted by its size alone, since the next programme may put that right: a schedule whose tank ends a
    centimetre short is nearer to a good one than what keeps all limits and costs far more."""
    ranked = sorted(ways, key=lambda w: w.best.objective(price))
    costs = [way.best.objective(price) for way in ranked]
    ranked = [way for i, way in enumerate(ranked) if all(costs[i] - cost > _SAME * abs(cost) for cost in costs[:i])]
    half = -(-len(ranked) // 2)
    nearest = min(ranked, key=lambda w: w.best.cost + price * w.best.severity)
    return [*ranked[:half], *([] if nearest in ranked[:half] else [nearest])]


def _solved(searches: Sequence[Search]) -> list[Trial | None]:
    """What each search finds; two of them go on at once."""
    if len(searches) == 1:
        return [searches[0].solve()]
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(lambda search: search.solve(), searches))


def _sent(going: _Going[None], trials: list[Trial | None]) -> list[Search] | None:
    """The next programmes of a way after these came to an end, or None where it is over."""
    try:
        return going.send(trials)
    except StopIteration:
        return None


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
