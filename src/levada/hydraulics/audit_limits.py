"""The limits that the audit judges at every hydraulic solve: of tanks in `TankLimits`, of all else in `SolveLimits`."""

from __future__ import annotations

import numpy as np
from epanet import toolkit

from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.series import Floats
from levada.hydraulics.audit_findings import Findings, Moment, litres, metres
from levada.hydraulics.audit_run import Solve
from levada.hydraulics.audit_tank import STILL_M3_PER_S, AuditedTank
from levada.hydraulics.epanet import Project

__all__ = ["SolveLimits", "TankLimits"]

_TOLERANCE_M = 1e-4
"""A tenth of a millimetre of head: what EPANET's convergence criterion leaves open."""

_ROUNDING = 1e-9
"""What rounding may add to a sum of powers, as a share of it."""


class TankLimits:
    """Levels: minimum and maximum, saturation, reserve and ceiling by step, and the band at the end."""

    def __init__(self, problem: PumpingProblem, findings: Findings) -> None:
        self._problem, self._findings = problem, findings

    def look(self, tanks: list[AuditedTank], moment: Moment) -> None:
        """Judge the tanks at a solve."""
        for i, tank in enumerate(tanks):
            self._look_at_level(tank, moment)
            self._look_at_reserve(i, tank, moment)
            if tank.is_saturated():
                q = tank.inflow_m3_per_s
                state = f"full ({tank.highest_m:.2f} m) and still fills with" if q > 0 else f"empty ({tank.lowest_m:.2f} m) and still drains with"
                self._findings.observe(
                    "saturation", tank.name, f"tank {tank.name} is {state} {abs(q) * 1000:.1f} L/s", moment, kind="above" if q > 0 else "below", amount=abs(q), unit="m3/s"
                )

    def look_at_end(self, tanks: list[AuditedTank], moment: Moment) -> None:
        """Judge the tanks at the end of the horizon."""
        most = self._problem.end_level_max_m
        for i, tank in enumerate(tanks):
            self._look_at_level(tank, moment)
            self._look_at_reserve(i, tank, moment)
            least = float(self._problem.end_level_m[i])
            self._observe_end(tank, least - tank.level_m, f"short of the {least:.2f} m asked for", moment, "below")
            if most is not None:
                self._observe_end(tank, tank.level_m - float(most[i]), f"above the {most[i]:.2f} m allowed", moment, "above")

    def _observe_end(self, tank: AuditedTank, beyond_m: float, how: str, moment: Moment, kind: str) -> None:
        if beyond_m > _TOLERANCE_M:
            text = f"tank {tank.name} ends at {tank.level_m:.2f} m, {metres(beyond_m)} {how}"
            self._findings.observe("end level", tank.name, text, moment, kind=kind, amount=beyond_m, unit="m")

    def _look_at_level(self, tank: AuditedTank, moment: Moment) -> None:
        self._observe_level("level", tank, tank.beyond_m(-np.inf, tank.highest_m), f"above its maximum {tank.highest_m:.2f} m", moment)
        self._observe_level("level", tank, tank.beyond_m(tank.lowest_m, np.inf), f"below its minimum {tank.lowest_m:.2f} m", moment)

    def _look_at_reserve(self, i: int, tank: AuditedTank, moment: Moment) -> None:
        reserve, ceiling = self._problem.reserve_level_m, self._problem.ceiling_level_m
        if reserve is not None:
            least = float(reserve[moment.step, i])
            self._observe_level("reserve", tank, tank.beyond_m(least, np.inf), f"below its reserve {least:.2f} m", moment)
        if ceiling is not None:
            most = float(ceiling[moment.step, i])
            self._observe_level("reserve", tank, tank.beyond_m(-np.inf, most), f"above its ceiling {most:.2f} m", moment)

    def _observe_level(self, limit: str, tank: AuditedTank, beyond_m: float, how: str, moment: Moment) -> None:
        if abs(beyond_m) > _TOLERANCE_M:
            text = f"tank {tank.name} is up to {metres(abs(beyond_m))} {how}"
            self._findings.observe(limit, tank.name, text, moment, kind="above" if beyond_m > 0 else "below", amount=abs(beyond_m), unit="m")


