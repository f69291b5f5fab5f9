"""What a forecast is: quantiles and paths of each zone's flow, and the account of how they came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

import numpy as np

from levada.domain.bundle import canonical_json
from levada.domain.plan import Change, ForecastReport, LeftOut, SpecialDay, ZoneForecast
from levada.domain.series import Floats
from levada.domain.time import isoformat_z

__all__ = ["Change", "Driver", "Explanation", "Forecast", "LeftOut", "Rung", "SeriesForecast", "SpecialDay"]


class Rung(StrEnum):
    """What a zone's history was enough for, best first."""

    ENSEMBLE = "ensemble"
    SEASONAL = "seasonal"
    PATTERN = "network pattern"


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """How much something known moves this forecast: mean size of its effect (Shapley values of the trees) over mean flow."""

    name: str
    effect: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a zone's forecast is as it is.

    `members`: share of each in the median over the horizon, together 1; `notes`: what was missing or assumed, in words.
    """

    members: Mapping[str, float]
    drivers: tuple[Driver, ...] = ()
    special_days: tuple[SpecialDay, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    changes: tuple[Change, ...] = ()
    weather: str = "none was given"
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        """As JSON fields."""
        return {
            "members": {name: round(share, 4) for name, share in self.members.items()},
            "drivers": [{"name": d.name, "effect": round(d.effect, 4)} for d in self.drivers],
            "special_days": [{"day": d.day.isoformat(), "sort": d.sort, "name": d.name} for d in self.special_days],
            "left_out": [
                {"what": x.what, "count": x.count, "first": isoformat_z(x.first), "last": isoformat_z(x.last)} for x in self.left_out
            ],
            "changes": [{"since": isoformat_z(c.since), "ratio": round(c.ratio, 4)} for c in self.changes],
            "weather": self.weather,
            "notes": list(self.notes),
        }

    def sentences(self) -> list[str]:
        """In words, for a screen."""
        said = [f"left out {x.count} {x.what}, the last at {isoformat_z(x.last)}" for x in self.left_out]
        said += [f"since {isoformat_z(c.since)} the flow is {c.ratio:.2f} times what it was" for c in self.changes]
        said += self.notes
        if len(self.members) > 1:
            said.append("weights: " + ", ".join(f"{name} {share:.2f}" for name, share in self.members.items()))
        return said


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesForecast:
    """One zone: `quantiles_m3_per_s` (levels, steps) of the mean flow of each step, none negative, none crossing.

    `days` are the whole local days within the horizon, `day_volume_m3` (levels, days) the quantiles of their volumes, which are
    narrower than the sum of the steps' quantiles: errors within a day partly cancel.
    """

    zone: str
    rung: Rung
    quantiles_m3_per_s: Floats
    days: tuple[date, ...]
    day_volume_m3: Floats
    explanation: Explanation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """Demand ahead. `levels` are the quantiles' levels; `zones` are in order of name.

    `scenarios_m3_per_s` (paths, zones, steps): equally likely courses of all zones together, with the quantiles as margins.
    """

    issue_time: datetime
    step_s: int
    start: datetime
    levels: tuple[float, ...]
    zones: tuple[SeriesForecast, ...]
    scenarios_m3_per_s: Floats

    @property
    def times(self) -> list[datetime]:
        """Starts of the steps, UTC."""
        count = self.scenarios_m3_per_s.shape[2]
        return [self.start + timedelta(seconds=i * self.step_s) for i in range(count)]

    def zone(self, name: str) -> SeriesForecast:
        """The zone of that name. Raises KeyError where it was not asked for."""
        for found in self.zones:
            if found.zone == name:
                return found
        raise KeyError(name)

    def level(self, q: float) -> int:
        """Row of a level in the quantiles. Raises ValueError where it was not asked for."""
        return self.levels.index(q)

    def document(self) -> dict[str, object]:
        """As JSON fields, flows rounded to a millilitre a second; scenarios too, where there are any."""
        return {
            "issue_time": isoformat_z(self.issue_time),
            "step_s": self.step_s,
            "start": isoformat_z(self.start),
            "levels": list(self.levels),
            "zones": [
                {
                    "zone": z.zone,
                    "rung": z.rung.value,
                    "quantiles_m3_per_s": _rounded(z.quantiles_m3_per_s),
                    "days": [d.isoformat() for d in z.days],
                    "day_volume_m3": np.round(z.day_volume_m3, 6).tolist(),
                    "explanation": z.explanation.document(),
                }
                for z in self.zones
            ],
            "scenarios_m3_per_s": _rounded(self.scenarios_m3_per_s),
        }

    def to_bytes(self) -> bytes:
        """Canonical JSON: the same input gives the same bytes."""
        return canonical_json(self.document())

    def report(self) -> ForecastReport:
        """The domain's document for plans and screens: 10, 50 and 90 %. Raises ValueError where these levels were not asked for."""
        low, mid, high = (self.level(q) for q in (0.1, 0.5, 0.9))
        return ForecastReport(
            issue_time=self.issue_time,
            step_s=self.step_s,
            times=self.times,
            zones=[
                ZoneForecast(
                    zone=z.zone,
                    method=z.rung.value,
                    q10_m3_per_s=_rounded(z.quantiles_m3_per_s[low]),
                    q50_m3_per_s=_rounded(z.quantiles_m3_per_s[mid]),
                    q90_m3_per_s=_rounded(z.quantiles_m3_per_s[high]),
                    notes=list(z.explanation.notes),
                    members={name: round(share, 4) for name, share in z.explanation.members.items()},
                    special_days=list(z.explanation.special_days),
                    left_out=list(z.explanation.left_out),
                    changes=[Change(since=c.since, ratio=round(c.ratio, 4)) for c in z.explanation.changes],
                )
                for z in self.zones
            ],
        )


def _rounded(flow: Floats) -> list[float]:
    # A millilitre a second is far below any meter; shorter numbers make smaller documents.
    found: list[float] = np.round(flow, 9).tolist()
    return found
