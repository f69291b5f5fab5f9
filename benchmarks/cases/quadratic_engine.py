"""An engine for networks of quadratic equations, in the place of EPANET's simulator: one explicit solve a planning step.

Tanks follow their limits as these equations have it: a step's flows come from the levels at its start, and a level beyond a limit at the
step's end is a violation. A level cannot saturate within a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases.quadratic import L_PER_M3, Flows, QuadraticNetwork, solve_flows
from levada.domain.billing import StepCosts, bill_of
from levada.domain.pumping import Bools, Ints, PumpingProblem, PumpSchedule, Trajectory, Violation
from levada.domain.series import Floats
from levada.hydraulics.engine import SEVERITIES, Solves, Steps, severity_weights
from levada.hydraulics.findings import Finding, describe
from levada.hydraulics.operation import operation_violations, result_violations

__all__ = ["GopsEngine"]

_NO_SOLUTION = 110
"""EPANET's code for a system that cannot be solved."""
_SAME_M3 = 1e-6
_SAME_L_PER_S = 1e-6


@dataclass(frozen=True, slots=True)
class _Amiss:
    """One limit over many rows: its size without a unit and its amount, 0 where it holds; the limit's value; at the step's start or end."""

    kind: str
    element: str
    size: Floats
    amount: Floats
    unit: str
    limit: Floats
    is_above: bool = False
    at_end: bool = False


