"""AnyTown-modified, AT(M): the network with nine published schedules, and a proved optimum for each start limit.

The case is here because it is the one public pump-scheduling case with proved optima and published schedules to judge.
Costs to reach (dollars a day, proved optimal): 3900.25 with at most 1 start per pump, 3606.83 with 2, 3575.54 with 3. Rules:
hourly decisions, EPANET's hydraulic step 30 min, tanks between 66.53 and 71.53 m and at the end not below the initial
66.93 m, pressure floors at three nodes, starts counted periodically, no saturation.
Data: LEVADA_BENCH_DATA, by default ../shared/data beside the repository.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.time import Steps
from levada.hydraulics.inp import pattern_demands, read_network

__all__ = ["OPTIMA", "Published", "data_folder", "problem", "published"]

OPTIMA = {1: 3900.25, 2: 3606.83, 3: 3575.54}
"""Proved optimal cost by the most starts per pump."""

_PUMPS_IN_FILES = ("111", "222", "333")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Published:
    """A published schedule, its cost as published, its start limit; `valid` is the verdict of the published comparison."""

    name: str
    max_starts: int
    cost: float
    valid: bool
    schedule: PumpSchedule


def data_folder() -> Path:
    """Where the case's data are; it may not exist on this machine."""
    root = Path(__file__).resolve().parents[1]
    return Path(os.environ.get("LEVADA_BENCH_DATA", root / ".." / "shared" / "data")) / "networks" / "atm-anytown-modified"


def problem(max_starts: int, *, hydraulic_step_s: int = 1800) -> PumpingProblem:
    """The case with at most `max_starts` starts of each pump, at 24 hourly steps from midnight; prices in dollars."""
    network = read_network((data_folder() / "atm-anytown-modified.inp").read_bytes(), "atm-anytown-modified.inp")
    steps = Steps.even(datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1), 24)
    tanks, pumps = len(network.tanks), len(network.pumps)
    return PumpingProblem(
        network=network,
        steps=steps,
        demand_m3_per_s=pattern_demands(network, steps),
        price_per_kwh=np.repeat(_prices(network.inp)[:, None] / 100, pumps, axis=1),
        initial_level_m=np.full(tanks, 66.93),
        min_level_m=np.full(tanks, 66.53),
        max_level_m=np.full(tanks, 71.53),
        may_stand_full=np.zeros(tanks, dtype=bool),
        end_level_m=np.full(tanks, 66.93),
        pressure_floors_m={"55": 42.0, "90": 51.0, "170": 30.0},
        max_starts=np.full(pumps, max_starts, dtype=np.int64),
        count_starts="periodic",
        initial_on=np.zeros(pumps, dtype=bool),
        min_speed=np.ones(pumps),
        max_speed=np.ones(pumps),
        available=np.ones((24, pumps), dtype=bool),
        max_power_kw=None,
        hydraulic_step_s=hydraulic_step_s,
    )


def published() -> list[Published]:
    """The nine schedules, by name. Files hold 25 x 3 statuses, hour by hour; hour 0 is a dummy."""
    names = [p.name for p in problem(1).network.pumps]
    order = [_PUMPS_IN_FILES.index(name) for name in names]
    found = []
    for path in sorted((data_folder() / "published-schedules").glob("*.json")):
        document = json.loads(path.read_text())
        on = np.array(document["best_x"]).reshape(25, 3)[1:, order] == 1
        found.append(
            Published(
                name=path.stem,
                max_starts=int(document["max_actuations"]),
                cost=float(document["best_cost"]),
                valid=path.stem.startswith("costa2016") or path.stem == "depaola2025_na_01",
                schedule=PumpSchedule(on=on, speed=on.astype(float)),
            )
        )
    return found


def _prices(inp: bytes) -> np.ndarray:
    """The pattern PRICES, cents per kWh: 24 hourly values. The INP names it per pump; Network keeps no prices."""
    rows = [line.split() for line in inp.decode().splitlines()]
    return np.array([float(value) for row in rows if row and row[0] == "PRICES" for value in row[1:]])
