"""A small plant of two stations and two tanks over five hours, and terms by which it can be asked for: what the bounds of several tanks are held against."""

from __future__ import annotations

import numpy as np
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpingProblem
from levada.domain.pumping_terms import Meter, Source

SUN = np.array([0.0, 4, 9, 4, 0])

TERMS: dict[str, dict[str, object]] = {
    "negative prices, full tanks": {"prices": [-0.1, 0.2, -0.05, 0.1, 0.2], "may_stand_full": np.ones(2, bool)},
    "stored water": {"stored_value_per_m3": np.array([0.03, 0.01])},
    "source": {"sources": (Source(reservoir="R", cost_per_m3=np.full(5, 0.1)),)},
    "own power": {"meters": (Meter(name="M", pumps=("P0", "P1"), own_power_kw=4 * SUN, export_price_per_kwh=np.linspace(0.0, 0.3, 5)),)},
    "outages": {"available": np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1]], bool)},
    "reserves": {"reserve_level_m": np.array([[0.6, 0.6], [1.0, 0.8], [1.6, 1.2], [1.2, 0.6], [0.6, 0.6]])},
}


def two_tanks(demand_l_per_s: float = 16.0, pumps: int = 2, **changes: object) -> PumpingProblem:
    small = Small(pumps=pumps, upper=True, demand_l_per_s=demand_l_per_s)
    return small.problem(n=5, **{"max_starts": np.full(pumps + 1, 5), "end_level_m": np.array([1.5, 1.2]), **changes})  # type: ignore[arg-type]
