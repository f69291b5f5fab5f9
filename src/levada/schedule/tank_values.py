"""What is at least still to pay from any levels of the tanks, as a sum over what it is told along: V_k(x) = sum of v_kc(a_c . x), each v_kc linear between its nodes.

Along each tank's level to begin with. What a tank is worth depends on the others' as well, so where tanks are few also along all water stored, and along how much higher one tank's level stands than another's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant
from levada.schedule.reach import Zone, ranges

__all__ = ["TankValues"]

_NARROW = 1e-9
"""Ranges are at least so wide."""

_MOST_TANKS = 5
"""With more, V is told along their own levels alone."""


@dataclass(frozen=True, eq=False)
class TankValues:
    """V at the instants 1 to n - 1 by `values` (n + 1, C, nodes) along `along` (C, tanks), each tank's own state first, the nodes evenly spaced from `low` (n + 1, C), `width` (n + 1, C) apart; V_0 is zero.

    At the end V is what stored water is worth, less, and at the `slope` per full tank what is asked there and is not: a wall would be smeared over a whole cell in each step back.
    """

    plant: Plant
    along: Floats
    slope: float
    low: Floats
    width: Floats
    values: Floats

    @classmethod
    def linear(cls, plant: Plant, zones: list[Zone], water: Floats, slope: float, nodes: int) -> TankValues:
        """V over what can be reached, falling by what a full tank's content is worth (n + 1, tanks)."""
        along, low, high = _along(plant, zones)
        width = np.maximum(high - low, _NARROW) / (nodes - 1)
        found = cls(plant, along, slope, low, width, np.zeros((len(zones), len(along), nodes)))
        values = np.zeros_like(found.values)
        values[:, : plant.tanks] = -water[:, :, None] * found.places[:, : plant.tanks]
        return found.with_values(values)

    @property
    def nodes(self) -> int:
        return int(self.values.shape[2])

    @property
    def places(self) -> Floats:
        """Where the nodes are, (n + 1, C, nodes)."""
        return np.asarray(self.low[:, :, None] + self.width[:, :, None] * np.arange(self.nodes), np.float64)

    def with_values(self, values: Floats) -> TankValues:
        values = values.copy()
        values[0] = 0.0
        return replace(self, values=values)

    def around(self, k: Ints, x: Floats) -> tuple[Ints, Floats]:
        """The lower of the two nodes that states (..., tanks) at instants k (...,) lie between along each, (..., C), and the share of the way to the upper one; states outside are taken to the edge."""
        u = np.clip((x @ self.along.T - self.low[k]) / self.width[k], 0.0, self.nodes - 1.0)
        i = np.minimum(u.astype(np.int64), self.nodes - 2)
        return i, u - i

    def at(self, k: Ints, x: Floats) -> Floats:
        """V at instants k (...,) and states (..., tanks)."""
        i, share = self.around(k, x)
        first = (k[..., None] * len(self.along) + np.arange(len(self.along))) * self.nodes + i
        flat = self.values.ravel()
        here = flat[first]
        found = np.asarray((here + share * (flat[first + 1] - here)).sum(axis=-1), np.float64)
        last = k == self.plant.n
        if last.any():
            found[last] = self.at_the_end(x[last])
        return found

    def at_the_end(self, x: Floats) -> Floats:
        """V_n at states (N, tanks)."""
        return self.plant.left_at_the_end(x, self.slope)


def _along(plant: Plant, zones: list[Zone]) -> tuple[Floats, Floats, Floats]:
    """What V is told along (C, tanks), and the least and greatest of each that can be reached at each instant, (n + 1, C)."""
    low, high = np.stack([ranges(plant, z) for z in zones], axis=1)
    if plant.tanks > _MOST_TANKS:
        return np.eye(plant.tanks), low, high
    stored = plant.span / plant.span.sum()
    along, lows, highs = [*np.eye(plant.tanks), stored], [*low.T, low @ stored], [*high.T, high @ stored]
    for one, other in combinations(range(plant.tanks), 2):
        both_m = plant.rise_m[one] + plant.rise_m[other]
        higher = np.zeros(plant.tanks)
        higher[one], higher[other] = plant.rise_m[one] / both_m, -plant.rise_m[other] / both_m
        apart_m = plant.floor_m[one] - plant.floor_m[other]
        along.append(higher)
        lows.append(np.array([-z.d[other + 1, one + 1] - apart_m for z in zones]) / both_m)
        highs.append(np.array([z.d[one + 1, other + 1] - apart_m for z in zones]) / both_m)
    return np.array(along), np.stack(lows, axis=1), np.stack(highs, axis=1)
