"""The audit's run of EPANET over a horizon: pump by pump, valve by valve and step by step as scheduled, solve by solve for those who judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from epanet import toolkit

from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.series import Floats
from levada.hydraulics.audit_findings import Moment
from levada.hydraulics.audit_tank import AuditedTank, extended
from levada.hydraulics.audit_valves import set_valve
from levada.hydraulics.epanet import EngineError, Project, attempt

__all__ = ["Run", "Solve"]

_ROOM = 3000.0
"""Room put below and above each tank, in the project's unit of length, so that EPANET's own limits never act."""

_ROUNDING_M = 1e-8
"""More than a head of some kilometres loses in a few operations of double precision."""

_NEVER_S = 1_000_000_000
_CONSTANT = "levada-audit-constant"
"""Name of a demand pattern of one multiplier, 1, that the audit adds."""

_MOST_SOLVES_A_DAY = 8640
"""Full tanks can pass water to and fro in ever shorter steps; beyond a solve every ten seconds the audit gives up and rejects."""

_TRIALS, _DAMPED_FROM = 200, 0.1
"""Where EPANET is to be patient: its trials of a solve, and the accuracy from which on steps are smaller and valves may change their state."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solve:
    """One hydraulic solve and the time it stands for. flow_m3_per_s, power_kw (pumps,); source_m3_per_s (sources,) drawn from each."""

    moment: Moment
    flow_m3_per_s: Floats
    power_kw: Floats
    source_m3_per_s: Floats


