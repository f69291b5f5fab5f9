"""The judge: EPANET simulates a pump schedule and says whether every limit holds and what the energy costs.

The rules, which reproduce the published verdicts on published schedules:

1. Solves are at each hydraulic step, and in between whenever a tank reaches a limit (EPANET's tank events, to the second).
2. Tanks get limits in EPANET so wide that it never closes a link of theirs in silence. *Saturation* is a violation: a
   tank at or above its maximum that still fills at a solve, or at or below its minimum that still drains. Reaching a limit is not.
3. A tank that may stand full keeps its maximum in EPANET, which then shuts its inlet.
4. Pressure floors, total power and supply (pumps that deliver, demands that are met, EPANET's own warnings) are judged at every solve.
5. Energy is EPANET's power of each pump at a solve times the time to the next.

Nothing here is shared with the simulator of the search. Read `audit`, then `_Simulation.run`; the rules for a tank are in audit_tank.py.
"""

from __future__ import annotations

import re

import numpy as np
from epanet import toolkit

from levada.domain.pumping import Audit, PumpingProblem, PumpSchedule, Trajectory
from levada.domain.series import Floats
from levada.hydraulics.audit_findings import Findings, metres
from levada.hydraulics.audit_tank import STILL_M3_PER_S, AuditedTank, extended
from levada.hydraulics.epanet import ENGINE, EngineError, Project, attempt, open_project

__all__ = ["ENGINE", "audit"]

_ROOM = 3000.0
"""Room put below and above each tank, in the project's unit of length, so that EPANET's own limits never act."""

_TOLERANCE_M = 1e-4
"""A tenth of a millimetre of head: what EPANET's convergence criterion leaves open."""

_ROUNDING_M = 1e-8
"""More than a head of some kilometres loses in a few operations of double precision."""

_NEVER_S = 1_000_000_000
_CONSTANT = "levada-audit-constant"
"""Name of a demand pattern of one multiplier, 1, that the audit adds."""

_MOST_SOLVES_A_DAY = 8640
"""Full tanks can pass water to and fro in ever shorter steps; beyond a solve every ten seconds the audit gives up and rejects."""


def audit(problem: PumpingProblem, schedule: PumpSchedule) -> Audit:
    """Simulate `schedule` in EPANET and judge it by every limit of `problem`.

    Controls, rules, pump patterns and demand patterns of the INP do not act; reservoir head patterns do, beginning at the
    first step. Energy is priced by `problem.price_per_kwh`. Never raises for what a schedule does: an unsolvable hour is a violation.
    Raises ValueError when the schedule's shape is not the problem's, NetworkError when the INP cannot be opened.
    """
    if schedule.on.shape != problem.available.shape:
        raise ValueError(f"the schedule has shape {schedule.on.shape}, the problem {problem.available.shape}")
    findings = Findings(problem.steps)
    _judge_operation(problem, schedule, findings)
    with open_project(problem.network.inp, problem.network.name) as project:
        simulation = _Simulation(project, problem, schedule, findings)
        simulation.run()
        project.close()
        _judge_warnings(project.report_lines(), findings)
    violations = findings.violations()
    trajectory = Trajectory(
        level_m=simulation.level_m,
        flow_m3_per_s=simulation.flow_m3_per_s,
        power_w=simulation.power_w,
        cost=simulation.cost,
        energy_kwh=simulation.energy_kwh,
        violations=violations,
    )
    return Audit(accepted=not violations, trajectory=trajectory, engine=ENGINE, hydraulic_step_s=problem.hydraulic_step_s)


def _judge_operation(problem: PumpingProblem, schedule: PumpSchedule, findings: Findings) -> None:
    """What needs no hydraulics: starts, pumps that must not run, speeds out of range."""
    starts = schedule.starts(problem.count_starts, problem.initial_on)
    edges = problem.steps.offsets_s
    for p, pump in enumerate(problem.network.pumps):
        if starts[p] > problem.max_starts[p]:
            counted = ", counting the last step before the first" if problem.count_starts == "periodic" else ""
            findings.observe(
                "starts", pump.name, f"pump {pump.name} starts {starts[p]} times, allowed are {problem.max_starts[p]}{counted}",
                amount=float(starts[p] - problem.max_starts[p]),
            )  # fmt: skip
        for k in range(len(problem.steps)):
            if not schedule.on[k, p]:
                continue
            start, end = int(edges[k]), int(edges[k + 1])
            if not problem.available[k, p]:
                findings.observe(
                    "availability", pump.name, f"pump {pump.name} runs although it is not available",
                    amount=1.0, at_s=start, until_s=end, index=k,
                )  # fmt: skip
            speed, slowest, fastest = float(schedule.speed[k, p]), float(problem.min_speed[p]), float(problem.max_speed[p])
            beyond = max(slowest - speed, speed - fastest)
            if beyond > 1e-9:
                findings.observe(
                    "availability", pump.name, f"pump {pump.name} runs at speed {speed:.3f}, outside its range {slowest:g} to {fastest:g}",
                    kind="speed", amount=beyond, at_s=start, until_s=end, index=k,
                )  # fmt: skip


