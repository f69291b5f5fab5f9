"""Series: one measured or computed quantity of a utility, and windows of its readings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag, StrEnum

import numpy as np
from numpy.typing import NDArray

from levada.domain.time import Instants, Window, to_np
from levada.domain.units import Quantity

__all__ = ["CellMethod", "Floats", "Quality", "Readings", "SeriesSpec"]

Floats = NDArray[np.float64]


class CellMethod(StrEnum):
    """What a value says about its time, after the CF conventions' cell_methods.

    point: at the instant; mean, sum, maximum: over [time, time + step), labelled by the start.
    """

    POINT = "point"
    MEAN = "mean"
    SUM = "sum"
    MAXIMUM = "maximum"


class Quality(IntFlag):
    """Flags of one reading; 0 is good. Nothing is repaired in silence: what is not as measured says so."""

    GOOD = 0
    SUSPECT = 1
    """Failed a plausibility check; kept, not used for planning."""
    FILLED = 2
    """Not measured: put in by a gap filler."""
    LATE = 4
    """Reached us more than an hour after its time (two steps where steps are longer)."""
    CORRECTED = 8
    """Replaces an earlier value for the same instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSpec:
    """What a series measures. `series_id` is unique within the tenant, such as `tank.T1.level` or `zone.north.flow`."""

    series_id: str
    quantity: Quantity
    cell_method: CellMethod
    step_s: int
    """Usual distance of its readings in seconds."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Readings:
    """A window of one series: sorted, unique times; SI values; quality flags. May be empty; gaps are simply absent."""

    times: Instants
    values: Floats
    quality: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if not len(self.times) == len(self.values) == len(self.quality):
            raise ValueError("times, values and quality differ in length")
        if len(self.times) > 1 and not (np.diff(self.times) > np.timedelta64(0, "us")).all():
            raise ValueError("times are not strictly increasing")
        for name, kind in (("times", "datetime64[us]"), ("values", np.float64), ("quality", np.uint8)):
            array = np.array(getattr(self, name), dtype=kind)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def empty(cls) -> Readings:
        return cls(times=np.array([], "datetime64[us]"), values=np.array([], np.float64), quality=np.array([], np.uint8))

    @classmethod
    def good(cls, times: Instants, values: Floats) -> Readings:
        """Readings of good quality; NaN values are left out, since a gap is an absent reading."""
        kept = np.isfinite(values)
        return cls(times=times[kept], values=values[kept], quality=np.zeros(int(kept.sum()), np.uint8))

    def within(self, window: Window) -> Readings:
        """Those whose time lies in [start, end)."""
        a, b = np.searchsorted(self.times, [to_np(window.start), to_np(window.end)])
        return Readings(times=self.times[a:b], values=self.values[a:b], quality=self.quality[a:b])

    def usable(self) -> Readings:
        """Without those of suspect quality."""
        kept = (self.quality & Quality.SUSPECT) == 0
        return Readings(times=self.times[kept], values=self.values[kept], quality=self.quality[kept])