class Run:
    """One run of EPANET over the problem's steps. Totals are complete when `solves` has ended.

    | attribute | meaning |
    |---|---|
    | tanks | as they are at this solve |
    | level_m, flow_m3_per_s, power_w, source_m3, energy_kwh | as in Trajectory |
    | end | the moment after the last step |
    | stopped | when and why the rest of the horizon is not simulated; None where all of it is |
    """

    def __init__(self, project: Project, problem: PumpingProblem, schedule: PumpSchedule, *, damped: bool = False) -> None:
        """`damped`: EPANET takes smaller steps near the balance, and more of them."""
        self._project, self._ph, self._units = project, project.handle, project.units
        self._problem, self._schedule = problem, schedule
        n, pumps = schedule.on.shape
        self.level_m: Floats = np.zeros((n + 1, len(problem.network.tanks)))
        self.flow_m3_per_s: Floats = np.zeros((n, pumps))
        self.power_w: Floats = np.zeros((n, pumps))
        self.source_m3: Floats = np.zeros((n, len(problem.sources)))
        self.energy_kwh = 0.0
        self.end = Moment(at_s=0)
        self.stopped: tuple[Moment, str] | None = None
        ph = self._ph
        self._sources = [toolkit.getnodeindex(ph, s.reservoir) for s in problem.sources]
        self._junctions = [toolkit.getnodeindex(ph, j.name) for j in problem.network.junctions]
        self._pumps = [toolkit.getlinkindex(ph, p.name) for p in problem.network.pumps]
        self._strip()
        if damped:
            toolkit.setoption(ph, toolkit.TRIALS, max(_TRIALS, toolkit.getoption(ph, toolkit.TRIALS)))
            toolkit.setoption(ph, toolkit.DAMPLIMIT, _DAMPED_FROM)
        self.tanks = [self._widen(i) for i in range(len(problem.network.tanks))]

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
        toolkit.settankdata(ph, node, tank.elevation_m / unit - _ROOM, 0.5 * _ROOM, 0.1 * _ROOM, ceiling, tank.diameter_m / unit, 0.0, curve_name)
        toolkit.setnodevalue(ph, node, toolkit.MAXLEVEL, ceiling)  # once more: this way it rounds as TANKLEVEL does, see _fill_up
        # Only now, and by the same rounding: else a tank that begins full may begin above its maximum by the last digit, which EPANET refuses.
        toolkit.setnodevalue(ph, node, toolkit.TANKLEVEL, initial / unit + _ROOM)
        toolkit.setnodevalue(ph, node, toolkit.CANOVERFLOW, 0)
        return AuditedTank(
            name=tank.name, node=node, zero_level_m=tank.elevation_m, ceiling=ceiling, full_m=full_m, lowest_m=float(problem.min_level_m[i]),
            highest_m=highest, may_stand_full=full, area_m2=np.pi / 4 * tank.diameter_m**2, curve=curve,
        )  # fmt: skip

    def solves(self) -> Iterator[Solve]:
        """Step through the horizon; while a solve is in hand, EPANET's project holds its results. Stops early where EPANET finds no solution."""
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
                    return self._stop(step, now, f"EPANET cannot solve the network: {e}")
                if index >= most:
                    return self._stop(step, now, f"full tanks pass water to and fro in ever shorter steps ({index} hydraulic solves)")
                self._read_tanks()
                if now == edges[step]:
                    self.level_m[step] = [t.level_m for t in self.tanks]
                begun, until = int(edges[step]), int(edges[step + 1])
                wait = min([hydraulic_step - (now - begun) % hydraulic_step, until - now, *(w for t in self.tanks if (w := t.seconds_to_limit()) > 0)])
                toolkit.settimeparam(self._ph, toolkit.HYDSTEP, wait)
                solve = self._read(Moment(at_s=now, until_s=now + wait, step=step, index=index))
                yield solve
                wait = toolkit.nextH(self._ph)  # less than asked where a tank stands full or a reservoir's pattern turns
                if wait <= 0:
                    return self._stop(step, now, "EPANET stopped")
                self._count(solve, wait)
                for tank in self.tanks:
                    tank.previous_inflow_m3_per_s = tank.inflow_m3_per_s
                now += wait
                index += 1
                step += int(now == edges[step + 1])
                self._read_tanks()
                self._fill_up()
        self.level_m[-1] = [t.level_m for t in self.tanks]
        self.end = Moment(at_s=now, until_s=now, step=step - 1, index=index)
        return None

    def _set(self, step: int, *, initially: bool = False) -> None:
        """Demands, pumps and valves of a step. Initial status and setting count too: initH starts from them."""
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
        for v, valve in enumerate(self._problem.valves):
            choice = valve.choices[self._schedule.valve_choice[step, v]]
            # Left alone where it stays as it is: EPANET goes on from the state that the valve has found for itself.
            if initially or (step > 0 and choice != valve.choices[self._schedule.valve_choice[step - 1, v]]):
                set_valve(self._project, valve.link, choice, initially=initially)

    def stored_m3(self) -> Floats:
        """Water that each tank gained over the horizon."""
        first, last = self.level_m[0], self.level_m[-1]
        return np.array([t.volume_m3(b) - t.volume_m3(a) for t, a, b in zip(self.tanks, first, last, strict=True)])

    def _fill_up(self) -> None:
        """Put the head of a full tank exactly on its maximum.

        EPANET holds a full tank's volume there, converts it back to a head, and shuts the inlet only if that is not below
        the maximum: one rounding in the last digit and the water that still flows in is lost.
        """
        for tank in self.tanks:
            if tank.may_stand_full and abs(tank.full_m - tank.level_m) < _ROUNDING_M:
                toolkit.setnodevalue(self._ph, tank.node, toolkit.TANKLEVEL, tank.ceiling)

    def _read_tanks(self) -> None:
        for tank in self.tanks:
            head = toolkit.getnodevalue(self._ph, tank.node, toolkit.HEAD) * self._units.length_m
            tank.level_m = head - tank.zero_level_m
            tank.inflow_m3_per_s = toolkit.getnodevalue(self._ph, tank.node, toolkit.DEMAND) * self._units.engine_flow_m3_per_s

    def _read(self, moment: Moment) -> Solve:
        ph, unit = self._ph, self._units.flow_m3_per_s
        return Solve(
            moment=moment,
            flow_m3_per_s=np.array([toolkit.getlinkvalue(ph, p, toolkit.FLOW) for p in self._pumps]) * unit,
            power_kw=np.array([toolkit.getlinkvalue(ph, p, toolkit.ENERGY) for p in self._pumps]),
            source_m3_per_s=-np.array([toolkit.getnodevalue(ph, node, toolkit.DEMAND) for node in self._sources]) * unit,
        )

    def _count(self, solve: Solve, seconds: int) -> None:
        step = solve.moment.step
        share = seconds / self._problem.steps.durations_s[step]
        self.flow_m3_per_s[step] += solve.flow_m3_per_s * share
        self.power_w[step] += solve.power_kw * 1000.0 * share
        self.energy_kwh += float((solve.power_kw * (seconds / 3600.0)).sum())
        self.source_m3[step] += solve.source_m3_per_s * seconds

    def _stop(self, step: int, now: int, why: str) -> None:
        """Hold the levels of now for the rest of the horizon, which is not simulated."""
        self._read_tanks()
        self.level_m[step if now == self._problem.steps.offsets_s[step] else step + 1 :] = [t.level_m for t in self.tanks]
        self.end = Moment(at_s=now, step=step)
        self.stopped = self.end, why
