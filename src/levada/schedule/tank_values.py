"""What is at least still to pay from any levels of the tanks, as a sum over tanks: V_k(x) = sum of v_kt(x_t), each v_kt linear between its nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant
from levada.schedule.reach import Zone, ranges

__all__ = ["TankValues"]

_NARROW = 1e-9
"""Ranges are at least so wide."""


@dataclass(frozen=True, eq=False)
class TankValues:
    """V at the instants 1 to n - 1 by `values` (n + 1, tanks, nodes), the nodes evenly spaced from `low` (n + 1, tanks), `width` (n + 1, tanks) apart; V_0 is zero.

    At the end V is what stored water is worth, less, and at the `slope` per full tank what is asked there and is not: a wall would be smeared over a whole cell in each step back.
    """

    plant: Plant
    slope: float
    low: Floats
    width: Floats
    values: Floats

    @classmethod
    def linear(cls, plant: Plant, zones: list[Zone], water: Floats, slope: float, nodes: int) -> TankValues:
        """V over what can be reached, falling by what a full tank's content is worth (n + 1, tanks)."""
        low, high = np.stack([ranges(plant, z) for z in zones], axis=1)
        width = np.maximum(high - low, _NARROW) / (nodes - 1)
        found = cls(plant, slope, low, width, np.zeros((len(zones), plant.tanks, nodes)))
        return found.with_values(-water[:, :, None] * found.places)

    @property
    def nodes(self) -> int:
        return int(self.values.shape[2])

    @property
    def places(self) -> Floats:
        """States of the nodes, (n + 1, tanks, nodes)."""
        return np.asarray(self.low[:, :, None] + self.width[:, :, None] * np.arange(self.nodes), np.float64)

    def with_values(self, values: Floats) -> TankValues:
        values = values.copy()
        values[0] = 0.0
        return replace(self, values=values)

    def towards(self, other: TankValues, share: float) -> TankValues:
        """V on such a share of the way to another one at the same nodes."""
        return self.with_values(self.values + share * (other.values - self.values))

    def around(self, k: Ints, x: Floats) -> tuple[Ints, Floats]:
        """The lower of the two nodes that states (..., tanks) at instants k (...,) lie between, and the share of the way to the upper one; states outside are taken to the edge."""
        u = np.clip((x - self.low[k]) / self.width[k], 0.0, self.nodes - 1.0)
        i = np.minimum(u.astype(np.int64), self.nodes - 2)
        return i, u - i

    def at(self, k: Ints, x: Floats) -> Floats:
        """V at instants k (...,) and states (..., tanks)."""
        i, share = self.around(k, x)
        first = (k[..., None] * self.plant.tanks + np.arange(self.plant.tanks)) * self.nodes + i
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