class SolveLimits:
    """Pressures, flows, sources, power and supply, read from EPANET at each solve. `pressure_m` is the Trajectory's as far as it has come."""

    def __init__(self, project: Project, problem: PumpingProblem, schedule: PumpSchedule, findings: Findings) -> None:
        ph = self._ph = project.handle
        self._units, self._problem, self._schedule, self._findings = project.units, problem, schedule, findings
        network = problem.network
        self._pressures = np.full((len(problem.steps), len(problem.pressure_floors_m)), np.inf)
        self._floors = [(name, floor, self._node(name), self._ground_m(name)) for name, floor in problem.pressure_floors_m.items()]
        self._ceilings = [(name, most, self._node(name), self._ground_m(name)) for name, most in problem.pressure_ceilings_m.items()]
        self._flows = [(name, *limits, toolkit.getlinkindex(ph, name)) for name, limits in problem.flow_limits_m3_per_s.items()]
        words = {x.name: (x.kind if x.kind == "pipe" else "pipe with check valve" if x.kind == "cv" else "valve", x.start_node, x.end_node) for x in network.links}
        self._links = words | {p.name: ("pump", p.start_node, p.end_node) for p in network.pumps}
        self._metered = [(m, np.array([network.pump_index[name] for name in m.pumps], np.intp)) for m in problem.meters if m.max_power_kw is not None]
        self._junctions = [self._node(j.name) for j in network.junctions]
        self._pumps = [toolkit.getlinkindex(ph, p.name) for p in network.pumps]
        self._elevation_m = np.array([j.elevation_m for j in network.junctions])
        self._is_pressure_driven = toolkit.getdemandmodel(ph)[0] != toolkit.DDA

    @property
    def pressure_m(self) -> Floats:
        """(n, floors): the least seen in each step; 0, as its flows are, for a step that is not simulated."""
        return np.where(np.isfinite(self._pressures), self._pressures, 0.0)

    def look(self, solve: Solve) -> None:
        """Judge a solve whose results EPANET's project holds."""
        moment = solve.moment
        self._look_at_pressures(moment)
        self._look_at_flows(moment)
        self._look_at_sources(solve.source_m3_per_s, moment)
        self._look_at_power(solve.power_kw, moment)
        self._look_at_demands(moment)
        self._look_at_pumps(moment)

    def _node(self, name: str) -> int:
        return int(toolkit.getnodeindex(self._ph, name))

    def _ground_m(self, node: str) -> float:
        network = self._problem.network
        if node in network.tank_index:
            return network.tanks[network.tank_index[node]].elevation_m
        return network.junctions[network.junction_index[node]].elevation_m

    def _head_m(self, node: int) -> float:
        return float(toolkit.getnodevalue(self._ph, node, toolkit.HEAD)) * self._units.length_m

    def _look_at_pressures(self, moment: Moment) -> None:
        for i, (name, floor, node, ground) in enumerate(self._floors):
            pressure = self._head_m(node) - ground
            self._pressures[moment.step, i] = min(self._pressures[moment.step, i], pressure)
            if floor - pressure > _TOLERANCE_M:
                self._findings.observe(
                    "pressure", name, f"pressure at node {name} falls to {pressure:.2f} m, {metres(floor - pressure)} below its floor {floor:g} m",
                    moment, kind="below", amount=floor - pressure, unit="m",
                )  # fmt: skip
        for name, most, node, ground in self._ceilings:
            pressure = self._head_m(node) - ground
            if pressure - most > _TOLERANCE_M:
                self._findings.observe(
                    "pressure", name, f"pressure at node {name} rises to {pressure:.2f} m, {metres(pressure - most)} above its ceiling {most:g} m",
                    moment, kind="above", amount=pressure - most, unit="m",
                )  # fmt: skip

    def _look_at_flows(self, moment: Moment) -> None:
        for name, least, most, link in self._flows:
            flow = float(toolkit.getlinkvalue(self._ph, link, toolkit.FLOW)) * self._units.flow_m3_per_s
            what, start, end = self._links[name]
            for kind, beyond, how in (
                ("below", least - flow, f"below the {litres(least)} that it is to be at least"),
                ("above", flow - most, f"above the {litres(most)} that it may be at most"),
            ):
                if beyond > STILL_M3_PER_S:
                    self._findings.observe(
                        "flow", name, f"flow through {what} {name}, counted from {start} to {end}, is {litres(flow)}, {litres(beyond)} {how}",
                        moment, kind=kind, amount=beyond, unit="m3/s",
                    )  # fmt: skip

    def _look_at_sources(self, drawn_m3_per_s: Floats, moment: Moment) -> None:
        for source, drawn in zip(self._problem.sources, drawn_m3_per_s.tolist(), strict=True):
            most = source.max_flow_m3_per_s
            if most is not None and drawn - most > STILL_M3_PER_S:
                self._findings.observe(
                    "source", source.reservoir, f"source {source.reservoir} gives {litres(drawn)}, {litres(drawn - most)} more than the {litres(most)} allowed",
                    moment, kind="flow", amount=drawn - most, unit="m3/s",
                )  # fmt: skip

    def _look_at_power(self, power_kw: Floats, moment: Moment) -> None:
        most, total = self._problem.max_power_kw, float(power_kw.sum())
        if most is not None and total > most * (1 + _ROUNDING):
            self._findings.observe(
                "power", "all pumps", f"the pumps draw {total:.1f} kW, {total - most:.1f} kW above the {most:g} kW allowed",
                moment, amount=total - most, unit="kW",
            )  # fmt: skip
        for meter, places in self._metered:
            most, total = meter.max_power_kw, float(power_kw[places].sum())
            if most is not None and total > most * (1 + _ROUNDING):
                self._findings.observe(
                    "power", meter.name, f"the pumps at meter {meter.name} draw {total:.1f} kW, {total - most:.1f} kW above the {most:g} kW allowed",
                    moment, kind="meter", amount=total - most, unit="kW",
                )  # fmt: skip

    def _look_at_demands(self, moment: Moment) -> None:
        head = np.array([self._head_m(node) for node in self._junctions])
        demand = self._problem.demand_m3_per_s[moment.step]
        below = np.where(demand > 0, self._elevation_m - head, 0.0)
        worst = int(below.argmax()) if below.size else 0
        if below.size and below[worst] > _TOLERANCE_M:
            name, others = self._problem.network.junctions[worst].name, int((below > _TOLERANCE_M).sum()) - 1
            self._findings.observe(
                "supply", name, f"pressure at demand node {name}{f' and {others} more' if others else ''} is negative ({-below[worst]:.2f} m)",
                moment, kind="pressure", amount=float(below[worst]), unit="m",
            )  # fmt: skip
        if self._is_pressure_driven:
            self._look_at_deficits(moment)

    def _look_at_deficits(self, moment: Moment) -> None:
        """Under pressure-driven demand EPANET delivers less instead of warning."""
        short = np.array([toolkit.getnodevalue(self._ph, node, toolkit.DEMANDDEFICIT) for node in self._junctions]) * self._units.flow_m3_per_s
        if short.size and short.max() > STILL_M3_PER_S:
            name, others = self._problem.network.junctions[int(short.argmax())].name, int((short > STILL_M3_PER_S).sum()) - 1
            self._findings.observe(
                "supply", name, f"node {name}{f' and {others} more' if others else ''} gets {short.max() * 1000:.2f} L/s less than its demand",
                moment, kind="deficit", amount=float(short.max()), unit="m3/s",
            )  # fmt: skip

    def _look_at_pumps(self, moment: Moment) -> None:
        for p, link in enumerate(self._pumps):
            if not self._schedule.on[moment.step, p]:
                continue
            name, state = self._problem.network.pumps[p].name, int(toolkit.getlinkvalue(self._ph, link, toolkit.PUMP_STATE))
            if state == toolkit.PUMP_XFLOW:
                self._findings.observe("supply", name, f"pump {name} runs beyond the end of its head curve", moment, kind="beyond", amount=0.0, unit="m3/s")
            elif state != toolkit.PUMP_OPEN:
                speed = self._schedule.speed[moment.step, p]
                self._findings.observe(
                    "supply", name, f"pump {name} is on but delivers nothing: the head against it is above what it can reach at speed {speed:.2f}",
                    moment, kind="shut off", amount=0.0, unit="m3/s",
                )  # fmt: skip
