"""Two identical variable-speed pumps and one tank: the publication's own equations, and the EPANET file beside them.

Janus, Ulanicki, Diao (2024), Water Supply 24(7) 2409; github.com/tomjanus/milp-scheduling. Published: GBP 60.5 a day with CPLEX in about 2 s, and
65 with CBC after 60 s; both are costs of a piecewise linear model of 24 hourly steps.

Facts of the publication: pump head 45 s^2 - 0.0045 q^2 m, power 40 s^3 + 0.2422 q s^2 kW (q L/s a pump, s relative speed, 0.7 to 1.2), at most 120 L/s;
pipes of 10, 1610, 61, 1610 m, diameters 1, 0.355, 0.458, 0.254 m, Darcy friction 0.015; source 210 m; tank bottom 230 m, 15 m wide, level 0.5 to
3.5 m, 3 m at the start; demand 40 L/s by a 24-hour pattern; tariff as in the EPANET file's pattern Price.

Assumed here: the level at the end is at least that at the start; starts are not limited; pumps may run at different speeds; one explicit
hydraulic step an hour. The EPANET file has other curves (its pumps and demand are larger): a case of its own, with nothing to compare.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np

from benchmarks.cases.case import Case, Posed, required
from benchmarks.cases.quadratic import L_PER_M3, QuadraticNetwork
from benchmarks.cases.quadratic_engine import GopsEngine
from benchmarks.cases.quadratic_judge import gops_audit
from levada.domain.network import Junction, Link, Network, Pump, Reservoir, Tank
from levada.domain.pumping import PumpingProblem
from levada.domain.series import Floats
from levada.domain.time import Steps
from levada.hydraulics.inp import pattern_demands, read_network

__all__ = ["PUBLISHED", "by_epanet", "by_equations", "two_pumps_cases"]

PUBLISHED = 60.5
_INP = ("two-pump-one-tank-vsd", "one_tank_two_pump.inp")
_G = 9.81
_SLOWEST, _FASTEST = 0.7, 1.2
_PIPES = (("p1", "n1", "n2", 10.0, 1.0), ("p3", "n3", "n4", 1610.0, 0.355), ("p4", "n4", "n5", 61.0, 0.458), ("p5", "n4", "n6", 1610.0, 0.254))
_DEMAND_L_PER_S = 40.0


def by_equations() -> Posed:
    """The publication's model. The tariff and the demand's pattern are read from the EPANET file."""
    pattern, tariff = (_pattern(required(*_INP).read_bytes(), name) for name in ("1", "Price"))
    junctions = {"n2": 210.0, "n3": 220.0, "n4": 220.0, "n6": 210.0}
    place = {name: i for i, name in enumerate([*junctions, "n5", "n1"])}
    area = np.pi * 15.0**2 / 4
    equations = QuadraticNetwork(
        junctions=len(junctions),
        pipe_ends=np.array([[place[a], place[b]] for _, a, b, _, _ in _PIPES], np.intp),
        pipe_loss=np.array([[1e-6 * 0.015 * length / (2 * _G * wide * (np.pi * wide**2 / 4) ** 2), 0.0] for *_, length, wide in _PIPES]),
        pipe_range=np.tile([-150.0, 150.0], (len(_PIPES), 1)),
        pump_ends=np.array([[place["n2"], place["n3"]]] * 2, np.intp),
        pump_gain=np.array([[0.0045, 0.0, 45.0]] * 2),
        pump_power=np.array([[40.0, 0.2422]] * 2),
        pump_range=np.tile([0.0, 120.0], (2, 1)),
        surface_m2=np.array([area]),
        tank_elevation_m=np.array([230.0]),
        reservoir_head_m=np.array([210.0]),
    )
    curve = tuple((q / L_PER_M3, 45.0 - 0.0045 * q * q) for q in (0.0, 25.0, 50.0, 75.0, 100.0))
    network = Network(
        name="two pumps, one tank",
        inp=b"",
        junctions=tuple(Junction(name=n, elevation_m=z, base_demand_m3_per_s=_DEMAND_L_PER_S / L_PER_M3 * (n == "n6")) for n, z in junctions.items()),
        reservoirs=(Reservoir(name="n1", head_m=210.0),),
        tanks=(Tank(name="n5", elevation_m=230.0, initial_level_m=3.0, min_level_m=0.5, max_level_m=3.5, diameter_m=15.0),),
        pumps=tuple(Pump(name=name, start_node="n2", end_node="n3", head_curve=curve, global_efficiency=1.0) for name in ("e2", "e3")),
        links=tuple(Link(name=name, kind="pipe", start_node=a, end_node=b) for name, a, b, *_ in _PIPES),
    )
    demand = np.zeros((24, len(junctions)))
    demand[:, place["n6"]] = pattern * _DEMAND_L_PER_S / L_PER_M3
    problem = _problem(network, demand, tariff, end_m=3.0)
    return Posed(problem=problem, engine=partial(GopsEngine, equations), judge=partial(gops_audit, equations))


def by_epanet() -> Posed:
    """The EPANET file as it is, its tariff and patterns, speeds 0.7 to 1.2, starts not limited, the level at the end at least the initial one."""
    path = required(*_INP)
    network = read_network(path.read_bytes(), path.name)
    demand = pattern_demands(network, _steps())
    return Posed(problem=_problem(network, demand, _pattern(network.inp, "Price"), end_m=network.tanks[0].initial_level_m))


def two_pumps_cases() -> list[Case]:
    """By the equations, with the published cost, and by EPANET, without."""
    return [
        Case(name="two pumps VSD, equations", pose=by_equations, published=PUBLISHED, what="of a linear model", peer="CPLEX 2 s", is_quick=True),
        Case(name="two pumps VSD, EPANET", pose=by_epanet),
    ]


def _steps() -> Steps:
    return Steps.even(datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1), 24)


def _problem(network: Network, demand_m3_per_s: Floats, tariff: Floats, *, end_m: float) -> PumpingProblem:
    tank, pumps = network.tanks[0], len(network.pumps)
    return PumpingProblem(
        network=network,
        steps=_steps(),
        demand_m3_per_s=demand_m3_per_s,
        price_per_kwh=np.repeat(tariff[:, None], pumps, axis=1),
        initial_level_m=np.array([tank.initial_level_m]),
        min_level_m=np.array([tank.min_level_m]),
        max_level_m=np.array([tank.max_level_m]),
        may_stand_full=np.zeros(1, bool),
        end_level_m=np.array([end_m]),
        pressure_floors_m={},
        max_starts=np.full(pumps, 24, np.int64),
        count_starts="window",
        initial_on=np.zeros(pumps, bool),
        min_speed=np.full(pumps, _SLOWEST),
        max_speed=np.full(pumps, _FASTEST),
        available=np.ones((24, pumps), bool),
        max_power_kw=None,
        hydraulic_step_s=3600,
    )


def _pattern(inp: bytes, name: str) -> Floats:
    """The 24 values of a pattern in the INP text."""
    lines = [line.split(";")[0].split() for line in inp.decode().split("[PATTERNS]")[1].split("[")[0].splitlines()]
    return np.array([float(value) for line in lines if line and line[0] == name for value in line[1:]])
