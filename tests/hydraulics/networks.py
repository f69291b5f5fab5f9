"""Networks and problems that the tests of this folder share: a small INP to fill in, a problem around a network, real INPs."""

from __future__ import annotations

import importlib.util
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from levada.domain.network import Network
from levada.domain.pumping import Audit, PumpingProblem, PumpSchedule, Violation
from levada.domain.time import Steps
from levada.hydraulics.inp import pattern_demands, read_network

START = datetime(2026, 3, 2, tzinfo=UTC)


def small_inp(
    *, level: float = 3.0, tank_curve: str = "", curves: str = "", options: str = "", demand: float = 20.0, pump: str = "HEAD 1", extra: str = ""
) -> str:
    """A reservoir, a pump, a town and a tank of 12 m across behind it, in litres per second. The pump lifts 40 m, at 30 L/s."""
    return f"""[JUNCTIONS]
 J1 10 0
 J2 10 {demand} day
[RESERVOIRS]
 R 10
[TANKS]
 T 40 {level} 1 5 12 0 {tank_curve}
[PIPES]
 a J1 J2 500 300 120
 b J2 T 500 300 120
[PUMPS]
 P R J1 {pump}
[CURVES]
 1 30 40
{curves}
[PATTERNS]
 day 0.5 1.0 1.5 1.0
[TIMES]
 Duration 24
 Pattern Timestep 1:00
[OPTIONS]
 Units LPS
 Accuracy 0.00001
{options}
{extra}
[END]
"""


def small_network(**fields: Any) -> Network:
    return read_network(small_inp(**fields).encode(), "small.inp")


def valve_inp(kind: str, setting: str, *, units: str = "LPS", options: str = "") -> str:
    """The small network and behind it a suburb K that draws 5 L/s at all times (20 gpm where units are GPM): from J2 by a narrow pipe d and
    then a valve V at J3 (or a pipe, where kind is `pipe`), and from J1 by a pipe c too thin to serve it alone."""
    demand = {"LPS": 5, "CMH": 18, "GPM": 20}[units]
    thin, narrow, wide = ("2.4", "3.2", "6") if units == "GPM" else ("60", "80", "150")
    valve = f"[PIPES]\n V J3 K 10 {wide} 120 0 {setting}" if kind == "pipe" else f"[VALVES]\n V J3 K {wide} {kind} {setting} 2"
    extra = f"[JUNCTIONS]\n J3 10 0\n K 10 {demand} flat\n[PIPES]\n c J1 K 2000 {thin} 120\n d J2 J3 1000 {narrow} 120\n{valve}\n[PATTERNS]\n flat 1"
    return small_inp(options=options, extra=extra).replace("Units LPS", f"Units {units}")


def two_pump_network(**fields: Any) -> Network:
    """The small network with a second pump Q beside the first."""
    return read_network(small_inp(**fields).replace("[CURVES]", " Q R J1 HEAD 1\n[CURVES]").encode(), "pair.inp")


def violations_of(result: Audit, limit: str) -> list[Violation]:
    """All violations of one limit, in order of time."""
    return [v for v in result.trajectory.violations if v.limit == limit]


def problem_for(network: Network, *, hours: int = 4, step_s: int = 3600, **changes: Any) -> PumpingProblem:
    """A problem that asks for the INP's own tank limits and no more; `changes` replace fields."""
    steps = Steps.even(START, timedelta(seconds=step_s), hours * 3600 // step_s)
    n, pumps, tanks = len(steps), len(network.pumps), network.tanks
    fields: dict[str, Any] = {
        "network": network,
        "steps": steps,
        "demand_m3_per_s": pattern_demands(network, steps),
        "price_per_kwh": np.full((n, pumps), 0.1),
        "initial_level_m": np.array([t.initial_level_m for t in tanks]),
        "min_level_m": np.array([t.min_level_m for t in tanks]),
        "max_level_m": np.array([t.max_level_m for t in tanks]),
        "may_stand_full": np.zeros(len(tanks), dtype=bool),
        "end_level_m": np.array([t.min_level_m for t in tanks]),
        "pressure_floors_m": {},
        "max_starts": np.full(pumps, n),
        "count_starts": "window",
        "initial_on": np.zeros(pumps, dtype=bool),
        "min_speed": np.ones(pumps),
        "max_speed": np.ones(pumps),
        "available": np.ones((n, pumps), dtype=bool),
        "max_power_kw": None,
        "hydraulic_step_s": 900,
    }
    return PumpingProblem(**{**fields, **changes})


def schedule_of(*pumps: str, speed: float = 1.0) -> PumpSchedule:
    """A schedule from a string of 0 and 1 for each pump."""
    on = np.array([[c == "1" for c in pump] for pump in pumps]).T
    return PumpSchedule(on=on, speed=on * speed)


def example_inp(name: str) -> bytes:
    """An INP that comes with WNTR; found without importing it. Skips where WNTR is not installed."""
    spec = importlib.util.find_spec("wntr")
    if spec is None or spec.origin is None:
        pytest.skip("WNTR's example networks are not installed: this comparison with plain EPANET runs is NOT checked here")
    return (Path(spec.origin).parent / "library" / "networks" / name).read_bytes()


def shared_network(*parts: str) -> Path:
    """A file of the benchmark data. Skips where the data are absent."""
    root = Path(os.environ.get("LEVADA_BENCH_DATA", Path(__file__).resolve().parents[2] / ".." / "shared" / "data"))
    path = root.joinpath("networks", *parts)
    if not path.exists():
        pytest.skip(f"no benchmark data at {root}: set LEVADA_BENCH_DATA; published results are NOT checked here")
    return path
