"""Networks for scale, without published figures: C-Town, Net3, the Kentucky networks that come with wntr, and grown ones.

No tariff, contract or floor of theirs is public, so what is asked is ours: a day and a night rate (tariffs.py), at most 6 starts of a pump a
day, C-Town with 250 kW contracted for its eleven pumps (they draw about 370 kW together) and quarter-hour steps, the others hourly. Each
tank ends at least at its initial level, or half full where that is less; tanks may stand full, as these networks do under their own controls.
C-Town's valve V2, which its controls open and shut by a tank's level, is set by the plan. Pumps without a station's twin count as a station.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.cases.case import Case, DataMissing, Posed, required
from benchmarks.cases.grown import grown_network
from benchmarks.cases.tariffs import averaged, shapes
from levada.domain.network import Network
from levada.domain.pumping import PumpingProblem
from levada.domain.pumping_terms import ControllableValve
from levada.domain.time import Steps
from levada.hydraulics.inp import pattern_demands, read_network

__all__ = ["day_of", "large_cases"]

MOST_STARTS = 6
CONTRACTED_KW = 250.0
TARIFF = "night rate"


def day_of(
    network: Network, *, steps_a_day: int = 24, hydraulic_step_s: int = 3600, max_power_kw: float | None = None, valves: tuple[ControllableValve, ...] = ()
) -> PumpingProblem:
    """A day of a network by its own demand patterns, under the rules above."""
    tanks, pumps = network.tanks, len(network.pumps)
    steps = Steps.even(datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1) / steps_a_day, steps_a_day)
    price = averaged(shapes()[TARIFF], steps_a_day)
    low, high, start = (np.array([getattr(t, name) for t in tanks]) for name in ("min_level_m", "max_level_m", "initial_level_m"))
    return PumpingProblem(
        network=network,
        steps=steps,
        demand_m3_per_s=pattern_demands(network, steps),
        price_per_kwh=np.repeat(price[:, None], pumps, axis=1),
        initial_level_m=start,
        min_level_m=low,
        max_level_m=high,
        may_stand_full=np.ones(len(tanks), bool),
        end_level_m=np.minimum(start, (low + high) / 2),
        pressure_floors_m={},
        max_starts=np.full(pumps, MOST_STARTS, np.int64),
        count_starts="window",
        initial_on=np.array([p.initially_on for p in network.pumps]),
        min_speed=np.ones(pumps),
        max_speed=np.ones(pumps),
        available=np.ones((steps_a_day, pumps), bool),
        max_power_kw=max_power_kw,
        hydraulic_step_s=hydraulic_step_s,
        valves=valves,
    )


def _read(path: Path) -> Network:
    return read_network(path.read_bytes(), path.name)


def _ctown() -> Posed:
    network = _read(required("ctown", "ctown.inp"))
    v2 = ControllableValve(link="V2", choices=("closed", "open"))
    return Posed(problem=day_of(network, steps_a_day=96, hydraulic_step_s=900, max_power_kw=CONTRACTED_KW, valves=(v2,)))


def _net3() -> Posed:
    return Posed(problem=day_of(_read(required("net3", "Net3.inp"))))


def _kentucky(name: str) -> Callable[[], Posed]:
    def posed() -> Posed:
        spec = importlib.util.find_spec("wntr")
        path = Path(spec.origin or "").parent / "library" / "networks" / name if spec else None
        if path is None or not path.exists():
            raise DataMissing(f"{name} comes with the package wntr, which is not installed here")
        return Posed(problem=day_of(_read(path)))

    return posed


def _grown(tanks: int, stations: int) -> Callable[[], Posed]:
    return lambda: Posed(problem=day_of(grown_network(seed=10 * tanks + stations, tanks=tanks, stations=stations)))


def large_cases() -> list[Case]:
    """C-Town, Net3, ky4, ky10, and grown networks of 3 to 7 tanks and 3 to 6 stations."""
    return [
        Case(name="C-Town 96 x 15 min", pose=_ctown),
        Case(name="Net3", pose=_net3),
        Case(name="ky4, 4 tanks 2 stations", pose=_kentucky("ky4.inp")),
        Case(name="ky10, 13 tanks 13 stations", pose=_kentucky("ky10.inp")),
        *(Case(name=f"grown, {t} tanks {s} stations", pose=_grown(t, s)) for t, s in ((3, 3), (4, 3), (5, 4), (6, 5), (7, 6))),
    ]
