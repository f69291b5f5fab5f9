"""The search for plants of one tank: forward through the values of its level (level_values.py), each step in EPANET, then speeds tuned.

From each state kept, the best actions are tried as they are and at speeds between them, also at those that end where the values jump; the states are kept from
which cost so far and value together are least. Limits of starts and what is billed over the horizon are not in the values: where they matter the schedule is
but a start for the search that knows them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.pumping import Bools, PumpSchedule
from levada.domain.series import Floats
from levada.schedule.assignment import Fits, to_pumps
from levada.schedule.candidate import SEVERITY, Candidate, Runner, Trial
from levada.schedule.certificate import Bound
from levada.schedule.level_values import VALUES, LevelValues, level_values
from levada.schedule.plant import Ints, Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Teller
from levada.schedule.speeds import ROOM, tune_speeds

__all__ = ["ByLevel", "search_by_level"]

_KEPT = 8
"""States that are gone on from in each step."""

_TRIED = 8
"""Actions tried from each of them, and those beside: at these shares of the way, and where values jump."""
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_ASIDE = (0.0, 1e-5, 1e-4)
"""Speeds between aim this share of a tank to either side of a jump as well: the interpolation is not quite EPANET."""

_NEAR = 1e-4
"""States nearer to each other than this are one."""


@dataclass(frozen=True, eq=False)
class ByLevel:
    """The best way by classes and by pumps (None where none keeps all limits) and the values it was found by."""

    values: LevelValues
    best: Candidate | None
    schedule: PumpSchedule | None

    def bound(self) -> Bound:
        """The bound, as all that has been simulated until now leaves it."""
        value = self.values.bound()
        why = "by its level no way of the one tank leads to the end, or a simulated one goes where there should be none"
        if self.values.knows_one_of_unlike_pumps:
            why = "values of the level are those of one of several pumps that are only nearly alike"
        return Bound(value=value, method=VALUES, cost=np.inf if self.best is None else self.best.cost, samples=self.values.samples, why=why)

    def water(self, plant: Plant) -> Floats:
        """Worth of a full tank's content by instant, (n + 1, 1): the slope of the values along the best way."""
        assert self.best is not None
        return self.values.water(plant.state(self.best.volume)[:, 0])


def search_by_level(plant: Plant, rng: np.random.Generator, fits: Fits, work: Work, teller: Teller) -> ByLevel | None:
    """Search and bound; None where values are not known (level_values.py)."""
    values = level_values(plant, rng)
    if values is None:
        return None
    teller("values", bound=values.bound())
    runner = Runner(plant, fits)
    way = _way(runner, values)
    if way is None or not fits(way[0]):
        return ByLevel(values, None, None)
    price = SEVERITY * sum(steps.full_cost for steps in values.steps)
    best = tune_speeds(runner, runner.simulate(way), price, budget=work.simulations // 4)
    # The classes' promise is looked at once more with the pumps that are to run: they are alike to a thousandth only.
    schedule = to_pumps(plant, best.counts, best.speeds, best.choices)
    if best.severity > 0 or plant.simulator.run(schedule).violations:
        return ByLevel(values, None, None)
    teller("values", best.cost, values.bound())
    return ByLevel(values, best, schedule)


def _way(runner: Runner, values: LevelValues) -> Trial | None:
    """The best schedule found; None where every way broke a limit."""
    plant = runner.plant
    volume = plant.simulator.volumes(plant.problem.initial_level_m)[None]
    paid = np.zeros(1)
    done: list[tuple[Ints, Ints, Floats]] = []
    for k in range(plant.n):
        parent, counts, speeds = _tried(values, k, plant.state(volume)[:, 0])
        steps = runner.steps(k, volume[parent], counts, speeds, np.repeat(plant.first_choice, len(parent), axis=0))
        x = plant.state(steps.volume)[:, 0]
        total = np.where(steps.severity == 0, paid[parent] + steps.cost + values.curves[k + 1].at(x), np.inf)
        kept = _best(total, x, _has_room(plant, k + 1, x))
        if not len(kept):
            return None
        done.append((parent[kept], counts[kept], speeds[kept]))
        volume, paid = steps.volume[kept], (paid[parent] + steps.cost)[kept]
    place, way = int(paid.argmin()), []
    for parent, counts, speeds in reversed(done):
        way.append((counts[place], speeds[place]))
        place = int(parent[place])
    return np.array([c for c, _ in reversed(way)]), np.array([s for _, s in reversed(way)]), runner.first_choices


def _has_room(plant: Plant, k: int, x: Floats) -> Bools:
    """Which states (N,) keep as far from the limits at instant k as tuned speeds do."""
    if k == plant.n:
        return np.ones(len(x), bool)
    return np.asarray((x >= plant.x_least[k, 0] + ROOM) & (x <= plant.x_most[k, 0] - ROOM), np.bool_)


def _tried(values: LevelValues, k: int, x: Floats) -> tuple[Ints, Ints, Floats]:
    """What is tried from states (N,): from which of them, counts and speeds (M, classes)."""
    steps, after = values.steps[k], values.curves[k + 1]
    actions, o = steps.actions, steps.run(x)
    total = o.cost + after.at(o.end)
    # What lies beside counts as well: an action may end just short of a jump.
    near = np.where(actions.beside.T[:, :, None] >= 0, total[actions.beside.T], np.inf).min(axis=0)
    order = np.argsort(np.where(o.works, np.minimum(total, near), np.inf), axis=0, kind="stable")[:_TRIED]
    targets = np.concatenate([after.targets + sign * aside for aside in _ASIDE for sign in (1.0, -1.0)])
    found: list[tuple[int, int, int, float]] = []
    for i in range(len(x)):
        for best in order[:, i].tolist():
            found.append((i, best, best, 0.0))
            for other in sorted(set(actions.beside[best].tolist()) - {-1}):
                start, way = o.end[best, i], o.end[other, i] - o.end[best, i]
                aimed = (targets - start) / way if abs(way) > 1e-12 else np.zeros(0)
                found += [(i, best, other, s) for s in (*_SHARES[1:], *aimed[(aimed > 0) & (aimed < 1)].tolist())]
    parent, first, second = np.array([f[:3] for f in found], np.int64).T
    share = np.array([f[3] for f in found])[:, None]
    return parent, actions.counts[first], actions.mean[first] * (1 - share) + actions.mean[second] * share


def _best(total: Floats, x: Floats, has_room: Bools) -> Ints:
    """The best of states (N,) that are not alike: those with room to the limits, if there are any."""
    total = np.where(has_room, total, np.inf) if np.isfinite(total[has_room]).any() else total
    kept: list[int] = []
    for i in np.argsort(total, kind="stable").tolist():
        if len(kept) == _KEPT or not np.isfinite(total[i]):
            break
        if all(abs(x[i] - x[j]) > _NEAR for j in kept):
            kept.append(i)
    return np.array(kept, np.int64)