class _Simulation:
    """One run of EPANET over the problem's steps, pump by pump and step by step as scheduled."""

    def __init__(self, project: Project, problem: PumpingProblem, schedule: PumpSchedule, findings: Findings) -> None:
        self._project, self._ph, self._units = project, project.handle, project.units
        self._problem, self._schedule, self._findings = problem, schedule, findings
        n, pumps = schedule.on.shape
        self.level_m: Floats = np.zeros((n + 1, len(problem.network.tanks)))
        self.flow_m3_per_s: Floats = np.zeros((n, pumps))
        self.power_w: Floats = np.zeros((n, pumps))
        self.cost = 0.0
        self.energy_kwh = 0.0
        ph = self._ph
        self._junctions = [toolkit.getnodeindex(ph, j.name) for j in problem.network.junctions]
        self._pumps = [toolkit.getlinkindex(ph, p.name) for p in problem.network.pumps]
        self._elevation_m = np.array([j.elevation_m for j in problem.network.junctions])
        self._strip()
        self._tanks = [self._widen(i) for i in range(len(problem.network.tanks))]
        self._floors = [
            (name, floor, toolkit.getnodeindex(ph, name), self._ground_m(name)) for name, floor in problem.pressure_floors_m.items()
        ]
        self._is_pressure_driven = toolkit.getdemandmodel(ph)[0] != toolkit.DDA

    def _ground_m(self, node: str) -> float:
        network = self._problem.network
        if node in network.tank_index:
            return network.tanks[network.tank_index[node]].elevation_m
        return network.junctions[network.junction_index[node]].elevation_m

    def _strip(self) -> None:
        """Take out all that would act besides the schedule and the demands given."""
        ph = self._ph
        for _ in range(toolkit.getcount(ph, toolkit.CONTROLCOUNT)):
            toolkit.deletecontrol(ph, 1)
        for _ in range(toolkit.getcount(ph, toolkit.RULECOUNT)):
            toolkit.deleterule(ph, 1)
        for link in self._pumps:
            toolkit.setlinkvalue(ph, link, toolkit.LINKPATTERN, 0)
        toolkit.addpattern(ph, _CONSTANT)
        constant = toolkit.getpatternindex(ph, _CONSTANT)
        for node in self._junctions:
            for _ in range(toolkit.getnumdemands(ph, node) - 1):
                toolkit.deletedemand(ph, node, 1)
            if toolkit.getnumdemands(ph, node) == 0:
                toolkit.adddemand(ph, node, 0.0, "", "")
            toolkit.setdemandpattern(ph, node, 1, constant)  # pattern 0 would mean the default pattern
        toolkit.setoption(ph, toolkit.DEMANDMULT, 1.0)
        if toolkit.getoption(ph, toolkit.UNBALANCED) < 0:
            toolkit.setoption(ph, toolkit.UNBALANCED, 10)  # the INP says stop; go on, the warning rejects the schedule anyway
        reservoirs = (toolkit.getnodeindex(ph, r.name) for r in self._problem.network.reservoirs)
        if not any(toolkit.getnodevalue(ph, node, toolkit.PATTERN) > 0 for node in reservoirs):
            toolkit.settimeparam(ph, toolkit.PATTERNSTEP, _NEVER_S)  # no pattern is left: no solve for its periods
            toolkit.settimeparam(ph, toolkit.PATTERNSTART, 0)
        toolkit.settimeparam(ph, toolkit.REPORTSTART, 0)
        toolkit.settimeparam(ph, toolkit.REPORTSTEP, _NEVER_S)
        toolkit.settimeparam(ph, toolkit.DURATION, int(self._problem.steps.offsets_s[-1]))

    def _widen(self, i: int) -> AuditedTank:
        """Give tank `i` its initial level and limits that EPANET never meets, save the maximum of one that may stand full.

        EPANET takes no negative levels, so the tank's bottom goes down by the room, and all its levels up.
        """
        problem, ph, unit = self._problem, self._ph, self._units.length_m
        tank = problem.network.tanks[i]
        node = toolkit.getnodeindex(ph, tank.name)
        initial, highest = float(problem.initial_level_m[i]), float(problem.max_level_m[i])
        full = bool(problem.may_stand_full[i])
        curve = extended(tank.volume_curve, _ROOM * unit)
        curve_name = ""
        if curve:
            curve_name = f"levada{i}"
            toolkit.addcurve(ph, curve_name)
            xs, ys = toolkit.doubleArray(len(curve)), toolkit.doubleArray(len(curve))
            for j, (x, y) in enumerate(curve):
                xs[j], ys[j] = x / unit + _ROOM, y / self._units.volume_m3
            toolkit.setcurve(ph, toolkit.getcurveindex(ph, curve_name), xs.cast(), ys.cast(), len(curve))
        full_m = max(highest, initial) if full else max(tank.max_level_m, highest, initial) + 0.9 * _ROOM * unit
        ceiling = full_m / unit + _ROOM
        toolkit.settankdata(
            ph, node, tank.elevation_m / unit - _ROOM, initial / unit + _ROOM, 0.1 * _ROOM, ceiling, tank.diameter_m / unit, 0.0, curve_name
        )  # fmt: skip
        toolkit.setnodevalue(ph, node, toolkit.MAXLEVEL, ceiling)  # once more: this way it rounds as TANKLEVEL does, see _fill_up
        toolkit.setnodevalue(ph, node, toolkit.CANOVERFLOW, 0)
        return AuditedTank(
            name=tank.name, node=node, zero_level_m=tank.elevation_m, ceiling=ceiling, full_m=full_m, lowest_m=float(problem.min_level_m[i]),
            highest_m=highest, may_stand_full=full, area_m2=np.pi / 4 * tank.diameter_m**2, curve=curve,
        )  # fmt: skip

    def run(self) -> None:
        """Step through the horizon. Stops early, with a violation, where EPANET finds no solution."""
        edges, hydraulic_step = self._problem.steps.offsets_s, self._problem.hydraulic_step_s
        most = _MOST_SOLVES_A_DAY * (1 + int(edges[-1]) // 86400)
        step = index = now = 0
        self._set(0, initially=True)
        with self._project.hydraulics():
            toolkit.initH(self._ph, toolkit.NOSAVE)
            while now < edges[-1]:
                if now == edges[step]:
                    self._set(step)
                try:
                    attempt(toolkit.runH, self._ph)
                except EngineError as e:
                    return self._give_up(step, now, f"EPANET cannot solve the network: {e}")
                if index >= most:
                    return self._give_up(step, now, f"full tanks pass water to and fro in ever shorter steps ({index} hydraulic solves)")
                self._read_tanks()
                if now == edges[step]:
                    self.level_m[step] = [t.level_m for t in self._tanks]
                until = (now // hydraulic_step + 1) * hydraulic_step
                wait = min([until - now, *(w for t in self._tanks if (w := t.seconds_to_limit()) > 0)])
                toolkit.settimeparam(self._ph, toolkit.HYDSTEP, wait)
                flow, power = self._read_pumps()
                self._judge(index, step, now, now + wait, power)
                wait = toolkit.nextH(self._ph)  # less than asked where a tank stands full or a reservoir's pattern turns
                if wait <= 0:
                    return self._give_up(step, now, "EPANET stopped")
                self._count(step, wait, flow, power)
                for tank in self._tanks:
                    tank.previous_inflow_m3_per_s = tank.inflow_m3_per_s
                now += wait
                index += 1
                step += int(now == edges[step + 1])
                self._read_tanks()
                self._fill_up()
        self.level_m[-1] = [t.level_m for t in self._tanks]
        self._judge_tanks_at_end(index)
        return None

    def _set(self, step: int, *, initially: bool = False) -> None:
        """Demands and pumps of a step. Initial status and setting count too: initH starts from them."""
        ph, flow_unit = self._ph, self._units.flow_m3_per_s
        demand, before = self._problem.demand_m3_per_s[step], self._problem.demand_m3_per_s[step - 1]
        for i, node in enumerate(self._junctions):
            if initially or step == 0 or demand[i] != before[i]:
                toolkit.setbasedemand(ph, node, 1, float(demand[i]) / flow_unit)
        status, setting = (toolkit.INITSTATUS, toolkit.INITSETTING) if initially else (toolkit.STATUS, toolkit.SETTING)
        for p, link in enumerate(self._pumps):
            on = bool(self._schedule.on[step, p])
            toolkit.setlinkvalue(ph, link, status, int(on))
            if on:
                toolkit.setlinkvalue(ph, link, setting, float(self._schedule.speed[step, p]))

    def _fill_up(self) -> None:
        """Put the head of a full tank exactly on its maximum.

        EPANET holds a full tank's volume there, converts it back to a head, and shuts the inlet only if that is not below
        the maximum: one rounding in the last digit and the water that still flows in is lost.
        """
        for tank in self._tanks:
            if tank.may_stand_full and abs(tank.full_m - tank.level_m) < _ROUNDING_M:
                toolkit.setnodevalue(self._ph, tank.node, toolkit.TANKLEVEL, tank.ceiling)

    def _read_tanks(self) -> None:
        for tank in self._tanks:
            head = toolkit.getnodevalue(self._ph, tank.node, toolkit.HEAD) * self._units.length_m
            tank.level_m = head - tank.zero_level_m
            tank.inflow_m3_per_s = toolkit.getnodevalue(self._ph, tank.node, toolkit.DEMAND) * self._units.engine_flow_m3_per_s

    def _read_pumps(self) -> tuple[Floats, Floats]:
        """Flow (m3/s) and electric power (kW) of each pump at this solve."""
        ph = self._ph
        flow = np.array([toolkit.getlinkvalue(ph, p, toolkit.FLOW) for p in self._pumps]) * self._units.flow_m3_per_s
        return flow, np.array([toolkit.getlinkvalue(ph, p, toolkit.ENERGY) for p in self._pumps])

    def _count(self, step: int, seconds: int, flow: Floats, power_kw: Floats) -> None:
        share = seconds / self._problem.steps.durations_s[step]
        self.flow_m3_per_s[step] += flow * share
        self.power_w[step] += power_kw * 1000.0 * share
        energy = power_kw * (seconds / 3600.0)
        self.energy_kwh += float(energy.sum())
        self.cost += float(energy @ self._problem.price_per_kwh[step])

    def _judge(self, index: int, step: int, now: int, until: int, power_kw: Floats) -> None:
        """All limits at this solve, which stands for the time from `now` to `until`."""
        self._judge_tanks(index, now, until)
        self._judge_pressures(index, step, now, until)
        self._judge_pumps(index, step, now, until)
        most, total = self._problem.max_power_kw, float(power_kw.sum())
        if most is not None and total > most * (1 + 1e-9):
            self._findings.observe(
                "power", "all pumps", at_s=now, until_s=until, index=index, amount=total - most, unit="kW",
                text=f"the pumps draw {total:.1f} kW, {total - most:.1f} kW above the {most:g} kW allowed",
            )  # fmt: skip

    def _judge_tanks(self, index: int, now: int, until: int) -> None:
        for tank in self._tanks:
            self._judge_level(tank, index, now, until)
            if tank.is_saturated():
                q = tank.inflow_m3_per_s
                state = f"full ({tank.highest_m:.2f} m) and still fills with" if q > 0 else f"empty ({tank.lowest_m:.2f} m) and still drains with"
                self._findings.observe(
                    "saturation", tank.name, kind=str(q > 0), at_s=now, until_s=until, index=index, amount=abs(q), unit="m3/s",
                    text=f"tank {tank.name} is {state} {abs(q) * 1000:.1f} L/s",
                )  # fmt: skip

    def _judge_level(self, tank: AuditedTank, index: int, now: int, until: int) -> None:
        beyond = tank.beyond_m()
        if abs(beyond) > _TOLERANCE_M:
            limit = f"above its maximum {tank.highest_m:.2f} m" if beyond > 0 else f"below its minimum {tank.lowest_m:.2f} m"
            self._findings.observe(
                "level", tank.name, kind=str(beyond > 0), at_s=now, until_s=until, index=index, amount=abs(beyond), unit="m",
                text=f"tank {tank.name} is up to {metres(abs(beyond))} {limit}",
            )  # fmt: skip

    def _judge_tanks_at_end(self, index: int) -> None:
        end = int(self._problem.steps.offsets_s[-1])
        for tank, least in zip(self._tanks, self._problem.end_level_m, strict=True):
            self._judge_level(tank, index, end, end)
            short = float(least) - tank.level_m
            if short > _TOLERANCE_M:
                self._findings.observe(
                    "end level", tank.name, at_s=end, until_s=end, amount=short, unit="m",
                    text=f"tank {tank.name} ends at {tank.level_m:.2f} m, {metres(short)} short of the {least:.2f} m asked for",
                )  # fmt: skip

    def _judge_pressures(self, index: int, step: int, now: int, until: int) -> None:
        ph, unit = self._ph, self._units.length_m
        for name, floor, node, ground in self._floors:
            pressure = toolkit.getnodevalue(ph, node, toolkit.HEAD) * unit - ground
            if floor - pressure > _TOLERANCE_M:
                self._findings.observe(
                    "pressure", name, at_s=now, until_s=until, index=index, amount=floor - pressure, unit="m",
                    text=f"pressure at node {name} falls to {pressure:.2f} m, {metres(floor - pressure)} below its floor {floor:g} m",
                )  # fmt: skip
        head = np.array([toolkit.getnodevalue(ph, node, toolkit.HEAD) for node in self._junctions]) * unit
        demand = self._problem.demand_m3_per_s[step]
        below = np.where(demand > 0, self._elevation_m - head, 0.0)
        worst = int(below.argmax()) if below.size else 0
        if below.size and below[worst] > _TOLERANCE_M:
            name, others = self._problem.network.junctions[worst].name, int((below > _TOLERANCE_M).sum()) - 1
            self._findings.observe(
                "supply", name, kind="pressure", at_s=now, until_s=until, index=index, amount=float(below[worst]), unit="m",
                text=f"pressure at demand node {name}{f' and {others} more' if others else ''} is negative ({-below[worst]:.2f} m)",
            )  # fmt: skip
        if self._is_pressure_driven:
            self._judge_deficits(index, now, until)

    def _judge_deficits(self, index: int, now: int, until: int) -> None:
        """Under pressure-driven demand EPANET delivers less instead of warning."""
        short = np.array([toolkit.getnodevalue(self._ph, node, toolkit.DEMANDDEFICIT) for node in self._junctions]) * self._units.flow_m3_per_s
        if short.size and short.max() > STILL_M3_PER_S:
            name, others = self._problem.network.junctions[int(short.argmax())].name, int((short > STILL_M3_PER_S).sum()) - 1
            self._findings.observe(
                "supply", name, kind="deficit", at_s=now, until_s=until, index=index, amount=float(short.max()), unit="m3/s",
                text=f"node {name}{f' and {others} more' if others else ''} gets {short.max() * 1000:.2f} L/s less than its demand",
            )  # fmt: skip

    def _judge_pumps(self, index: int, step: int, now: int, until: int) -> None:
        for p, link in enumerate(self._pumps):
            if not self._schedule.on[step, p]:
                continue
            name, state = self._problem.network.pumps[p].name, int(toolkit.getlinkvalue(self._ph, link, toolkit.PUMP_STATE))
            if state == toolkit.PUMP_XFLOW:
                self._findings.observe(
                    "supply", name, kind="beyond", at_s=now, until_s=until, index=index, amount=0.0, unit="m3/s",
                    text=f"pump {name} runs beyond the end of its head curve",
                )  # fmt: skip
            elif state != toolkit.PUMP_OPEN:
                self._findings.observe(
                    "supply", name, kind="shut off", at_s=now, until_s=until, index=index, amount=0.0, unit="m3/s",
                    text=f"pump {name} is on but delivers nothing: the head against it is above what it can reach at speed {self._schedule.speed[step, p]:.2f}",
                )  # fmt: skip

    def _give_up(self, step: int, now: int, why: str) -> None:
        """Reject, and hold the levels of now for the rest of the horizon, which is not simulated."""
        self._read_tanks()
        self.level_m[step if now == self._problem.steps.offsets_s[step] else step + 1 :] = [t.level_m for t in self._tanks]
        self._findings.observe(
            "supply", self._problem.network.name, kind="engine", at_s=now, amount=0.0, unit="1",
            text=f"the rest of the horizon is neither simulated nor in the cost, because {why},",
        )  # fmt: skip


_WARNING = re.compile(r"WARNING: (.*?)(?: at (\d+):(\d\d):(\d\d) hrs)?\.?(?: (EXECUTION HALTED|System may be unstable)\.)?$")
_JUDGED_ALREADY = ("Negative pressures", "Pump ")


def _judge_warnings(report: list[str], findings: Findings) -> None:
    """Every warning in EPANET's report that no rule above has judged: unbalanced, disconnected, a valve that cannot deliver."""
    last: int | None = None
    for line in report:
        if not (match := _WARNING.search(line.strip())):
            continue
        if match[2]:
            last = int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4])
        if match[1].startswith(_JUDGED_ALREADY):
            continue
        findings.observe("supply", "EPANET", kind=match[1], at_s=last, amount=0.0, unit="1", text=f"EPANET warns: {match[1]}")
