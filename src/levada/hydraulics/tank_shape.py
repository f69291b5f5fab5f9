"""Level and volume of a tank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.network import Tank
from levada.domain.series import Floats

__all__ = ["TankShape"]


@dataclass(frozen=True)
class TankShape:
    """Level (m) and volume (m3) of a tank: a cylinder, or the points of its volume curve with straight lines between them."""

    levels: Floats | None
    volumes: Floats | None
    area_m2: float

    @classmethod
    def of(cls, tank: Tank) -> TankShape:
        if tank.volume_curve:
            points = np.asarray(tank.volume_curve, np.float64)
            return cls(points[:, 0].copy(), points[:, 1].copy(), 0.0)
        return cls(None, None, np.pi * tank.diameter_m**2 / 4.0)

    def volume(self, level_m: float) -> float:
        """Volume at a level; beyond the curve's ends its end segments go on."""
        if self.levels is None or self.volumes is None:
            return level_m * self.area_m2
        return _along(level_m, self.levels, self.volumes)

    def level(self, volume_m3: float) -> float:
        """Level at a volume, the inverse of `volume`."""
        if self.levels is None or self.volumes is None:
            return volume_m3 / self.area_m2
        return _along(volume_m3, self.volumes, self.levels)


def _along(x: float, xs: Floats, ys: Floats) -> float:
    i = min(max(int(np.searchsorted(xs, x)), 1), len(xs) - 1)
    return float(ys[i - 1] + (x - xs[i - 1]) * (ys[i] - ys[i - 1]) / (xs[i] - xs[i - 1]))
