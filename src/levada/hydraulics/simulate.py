"""Fast simulation of pump schedules in EPANET, for the search: one planning step, or a whole schedule.

A step is a pure function of the levels at its start and of what the pumps do: every hydraulic solve starts from EPANET's initial flows,
so results do not depend on what was simulated before and a step's result may be remembered.

How a step runs. Levels are held over a hydraulic step, as EPANET does. EPANET itself gets limits so wide that it never shuts a tank's
link; its tank events are made here, after its own rules (`tanktimestep`, `tanklevels` in hydraul.c): a hydraulic step is cut where a
tank reaches a limit, in whole seconds, and the hydraulics are solved again; within one second's flow of a limit counts
as at it. A tank at its maximum that still fills, or at its minimum that still drains, is *saturated*: a violation, and its level is let
go beyond the limit so that the violation can be measured. Tanks that may stand full keep their maximum in EPANET, which shuts the inlet.

The audit (`levada.hydraulics.audit`) judges by code of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from levada.domain.network import Tank
from levada.domain.pumping import Bools, PumpingProblem, PumpSchedule, Trajectory, Violation
from levada.domain.series import Floats
from levada.hydraulics import native
from levada.hydraulics.findings import Finding, describe

__all__ = ["Simulator", "Solve", "StepResult", "TankShape"]

_ACCURACY = 1e-5
"""EPANET's convergence criterion here, unless the file's own is finer: cold starts cost little, and steps should not differ by noise."""

_AT_LIMIT_M3 = 1e-6
_STILL_M3_PER_S = 1e-6
"""A tank's flow below this is none."""
_ERROR = 100
"""EPANET's codes from here on are errors, those below are warnings."""

_ROOM_M = 1000.0
"""Room below and above each tank, so that EPANET's own limits never act."""

_FULL_M = 1e-6
_NONE: Floats = np.zeros(0)


@dataclass(frozen=True)
class TankShape:
    """Level (m) and volume (m3) of a tank: a cylinder, or the points of its volume curve with straight lines between them."""

    levels: Floats | None
    volumes: Floats | None
    area_m2: float

    @classmethod
    def of(cls, tank: Tank) -> TankShape:
        if tank.volume_curve:
            points = np.asarray(tank.volume_curve, np.float64)
            return cls(points[:, 0].copy(), points[:, 1].copy(), 0.0)
        return cls(None, None, np.pi * tank.diameter_m**2 / 4.0)

    def volume(self, level_m: float) -> float:
        """Volume at a level; beyond the curve's ends its end segments go on."""
        if self.levels is None or self.volumes is None:
            return level_m * self.area_m2
        return _along(level_m, self.levels, self.volumes)

    def level(self, volume_m3: float) -> float:
        """Level at a volume, the inverse of `volume`."""
        if self.levels is None or self.volumes is None:
            return volume_m3 / self.area_m2
        return _along(volume_m3, self.volumes, self.levels)


def _along(x: float, xs: Floats, ys: Floats) -> float:
    i = min(max(int(np.searchsorted(xs, x)), 1), len(xs) - 1)
    return float(ys[i - 1] + (x - xs[i - 1]) * (ys[i] - ys[i - 1]) / (xs[i] - xs[i - 1]))


@dataclass(frozen=True, slots=True)
class Solve:
    """One hydraulic solve.

    Shapes: `inflow` (tanks,) m3/s; `flow` m3/s, `power` W and `delivers` (pumps,), the last false for a pump that is on but cannot
    deliver or runs beyond its curve; `pressure` (floors,) m; `port_flow` (ports,) m3/s into the tank; `lowest` (watched groups of
    nodes,) m: the least pressure in each. `warning` is EPANET's, 0 for none.
    """

    inflow: Floats
    flow: Floats
    power: Floats
    delivers: Bools
    pressure: Floats
    port_flow: Floats
    lowest: Floats
    warning: int

    @property
    def is_solved(self) -> bool:
        return self.warning < _ERROR


@dataclass(frozen=True, slots=True)
class StepResult:
    """A planning step: volumes (m3) at its end, mean flow (m3/s) and power (W) of each pump, cost, and what was found amiss."""

    volume: Floats
    flow: Floats
    power: Floats
    cost: float
    findings: tuple[Finding, ...]
    severity: float
    """0 where nothing is amiss; grows with each violation in proportion to its size."""


