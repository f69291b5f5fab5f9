"""What any step comes to, by planes: those that the bound by columns put through solves of each configuration (hull_models.py), and through what the true steps seen so far leave of them.

Planes say where to look (tank_search.py), nothing rests on them. Those through solves know the demands of each step, so that one tells all steps of a configuration; none of them knows tanks that fill up on the way, which steps do.
"""

from __future__ import annotations

import numpy as np

from levada.domain.billing import metered
from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.hull_models import HullModel
from levada.schedule.joint import JointConfigurations
from levada.schedule.plant import Ints
from levada.schedule.tank_steps import Seen

__all__ = ["Planes", "planes_of_solves"]

_RIDGE = 1e-3
"""Weight of what a configuration's steps leave in all steps of the horizon together in what they leave in each."""


class Planes:
    """Planes (n, J, tanks + 1) constants and (n, J, tanks, tanks + 1) slopes of cost and of what states rise by; `known` (n, J): whether there is one."""

    def __init__(self, constant: Floats, slope: Floats, known: Bools) -> None:
        self.constant, self.slope, self.known = constant, slope, known

    def at(self, step: Ints, kind: Ints, x: Floats) -> tuple[Floats, Floats]:
        """Cost (...,) and states after (..., tanks), from states x (..., tanks)."""
        y = self.constant[step, kind] + (x[..., None, :] @ self.slope[step, kind])[..., 0, :]
        return y[..., 0], x + y[..., 1:]

    def through(self, seen: Seen) -> Planes:
        """The same with planes added through what these steps leave: slopes and means of each configuration in each step, drawn to those of all its steps."""
        n, kinds, size = self.constant.shape
        cost, after = self.at(seen.step, seen.kind, seen.x)
        y = np.concatenate([(seen.cost - cost)[:, None], seen.after - after], axis=1)
        place, rows = np.unique(seen.step * kinds + seen.kind, return_inverse=True)
        fit = _Fit.through(rows, len(place), seen.x, y)
        of, own = np.unique(place % kinds, return_inverse=True)
        whole = fit.added(own, len(of))
        shared = whole.slope(np.zeros((len(of), size - 1, size)))
        mean = whole.y / whole.count[:, None] - _times(whole.x / whole.count[:, None], shared)
        constant, slope = np.zeros((n * kinds, size)), np.zeros((n * kinds, size - 1, size))
        constant.reshape(n, kinds, size)[:, of], slope.reshape(n, kinds, size - 1, size)[:, of] = mean, shared
        # A little of the mean of all steps is in each step's own.
        center = whole.x[own] / whole.count[own][:, None]
        fit = fit.with_more(_RIDGE, center, mean[own] + _times(center, shared[own]))
        slope[place] = fit.slope(shared[own])
        constant[place] = fit.y / fit.count[:, None] - _times(fit.x / fit.count[:, None], slope[place])
        known = self.known.copy()
        known[:, of] = True
        return Planes(self.constant + constant.reshape(n, kinds, size), self.slope + slope.reshape(n, kinds, size - 1, size), known)


class _Fit:
    """Sums that planes through points are made of, by group: how many there are (G,), their x (G, tanks) and y (G, outputs), and products of these."""

    def __init__(self, count: Floats, x: Floats, y: Floats, xx: Floats, xy: Floats) -> None:
        self.count, self.x, self.y, self._xx, self._xy = count, x, y, xx, xy

    @classmethod
    def through(cls, group: Ints, groups: int, x: Floats, y: Floats) -> _Fit:
        return cls(np.bincount(group, minlength=groups).astype(np.float64), *(_sums(a, group, groups) for a in (x, y, x[:, :, None] * x[:, None], x[:, :, None] * y[:, None])))

    def added(self, group: Ints, groups: int) -> _Fit:
        """Of groups of groups."""
        return _Fit(*(_sums(a, group, groups) for a in (self.count, self.x, self.y, self._xx, self._xy)))

    def with_more(self, weight: float, x: Floats, y: Floats) -> _Fit:
        """With one more point of such a weight in each group."""
        return _Fit(
            self.count + weight, self.x + weight * x, self.y + weight * y,
            self._xx + weight * x[:, :, None] * x[:, None], self._xy + weight * x[:, :, None] * y[:, None],
        )  # fmt: skip

    def slope(self, near: Floats) -> Floats:
        """Slopes (G, tanks, outputs) by least squares, drawn to others a little."""
        mean = self.x / self.count[:, None]
        within = self._xx - self.x[:, :, None] * mean[:, None]
        across = self._xy - mean[:, :, None] * self.y[:, None]
        ridge = _RIDGE * np.eye(mean.shape[1])
        return np.asarray(np.linalg.solve(within + ridge, across + ridge @ near), np.float64)


def _sums(a: Floats, group: Ints, groups: int) -> Floats:
    """Sums of rows by group."""
    found = np.zeros((groups, *a.shape[1:]))
    order = np.argsort(group, kind="stable")
    if len(order):
        first = np.flatnonzero(np.diff(group[order], prepend=-1))
        found[group[order][first]] = np.add.reduceat(a[order], first, axis=0)
    return found


def _times(x: Floats, slope: Floats) -> Floats:
    """Rows x (N, tanks) by their slopes (N, tanks, outputs)."""
    return np.asarray((x[:, None] @ slope)[:, 0], np.float64)


def planes_of_solves(joint: JointConfigurations, models: list[HullModel]) -> Planes:
    """Planes of steps that last as solves do: parts add up, and of the bill energy alone is in them."""
    plant = joint.plant
    n, kinds, tanks, hours = plant.n, len(joint), plant.tanks, plant.problem.steps.hours
    price = np.stack([m.price_per_kwh for m in metered(plant.problem)], axis=1)
    constant, slope, known = np.zeros((n, kinds, tanks + 1)), np.zeros((n, kinds, tanks, tanks + 1)), np.ones(kinds, bool)
    for m in models:
        of, own = m.part.configuration(joint.counts, joint.choices), m.part.tanks
        known &= (m.first[1:] > m.first[:-1])[of]
        for output in range(len(own) + 1):
            weight = np.zeros((n, m.planes.shape[2]))
            if output == len(own):
                weight[:, output:] = price * hours[:, None]
            else:
                weight[:, output] = hours / plant.span[own[output]]
            by_state, place = m.collapsed(np.arange(n), weight), 0 if output == len(own) else 1 + own[output]
            constant[:, :, place] += by_state[0][:, of]
            slope[:, :, own, place] += by_state[1][:, of]
    return Planes(constant, slope, np.tile(known, (n, 1)))
