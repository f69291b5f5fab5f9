"""A small problem of quadratic equations, made here: two identical pumps, a tank, a town. Needs no data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
from benchmarks.cases.case import Posed
from benchmarks.cases.quadratic import L_PER_M3, QuadraticNetwork
from benchmarks.cases.quadratic_engine import GopsEngine
from benchmarks.cases.quadratic_judge import gops_audit

from levada.domain.network import Junction, Link, Network, Pump, Reservoir, Tank
from levada.domain.pumping import PumpingProblem
from levada.domain.time import Steps

EQUATIONS = QuadraticNetwork(
    junctions=2,  # D behind the pumps, C the town
    pipe_ends=np.array([[0, 2], [2, 1]], np.intp),
    pipe_loss=np.array([[1e-3, 0.0], [2e-3, 1e-2]]),
    pipe_range=np.tile([0.0, 1000.0], (2, 1)),
    pump_ends=np.array([[3, 0]] * 2, np.intp),
    pump_gain=np.array([[4e-3, 0.0, 40.0]] * 2),
    pump_power=np.array([[10.0, 0.3]] * 2),
    pump_range=np.tile([0.0, 90.0], (2, 1)),
    surface_m2=np.array([100.0]),
    tank_elevation_m=np.array([20.0]),
    reservoir_head_m=np.array([0.0]),
)

NETWORK = Network(
    name="two pumps",
    inp=b"",
    junctions=(Junction(name="D", elevation_m=0.0, base_demand_m3_per_s=0.0), Junction(name="C", elevation_m=0.0, base_demand_m3_per_s=0.03)),
    reservoirs=(Reservoir(name="R", head_m=0.0),),
    tanks=(Tank(name="T", elevation_m=20.0, initial_level_m=2.5, min_level_m=0.0, max_level_m=5.0, diameter_m=float(np.sqrt(400 / np.pi))),),
    pumps=tuple(Pump(name=n, start_node="R", end_node="D", head_curve=((0.0, 40.0), (0.05, 30.0), (0.09, 7.6)), global_efficiency=1.0) for n in ("A", "B")),
    links=(Link(name="rising", kind="pipe", start_node="D", end_node="T"), Link(name="falling", kind="pipe", start_node="T", end_node="C")),
)


def small(**changes: Any) -> Posed:
    """Six hours with a dear middle; `changes` replace fields of the problem."""
    n = 6
    demand = np.zeros((n, 2))
    demand[:, 1] = np.array([20, 25, 35, 40, 35, 25]) / L_PER_M3
    fields: dict[str, Any] = {
        "network": NETWORK, "steps": Steps.even(datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1), n), "demand_m3_per_s": demand,
        "price_per_kwh": np.repeat(np.array([[0.05, 0.06, 0.2, 0.25, 0.18, 0.07]]).T, 2, axis=1), "initial_level_m": np.array([2.5]),
        "min_level_m": np.array([0.0]), "max_level_m": np.array([5.0]), "may_stand_full": np.array([False]), "end_level_m": np.array([2.5]),
        "pressure_floors_m": {}, "max_starts": np.array([3, 3]), "count_starts": "window", "initial_on": np.array([False, False]),
        "min_speed": np.ones(2), "max_speed": np.ones(2), "available": np.ones((n, 2), bool), "max_power_kw": None, "hydraulic_step_s": 3600,
    }  # fmt: skip
    problem = PumpingProblem(**(fields | changes))
    return Posed(problem=problem, engine=partial(GopsEngine, EQUATIONS), judge=partial(gops_audit, EQUATIONS))


def no_valves(rows: int) -> np.ndarray:
    return np.zeros((rows, 0), np.int64)

