"""Zones of a forecast case without a meter: their demand from what their tanks gain and lose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from levada.cases.forecasting.document import Balance, BalanceTank
from levada.cases.forecasting.readings import TimedRows
from levada.domain.errors import FileError
from levada.domain.series import Floats, Readings
from levada.domain.units import Quantity, factor_to_si
from levada.forecast.tank_balance import demand_by_balance, stored_together

__all__ = ["ZoneBalance", "zone_balance"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ZoneBalance:
    """What is known of a zone: volume stored in its tanks, m3, and its metered flows in and out, m3/s."""

    volume: Readings
    inflows: tuple[Readings, ...]
    outflows: tuple[Readings, ...]

    def demand(self, until: datetime, step_s: int) -> Readings:
        """Mean demand of each step up to `until`, m3/s, from what was known by then."""
        return demand_by_balance(self.volume, self.inflows, self.outflows, until, step_s)


def zone_balance(rows: TimedRows, terms: Balance) -> ZoneBalance:
    """The balance of a zone from its file. Raises FileError for a column that is not there."""
    for column in (*(t.column for t in terms.tanks), *terms.inflows, *terms.outflows):
        if column not in rows.columns:
            raise FileError(file=str(rows.path), problem=f"has no column {column!r}; it has {', '.join(rows.columns[:12])}", remedy="name its columns as the header does")
    factor = factor_to_si(Quantity.FLOW, terms.unit)
    levels = [(t, rows.readings(t.column, 1.0)) for t in terms.tanks]
    return ZoneBalance(
        volume=stored_together([replace(level, values=_volume(t, level.values)) for t, level in levels]), inflows=tuple(rows.readings(c, factor) for c in terms.inflows), outflows=tuple(rows.readings(c, factor) for c in terms.outflows)
    )


def _volume(tank: BalanceTank, value: Floats) -> Floats:
    if tank.area_m2 is not None:
        return value * tank.area_m2
    if tank.curve is not None:
        levels, volumes = np.array(tank.curve).T
        found: Floats = np.interp(value, levels, volumes)
        return found
    return value