@dataclass
class GopsEngine:
    """levada.hydraulics.engine.Engine for `equations`. Of the problem's limits it knows levels, reserves, pressures, total power, flows
    of links and sources at once; meters' own power, valves and volume curves have no place in these equations."""

    equations: QuadraticNetwork
    problem: PumpingProblem
    solves: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        problem, network = self.problem, self.problem.network
        if problem.valves or any(m.own_power_kw is not None or m.demand_charge_per_kw or m.max_power_kw for m in problem.meters):
            raise ValueError("quadratic networks have no valves that are set and no meters with terms of their own")
        self.floor_nodes = tuple(problem.pressure_floors_m)
        self.floors = np.array([problem.pressure_floors_m[n] for n in self.floor_nodes])
        self.min_volume, self.max_volume, self.end_volume = (self.volumes(x) for x in (problem.min_level_m, problem.max_level_m, problem.end_level_m))
        self._size = self.max_volume - self.min_volume
        self._demand = problem.demand_m3_per_s * L_PER_M3
        self._ground = np.array([j.elevation_m for j in network.junctions])
        self._weight = dict(zip(SEVERITIES, severity_weights(problem, SEVERITIES).tolist(), strict=True))
        links = {x.name: i for i, x in enumerate(network.links)} | {p.name: len(network.links) + i for i, p in enumerate(network.pumps)}
        self._limited = [(name, links[name], least * L_PER_M3, most * L_PER_M3) for name, (least, most) in problem.flow_limits_m3_per_s.items()]
        places = {r.name: i for i, r in enumerate(network.reservoirs)}
        self._source_columns = np.array([places[s.reservoir] for s in problem.sources], np.intp)
        self._costs = StepCosts(problem)
        self._watched: list[NDArray[np.intp]] = []

    @cached_property
    def ports(self) -> tuple[tuple[str, int, float], ...]:
        """Each end of a link at a tank: link name, tank's index, and 1 where the link's flow goes into the tank, else -1."""
        network = self.problem.network
        ends = [(x.name, x.start_node, x.end_node) for x in network.links] + [(p.name, p.start_node, p.end_node) for p in network.pumps]
        return tuple((name, network.tank_index[end], sign) for name, a, b in ends for end, sign in ((a, -1.0), (b, 1.0)) if end in network.tank_index)

    @cached_property
    def _port_rows(self) -> tuple[NDArray[np.intp], Floats]:
        network = self.problem.network
        place = {name: i for i, name in enumerate([*(x.name for x in network.links), *(p.name for p in network.pumps)])}
        return np.array([place[name] for name, *_ in self.ports], np.intp), np.array([sign for *_, sign in self.ports]) / L_PER_M3

    def volumes(self, level_m: Floats) -> Floats:
        """Volumes (m3) at levels (m)."""
        return np.asarray(level_m * self.equations.surface_m2)

    def levels(self, volume_m3: Floats) -> Floats:
        """Levels (m) at volumes (m3)."""
        return np.asarray(volume_m3 / self.equations.surface_m2)

    def watch(self, groups: Sequence[Sequence[int]]) -> None:
        """From now on solves report the least pressure within each group of junctions."""
        self._watched = [np.array(group, np.intp) for group in groups]

    def _flows(self, step: Ints, volume: Floats, speed: Floats) -> Flows:
        self.solves += len(step)
        head = self.equations.tank_elevation_m + volume / self.equations.surface_m2
        return solve_flows(self.equations, self._demand[step], head, speed > 0, speed)

    def _delivers(self, flows: Flows, speed: Floats) -> Bools:
        least, most = self.equations.pump_range.T
        off = speed <= 0
        return np.asarray(off | ((flows.pump > _SAME_L_PER_S) & (flows.pump >= least - _SAME_L_PER_S) & (flows.pump <= most + _SAME_L_PER_S)))

    def _pressures(self, flows: Flows, volume: Floats, nodes: Sequence[str]) -> Floats:
        network = self.problem.network
        columns = [
            flows.head[:, i] - self._ground[i] if (i := network.junction_index.get(node)) is not None else self.levels(volume)[:, network.tank_index[node]]
            for node in nodes
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(volume), 0))

    def solves_at(self, step: Ints, volume: Floats, speed: Floats, choice: Ints) -> Solves:  # noqa: ARG002 - no valves are set here
        """Solves by row: step (N,), volume (N, tanks), speed (N, pumps; 0 is off)."""
        flows = self._flows(step, volume, speed)
        rows, signs = self._port_rows
        links = np.hstack([flows.pipe, flows.pump])
        lowest = [(flows.head[:, group] - self._ground[group]).min(axis=1) for group in self._watched]
        return Solves(
            inflow=flows.inflow / L_PER_M3, flow=flows.pump / L_PER_M3, power=flows.power * 1000.0, delivers=self._delivers(flows, speed),
            pressure=self._pressures(flows, volume, self.floor_nodes), port_flow=links[:, rows] * signs,
            lowest=np.stack(lowest, axis=1) if lowest else np.zeros((len(step), 0)), source=flows.outflow[:, self._source_columns] / L_PER_M3,
            warning=np.where(flows.solved, 0, _NO_SOLUTION).astype(np.int32),
        )  # fmt: skip

    def steps(self, step: Ints, volume: Floats, speed: Floats, choice: Ints, lasts_s: Ints | None = None) -> Steps:  # noqa: ARG002 - no valves are set here
        """Planning steps by row: step (N,), volume (N, tanks), speed (N, pumps; 0 is off); whole or `lasts_s` (N,) seconds of each."""
        flows = self._flows(step, volume, speed)
        seconds = np.asarray(self.problem.steps.durations_s, np.float64)[step] if lasts_s is None else lasts_s.astype(np.float64)
        after = volume + flows.inflow / L_PER_M3 * seconds[:, None]
        drawn = flows.outflow[:, self._source_columns] / L_PER_M3 * seconds[:, None]
        cost = self._costs.of(step, flows.power * 1000.0, drawn, seconds / 3600.0)
        severity = np.zeros(len(step))
        for x in self._amiss(step, volume, after, speed, flows):
            severity += self._weight[x.kind] * x.size
        served = flows.solved & self._delivers(flows, speed).all(axis=1)
        return Steps(after, flows.pump / L_PER_M3, flows.power * 1000.0, cost, drawn, severity, served)

    def steps_and_solves(self, step: Ints, volume: Floats, speed: Floats, choice: Ints) -> tuple[Steps, Solves]:
        """Whole planning steps, and the solves that they begin with: a step has one."""
        return self.steps(step, volume, speed, choice), self.solves_at(step, volume, speed, choice)

    def _amiss(self, step: Ints, volume: Floats, after: Floats, speed: Floats, flows: Flows) -> list[_Amiss]:
        """Every limit of these steps, whether or not it fails somewhere."""
        return [
            *self._levels(step, volume, after),
            *self._pressure_limits(volume, flows),
            *self._flow_limits(flows),
            *self._supply(speed, flows),
        ]

    def _levels(self, step: Ints, volume: Floats, after: Floats) -> list[_Amiss]:
        problem, rows = self.problem, len(step)
        found = self._between("level", after, np.tile(self.min_volume, (rows, 1)), np.tile(self.max_volume, (rows, 1)), at_end=True)
        if problem.reserve_level_m is None and problem.ceiling_level_m is None:
            return found
        shape = (len(problem.steps), len(self.min_volume))
        low = (np.full(shape, -np.inf) if problem.reserve_level_m is None else self.volumes(problem.reserve_level_m))[step]
        high = (np.full(shape, np.inf) if problem.ceiling_level_m is None else self.volumes(problem.ceiling_level_m))[step]
        last = (step == shape[0] - 1)[:, None]
        return [
            *found,
            *self._between("reserve", volume, low, high, at_end=False),
            *self._between("reserve", after, np.where(last, low, -np.inf), np.where(last, high, np.inf), at_end=True),
        ]

    def _between(self, kind: str, where: Floats, low: Floats, high: Floats, *, at_end: bool) -> list[_Amiss]:
        found = []
        for i, tank in enumerate(self.problem.network.tanks):
            area = float(self.equations.surface_m2[i])
            for over, limit, is_above in ((where[:, i] - high[:, i], high[:, i], True), (low[:, i] - where[:, i], low[:, i], False)):
                by = np.where(over > _SAME_M3, over, 0.0)
                found.append(_Amiss(kind, tank.name, by / self._size[i], by / area, "m", limit / area, is_above, at_end))
        return found

    def _pressure_limits(self, volume: Floats, flows: Flows) -> list[_Amiss]:
        found = []
        for limits, sign in ((self.problem.pressure_floors_m, 1.0), (self.problem.pressure_ceilings_m, -1.0)):
            pressure = self._pressures(flows, volume, tuple(limits))
            for i, (node, limit) in enumerate(limits.items()):
                by = np.maximum(sign * (limit - pressure[:, i]), 0.0)
                found.append(_Amiss("pressure", node, by / 10.0, by, "m", np.full(len(by), limit), sign < 0))
        return found

    def _flow_limits(self, flows: Flows) -> list[_Amiss]:
        found, rows = [], len(flows.pump)
        links = np.hstack([flows.pipe, flows.pump])
        for name, column, least, most in self._limited:
            for over, limit, is_above in ((links[:, column] - most, most, True), (least - links[:, column], least, False)):
                by = np.where(over > _SAME_L_PER_S, over, 0.0) / L_PER_M3
                found.append(_Amiss("flow", name, by * 10, by, "m3/s", np.full(rows, limit / L_PER_M3), is_above))
        for i, source in enumerate(self.problem.sources):
            if source.max_flow_m3_per_s is not None:
                by = np.maximum(flows.outflow[:, self._source_columns[i]] / L_PER_M3 - source.max_flow_m3_per_s, 0.0)
                found.append(_Amiss("source", source.reservoir, by / max(source.max_flow_m3_per_s, 1e-3), by, "m3/s", np.full(rows, source.max_flow_m3_per_s), True))
        if (cap := self.problem.max_power_kw) is not None:
            by = np.maximum(flows.power.sum(axis=1) - cap, 0.0)
            found.append(_Amiss("power", "pumps", by / max(cap, 1.0), by, "kW", np.full(rows, cap), True))
        return found

    def _supply(self, speed: Floats, flows: Flows) -> list[_Amiss]:
        """Pumps that are on and deliver nothing or too much; pipes out of their range, equations without solution."""
        dry = (~self._delivers(flows, speed)).sum(axis=1).astype(np.float64)
        pipes = (flows.pipe < self.equations.pipe_range[:, 0] - _SAME_L_PER_S) | (flows.pipe > self.equations.pipe_range[:, 1] + _SAME_L_PER_S)
        bad = (~flows.solved | pipes.any(axis=1)).astype(np.float64)
        none = np.zeros(len(dry))
        return [_Amiss("supply", "pumps", 0.05 * dry, dry, "pumps", none), _Amiss("supply", "network", 0.1 * bad, _NO_SOLUTION * bad, "equations", none)]

    def run_all(self, schedules: Sequence[PumpSchedule]) -> list[Trajectory]:
        return [self.run(schedule) for schedule in schedules]

    def run(self, schedule: PumpSchedule) -> Trajectory:
        """Simulate a whole schedule, with its violations in words."""
        problem = self.problem
        n, tanks, pumps = len(problem.steps), len(problem.network.tanks), len(problem.network.pumps)
        volume, flow, power = np.empty((n + 1, tanks)), np.empty((n, pumps)), np.empty((n, pumps))
        pressure, drawn = np.empty((n, len(self.floor_nodes))), np.empty((n, len(problem.sources)))
        volume[0] = self.volumes(problem.initial_level_m)
        findings: list[Finding] = []
        speed = np.where(schedule.on, schedule.speed, 0.0)
        offsets = problem.steps.offsets_s
        for k in range(n):
            step, v, s = np.array([k]), volume[k : k + 1], speed[k : k + 1]
            flows = self._flows(step, v, s)
            seconds = problem.steps.durations_s[k]
            volume[k + 1] = v[0] + flows.inflow[0] / L_PER_M3 * seconds
            flow[k], power[k] = flows.pump[0] / L_PER_M3, flows.power[0] * 1000.0
            drawn[k] = flows.outflow[0, self._source_columns] / L_PER_M3 * seconds
            pressure[k] = self._pressures(flows, v, self.floor_nodes)[0]
            for x in self._amiss(step, v, volume[k + 1 : k + 2], s, flows):
                if x.amount[0] > 0:
                    at_s = int(offsets[k + 1] if x.at_end else offsets[k])
                    findings.append(Finding(x.kind, x.element, at_s, float(x.amount[0]), x.unit, x.is_above, float(x.limit[0])))
        level = volume / self.equations.surface_m2
        bill = bill_of(problem, schedule, power, drawn, volume[-1] - volume[0])
        violations: tuple[Violation, ...] = (
            *describe(findings, problem, max(problem.steps.durations_s)),
            *operation_violations(problem, schedule),
            *result_violations(problem, level[-1], drawn, bill),
        )
        energy = float((power.sum(axis=1) * problem.steps.hours).sum() / 1000.0)
        return Trajectory(
            level_m=level, flow_m3_per_s=flow, power_w=power, pressure_m=pressure, source_m3=drawn, bill=bill, energy_kwh=energy, violations=violations,
        )  # fmt: skip
