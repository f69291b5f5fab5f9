"""A tank as the audit judges it: when it reaches a limit, when it stands at one and still moves beyond it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["STILL_M3_PER_S", "AuditedTank", "extended"]

STILL_M3_PER_S = 1e-6
"""A tank's flow below a millilitre a second is none: an open link behind a closed one shows as much."""


@dataclass(slots=True)
class AuditedTank:
    """One tank in the running simulation. Volumes are counted from any fixed zero; only differences matter."""

    name: str
    node: int
    zero_level_m: float
    """Head at level 0."""
    ceiling: float
    """EPANET's maximum level for it, in the project's unit and from its lowered bottom."""
    full_m: float
    """The same as a level."""
    lowest_m: float
    highest_m: float
    may_stand_full: bool
    area_m2: float
    curve: tuple[tuple[float, float], ...]
    level_m: float = 0.0
    inflow_m3_per_s: float = 0.0
    previous_inflow_m3_per_s: float = 0.0

    def volume_m3(self, level_m: float) -> float:
        if not self.curve:
            return self.area_m2 * level_m
        return float(np.interp(level_m, [x for x, _ in self.curve], [y for _, y in self.curve]))

    def room_to_fill_m3(self) -> float:
        return self.volume_m3(self.highest_m) - self.volume_m3(self.level_m)

    def room_to_drain_m3(self) -> float:
        return self.volume_m3(self.level_m) - self.volume_m3(self.lowest_m)

    def is_saturated(self) -> bool:
        """At a limit and still moving beyond it. As in EPANET, a tank is at its limit when one more second would carry it there."""
        q = self.inflow_m3_per_s
        if q > STILL_M3_PER_S and not self.may_stand_full:
            return self.room_to_fill_m3() <= q
        return q < -STILL_M3_PER_S and self.room_to_drain_m3() <= -q

    def seconds_to_limit(self) -> int:
        """Whole seconds, rounded as EPANET rounds, until the tank reaches the limit it moves to; 0 where that is no event.

        EPANET itself looks after the maximum of a tank that may stand full.
        """
        q = self.inflow_m3_per_s
        if q > STILL_M3_PER_S and not self.may_stand_full and self.level_m < self.highest_m:
            return int(self.room_to_fill_m3() / q + 0.5)
        if q < -STILL_M3_PER_S and self.level_m > self.lowest_m:
            return int(self.room_to_drain_m3() / -q + 0.5)
        return 0

    def beyond_m(self, lowest_m: float, highest_m: float) -> float:
        """Metres above `highest_m` (positive) or below `lowest_m` (negative). Within a second of the flow that led here is on the limit."""
        second, volume = abs(self.previous_inflow_m3_per_s), self.volume_m3(self.level_m)
        if self.volume_m3(highest_m) - volume < -second:
            return max(self.level_m - highest_m, 0.0)
        if volume - self.volume_m3(lowest_m) < -second:
            return min(self.level_m - lowest_m, 0.0)
        return 0.0


def extended(curve: tuple[tuple[float, float], ...], room_m: float) -> tuple[tuple[float, float], ...]:
    """A volume curve carried on by its end slopes, by `room_m` down and up, its volumes counted from the new lowest point."""
    if not curve:
        return ()
    (x0, y0), (x1, y1), (xa, ya), (xb, yb) = curve[0], curve[1], curve[-2], curve[-1]
    mean = (yb - y0) / (xb - x0)
    below = (x0 - room_m, y0 - room_m * ((y1 - y0) / (x1 - x0) or mean))
    above = (xb + room_m, yb + room_m * ((yb - ya) / (xb - xa) or mean))
    return tuple((x, y - below[1]) for x, y in (below, *curve, above))
