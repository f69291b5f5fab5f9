"""States at which the solves of a step can be, for the bound by columns: drawn from, and searched for the best of a plane, with some tanks full or none.

A plane over a zone (reach.py) is least in one of its corners. Where a part has more tanks than corners can be told of, at the ends of each tank's range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.models import shadow_of, where_full, zones_of_steps
from levada.schedule.plant import Ints, Plant
from levada.schedule.reach import MOST_TANKS_WITH_DIFFERENCES, Zone, draw_each, whole
from levada.schedule.relaxation_pieces import within

__all__ = ["Ends", "States"]

_SHUT, _SHUT_ONCE = 0.6, 0.75
"""Share of the solves in which tanks are drawn full, and of these, of those with one."""

_SEVERAL = 6
"""Sets of several tanks that are drawn full in each step."""

_BELOW = 1e-4
"""Other states are drawn no nearer to full than this."""

_ROUNDING_M = 1e-4


@dataclass(frozen=True)
class Ends:
    """Where a plane can be least: `corners` (corners, tanks), or the ends `low` and `high` (tanks,) of a box."""

    low: Floats
    high: Floats
    corners: Floats | None

    def least(self, slope: Floats) -> Floats:
        """The least of planes with such slopes (N, tanks), without their constants."""
        if self.corners is None:
            return np.asarray((slope * np.where(slope > 0, self.low, self.high)).sum(axis=1), np.float64)
        return np.asarray((slope @ self.corners.T).min(axis=1), np.float64)

    def at(self, slope: Floats) -> Floats:
        """Where a plane with such a slope (tanks,) is least."""
        if self.corners is None:
            return np.where(slope > 0, self.low, self.high)
        return np.asarray(self.corners[int((self.corners @ slope).argmin())], np.float64)


class States:
    """Zones of the states at each step's solves, or at its beginning where models are of whole steps."""

    def __init__(self, plant: Plant, zones: list[Zone], *, of_solves: bool) -> None:
        self._plant = plant
        self._zones = zones_of_steps(plant, zones or [whole(plant)] * (plant.n + 1), of_solves=of_solves)
        self._ends: dict[tuple[int, tuple[int, ...]], Ends] = {}

    def _with(self, k: int, full: Bools) -> Zone | None:
        """The zone of step k where these tanks (tanks,) are full; None where they cannot be."""
        plant, zone = self._plant, self._zones[k]
        if not full.any():
            return zone
        if not plant.problem.may_stand_full[full].all():
            return None
        found = where_full(plant, zone, list(range(plant.tanks)), full)
        return None if found.is_empty else found

    def ends(self, k: int, tanks: list[int]) -> Ends:
        """Ends of the states of some tanks in step k."""
        key = k, tuple(tanks)
        if key not in self._ends:
            self._ends[key] = self._ends_of(self._zones[k], tanks)
        return self._ends[key]

    def _ends_of(self, zone: Zone, tanks: list[int]) -> Ends:
        floor_m, rise_m = self._plant.floor_m[tanks], self._plant.rise_m[tanks]
        d = shadow_of(zone, [t + 1 for t in tanks]).d
        low, high = (-d[0, 1:] - floor_m) / rise_m, (d[1:, 0] - floor_m) / rise_m
        few = len(tanks) <= MOST_TANKS_WITH_DIFFERENCES
        return Ends(low, np.maximum(low, high), (zone.vertices(tuple(tanks)) - floor_m) / rise_m if few else None)

    def hold(self, step: Ints, x: Floats) -> Bools:
        """Which states (N, tanks) can be in their steps (N,)."""
        y, found = self._plant.floor_m + self._plant.rise_m * x, np.zeros(len(x), bool)
        for k in np.unique(step).tolist():
            found[step == k] = within(y[step == k], self._zones[k], room_m=_ROUNDING_M)
        return np.asarray(found, np.bool_)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
        """Steps (about `count`) and states (about `count`, tanks): so many in each step, with none full, one and several."""
        plant = self._plant
        drawn: list[tuple[int, Zone, Bools, int]] = []
        each = max(count // plant.n, 1)
        for k in range(plant.n):
            alone = [(z, f) for f in np.eye(plant.tanks, dtype=bool) if (z := self._with(k, f)) is not None]
            can = np.array([f for _, f in alone], bool).reshape(-1, plant.tanks).any(axis=0)
            sets = [self._several(np.asarray(can, np.bool_), rng) for _ in range(_SEVERAL if can.sum() > 1 else 0)]
            several = [(z, f) for f in sets if (z := self._with(k, f)) is not None]
            shut = _SHUT * each if alone else 0.0
            once = shut * (_SHUT_ONCE if several else 1.0)
            drawn.append((k, self._zones[k], np.zeros(plant.tanks, bool), max(round(each - shut), 1)))
            for zones, share in ((alone, once), (several, shut - once)):
                drawn += [(k, z, f, round(share / len(zones) + rng.random() - 0.5)) for z, f in zones]
        counts = [c for *_, c in drawn]
        y = draw_each([z for _, z, _, _ in drawn], counts, rng)
        x, full = (y - plant.floor_m) / plant.rise_m, np.repeat([f for _, _, f, _ in drawn], counts, axis=0)
        x = np.where(plant.problem.may_stand_full, np.minimum(x, 1.0 - _BELOW), x)
        return np.repeat([k for k, *_ in drawn], counts), np.where(full, 1.0, x)

    @staticmethod
    def _several(can: Bools, rng: np.random.Generator) -> Bools:
        """Two or more of the tanks that can be full."""
        places = rng.permutation(np.flatnonzero(can))
        return np.isin(np.arange(len(can)), places[: int(rng.integers(2, len(places) + 1))])
