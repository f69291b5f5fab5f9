"""What a case says of its tanks, as arrays in the network's order. Case levels may be heads; problems know levels only."""

from __future__ import annotations

import numpy as np

from levada.cases.case_file import CaseText
from levada.cases.document import DEFAULT, CaseDocument, TankTerms
from levada.cases.series import SeriesReader
from levada.cases.terms import Series
from levada.domain.network import Network, Tank
from levada.domain.plant_fields import TankFields
from levada.domain.series import Floats
from levada.domain.timeline import Timeline

__all__ = ["tank_fields"]

_ROUNDING_M = 1e-6


def tank_fields(text: CaseText[CaseDocument], network: Network, values: SeriesReader, timeline: Timeline) -> TankFields:
    """Raises DocumentError where the levels of a tank contradict each other."""
    shared = text.document.tanks.get(DEFAULT, TankTerms())
    read = [_Tank(text, tank, _merged(text.document.tanks.get(tank.name, TankTerms()), shared)) for tank in network.tanks]
    n = len(timeline.steps)
    reserve = [t.over_steps(values, t.terms.reserve, "reserve", t.low, timeline.most) for t in read]
    ceiling = [t.over_steps(values, t.terms.ceiling, "ceiling", t.high, timeline.least) for t in read]
    # Without a level it is told by the tank's own limits, which hold anyway.
    for tank, r, c in zip(read, reserve, ceiling, strict=True):
        if r is not None and (np.maximum(r, tank.low) > (tank.high if c is None else np.minimum(c, tank.high)) + _ROUNDING_M).any():
            raise text.fault(f"tanks.{tank.tank.name}.reserve", f"is above the ceiling or the maximum {tank.high:g} m in some step")
    has_reserve, has_ceiling = any(r is not None for r in reserve), any(c is not None for c in ceiling)
    worth = np.array([t.terms.value_per_m3 or 0.0 for t in read])
    end_max = np.array([t.end[1] for t in read])
    return TankFields(
        initial_level_m=np.array([t.initial for t in read]),
        min_level_m=np.array([t.low for t in read]),
        max_level_m=np.array([t.high for t in read]),
        may_stand_full=np.array([bool(t.terms.may_stand_full) for t in read]),
        end_level_m=np.array([t.end[0] for t in read]),
        reserve_level_m=np.stack([np.full(n, t.low) if r is None else r for t, r in zip(read, reserve, strict=True)], axis=1) if has_reserve else None,
        ceiling_level_m=np.stack([np.full(n, t.high) if c is None else c for t, c in zip(read, ceiling, strict=True)], axis=1) if has_ceiling else None,
        end_level_max_m=end_max if any(isinstance(t.terms.end, list) for t in read) else None,
        stored_value_per_m3=worth if worth.any() else None,
    )


def _merged(own: TankTerms, shared: TankTerms) -> TankTerms:
    return own.model_copy(update={name: getattr(shared, name) for name in TankTerms.model_fields if getattr(own, name) is None})


class _Tank:
    """One tank's levels, m above its elevation: `low`, `high`, `initial`, `end` (least, greatest)."""

    def __init__(self, text: CaseText[CaseDocument], tank: Tank, terms: TankTerms) -> None:
        self._text, self.tank, self.terms = text, tank, terms
        self._zero_m = tank.elevation_m if terms.datum == "head" else 0.0
        self.low = self._level(terms.min, tank.min_level_m)
        self.high = self._level(terms.max, tank.max_level_m)
        self.initial = self._snapped(self._level(terms.initial, tank.initial_level_m))
        if not self.low < self.high:
            self._fault("min" if terms.min is not None else "max", f"the least level {self.low:g} m is not below the greatest, {self.high:g} m")
        span = tank.max_level_m - tank.min_level_m
        for name, level in (("min", self.low), ("max", self.high), ("initial", self.initial)):
            # A head given as a level, or centimetres as metres, is far outside the tank.
            if not tank.min_level_m - span - 1e-6 <= level <= tank.max_level_m + span + 1e-6:
                other = "" if terms.datum == "head" else '; is it a head? Then say datum = "head"'
                self._fault(name, f"{level:g} m above the tank's elevation ({tank.elevation_m:g} m) is far outside the INP's {tank.min_level_m:g} to {tank.max_level_m:g} m{other}")
        if not self.low <= self.initial <= self.high:
            self._fault("initial", f"the level at the start, {self.initial:g} m, is outside the limits {self.low:g} to {self.high:g} m")
        self.end = self._end()

    def _level(self, given: float | None, otherwise: float) -> float:
        return otherwise if given is None else given - self._zero_m

    def _snapped(self, level: float) -> float:
        """The level, or the limit where it is beyond it by no more than EPANET's units round a level of the INP."""
        inside = min(max(level, self.low), self.high)
        return inside if abs(inside - level) < _ROUNDING_M else level

    def _end(self) -> tuple[float, float]:
        end = self.terms.end
        if end is None or end == ">= start":
            return self.initial, self.high
        if end == "free":
            return self.low, self.high
        least, most = (end[0], end[1]) if isinstance(end, list) else (end, self.high + self._zero_m)
        least, most = self._snapped(least - self._zero_m), self._snapped(most - self._zero_m)
        if least > self.high or most < self.low:
            self._fault("end", f"{least:g} m cannot be reached within the limits {self.low:g} to {self.high:g} m")
        return least, most

    def over_steps(self, values: SeriesReader, series: Series | None, name: str, absent: float, within: object) -> Floats | None:
        if series is None:
            return None
        levels = values.over_steps(series, f"tanks.{self.tank.name}.{name}", absent=(absent + self._zero_m) / series.factor, within=within)  # type: ignore[arg-type]
        return levels - self._zero_m

    def _fault(self, name: str, problem: str) -> None:
        raise self._text.fault(f"tanks.{self.tank.name}.{name}", problem)
