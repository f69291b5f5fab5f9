"""What a pumping problem can hold besides pumps, tanks and prices: meters, sources, valves that are set, demand scenarios.

Index conventions as in pumping.py: n steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from levada.domain.series import Floats

__all__ = ["LIMITS", "RELAX_ORDER", "ControllableValve", "Meter", "Scenarios", "Source", "ValveSetting"]

LIMITS: dict[str, str] = {
    "end level": "a tank's level at the end, at least or within its band",
    "co2": "emissions over the horizon",
    "simultaneous starts": "pumps that start in one step",
    "starts": "starts of a pump, or of all together, in a day",
    "off time": "a pump's least time off",
    "on time": "a pump's least time on",
    "power": "electric power of a meter, or of all pumps",
    "scenario": "the share of demand scenarios in which the tank limits hold",
    "reserve": "a tank's reserve or ceiling by time of day",
    "source": "water drawn from a source, at once or in a day",
    "flow": "flow through a link",
    "pressure": "pressure at a node",
    "saturation": "a tank at its limit that still moves beyond it",
    "level": "a tank's minimum and maximum level",
    "supply": "a pump that delivers, a demand that is met, a solution in EPANET",
    "availability": "pumps that must not run, or must",
}
"""Every kind of limit that a Violation can name, and what it is about."""

RELAX_ORDER: tuple[str, ...] = tuple(name for name in LIMITS if name != "availability")
"""In which order limits give way where they cannot all hold: the first named gives way first. Availability never does."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Meter:
    """Pumps that are billed together. Power is the mean over a planning step (see PumpingProblem.metered), drawn from the grid after the site's own power.

    | field | meaning |
    |---|---|
    | pumps | names; each pump of the network has at most one meter, those without share a meter of their own; they have the same price |
    | max_power_kw | contracted power, at every hydraulic solve, own power not taken off; None for no limit |
    | demand_charge_per_kw | on the highest power drawn from the grid in any step, as far as it is above peak_so_far_kw |
    | peak_so_far_kw | the highest power already reached in this billing period |
    | own_power_kw | (n,) photovoltaic power on site, or None; what the pumps do not use is exported |
    | export_price_per_kwh | (n,) paid for what is exported; None: nothing is paid |
    """

    name: str
    pumps: tuple[str, ...]
    max_power_kw: float | None = None
    demand_charge_per_kw: float = 0.0
    peak_so_far_kw: float = 0.0
    own_power_kw: Floats | None = None
    export_price_per_kwh: Floats | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A reservoir that water is drawn from at a cost or within limits.

    cost_per_m3 (n,) or None; max_flow_m3_per_s at every hydraulic solve; max_volume_m3_per_day in each day of PumpingProblem.day.
    Water that flows back is not paid for.
    """

    reservoir: str
    cost_per_m3: Floats | None = None
    max_flow_m3_per_s: float | None = None
    max_volume_m3_per_day: float | None = None


ValveSetting = float | Literal["open", "closed"]


@dataclass(frozen=True, kw_only=True)
class ControllableValve:
    """A pipe or valve that the plan sets in each step to one of `choices`: `open`, `closed`, or a setting in SI.

    Settings: pressure in m of water for PRV, PSV and PBV, flow in m3/s for FCV, loss coefficient for TCV.
    """

    link: str
    choices: tuple[ValveSetting, ...]
    initial: int = 0
    """Index of the choice in force before the start."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scenarios:
    """Demands that may come instead of the expected one. Tank limits (level, saturation, reserve) hold in at least `share` of them
    when the plan is followed as it is. demand_m3_per_s (scenarios, n, junctions)."""

    demand_m3_per_s: Floats
    share: float = 0.9
