"""Pumps that do nearly the same though the network's ends of them differ: each has its own length of pipe in the station, as models of real stations draw it.

They are told by solves, not by drawing: put in each other's place they change what tanks gain, what is drawn and what pressures are by no more than a few
thousandths of what the pump itself does. Where there would be very many configurations otherwise (plant.py) the search counts them as one class; models that bound costs are
measured with any of them running, and which of them runs is settled last (assignment.py, settle.py).
"""

from __future__ import annotations

from itertools import combinations, product

import numpy as np

from levada.domain.pumping import PumpingProblem
from levada.domain.series import Floats
from levada.hydraulics.engine import Engine
from levada.schedule.problem import PumpClass

__all__ = ["merged"]

_NEARLY = 0.005
"""Share of a pump's own effect by which another in its place may differ."""

_PRESSURE_M = 0.05
_STATES = (0.2, 0.8)
"""Tanks are filled so far in the solves."""


def merged(problem: PumpingProblem, engine: Engine, classes: tuple[PumpClass, ...]) -> tuple[PumpClass, ...]:
    """The classes, those put together whose pumps nothing but their ends tells apart and do nearly the same in every solve: at least and most demand, tanks nearly
    empty and nearly full, all other pumps off and on, least and highest speed, each setting of each valve.

    Where flows through links are limited none are: a link may be that of one pump.
    """
    groups = list[list[PumpClass]]()
    pairs = [] if problem.flow_limits_m3_per_s else [(a, b) for a, b in combinations(classes, 2) if _key(problem, a) == _key(problem, b)]
    alike = {pair for pair, is_alike in zip(pairs, _are_alike(problem, engine, pairs), strict=True) if is_alike} if pairs else set()
    for c in classes:
        home = next((g for g in groups if all((other, c) in alike for other in g)), None)
        if home is None:
            groups.append([c])
        else:
            home.append(c)
    return tuple(PumpClass(pumps=tuple(sorted(j for c in g for j in c.pumps)), bins=g[0].bins, is_nearly=len(g) > 1) for g in groups)


def _key(problem: PumpingProblem, c: PumpClass) -> tuple[object, ...]:
    j, pump = c.pumps[0], problem.network.pumps[c.pumps[0]]
    meter = next((m.name for m in problem.meters if pump.name in m.pumps), None)
    return meter, pump.head_curve, pump.efficiency_curve, pump.global_efficiency, pump.constant_power_w, c.bins, problem.price_per_kwh[:, j].tobytes()


def _are_alike(problem: PumpingProblem, engine: Engine, pairs: list[tuple[PumpClass, PumpClass]]) -> list[bool]:
    total = problem.demand_m3_per_s.sum(axis=1)
    settings = [[v.initial for v in problem.valves]]
    settings += [[c if w == v else valve.initial for w, valve in enumerate(problem.valves)] for v, own in enumerate(problem.valves) for c in range(len(own.choices)) if c != own.initial]
    cases = list(product(sorted({int(total.argmin()), int(total.argmax())}), _STATES, (0.0, 1.0), (0, -1), settings))
    step, volume, speed, choice = list[int](), list[Floats](), list[Floats](), list[list[int]]()
    for a, b in pairs:
        one, other = a.pumps[0], b.pumps[0]
        for k, x, others, edge, setting in cases:
            value = a.bins[edge][edge]
            for running in ((), (one,), (other,)):
                row = others * problem.max_speed
                row[[*a.pumps, *b.pumps]] = 0.0
                row[list(running)] = value
                step.append(k)
                volume.append(engine.min_volume + x * (engine.max_volume - engine.min_volume))
                speed.append(row)
                choice.append(setting)
    choices = np.array(choice, np.int64).reshape(len(step), len(problem.valves))
    s = engine.solves_at(np.array(step), np.array(volume), np.array(speed), choices)
    shape = (len(pairs), len(cases), 3, -1)
    same = np.ones((len(pairs), len(cases)), bool)
    for what, floor in ((s.inflow, 1e-6), (s.power.sum(axis=1), 1.0)):
        none, first, second = np.moveaxis(what.reshape(shape), 2, 0)
        same &= np.abs(first - second).max(axis=2) <= _NEARLY * np.abs(first - none).max(axis=2) + floor
    pressure, works = s.pressure.reshape(*shape[:3], s.pressure.shape[1]), (s.delivers | (np.array(speed) == 0)).all(axis=1).reshape(shape[:3])
    same &= np.abs(pressure[:, :, 1] - pressure[:, :, 2]).max(axis=2, initial=0.0) <= _PRESSURE_M
    same &= (works[:, :, 1] == works[:, :, 2]) & (s.warning.reshape(shape[:3]) < 100).all(axis=2)
    return [bool(row.all()) for row in same]
