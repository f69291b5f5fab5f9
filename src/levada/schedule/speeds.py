"""Tuning the speeds of the pumps that run: sequential linear programming on what EPANET says of small changes.

Each speed of a schedule is changed a little, up and down, and simulated from its step on. The changes of the costs and of the volumes at every instant make
a linear programme: the cheapest mixture of changes within a trust region that keeps the volumes within their limits and ends with what is asked for.
Cost is taken apart for faster and slower, so that its bend keeps the programme from its corners. What the programme proposes is simulated
once more; it is taken if it is better, otherwise the trust region shrinks.
"""

from __future__ import annotations

import highspy
import numpy as np

from levada.domain.series import Floats
from levada.schedule.candidate import Candidate, Runner, Trial
from levada.schedule.linear import Builder, solver
from levada.schedule.plant import Ints

__all__ = ["ROOM", "tune_speeds"]

_TRUST, _LEAST_TRUST = 0.04, 0.001
"""Most that a speed may be moved by one programme, and by how much each is changed to see what that does: at first, and before the tuning ends."""

_ROUNDS = 24
ROOM = 5e-5
"""Share of a tank that is kept free to its limits. EPANET counts the time until a tank is full in whole seconds: a level that meets its limit as a step ends
may do so a second sooner elsewhere, and then the tank is full and still fills."""

_SPILL = 1e-4
"""Share of a tank that a programme may be off its limits at a price, so that it always has a solution."""


def tune_speeds(runner: Runner, start: Candidate, price: float, *, budget: int) -> Candidate:
    """A schedule with the counts of `start` and speeds at least as good. `price` is the cost of a unit of severity; `budget` hydraulic solves."""
    plant, best, trust = runner.plant, start, _TRUST
    limit = plant.simulator.solves + budget
    for _ in range(_ROUNDS):
        changes = _Changes.around(runner, best, trust) if plant.simulator.solves < limit and trust >= _LEAST_TRUST else None
        if changes is None:
            break
        found = _proposed(runner, changes, best, price)
        if found is not None and found.objective(price) < best.objective(price) - 1e-6 * (1.0 + abs(best.cost)):
            best = found
        else:
            trust /= 2.0
    return best


def _proposed(runner: Runner, changes: _Changes, best: Candidate, price: float) -> Candidate | None:
    """The better of what the programme proposes and, where levels then turn out otherwise than it thought, of what it proposes knowing that."""
    nothing = np.zeros_like(best.volume)
    first = changes.best_speeds(runner, best, price, nothing)
    if first is None:
        return None
    found = [runner.simulate_all([(best.counts, first[0], best.choices)], best)[0]]
    assert found[0] is not None
    second = changes.best_speeds(runner, best, price, found[0].volume - first[1])
    if second is not None:
        found += runner.simulate_all([(best.counts, speeds, best.choices) for speeds in (second[0], (best.speeds + first[0]) / 2.0)], best)
    return min((c for c in found if c is not None), key=lambda c: c.objective(price))


class _Changes:
    """What small changes of single speeds do: step and class of each (m,), up (positive) or down; change of cost (m,) and of volumes (m, n + 1, tanks)."""

    def __init__(self, step: Ints, cls: Ints, by: Floats, cost: Floats, volume: Floats) -> None:
        self.step, self.cls, self.by, self.cost, self.volume = step, cls, by, cost, volume

    @staticmethod
    def around(runner: Runner, best: Candidate, size: float) -> _Changes | None:
        """All that can be changed, by so much or to the end of the range of speeds; None where there is nothing."""
        plant = runner.plant
        trials: list[Trial] = []
        places: list[tuple[int, int, float]] = []
        for c, cls in enumerate(plant.classes):
            low, high = cls.bins[0][0], cls.bins[-1][1]
            for k in np.flatnonzero((best.counts[:, c] > 0) if cls.is_variable else np.zeros(plant.n, bool)).tolist():
                for by in (min(size, high - best.speeds[k, c]), -min(size, best.speeds[k, c] - low)):
                    if abs(by) > 1e-6:
                        speeds = best.speeds.copy()
                        speeds[k, c] += by
                        trials.append((best.counts, speeds, best.choices))
                        places.append((k, c, by))
        if not trials:
            return None
        found = runner.simulate_all(trials, best)
        step, cls_of, by_of, cost, volume = [], [], [], [], []
        for (k, c, by), other in zip(places, found, strict=True):
            assert other is not None
            if _breaks_more(runner, best, other):
                continue
            step.append(k)
            cls_of.append(c)
            by_of.append(by)
            cost.append(other.cost - best.cost)
            volume.append(other.volume - best.volume)
        if not step:
            return None
        return _Changes(np.array(step, np.int64), np.array(cls_of, np.int64), np.array(by_of), np.array(cost), np.array(volume))

    def best_speeds(self, runner: Runner, best: Candidate, price: float, off_m3: Floats) -> tuple[Floats, Floats] | None:
        """The speeds (n, classes) that the programme proposes, and the volumes (n + 1, tanks) that it expects of them. `off_m3`: by how much volumes are known to
        turn out otherwise."""
        plant = runner.plant
        b = Builder()
        size = np.abs(self.by)
        moves = b.add_columns(self.cost / size, 0.0, size)
        state = plant.state(best.volume + off_m3)
        _, most_end = runner.whole.end_states
        least, most = plant.x_least.copy(), plant.x_most.copy()
        least[1:-1] += ROOM
        most[1:-1] -= ROOM
        least[-1], most[-1] = np.maximum(least[-1], plant.x_end), np.minimum(most[-1], most_end)
        # A schedule that is beyond its limits already is to come back, at a price.
        off = b.add_columns(np.full(2 * plant.tanks, price), 0.0)
        for k in range(1, plant.n + 1):
            shift = (self.volume[:, k] / plant.span / size[:, None]).T
            rows = b.add_rows(least[k] - state[k], np.full(plant.tanks, np.inf))
            b.put(rows[:, None], moves[None, :], shift)
            b.put(rows, off[: plant.tanks], np.ones(plant.tanks))
            rows = b.add_rows(np.full(plant.tanks, -np.inf), most[k] - state[k])
            b.put(rows[:, None], moves[None, :], shift)
            b.put(rows, off[plant.tanks :], np.full(plant.tanks, -1.0))
        h = solver()
        h.passModel(b.model())
        h.run()
        if h.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        moved = np.array(h.getSolution().col_value)[moves]
        speeds = best.speeds.copy()
        np.add.at(speeds, (self.step, self.cls), moved * np.sign(self.by))
        return speeds, best.volume + np.einsum("m,mkt->kt", moved / size, self.volume)


def _breaks_more(runner: Runner, best: Candidate, other: Candidate) -> bool:
    """Whether a change breaks more of what the programme does not know: pressures, power, pumps that cannot deliver."""
    plant = runner.plant
    x = plant.state(other.volume)
    inside = bool(((x >= plant.x_least - _SPILL) & (x <= plant.x_most + _SPILL)).all())
    return other.severity > best.severity + 1e-9 and inside
