"""Fast simulation of pump schedules in EPANET, for the search: planning steps by the thousand, or a whole schedule.

A step is a pure function of the volumes at its start and of what pumps and valves do: every hydraulic solve starts from EPANET's initial
flows, so results do not depend on what was simulated before. The loop itself is steps.c.

How a step runs. Solves are at its beginning and each hydraulic step after that, the last part being shorter where the hydraulic step does not divide it;
levels are held between them, as EPANET does. EPANET itself gets limits so wide that it never shuts a tank's
link; its tank events are made here, after its own rules (`tanktimestep`, `tanklevels` in hydraul.c): a hydraulic step is cut where a
tank reaches a limit, in whole seconds, and the hydraulics are solved again; within one second's flow of a limit counts
as at it. A tank at its maximum that still fills, or at its minimum that still drains, is *saturated*: a violation, and its level is let
go beyond the limit so that the violation can be measured. Tanks that may stand full keep their maximum in EPANET, which shuts the inlet.

The audit (`levada.hydraulics.audit`) judges by code of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from levada.domain.billing import StepCosts, bill_of, metered
from levada.domain.pumping import Bools, Ints, PumpingProblem, PumpSchedule, Trajectory
from levada.domain.pumping_terms import ControllableValve
from levada.domain.series import Floats
from levada.hydraulics import native
from levada.hydraulics.engine import SEVERITIES, Solve, Solves, StepResult, Steps, severity_weights
from levada.hydraulics.findings import ERRORS, SUPPLY, Finding, describe
from levada.hydraulics.operation import operation_violations, result_violations
from levada.hydraulics.tank_shape import TankShape

__all__ = ["Simulator", "TankShape"]

_ACCURACY = 1e-5
"""EPANET's convergence criterion here, its finest: cold starts cost little, and steps should not differ by noise."""

_BALANCED = 1e-3
"""Where valves hold back next to no flow, flows may never settle as finely as that. Such a solve counts as balanced by the file's own criterion, as far as that is this or finer."""

_AT_LIMIT_M3 = 1e-6
_STILL_M3_PER_S = 1e-6
"""A tank's flow below this is none; so much beyond a limit of flow is not either."""

_ROOM_M = 1000.0
"""Room below and above each tank, so that EPANET's own limits never act."""

_WORTH_SHARING = 200
"""Rows from which on a call is shared between two threads."""

_SUPPLY = SEVERITIES.index("supply")
_FEW_SOLVES = 4096
"""A schedule's trace has room for so many solves a step: tanks that stand full can add many."""

_MOST_KNOWN = 10_000
"""Steps of schedules that were run are kept: schedules that differ late in the day have the hours before in common."""

_Walked = tuple[Floats, Floats, Floats, Floats, Floats, list[Finding]]
"""Of a step: volumes at its end, mean flow and power of each pump, water drawn, least pressures, and what is amiss."""


