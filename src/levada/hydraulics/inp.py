"""From an EPANET INP text to a Network in SI, refusing what cannot be planned with, and the demands by its patterns."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from epanet import toolkit

from levada.domain.errors import NetworkError
from levada.domain.network import Junction, Link, Network, Pump, Reservoir, Tank
from levada.domain.series import Floats
from levada.domain.time import Steps
from levada.hydraulics.epanet import EngineError, Project, attempt, open_project

__all__ = ["pattern_demands", "read_network"]

_DAY_S = 86400
_SHORTEST_TRIAL_STEP_S = 300
_MOST_SOLVES_A_DAY = 8640
"""A day by the network's own rules may take a solve every ten seconds. Tank events, rules and full tanks that pass water to and
fro add some (2,500 in van Zyl's network with all pumps on); a control that opens and shuts a link at one level, one each second."""

_LINK_KINDS = {
    toolkit.CVPIPE: "cv", toolkit.PIPE: "pipe", toolkit.PRV: "prv", toolkit.PSV: "psv", toolkit.PBV: "pbv",
    toolkit.FCV: "fcv", toolkit.TCV: "tcv", toolkit.GPV: "gpv", toolkit.PCV: "pcv",
}  # fmt: skip


def read_network(inp: bytes, name: str) -> Network:
    """Read an INP text. `name` stands for the file in messages.

    EPANET itself reads it, a day is run by its own rules, and what planning needs is checked: a pump, a tank, every
    node reachable from water. Raises NetworkError naming file, line and fault.
    """
    with open_project(inp, name) as project:
        network = Network(
            name=name,
            inp=inp,
            junctions=_junctions(project),
            reservoirs=_reservoirs(project),
            tanks=_tanks(project),
            pumps=_pumps(project),
            links=_links(project),
        )
        if not network.pumps:
            raise NetworkError(name, "has no pump, so there is nothing to plan; add its pumps to [PUMPS]")
        if not network.tanks:
            raise NetworkError(name, "has no tank; pumping is planned against storage, so add its tanks to [TANKS]")
        _refuse_dry_parts(project, network)
        _refuse_unsolvable(project)
    return network


def pattern_demands(network: Network, steps: Steps, start_clock_s: int = 0) -> Floats:
    """Demand of each junction in each step by the INP's own patterns, m3/s, shape (n, junctions): the mean over the step.

    All demand categories, the default pattern, the demand multiplier and the pattern start count, as in EPANET.
    `start_clock_s` is the pattern time at `steps.start`: 0 has the patterns begin there, 21600 six hours in.
    """
    with open_project(network.inp, network.name) as project:
        ph = project.handle
        pattern_step = toolkit.gettimeparam(ph, toolkit.PATTERNSTEP)
        edges = steps.offsets_s + start_clock_s + toolkit.gettimeparam(ph, toolkit.PATTERNSTART)
        scale = toolkit.getoption(ph, toolkit.DEMANDMULT) * project.units.flow_m3_per_s
        default = int(toolkit.getoption(ph, toolkit.DEMANDPATTERN))
        means: dict[int, Floats] = {}
        demand = np.zeros((len(steps), len(network.junctions)))
        for column, junction in enumerate(network.junctions):
            node = toolkit.getnodeindex(ph, junction.name)
            for category in range(1, toolkit.getnumdemands(ph, node) + 1):
                pattern = toolkit.getdemandpattern(ph, node, category) or default
                if pattern not in means:
                    means[pattern] = _pattern_means(_pattern(project, pattern), pattern_step, edges)
                demand[:, column] += toolkit.getbasedemand(ph, node, category) * scale * means[pattern]
    return demand


def _pattern(project: Project, index: int) -> Floats:
    """Multipliers of a pattern; index 0 is EPANET's constant one."""
    if index == 0:
        return np.ones(1)
    length = toolkit.getpatternlen(project.handle, index)
    return np.array([toolkit.getpatternvalue(project.handle, index, i) for i in range(1, length + 1)])


def _pattern_means(multipliers: Floats, pattern_step_s: int, edges_s: np.ndarray) -> Floats:
    """Mean of a repeating pattern between consecutive edges (whole seconds of pattern time)."""
    total = np.concatenate([[0.0], np.cumsum(multipliers)])
    n = len(multipliers)

    def integral(at_s: np.ndarray) -> Floats:
        period, within = np.divmod(at_s, pattern_step_s)
        laps, index = np.divmod(period, n)
        result: Floats = (laps * total[-1] + total[index]) * pattern_step_s + multipliers[index] * within
        return result

    means: Floats = (integral(edges_s[1:]) - integral(edges_s[:-1])) / np.diff(edges_s)
    return means


def _junctions(project: Project) -> tuple[Junction, ...]:
    ph, units = project.handle, project.units
    return tuple(
        Junction(
            name=toolkit.getnodeid(ph, node),
            elevation_m=toolkit.getnodevalue(ph, node, toolkit.ELEVATION) * units.length_m,
            base_demand_m3_per_s=units.flow_m3_per_s
            * sum(toolkit.getbasedemand(ph, node, c) for c in range(1, toolkit.getnumdemands(ph, node) + 1)),
        )
        for node in _nodes(project, toolkit.JUNCTION)
    )


def _reservoirs(project: Project) -> tuple[Reservoir, ...]:
    ph, units = project.handle, project.units
    return tuple(
        Reservoir(name=toolkit.getnodeid(ph, node), head_m=toolkit.getnodevalue(ph, node, toolkit.ELEVATION) * units.length_m)
        for node in _nodes(project, toolkit.RESERVOIR)
    )


def _tanks(project: Project) -> tuple[Tank, ...]:
    ph, units = project.handle, project.units
    tanks = []
    for node in _nodes(project, toolkit.TANK):
        name = toolkit.getnodeid(ph, node)
        curve = int(toolkit.getnodevalue(ph, node, toolkit.VOLCURVE))
        lowest, initial, highest = (
            toolkit.getnodevalue(ph, node, what) * units.length_m for what in (toolkit.MINLEVEL, toolkit.TANKLEVEL, toolkit.MAXLEVEL)
        )
        if not lowest < highest:
            where = project.text.element(("TANK",), name)
            raise NetworkError(where, f"tank {name}: its minimum level {lowest:g} m is not below its maximum {highest:g} m")
        tanks.append(
            Tank(
                name=name,
                elevation_m=toolkit.getnodevalue(ph, node, toolkit.ELEVATION) * units.length_m,
                initial_level_m=initial,
                min_level_m=lowest,
                max_level_m=highest,
                diameter_m=toolkit.getnodevalue(ph, node, toolkit.TANKDIAM) * units.length_m,
                volume_curve=tuple((x * units.length_m, y * units.volume_m3) for x, y in _curve(project, curve)) if curve else (),
            )
        )
    return tuple(tanks)


def _pumps(project: Project) -> tuple[Pump, ...]:
    ph, units = project.handle, project.units
    pumps = []
    for link in _links_of(project, toolkit.PUMP):
        name = toolkit.getlinkid(ph, link)
        where = project.text.element(("PUMP",), name)
        start, end = toolkit.getlinknodes(ph, link)
        kind = toolkit.getpumptype(ph, link)
        head: tuple[tuple[float, float], ...] = ()
        power: float | None = None
        if kind == toolkit.CONST_HP:
            power = toolkit.getlinkvalue(ph, link, toolkit.PUMP_POWER) * units.power_w
        elif kind in (toolkit.POWER_FUNC, toolkit.CUSTOM):
            points = _curve(project, toolkit.getheadcurveindex(ph, link))
            head = tuple((q * units.flow_m3_per_s, h * units.length_m) for q, h in _expanded(points))
        else:
            raise NetworkError(where, f"pump {name} has neither a head curve nor a power; give it HEAD or POWER in [PUMPS]")
        efficiency = int(toolkit.getlinkvalue(ph, link, toolkit.PUMP_ECURVE))
        pumps.append(
            Pump(
                name=name,
                start_node=toolkit.getnodeid(ph, start),
                end_node=toolkit.getnodeid(ph, end),
                head_curve=head,
                efficiency_curve=tuple((q * units.flow_m3_per_s, e / 100) for q, e in _curve(project, efficiency)) if efficiency else (),
                global_efficiency=toolkit.getoption(ph, toolkit.GLOBALEFFIC) / 100,
                constant_power_w=power,
                initial_speed=toolkit.getlinkvalue(ph, link, toolkit.INITSETTING),
                initially_on=bool(toolkit.getlinkvalue(ph, link, toolkit.INITSTATUS)),
            )
        )
    return tuple(pumps)


def _expanded(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """EPANET makes three points of a one-point head curve: shut-off at 4/3 of its head, no head at twice its flow."""
    if len(points) != 1:
        return points
    (flow, head), = points  # fmt: skip
    return [(0.0, 4 * head / 3), (flow, head), (2 * flow, 0.0)]


def _links(project: Project) -> tuple[Link, ...]:
    ph = project.handle
    links = []
    for link in range(1, toolkit.getcount(ph, toolkit.LINKCOUNT) + 1):
        if kind := _LINK_KINDS.get(toolkit.getlinktype(ph, link)):
            start, end = toolkit.getlinknodes(ph, link)
            links.append(
                Link(name=toolkit.getlinkid(ph, link), kind=kind, start_node=toolkit.getnodeid(ph, start), end_node=toolkit.getnodeid(ph, end))
            )
    return tuple(links)


def _nodes(project: Project, kind: int) -> list[int]:
    ph = project.handle
    return [i for i in range(1, toolkit.getcount(ph, toolkit.NODECOUNT) + 1) if toolkit.getnodetype(ph, i) == kind]


def _links_of(project: Project, kind: int) -> list[int]:
    ph = project.handle
    return [i for i in range(1, toolkit.getcount(ph, toolkit.LINKCOUNT) + 1) if toolkit.getlinktype(ph, i) == kind]


def _curve(project: Project, index: int) -> list[tuple[float, float]]:
    length = toolkit.getcurvelen(project.handle, index)
    return [tuple(toolkit.getcurvevalue(project.handle, index, i)) for i in range(1, length + 1)]


def _refuse_dry_parts(project: Project, network: Network) -> None:
    """Each connected part of the network needs a tank or a reservoir: EPANET would only warn, and supply nobody there."""
    neighbours: dict[str, list[str]] = defaultdict(list)
    ends = [(p.start_node, p.end_node) for p in network.pumps] + [(k.start_node, k.end_node) for k in network.links]
    for start, end in ends:
        neighbours[start].append(end)
        neighbours[end].append(start)
    wet = {t.name for t in network.tanks} | {r.name for r in network.reservoirs}
    frontier = list(wet)
    while frontier:
        for other in neighbours[frontier.pop()]:
            if other not in wet:
                wet.add(other)
                frontier.append(other)
    dry = [j.name for j in network.junctions if j.name not in wet]
    if dry:
        shown = ", ".join(dry[:5]) + (f" and {len(dry) - 5} more" if len(dry) > 5 else "")
        raise NetworkError(
            project.text.element(("JUNC",), dry[0]),
            f"no tank or reservoir is connected to {shown}; add the missing links or remove this part",
        )


def _refuse_unsolvable(project: Project) -> None:
    """Run a day by the network's own controls. Raises NetworkError: it cannot be solved, or it chatters."""
    ph = project.handle
    step = max(_SHORTEST_TRIAL_STEP_S, toolkit.gettimeparam(ph, toolkit.HYDSTEP))
    for what, seconds in ((toolkit.DURATION, _DAY_S), (toolkit.REPORTSTEP, _DAY_S), (toolkit.HYDSTEP, step)):
        toolkit.settimeparam(ph, what, seconds)
    with project.hydraulics():
        toolkit.initH(ph, toolkit.NOSAVE)
        solves = 0
        while True:
            try:
                now = attempt(toolkit.runH, ph)
                more = attempt(toolkit.nextH, ph)
            except EngineError as e:
                raise NetworkError(project.text.name, f"EPANET cannot simulate a day of it by its own rules: {e}") from None
            solves += 1
            if more <= 0:
                return
            if solves > _MOST_SOLVES_A_DAY:
                raise NetworkError(
                    project.text.name,
                    f"chatters: its own controls needed {solves} hydraulic solves by {now / 3600:.1f} h, where {_DAY_S // step} would do for a day; "
                    "look for controls that open and shut a link at nearly the same level",
                )
