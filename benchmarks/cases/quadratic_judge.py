"""The judge of schedules in networks of quadratic equations: one state at a time, by another method and other code than the engine's.

scipy's root finder (Powell's hybrid method) takes the head equations of the open links and the balances of the junctions as they are written. A pump
that would run backwards is shut and the rest solved again. Levels, flows, power, starts, run times and availability are then judged in plain loops.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import root  # type: ignore[import-untyped]

from benchmarks.cases.quadratic import L_PER_M3, QuadraticNetwork
from levada.domain.billing import bill_of
from levada.domain.pumping import Audit, PumpingProblem, PumpSchedule, Trajectory, Violation
from levada.domain.series import Floats

__all__ = ["gops_audit"]

_TOLERANCE_M = 1e-5
_TOLERANCE_L_PER_S = 1e-4
_TOLERANCE_KW = 1e-6
_TOLERANCE_OF_EQUATIONS = 1e-8
"""What root finding leaves open."""


def gops_audit(equations: QuadraticNetwork, problem: PumpingProblem, schedule: PumpSchedule) -> Audit:
    """Judge a schedule: levels at every instant and at the end, flow ranges, power, reserve, starts, run times, availability, speeds."""
    if schedule.on.shape != problem.available.shape:
        raise ValueError(f"the schedule has shape {schedule.on.shape}, the problem {problem.available.shape}")
    n, pumps = schedule.on.shape
    tanks = len(problem.network.tanks)
    level, flow, power = np.zeros((n + 1, tanks)), np.zeros((n, pumps)), np.zeros((n, pumps))
    pressure, drawn = np.zeros((n, len(problem.pressure_floors_m))), np.zeros((n, len(problem.sources)))
    level[0] = problem.initial_level_m
    found: list[Violation] = []
    found += _operation(problem, schedule)
    guess: Floats | None = None
    for k in range(n):
        at_s, seconds = int(problem.steps.offsets_s[k]), problem.steps.durations_s[k]
        state = _State(equations, problem.demand_m3_per_s[k] * L_PER_M3, level[k] + equations.tank_elevation_m, schedule.speed[k])
        pipe, pump, heads, is_found = state.solve(guess)
        guess = heads
        if not is_found:
            found.append(_say("supply", problem.network.name, at_s, 0.0, "1", "the equations have no solution"))
        flow[k] = pump / L_PER_M3
        power[k] = [1000.0 * (p0 * w**3 + p1 * q * w**2) if w > 0 else 0.0 for (p0, p1), q, w in zip(equations.pump_power, pump, schedule.speed[k], strict=True)]
        net = np.zeros(tanks)
        supplied = np.zeros(len(equations.reservoir_head_m))
        for (a, b), q in zip([*equations.pipe_ends, *equations.pump_ends], [*pipe, *pump], strict=True):
            for node, sign in ((a, -1.0), (b, 1.0)):
                place = int(node) - equations.junctions
                if 0 <= place < tanks:
                    net[place] += sign * q
                elif place >= tanks:
                    supplied[place - tanks] -= sign * q
        level[k + 1] = level[k] + net * seconds / L_PER_M3 / equations.surface_m2
        places = {r.name: i for i, r in enumerate(problem.network.reservoirs)}
        for i, source in enumerate(problem.sources):
            drawn[k, i] = supplied[places[source.reservoir]] / L_PER_M3 * seconds
        pressure[k] = [_pressure(problem, heads, level[k], node) for node in problem.pressure_floors_m]
        found += _hydraulics(equations, problem, k, schedule, pipe, pump, power[k], level, pressure[k])
    end_s = int(problem.steps.offsets_s[-1])
    for i, tank in enumerate(problem.network.tanks):
        short = float(problem.end_level_m[i] - level[-1, i])
        if short > _TOLERANCE_M:
            found.append(_say("end level", tank.name, end_s, short, "m", f"tank {tank.name} ends {short:.4f} m short of {problem.end_level_m[i]:.3f} m"))
        if problem.end_level_max_m is not None and (over := float(level[-1, i] - problem.end_level_max_m[i])) > _TOLERANCE_M:
            found.append(_say("end level", tank.name, end_s, over, "m", f"tank {tank.name} ends {over:.4f} m above its band"))
    bill = bill_of(problem, schedule, power, drawn, (level[-1] - level[0]) * equations.surface_m2)
    energy = float(sum(power[k].sum() * problem.steps.durations_s[k] for k in range(n)) / 3.6e6)
    trajectory = Trajectory(
        level_m=level, flow_m3_per_s=flow, power_w=power, pressure_m=pressure, source_m3=drawn, bill=bill, energy_kwh=energy, violations=tuple(found),
    )  # fmt: skip
    return Audit(accepted=not found, trajectory=trajectory, engine="quadratic equations, scipy root", hydraulic_step_s=problem.hydraulic_step_s)


class _State:
    """One hydraulic state: given demands, outer heads and speeds; unknown flows of open links and heads of junctions."""

    def __init__(self, equations: QuadraticNetwork, demand: Floats, tank_head: Floats, speed: Floats) -> None:
        self.equations, self.demand, self.speed = equations, demand, speed
        self.outer = np.concatenate([tank_head, equations.reservoir_head_m])

    def solve(self, guess: Floats | None) -> tuple[Floats, Floats, Floats, bool]:
        """Flow of each pipe and pump, L/s, heads of the junctions, m, and whether the equations hold."""
        e = self.equations
        pipes, pumps = len(e.pipe_ends), len(e.pump_ends)
        running = [j for j in range(pumps) if self.speed[j] > 0]
        heads = np.full(e.junctions, float(self.outer[: len(e.surface_m2)].mean())) if guess is None else guess
        while True:
            start = np.concatenate([np.full(pipes, 5.0), [math.sqrt(e.pump_gain[j, 2] / e.pump_gain[j, 0]) * self.speed[j] / 2 for j in running], heads])
            result = root(self._wrong, start, args=(running,), method="hybr", tol=1e-13)
            if not self._holds(result.x, running):
                result = root(self._wrong, result.x + 1e-3, args=(running,), method="lm", tol=1e-13)
            backwards = [j for i, j in enumerate(running) if result.x[pipes + i] < 0]
            if not backwards:
                break
            running = [j for j in running if j not in backwards]
        flow = np.zeros(pumps)
        flow[running] = result.x[pipes : pipes + len(running)]
        return result.x[:pipes], flow, result.x[pipes + len(running) :], self._holds(result.x, running)

    def _holds(self, x: Floats, running: list[int]) -> bool:
        return bool(np.abs(self._wrong(x, running)).max() < _TOLERANCE_OF_EQUATIONS)

    def _wrong(self, x: Floats, running: list[int]) -> Floats:
        """By how much each equation is off: pipes and running pumps in m, junctions in L/s."""
        e = self.equations
        pipes = len(e.pipe_ends)
        every = np.concatenate([x[pipes + len(running) :], self.outer])
        missing = np.zeros(len(every))
        missing[: e.junctions] = -self.demand
        off = []
        for i, (a, b) in enumerate(e.pipe_ends):
            q, (k2, k1) = x[i], e.pipe_loss[i]
            off.append(k2 * q * abs(q) + k1 * q - (every[a] - every[b]))
            missing[a] -= q
            missing[b] += q
        for i, j in enumerate(running):
            q, w, (k2, k1, k0), (a, b) = x[pipes + i], self.speed[j], e.pump_gain[j], e.pump_ends[j]
            off.append(k0 * w * w + k1 * w * q - k2 * q * abs(q) - (every[b] - every[a]))
            missing[a] -= q
            missing[b] += q
        return np.array([*off, *missing[: e.junctions]])


def _pressure(problem: PumpingProblem, heads: Floats, level: Floats, node: str) -> float:
    network = problem.network
    if node in network.tank_index:
        return float(level[network.tank_index[node]])
    i = network.junction_index[node]
    return float(heads[i] - network.junctions[i].elevation_m)


def _say(limit: str, element: str, at_s: int | None, amount: float, unit: str, text: str) -> Violation:
    return Violation(limit=limit, element=element, at_s=at_s, amount=amount, unit=unit, text=text)


def _hydraulics(
    equations: QuadraticNetwork, problem: PumpingProblem, k: int, schedule: PumpSchedule, pipe: Floats, pump: Floats, power_w: Floats, level: Floats,
    pressure: Floats,
) -> list[Violation]:  # fmt: skip
    """Limits of step k and of the instant at its end."""
    found: list[Violation] = []
    begin, end = int(problem.steps.offsets_s[k]), int(problem.steps.offsets_s[k + 1])
    for i, tank in enumerate(problem.network.tanks):
        over, under = float(level[k + 1, i] - problem.max_level_m[i]), float(problem.min_level_m[i] - level[k + 1, i])
        if max(over, under) > _TOLERANCE_M:
            side = f"above its maximum {problem.max_level_m[i]:.3f} m" if over > under else f"below its minimum {problem.min_level_m[i]:.3f} m"
            found.append(_say("level", tank.name, end, max(over, under), "m", f"tank {tank.name} is {max(over, under):.4f} m {side}"))
        instants = [k] if k < len(problem.steps) - 1 else [k, k + 1]
        for instant in instants:
            low = -math.inf if problem.reserve_level_m is None else float(problem.reserve_level_m[k, i])
            high = math.inf if problem.ceiling_level_m is None else float(problem.ceiling_level_m[k, i])
            beyond = max(low - level[instant, i], level[instant, i] - high)
            if beyond > _TOLERANCE_M:
                found.append(_say("reserve", tank.name, begin if instant == k else end, float(beyond), "m", f"tank {tank.name} is {beyond:.4f} m beyond its reserve or ceiling"))
    for link, q, (least, most) in zip(problem.network.links, pipe, equations.pipe_range, strict=True):
        beyond = max(least - q, q - most)
        if beyond > _TOLERANCE_L_PER_S:
            found.append(_say("flow", link.name, begin, float(beyond) / L_PER_M3, "m3/s", f"{link.name} carries {q:.2f} L/s, outside {least:g} to {most:g}"))
    for j, unit in enumerate(problem.network.pumps):
        least, most = equations.pump_range[j]
        if schedule.on[k, j] and (pump[j] <= 0 or pump[j] < least - _TOLERANCE_L_PER_S or pump[j] > most + _TOLERANCE_L_PER_S):
            found.append(_say("supply", unit.name, begin, 0.0, "m3/s", f"pump {unit.name} is on and delivers {pump[j]:.2f} L/s, allowed are {least:g} to {most:g}"))
    carried = dict(zip([*(x.name for x in problem.network.links), *(p.name for p in problem.network.pumps)], [*pipe, *pump], strict=True))
    for name, (smallest, greatest) in problem.flow_limits_m3_per_s.items():
        beyond = max(smallest * L_PER_M3 - carried[name], carried[name] - greatest * L_PER_M3)
        if beyond > _TOLERANCE_L_PER_S:
            found.append(_say("flow", name, begin, float(beyond) / L_PER_M3, "m3/s", f"{name} carries {carried[name]:.2f} L/s, beyond its limit"))
    total = float(power_w.sum()) / 1000.0
    if problem.max_power_kw is not None and total > problem.max_power_kw + _TOLERANCE_KW:
        found.append(_say("power", "pumps", begin, total - problem.max_power_kw, "kW", f"the pumps draw {total:.2f} kW, allowed are {problem.max_power_kw:g}"))
    for (node, floor), here in zip(problem.pressure_floors_m.items(), pressure, strict=True):
        if floor - here > _TOLERANCE_M:
            found.append(_say("pressure", node, begin, float(floor - here), "m", f"pressure at {node} is {here:.3f} m, below {floor:g} m"))
    return found


def _operation(problem: PumpingProblem, schedule: PumpSchedule) -> list[Violation]:
    """Starts by day, run times, availability and speeds, pump by pump."""
    n, found = len(problem.steps), []
    periodic = problem.count_starts == "periodic"
    for j, pump in enumerate(problem.network.pumps):
        on = [bool(x) for x in schedule.on[:, j]]
        before = on[-1] if periodic else bool(problem.initial_on[j])
        starts: dict[int, int] = {} if problem.starts_made is None else {0: int(problem.starts_made[j])}
        for k in range(n):
            day = 0 if problem.day is None else int(problem.day[k])
            if on[k] and not (on[k - 1] if k else before):
                starts[day] = starts.get(day, 0) + 1
            at_s = int(problem.steps.offsets_s[k])
            if on[k] and not problem.available[k, j]:
                found.append(_say("availability", pump.name, at_s, 1.0, "1", f"pump {pump.name} runs although it is not available"))
            if problem.forced_on is not None and problem.forced_on[k, j] and not on[k]:
                found.append(_say("availability", pump.name, at_s, 1.0, "1", f"pump {pump.name} is off although it must run"))
            if on[k] and not problem.min_speed[j] - 1e-9 <= schedule.speed[k, j] <= problem.max_speed[j] + 1e-9:
                found.append(_say("availability", pump.name, at_s, 1.0, "1", f"pump {pump.name} runs at speed {schedule.speed[k, j]:.3f}"))
        for day, made in starts.items():
            if made > problem.max_starts[j]:
                found.append(_say("starts", pump.name, None, float(made - problem.max_starts[j]), "starts", f"pump {pump.name} starts {made} times in day {day}"))
        found += _run_times(problem, j, on)
    return found


def _run_times(problem: PumpingProblem, j: int, on: list[bool]) -> list[Violation]:
    """Runs and pauses shorter than allowed. The last may be cut by the end; before the first lies what held until then."""
    if problem.min_on_s is None and problem.min_off_s is None:
        return []
    if problem.count_starts == "periodic":
        raise NotImplementedError("least run times with starts counted periodically are not judged here")
    least = {True: 0.0 if problem.min_on_s is None else float(problem.min_on_s[j]), False: 0.0 if problem.min_off_s is None else float(problem.min_off_s[j])}
    state, lasted, since = bool(problem.initial_on[j]), math.inf if problem.held_s is None else float(problem.held_s[j]), 0
    found: list[Violation] = []
    name = problem.network.pumps[j].name
    for k, now in enumerate(on):
        if now != state:
            if lasted < least[state] - 1e-6:
                kind = "on time" if state else "off time"
                text = f"pump {name} is {'on' if state else 'off'} for {lasted / 60:.0f} min, {least[state] / 60:.0f} are the least"
                found.append(_say(kind, name, since, least[state] - lasted, "s", text))
            state, lasted, since = now, 0.0, int(problem.steps.offsets_s[k])
        lasted += problem.steps.durations_s[k]
    return found