class Simulator:
    """EPANET for one problem: the Engine of engine.py. Volumes (m3) are the state.

    Raises NetworkError when EPANET refuses the network.
    """

    def __init__(self, problem: PumpingProblem) -> None:
        network = problem.network
        self.problem = problem
        self.shapes = [TankShape.of(t) for t in network.tanks]
        self.project = project = native.Project(network.name, network.inp)
        has_others = any(project.option(o) > 0 for o in (native.OPTION_HEADERROR, native.OPTION_FLOWCHANGE))
        balanced = _ACCURACY if has_others else min(project.option(native.OPTION_ACCURACY), _BALANCED)
        project.set_option(native.OPTION_ACCURACY, _ACCURACY)
        self.floor_nodes = tuple(problem.pressure_floors_m)
        self.floors = np.array([problem.pressure_floors_m[n] for n in self.floor_nodes])
        self._nodes = (*self.floor_nodes, *(n for n in problem.pressure_ceilings_m if n not in problem.pressure_floors_m))
        self._floor = np.array([problem.pressure_floors_m.get(n, -np.inf) for n in self._nodes])
        self._ceiling = np.array([problem.pressure_ceilings_m.get(n, np.inf) for n in self._nodes])
        self._links = tuple(problem.flow_limits_m3_per_s)
        self._flow_limits = np.array([problem.flow_limits_m3_per_s[x] for x in self._links]).reshape(-1, 2)
        self._most_source = np.array([np.inf if s.max_flow_m3_per_s is None else s.max_flow_m3_per_s for s in problem.sources])
        self._caps = _power_caps(problem)
        self.min_volume = self.volumes(problem.min_level_m)
        self.max_volume = self.volumes(problem.max_level_m)
        self.end_volume = self.volumes(problem.end_level_m)
        n, tanks = len(problem.steps), len(network.tanks)
        self.reserve = self._volumes_by_step(problem.reserve_level_m, np.full((n, tanks), -np.inf))
        self.reserve_most = self._volumes_by_step(problem.ceiling_level_m, np.full((n, tanks), np.inf))
        self._weights = severity_weights(problem, SEVERITIES)
        self._costs = StepCosts(problem)
        self._stepper = self._make_stepper(balanced)
        self._second: Simulator | None = None
        self._watched: Sequence[Sequence[int]] = ()
        self._known: dict[tuple[int, bytes, bytes, bytes], _Walked] = {}

    @property
    def solves(self) -> int:
        return self._stepper.solves + (0 if self._second is None else self._second.solves)

    # --- preparing --------------------------------------------------------------------------------------------------

    def _make_stepper(self, balanced: float) -> native.Stepper:
        problem, project, network = self.problem, self.project, self.problem.network
        units = project.units
        demand_nodes = []
        used = (problem.demand_m3_per_s != 0).any(axis=0)
        for i, junction in enumerate(network.junctions):
            node = project.node_index(junction.name)
            project.prepare_demand(node)
            if used[i]:
                demand_nodes.append(node)
        level_range = np.array([self._widen(i) for i in range(len(network.tanks))]).reshape(-1, 2)
        ports, nodes = self.ports, [project.node_index(name) for name in self._nodes]
        curves = [(np.zeros(0), np.zeros(0)) if s.levels is None or s.volumes is None else (s.levels, s.volumes) for s in self.shapes]
        choices = [_choice(v, k, project, {x.name: x.kind for x in network.links}[v.link]) for v in problem.valves for k in range(len(v.choices))]
        arrays = {
            "tank_node": [project.node_index(t.name) for t in network.tanks],
            "pump_link": [project.link_index(p.name) for p in network.pumps],
            "valve_link": [project.link_index(v.link) for v in problem.valves],
            "node": nodes,
            "link": [project.link_index(name) for name in self._links],
            "source_node": [project.node_index(s.reservoir) for s in problem.sources],
            "demand_node": demand_nodes,
            "port_link": [project.link_index(name) for name, *_ in ports],
            "area": [s.area_m2 for s in self.shapes],
            "curve_start": np.cumsum([0, *(len(x) for x, _ in curves)]),
            "curve_level": np.concatenate([x for x, _ in curves]),
            "curve_volume": np.concatenate([y for _, y in curves]),
            "min_volume": self.min_volume,
            "max_volume": self.max_volume,
            "may_stand_full": problem.may_stand_full,
            "level_low_file": level_range[:, 0],
            "level_high_file": level_range[:, 1],
            "ground": np.array([project.node_value(node, native.NODE_ELEVATION) for node in nodes]) * units.length_m + self._sunk(),
            "floor": self._floor,
            "ceiling": self._ceiling,
            "least_flow": self._flow_limits[:, 0],
            "most_flow": self._flow_limits[:, 1],
            "most_source": self._most_source,
            # Demands go in by the nominal unit, tank flows come out by EPANET's own rounded factor: that is how it moves its tanks.
            "demand_file": problem.demand_m3_per_s[:, used] / units.flow_m3_per_s,
            "duration": problem.steps.durations_s,
            "reserve": self.reserve,
            "reserve_most": self.reserve_most,
            "cap_of": [[int(j in pumps) for j in range(len(network.pumps))] for _, _, pumps in self._caps],
            "cap_kw": [kw for _, kw, _ in self._caps],
            "choice_start": np.cumsum([0, *(len(v.choices) for v in problem.valves)])[:-1],
            "choice_status": [status for status, _ in choices],
            "choice_setting_file": [setting for _, setting in choices],
            "port_sign": [sign * units.engine_flow_m3_per_s for *_, sign in ports],
            "group_start": [0],
            "group_node": [],
            "group_ground": [],
            "pump_state": np.full(len(network.pumps), -1.0),
            "valve_state": np.full(len(problem.valves), -1),
        }
        counts = {
            "tanks": len(network.tanks), "pumps": len(network.pumps), "valves": len(problem.valves), "nodes": len(nodes), "links": len(self._links),
            "sources": len(problem.sources), "demands": len(demand_nodes), "caps": len(self._caps), "ports": len(ports), "groups": 0,
        }  # fmt: skip
        scalars = {
            "length": units.length_m, "flow": units.flow_m3_per_s, "engine_flow": units.engine_flow_m3_per_s, "room": _ROOM_M, "tolerance": _STILL_M3_PER_S,
            "balanced": balanced,
        }  # fmt: skip
        return native.Stepper(project, counts=counts, scalars=scalars, hydraulic_step=problem.hydraulic_step_s, arrays=arrays)

    def _sunk(self) -> Floats:
        """By how much `_widen` has sunk the bottom of each node that pressure is limited at: the room for tanks, nothing for junctions."""
        return np.array([_ROOM_M if name in self.problem.network.tank_index else 0.0 for name in self._nodes])

    def _widen(self, i: int) -> tuple[float, float]:
        """Give tank i limits that EPANET never acts on. Returns the range of levels that may be set, in the file's unit and from
        the lowered bottom."""
        problem, tank, unit = self.problem, self.problem.network.tanks[i], self.project.units.length_m
        # EPANET takes no negative levels: the bottom goes down by the room, all levels up. It needs no volumes from the tank's true shape.
        ceiling = (float(problem.max_level_m[i]) if problem.may_stand_full[i] else max(problem.max_level_m[i], tank.max_level_m) + 0.9 * _ROOM_M) + _ROOM_M
        self.project.replace_tank(self.project.node_index(tank.name), (tank.elevation_m - _ROOM_M) / unit, 0.1 * _ROOM_M / unit, ceiling / unit)
        return 0.1 * _ROOM_M / unit, ceiling / unit

    def _volumes_by_step(self, level_m: Floats | None, otherwise: Floats) -> Floats:
        return otherwise if level_m is None else np.array([self.volumes(row) for row in level_m])

    def volumes(self, level_m: Floats) -> Floats:
        """Volumes (m3) at levels (m), shape (tanks,)."""
        return np.array([s.volume(float(x)) for s, x in zip(self.shapes, level_m, strict=True)])

    def levels(self, volume_m3: Floats) -> Floats:
        """Levels (m) at volumes (m3), shape (tanks,)."""
        return np.array([s.level(float(x)) for s, x in zip(self.shapes, volume_m3, strict=True)])

    @cached_property
    def ports(self) -> tuple[tuple[str, int, float], ...]:
        """Each end of a link at a tank: link name, tank's index, and 1 where the link's flow goes into the tank, else -1."""
        network = self.problem.network
        found = []
        ends = [(x.name, x.start_node, x.end_node) for x in network.links] + [(p.name, p.start_node, p.end_node) for p in network.pumps]
        for name, a, b in ends:
            for end, sign in ((a, -1.0), (b, 1.0)):
                if end in network.tank_index:
                    found.append((name, network.tank_index[end], sign))
        return tuple(found)

    def watch(self, groups: Sequence[Sequence[int]]) -> None:
        """From now on solves report the least pressure within each group of junctions (the network's indices, none empty)."""
        junctions = self.problem.network.junctions
        members = [i for group in groups for i in group]
        self._stepper.put("group_start", np.cumsum([0, *(len(g) for g in groups)]))
        self._stepper.put("group_node", [self.project.node_index(junctions[i].name) for i in members])
        self._stepper.put("group_ground", [junctions[i].elevation_m for i in members])
        self._stepper.count("groups", len(groups))
        self._watched = groups
        if self._second is not None:
            self._second.watch(groups)

    # --- solves and steps -------------------------------------------------------------------------------------------

    def solves_at(self, step: Ints, volume: Floats, speed: Floats, choice: Ints) -> Solves:
        """Solves by row: step (N,), volume (N, tanks), speed (N, pumps; 0 is off), choice of each valve (N, valves). Many rows are shared as in `steps`."""
        return self._solves(*self._shared(len(step), lambda stepper, at: stepper.solves_at(step[at], volume[at], speed[at], choice[at])))

    def steps(self, step: Ints, volume: Floats, speed: Floats, choice: Ints, lasts_s: Ints | None = None) -> Steps:
        """Planning steps by row, arguments as in solves_at, whole or only `lasts_s` (N,) seconds of each. Many rows are shared with a second EPANET on a
        thread of its own."""
        found = self._shared(len(step), lambda stepper, at: stepper.steps(step[at], volume[at], speed[at], choice[at], lasts_s=None if lasts_s is None else lasts_s[at])[:5])
        return self._steps(step, lasts_s, *found)

    def steps_and_solves(self, step: Ints, volume: Floats, speed: Floats, choice: Ints) -> tuple[Steps, Solves]:
        """Whole planning steps, and the solves that they begin with."""
        found = self._shared(len(step), lambda stepper, at: stepper.steps_and_solves(step[at], volume[at], speed[at], choice[at]))
        return self._steps(step, None, *found[:5]), self._solves(*found[5:])

    def _steps(self, step: Ints, lasts_s: Ints | None, after: Floats, flow: Floats, power: Floats, drawn: Floats, severity: Floats) -> Steps:
        hours = None if lasts_s is None else lasts_s / 3600.0
        return Steps(after, flow, power, self._costs.of(step, power, drawn, hours), drawn, severity @ self._weights, severity[:, _SUPPLY] == 0.0)

    def _solves(
        self, inflow: Floats, flow: Floats, power: Floats, delivers: Floats, pressure: Floats, port_flow: Floats, lowest: Floats, source: Floats, code: NDArray[np.int32]
    ) -> Solves:
        return Solves(inflow, flow, power, delivers > 0, pressure[:, : len(self.floors)], port_flow, lowest, source, code)

    def _shared(self, rows: int, ask: Callable[[native.Stepper, slice], tuple[Any, ...]]) -> tuple[Any, ...]:
        """What is asked for rows, by two EPANETs side by side where they are many."""
        if rows < _WORTH_SHARING:
            return ask(self._stepper, np.s_[:])
        half = rows // 2
        with ThreadPoolExecutor(2) as threads:
            asked = [threads.submit(ask, e, at) for e, at in ((self._stepper, np.s_[:half]), (self._other()._stepper, np.s_[half:]))]
            both = [a.result() for a in asked]
        return tuple(np.concatenate(parts) for parts in zip(*both, strict=True))

    def _other(self) -> Simulator:
        """A second EPANET, for a thread of its own."""
        if self._second is None:
            self._second = Simulator(self.problem)
            self._second.watch(self._watched)
        return self._second

    def solve(self, step: int, volume: Floats, on: Bools, speed: Floats) -> Solve:
        """One hydraulic solve with the demand of `step` at tank volumes (m3), valves at their first choice. `on`, `speed` (pumps,)."""
        return self.solves_at(np.array([step]), volume[None], np.where(on, speed, 0.0)[None], self.problem.initial_choice[None])[0]

    def step(self, step: int, volume: Floats, on: Bools, speed: Floats) -> StepResult:
        """Planning step `step` from tank volumes (m3), valves at their first choice, with pumps `on` at `speed`, (pumps,)."""
        return self.steps(np.array([step]), volume[None], np.where(on, speed, 0.0)[None], self.problem.initial_choice[None])[0]

    def run(self, schedule: PumpSchedule) -> Trajectory:
        """Simulate a whole schedule, with its violations in words. A limit that fails at several instants in a row is one violation."""
        problem = self.problem
        n, valves = len(problem.steps), len(problem.valves)
        pumps, tanks = len(problem.network.pumps), len(problem.network.tanks)
        speed = np.where(schedule.on, schedule.speed, 0.0)
        choice = schedule.valve_choice if valves else np.zeros((n, 0), np.int64)
        volume = np.empty((n + 1, tanks))
        flow, power = np.empty((n, pumps)), np.empty((n, pumps))
        source, pressure = np.empty((n, len(problem.sources))), np.empty((n, len(self._nodes)))
        volume[0] = self.volumes(problem.initial_level_m)
        findings: list[Finding] = []
        trace = np.empty((_FEW_SOLVES, 2 + 2 * tanks + len(self._nodes) + len(self._links) + 3 * pumps + len(problem.sources)))
        for k in range(n):
            key = k, volume[k].tobytes(), speed[k].tobytes(), choice[k].tobytes()
            if key not in self._known:
                self._known[key] = self._walked(k, volume[k], speed[k], choice[k], trace)
            volume[k + 1], flow[k], power[k], source[k], pressure[k], amiss = self._known[key]
            findings.extend(amiss)
        while len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        level = np.array([self.levels(v) for v in volume])
        bill = bill_of(problem, schedule, power, source, volume[-1] - volume[0])
        violations = describe(findings, problem, problem.hydraulic_step_s) + operation_violations(problem, schedule) + result_violations(problem, level[-1], source, bill)
        for other in problem.at_other_hydraulic_steps():
            found = Simulator(other).run(schedule).violations
            violations += tuple(replace(v, text=f"{v.text}, at hydraulic steps of {other.hydraulic_step_s / 60:g} min") for v in found if v not in violations)
        return Trajectory(
            level_m=level,
            flow_m3_per_s=flow,
            power_w=power,
            pressure_m=pressure[:, : len(self.floors)],
            source_m3=source,
            bill=bill,
            energy_kwh=float((power.sum(axis=1) * problem.steps.hours).sum() / 1000.0),
            violations=violations,
        )

    def run_all(self, schedules: Sequence[PumpSchedule]) -> list[Trajectory]:
        """Simulate several schedules, two at once where they are many; those that begin alike are best side by side."""
        half = len(schedules) // 2
        if half * len(self.problem.steps) < _WORTH_SHARING:
            return self._run_each(schedules)
        with ThreadPoolExecutor(2) as threads:
            asked = [threads.submit(e._run_each, own) for e, own in ((self, schedules[:half]), (self._other(), schedules[half:]))]
            return [trajectory for a in asked for trajectory in a.result()]

    def _run_each(self, schedules: Sequence[PumpSchedule]) -> list[Trajectory]:
        return [self.run(schedule) for schedule in schedules]

    def _walked(self, k: int, volume: Floats, speed: Floats, choice: Ints, trace: Floats) -> _Walked:
        after, flow, power, drawn, amiss, least, records = self._stepper.steps([k], volume[None], speed[None], choice[None], trace=trace)
        findings: list[Finding] = []
        # Tanks that are cut off and let in second by second make thousands of records: they are read where something is amiss in the step.
        for record in trace[:records] if amiss.any() else ():
            findings.extend(self._look(k, record))
        findings.extend(self._look_at_levels(k, int(self.problem.steps.offsets_s[k + 1]), after[0]))
        return after[0], flow[0], power[0], drawn[0], least[0], findings

    # --- what is amiss, in detail: the counterpart of `look` in steps.c -----------------------------------------------

    def _look(self, k: int, record: Floats) -> Iterator[Finding]:
        problem, network = self.problem, self.problem.network
        tanks, pumps = len(network.tanks), len(network.pumps)
        at_s = int(problem.steps.offsets_s[k] + record[0])
        warning = int(record[1])
        parts = np.split(record[2:], np.cumsum([tanks, tanks, len(self._nodes), len(self._links), pumps, pumps, pumps]))
        volume, inflow, pressure, link_flow, _, power_kw, delivers, source = parts
        yield from self._look_at_levels(k, at_s, volume)
        for i, tank in enumerate(network.tanks):
            q = float(inflow[i])
            if abs(q) < _STILL_M3_PER_S:
                continue
            full = q > 0 and self.max_volume[i] - volume[i] <= q and not problem.may_stand_full[i]
            empty = q < 0 and volume[i] - self.min_volume[i] <= -q
            if full or empty:
                yield Finding("saturation", tank.name, at_s, abs(q), "m3/s", bool(q > 0))
        for name, p, floor, ceiling in zip(self._nodes, pressure.tolist(), self._floor.tolist(), self._ceiling.tolist(), strict=True):
            if p < floor:
                yield Finding("pressure", name, at_s, floor - p, "m", False, floor)
            if p > ceiling:
                yield Finding("pressure", name, at_s, p - ceiling, "m", True, ceiling)
        for name, q, (least, most) in zip(self._links, link_flow.tolist(), self._flow_limits.tolist(), strict=True):
            if q < least - _STILL_M3_PER_S:
                yield Finding("flow", name, at_s, least - q, "m3/s", False, least)
            if q > most + _STILL_M3_PER_S:
                yield Finding("flow", name, at_s, q - most, "m3/s", True, most)
        for s, q, most in zip(problem.sources, source.tolist(), self._most_source.tolist(), strict=True):
            if q > most + _STILL_M3_PER_S:
                yield Finding("source", s.reservoir, at_s, q - most, "m3/s", True, most)
        for name, cap, members in self._caps:
            total = float(power_kw[list(members)].sum())
            if total > cap:
                yield Finding("power", name, at_s, total - cap, "kW", True, cap)
        if warning in SUPPLY or warning >= ERRORS:
            yield Finding("supply", "network", at_s, float(warning), "EPANET warning")
        if not delivers.all():
            yield Finding("supply", "pumps", at_s, 0.0, "m3/s")

    def _look_at_levels(self, k: int, at_s: int, volume: Floats) -> Iterator[Finding]:
        limits = (("level", self.min_volume, self.max_volume), ("reserve", self.reserve[k], self.reserve_most[k]))
        for limit, least, most in limits:
            if (np.maximum(volume - most, least - volume) <= _AT_LIMIT_M3).all():
                continue
            for i, tank in enumerate(self.problem.network.tanks):
                over, under = float(volume[i] - most[i]), float(least[i] - volume[i])
                if max(over, under) > _AT_LIMIT_M3:
                    at_limit = self.shapes[i].level(float(most[i] if over > under else least[i]))
                    yield Finding(limit, tank.name, at_s, abs(self.shapes[i].level(float(volume[i])) - at_limit), "m", over > under, at_limit)


def _power_caps(problem: PumpingProblem) -> list[tuple[str, float, frozenset[int]]]:
    """Limits of power: whose, kW, which pumps."""
    caps = [(f"the pumps of meter {m.name}", m.max_power_kw, frozenset(m.pumps.tolist())) for m in metered(problem) if m.max_power_kw is not None]
    if problem.max_power_kw is not None:
        caps.append(("all pumps", problem.max_power_kw, frozenset(range(len(problem.network.pumps)))))
    return caps


def _choice(valve: ControllableValve, index: int, project: native.Project, kind: str) -> tuple[int, float]:
    """Status (0 closed, 1 open, 2 by its setting) and setting in the file's unit of a valve's choice."""
    choice = valve.choices[index]
    if isinstance(choice, str):
        return (1 if choice == "open" else 0), 0.0
    unit = project.units.flow_m3_per_s if kind == "fcv" else project.pressure_m if kind in {"prv", "psv", "pbv"} else 1.0
    return 2, choice / unit