@dataclass
class Simulator:
    """EPANET for one problem. `solves` counts the hydraulic solves spent. Volumes (m3) are the state; `volumes`, `levels` convert.

    Raises NetworkError when EPANET refuses the network.
    """

    problem: PumpingProblem
    solves: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        problem, network = self.problem, self.problem.network
        self.shapes = [TankShape.of(t) for t in network.tanks]
        self.project = project = native.Project(network.name, network.inp)
        self._length = project.units.length_m
        # Demands go in by the nominal unit, tank flows come out by EPANET's own rounded factor: that is how it moves its tanks.
        self._flow, self._engine_flow = project.units.flow_m3_per_s, project.units.engine_flow_m3_per_s
        self._tanks = [project.node_index(t.name) for t in network.tanks]
        self._pumps = [project.link_index(p.name) for p in network.pumps]
        self._tank_rows = np.array(self._tanks, np.intp) - 1
        self._pump_rows = np.array(self._pumps, np.intp) - 1
        self.floor_nodes = tuple(problem.pressure_floors_m)
        floor_nodes = [project.node_index(n) for n in self.floor_nodes]
        self._floor_rows = np.array(floor_nodes, np.intp) - 1
        self._floor_elevation = np.array([project.node_value(n, native.NODE_ELEVATION) for n in floor_nodes]) * self._length
        self.floors = np.array([problem.pressure_floors_m[n] for n in self.floor_nodes])
        used = (problem.demand_m3_per_s != 0).any(axis=0)
        self._demand_nodes = []
        for i, junction in enumerate(network.junctions):
            node = project.node_index(junction.name)
            project.prepare_demand(node)
            project.set_demand(node, 0.0)
            if used[i]:
                self._demand_nodes.append((i, node))
        self._demands = problem.demand_m3_per_s / self._flow
        project.set_option(native.OPTION_ACCURACY, _ACCURACY)
        self.min_volume = self.volumes(problem.min_level_m)
        self.max_volume = self.volumes(problem.max_level_m)
        self.end_volume = self.volumes(problem.end_level_m)
        self._level_range = [self._widen(i) for i in range(len(network.tanks))]
        rows = {name: project.link_index(name) - 1 for name, *_ in self.ports}
        self._port_rows = np.array([rows[name] for name, *_ in self.ports], np.intp)
        self._port_signs = np.array([sign for *_, sign in self.ports]) * self._engine_flow
        self._watched: list[tuple[NDArray[np.intp], Floats]] = []
        self._state: list[float | None] = [None] * len(self._pumps)
        self._step = -1

    def _widen(self, i: int) -> tuple[float, float]:
        """Give tank i limits that EPANET never acts on. Returns the range of levels that may be set, in the file's unit and from
        the lowered bottom."""
        problem, tank, unit = self.problem, self.problem.network.tanks[i], self._length
        # EPANET takes no negative levels: the bottom goes down by the room, all levels up. It needs no volumes from the tank's true shape.
        ceiling = (float(problem.max_level_m[i]) if problem.may_stand_full[i] else max(problem.max_level_m[i], tank.max_level_m) + 0.9 * _ROOM_M) + _ROOM_M
        self.project.replace_tank(self._tanks[i], (tank.elevation_m - _ROOM_M) / unit, 0.1 * _ROOM_M / unit, ceiling / unit)
        return 0.1 * _ROOM_M / unit, ceiling / unit

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
        network = self.problem.network
        self._watched = [
            (
                np.array([self.project.node_index(network.junctions[i].name) for i in group], np.intp) - 1,
                np.array([network.junctions[i].elevation_m for i in group]),
            )
            for group in groups
        ]

    def _set_pumps(self, on: Bools, speed: Floats) -> None:
        handle, set_link = self.project.handle, self.project.set_link
        for j, link in enumerate(self._pumps):
            wanted = float(speed[j]) if on[j] else 0.0
            if self._state[j] != wanted:
                # Both: a status alone would leave the speed of the file, a setting alone a pump that is closed.
                set_link(handle, link, native.LINK_INITSETTING, wanted if wanted > 0 else 1.0)
                set_link(handle, link, native.LINK_INITSTATUS, 1.0 if wanted > 0 else 0.0)
                self._state[j] = wanted

    def _set_step(self, step: int) -> None:
        if step != self._step:
            row = self._demands[step]
            for i, node in self._demand_nodes:
                self.project.set_demand(node, float(row[i]))
            self._step = step

    def solve(self, step: int, volume: Floats, on: Bools, speed: Floats) -> Solve:
        """One hydraulic solve with the demand of `step` at tank volumes (m3). `on`, `speed` have shape (pumps,)."""
        self._set_step(step)
        self._set_pumps(on, speed)
        project, handle, set_node = self.project, self.project.handle, self.project.set_node
        for i, node in enumerate(self._tanks):
            low, high = self._level_range[i]
            level = (self.shapes[i].level(float(volume[i])) + _ROOM_M) / self._length
            if level > high - _FULL_M:
                level = high  # EPANET shuts the inlet of a tank that may stand full only where its level is not below the maximum at all
            set_node(handle, node, native.NODE_TANKLEVEL, min(max(level, low), high))
        warning = project.solve()
        self.solves += 1
        if warning >= _ERROR:
            # No solution at such levels and pumps: nothing moves, nothing is delivered, and `step` reports it.
            nothing = np.zeros(len(self._pumps))
            return Solve(
                np.zeros(len(self._tanks)), nothing, nothing, np.zeros(len(self._pumps), bool), np.zeros(len(self._floor_rows)),
                np.zeros(len(self._port_rows)), np.zeros(len(self._watched)), warning,
            )  # fmt: skip
        inflow = project.node_values(native.NODE_DEMAND)[self._tank_rows] * self._engine_flow
        pressure, lowest = _NONE, _NONE
        if len(self._floor_rows) or self._watched:
            head = project.node_values(native.NODE_HEAD)
            pressure = head[self._floor_rows] * self._length - self._floor_elevation
            if self._watched:
                lowest = np.array([(head[rows] * self._length - ground).min() for rows, ground in self._watched])
        link_flow = project.link_values(native.LINK_FLOW)
        flow = link_flow[self._pump_rows] * self._flow
        port_flow = link_flow[self._port_rows] * self._port_signs
        power = project.link_values(native.LINK_ENERGY)[self._pump_rows] * 1000.0
        delivers = ~on | (project.link_values(native.LINK_PUMP_STATE)[self._pump_rows] == native.PUMP_OPEN)
        return Solve(inflow, flow, power, delivers, pressure, port_flow, lowest, warning)

    def step(self, step: int, volume: Floats, on: Bools, speed: Floats) -> StepResult:
        """Run planning step `step` from tank volumes (m3), shape (tanks,), with pumps `on` at `speed`, shape (pumps,)."""
        problem = self.problem
        duration, h = int(problem.steps.durations_s[step]), problem.hydraulic_step_s
        v = np.array(volume, np.float64)
        flow, energy = np.zeros(len(self._pumps)), np.zeros(len(self._pumps))
        findings: list[Finding] = []
        start = int(problem.steps.offsets_s[step])
        t = 0
        while t < duration:
            s = self.solve(step, v, on, speed)
            self._look(findings, start + t, v, s)
            dt = min(h - t % h, duration - t)
            v, dt = self._advance(v, s.inflow, dt)
            flow += s.flow * dt
            energy += s.power * dt
            t += dt
        self._look_at_levels(findings, start + duration, v)
        cost = float(energy @ problem.price_per_kwh[step]) / 3.6e6
        return StepResult(v, flow / duration, energy / duration, cost, tuple(findings), sum(f.severity for f in findings))

    def _advance(self, volume: Floats, inflow: Floats, dt: int) -> tuple[Floats, int]:
        """Volumes after up to `dt` seconds of constant inflow, cut short where a tank reaches a limit; and the seconds gone."""
        for v, q, low, high in zip(volume.tolist(), inflow.tolist(), self.min_volume.tolist(), self.max_volume.tolist(), strict=True):
            if q > 0 and v < high:
                room = (high - v) / q
            elif q < 0 and v > low:
                room = (low - v) / q
            else:
                continue
            if room < dt:
                event = int(room + 0.5)
                if 0 < event < dt:
                    dt = event
        after = volume + inflow * dt
        filled = (inflow > 0) & (volume < self.max_volume) & (after + inflow >= self.max_volume)
        drained = (inflow < 0) & (volume > self.min_volume) & (after + inflow <= self.min_volume)
        after = np.where(filled, self.max_volume, np.where(drained, self.min_volume, after))
        return after, dt

    def _look(self, findings: list[Finding], at_s: int, volume: Floats, s: Solve) -> None:
        self._look_at_levels(findings, at_s, volume)
        network, problem = self.problem.network, self.problem
        inflow = s.inflow.tolist()
        for i, tank in enumerate(network.tanks):
            if abs(q := inflow[i]) < _STILL_M3_PER_S:
                continue
            full = q > 0 and self.max_volume[i] - volume[i] <= q and not problem.may_stand_full[i]
            empty = q < 0 and volume[i] - self.min_volume[i] <= -q
            if full or empty:
                size = float(self.max_volume[i] - self.min_volume[i])
                findings.append(Finding("saturation", tank.name, at_s, q, "m3/s", abs(q) * problem.hydraulic_step_s / size))
        for node, p, floor in zip(self.floor_nodes, s.pressure.tolist(), self.floors.tolist(), strict=True):
            if p < floor:
                findings.append(Finding("pressure", node, at_s, floor - p, "m", (floor - p) / 10.0))
        cap = problem.max_power_kw
        if cap is not None and (total := float(s.power.sum()) / 1000.0) > cap:
            findings.append(Finding("power", "all pumps", at_s, total - cap, "kW", (total - cap) / max(cap, 1.0)))
        if s.warning in {1, 2, 3, 5, 6} or s.warning >= _ERROR:
            # Not balanced, unstable, cut off, a valve that cannot deliver, pressure below zero where water is drawn, or no solution at all.
            findings.append(Finding("supply", "network", at_s, float(s.warning), "EPANET warning", 0.1))
        if not s.delivers.all():
            findings.append(Finding("supply", "pumps", at_s, 0.0, "m3/s", 0.05))

    def _look_at_levels(self, findings: list[Finding], at_s: int, volume: Floats) -> None:
        over, under = volume - self.max_volume, self.min_volume - volume
        worst = np.maximum(over, under)
        if worst.max() > _AT_LIMIT_M3:
            for i, tank in enumerate(self.problem.network.tanks):
                if worst[i] > _AT_LIMIT_M3:
                    limit = self.max_volume[i] if over[i] > under[i] else self.min_volume[i]
                    metres = abs(self.shapes[i].level(float(volume[i])) - self.shapes[i].level(float(limit)))
                    sign = 1.0 if over[i] > under[i] else -1.0
                    findings.append(Finding("level", tank.name, at_s, sign * metres, "m", float(worst[i] / (self.max_volume[i] - self.min_volume[i]))))

    def run(self, schedule: PumpSchedule) -> Trajectory:
        """Simulate a whole schedule, with its violations in words. A limit that fails at several instants in a row is one violation."""
        problem = self.problem
        n = len(problem.steps)
        volume = np.empty((n + 1, len(self._tanks)))
        flow, power = np.empty((n, len(self._pumps))), np.empty((n, len(self._pumps)))
        volume[0] = self.volumes(problem.initial_level_m)
        cost = 0.0
        findings: list[Finding] = []
        for k in range(n):
            r = self.step(k, volume[k], schedule.on[k], schedule.speed[k])
            volume[k + 1], flow[k], power[k] = r.volume, r.flow, r.power
            cost += r.cost
            findings.extend(r.findings)
        level = np.array([self.levels(v) for v in volume])
        return Trajectory(
            level_m=level,
            flow_m3_per_s=flow,
            power_w=power,
            cost=cost,
            energy_kwh=float((power.sum(axis=1) * problem.steps.hours).sum() / 1000.0),
            violations=describe(findings, problem, problem.hydraulic_step_s) + self._of_the_whole(schedule, level[-1]),
        )

    def _of_the_whole(self, schedule: PumpSchedule, final_level: Floats) -> tuple[Violation, ...]:
        problem, found = self.problem, []
        end_s = int(problem.steps.offsets_s[-1])
        for i, tank in enumerate(problem.network.tanks):
            missing = float(problem.end_level_m[i] - final_level[i])
            if missing > 1e-9:
                text = f"tank {tank.name} ends {missing:.3f} m below the {problem.end_level_m[i]:.3f} m asked for"
                found.append(Violation(limit="end level", element=tank.name, at_s=end_s, amount=missing, unit="m", text=text))
        starts = schedule.starts(problem.count_starts, problem.initial_on)
        for j, pump in enumerate(problem.network.pumps):
            more = int(starts[j] - problem.max_starts[j])
            if more > 0:
                text = f"pump {pump.name} starts {starts[j]} times, {more} more than the {problem.max_starts[j]} allowed"
                found.append(Violation(limit="starts", element=pump.name, at_s=None, amount=float(more), unit="starts", text=text))
            barred = schedule.on[:, j] & ~problem.available[:, j]
            if barred.any():
                k = int(np.argmax(barred))
                hours = float(problem.steps.hours[barred].sum())
                text = f"pump {pump.name} runs {hours:.2f} h while it is not available"
                found.append(Violation(limit="availability", element=pump.name, at_s=int(problem.steps.offsets_s[k]), amount=hours, unit="h", text=text))
        return tuple(found)
