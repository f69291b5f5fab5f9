"""Schedules told by the instants of their switches instead of by steps, and their simulation, many side by side.

A pump may be switched within a planning step: the step is then simulated in parts, each beginning with a solve of its own. What holds in a planning
step (demand, prices, limits, speeds, valves) holds in its parts, and energy is billed by the planning step's means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from levada.domain.billing import StepCosts
from levada.domain.pumping import Bools, PumpingProblem, PumpSchedule
from levada.domain.series import Floats
from levada.hydraulics.engine import Engine, severity_weights
from levada.hydraulics.operation import operation_violations
from levada.hydraulics.simulate import Simulator
from levada.schedule.candidate import penalty_of
from levada.schedule.plant import Ints, Plant
from levada.schedule.whole import Whole

__all__ = ["Course", "Courses", "Switches"]


@dataclass(frozen=True, slots=True, eq=False)
class Switches:
    """`before` (pumps,): whether each pump runs before its first switch; `at_s` (m,) and `pump` (m,): the switches, in any order, each turning its pump
    from what it was. At the horizon's end nothing is switched any more."""

    before: Bools
    at_s: Ints
    pump: Ints

    @staticmethod
    def of(problem: PumpingProblem, schedule: PumpSchedule) -> Switches:
        """The switches of a schedule on the problem's steps."""
        before = schedule.on[-1] if problem.count_starts == "periodic" else problem.initial_on
        step, pump = np.nonzero(schedule.on != np.vstack([before, schedule.on[:-1]]))
        return Switches(before.copy(), problem.steps.offsets_s[step], pump.astype(np.int64))

    def on_at(self, instant_s: Ints) -> Bools:
        """Whether each pump runs from these instants on, (N, pumps)."""
        done = (self.at_s[None, :] <= instant_s[:, None]).astype(np.int64)
        turns = done @ (self.pump[:, None] == np.arange(len(self.before))[None, :]).astype(np.int64)
        return np.asarray(self.before ^ (turns % 2 == 1), np.bool_)

    def turns_on(self) -> Bools:
        """Which switches turn their pump on, (m,)."""
        rank = np.zeros(len(self.at_s), np.int64)
        for j in np.unique(self.pump).tolist():
            own = np.flatnonzero(self.pump == j)
            rank[own[np.argsort(self.at_s[own], kind="stable")]] = np.arange(len(own))
        return np.asarray(self.before[self.pump] ^ (rank % 2 == 0), np.bool_)

    def moved(self, by_s: Ints, horizon_s: int, *, is_periodic: bool) -> Switches:
        """Each switch put off by `by_s` (m,), within the horizon; a period's end goes on at its beginning."""
        at = self.at_s + by_s
        if not is_periodic:
            return Switches(self.before, np.clip(at, 0, horizon_s), self.pump)
        crossed = (at < 0) | (at >= horizon_s)
        turns = np.bincount(self.pump[crossed], minlength=len(self.before))
        return Switches(self.before ^ (turns % 2 == 1), at % horizon_s, self.pump)

    def plain(self, horizon_s: int, alike: Sequence[Sequence[int]], *, is_periodic: bool) -> Switches:
        """The same without runs and pauses of no length, sorted by time; and where one of the pumps `alike` takes over from another at the same instant,
        the other goes on instead, which saves a start."""
        before, at, pump = self.before.copy(), self.at_s.copy(), self.pump.copy()
        for group in alike:
            _end_takeovers(before, at, pump, group, horizon_s, is_periodic=is_periodic)
        kept, counts = np.unique(np.stack([at, pump], axis=1)[at < horizon_s], axis=0, return_counts=True)
        kept = kept[counts % 2 == 1]
        return Switches(before, kept[:, 0], kept[:, 1])

    def key(self) -> bytes:
        order = np.lexsort((self.pump, self.at_s))
        return self.before.tobytes() + self.at_s[order].tobytes() + self.pump[order].tobytes()


def _end_takeovers(before: Bools, at_s: Ints, pump: Ints, group: Sequence[int], horizon_s: int, *, is_periodic: bool) -> None:
    """Let pumps of the group trade places from each takeover until they are both on or both off. The takeover's two switches go to the horizon's end, where
    they are none: changes `before` (pumps,), `at_s` and `pump` (m,)."""
    for instant in np.unique(at_s).tolist():
        if not 0 < instant < horizon_s:
            continue
        was, after = Switches(before, at_s, pump).on_at(np.array([instant - 1, instant]))
        stopped = [j for j in group if was[j] and not after[j]]
        started = [j for j in group if after[j] and not was[j]]
        for a, b in zip(stopped, started, strict=False):
            until = _next_alike(Switches(before, at_s, pump), a, b, instant, horizon_s, is_periodic=is_periodic)
            if until is None:
                continue
            for j in (a, b):
                at_s[np.flatnonzero((at_s == instant) & (pump == j))[0]] = horizon_s
            wraps = until <= instant
            between = (at_s > instant) | (at_s <= until) if wraps else (at_s > instant) & (at_s <= until)
            mine, theirs = between & (at_s < horizon_s) & (pump == a), between & (at_s < horizon_s) & (pump == b)
            pump[mine], pump[theirs] = b, a
            if wraps:
                before[[a, b]] = before[[b, a]]


def _next_alike(s: Switches, a: int, b: int, instant: int, horizon_s: int, *, is_periodic: bool) -> int | None:
    """The next instant from which two pumps are both on or both off: the horizon's end where there is none, or None in a period."""
    times = np.unique(s.at_s[(s.pump == a) | (s.pump == b)])
    times = times[times < horizon_s]
    later = np.concatenate([times[times > instant], times[times < instant]]) if is_periodic else times[times > instant]
    states = s.on_at(later)
    alike = np.flatnonzero(states[:, a] == states[:, b])
    if len(alike):
        return int(later[alike[0]])
    return None if is_periodic else horizon_s


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What comes of switches: `cost` and `severity` of the whole schedule; volumes (m3) at the planning steps' edges (n + 1, tanks) and at the switches
    (m, tanks); mean power (n, pumps) W, water drawn (n, sources) m3 and severity (n,) of each planning step; and what comes of them `beside`, at each of
    the other hydraulic steps, whose severity counts in this one."""

    switches: Switches
    cost: float
    severity: float
    volume: Floats
    at_volume: Floats
    power: Floats
    source: Floats
    step_severity: Floats
    beside: tuple[Course, ...]

    def objective(self, price: float) -> float:
        """Cost with violations priced, as Candidate.objective."""
        return self.cost + price * penalty_of(self.severity)


class Courses:
    """Simulates switches on a plant. `speed` (n, pumps): at what speed a pump runs in each planning step if it runs; `choice` (n, valves)."""

    def __init__(self, plant: Plant, whole: Whole, schedule: PumpSchedule, engine: Callable[[PumpingProblem], Engine] = Simulator) -> None:
        problem = self.problem = plant.problem
        self.beside = [Courses(Plant(other, engine), whole, schedule, engine) for other in problem.at_other_hydraulic_steps()]
        self.plant, self.whole = plant, whole
        self.is_periodic = problem.count_starts == "periodic"
        self.offsets_s = problem.steps.offsets_s
        self.horizon_s = int(self.offsets_s[-1])
        self.speed = _speed_if_on(problem, schedule)
        self.choice: Ints = schedule.valve_choice if problem.valves else np.zeros((plant.n, 0), np.int64)
        self._costs = StepCosts(problem)
        self._weight = dict(zip(_KINDS, severity_weights(problem, _KINDS).tolist(), strict=True))

    @property
    def solves(self) -> int:
        """Hydraulic solves spent, at all hydraulic steps."""
        return self.plant.simulator.solves + sum(c.solves for c in self.beside)

    def schedule(self, switches: Switches) -> tuple[PumpingProblem, PumpSchedule]:
        """The problem on the steps that the switches make, and the schedule on them."""
        problem = self.problem.on_steps(switches.at_s)
        on = switches.on_at(problem.steps.offsets_s[:-1])
        of = np.searchsorted(self.offsets_s, problem.steps.offsets_s[:-1], side="right") - 1
        return problem, PumpSchedule(on=on, speed=np.where(on, self.speed[of], 0.0), valve_choice=self.choice[of])

    def operation(self, switches: Switches) -> float:
        """Severity of what the switches break by themselves: starts, times on and off, availability."""
        unit = {"starts": 0.1, "s": 0.1 / 3600.0, "h": 0.1}
        return float(sum(self._weight[v.limit] * v.amount * unit[v.unit] for v in operation_violations(*self.schedule(switches))))

    def run(self, trials: Sequence[Switches], base: Course | None = None) -> list[Course]:
        """Simulate each from the planning step in which it first differs from `base`, whose switches are the same in number and order."""
        plant, n, rows = self.plant, self.plant.n, len(trials)
        volume = np.zeros((rows, n + 1, plant.tanks))
        power, source = np.zeros((rows, n, plant.pumps)), np.zeros((rows, n, len(self.problem.sources)))
        severity, first = np.zeros((rows, n)), np.zeros(rows, np.int64)
        if base is None:
            volume[:, 0] = plant.simulator.volumes(self.problem.initial_level_m)
        else:
            volume[:], power[:], source[:], severity[:] = base.volume, base.power, base.source, base.step_severity
            first = np.array([self._first_step(t, base.switches) for t in trials], np.int64)
            for r, k in enumerate(first.tolist()):
                power[r, k:], source[r, k:], severity[r, k:] = 0.0, 0.0, 0.0
        row, step, rank, lasts, on, ends = self._parts(trials, first)
        after = np.zeros((len(row), plant.tanks))
        now = volume[np.arange(rows), first]
        order = np.lexsort((row, rank, step))
        cuts = np.flatnonzero(np.diff(step[order], prepend=-1) | np.diff(rank[order], prepend=-1))
        for part in np.split(order, cuts[1:]):
            k, at = int(step[part[0]]), row[part]
            speed, choice = np.where(on[part], self.speed[k], 0.0), np.repeat(self.choice[k : k + 1], len(part), axis=0)
            found = plant.simulator.steps(step[part], now[at], speed, choice, lasts[part])
            share = lasts[part] / self.problem.steps.durations_s[k]
            now[at] = after[part] = found.volume
            power[at, k] += found.power * share[:, None]
            source[at, k] += found.source
            severity[at, k] += found.severity
            volume[at, k + 1] = found.volume
        costs, broken = self._whole(trials, power, source, volume)
        beside = [c.run(trials, None if base is None else base.beside[i]) for i, c in enumerate(self.beside)]
        found_courses = []
        for r, t in enumerate(trials):
            own = row == r
            at_volume = self._at(t, first[r], ends[own], after[own], volume[r], base)
            others = tuple(b[r] for b in beside)
            amiss = float(severity[r].sum() + broken[r]) + sum(c.severity for c in others)
            found_courses.append(Course(t, float(costs[r]), amiss, volume[r], at_volume, power[r], source[r], severity[r], others))
        return found_courses

    def _first_step(self, trial: Switches, base: Switches) -> int:
        if len(trial.at_s) != len(base.at_s) or (trial.before != base.before).any() or (trial.pump != base.pump).any():
            return 0
        other = trial.at_s != base.at_s
        if not other.any():
            return self.plant.n - 1
        earliest = int(np.minimum(trial.at_s, base.at_s)[other].min())
        return min(int(np.searchsorted(self.offsets_s, earliest, side="right")) - 1, self.plant.n - 1)

    def _parts(self, trials: Sequence[Switches], first: Ints) -> tuple[Ints, Ints, Ints, Ints, Bools, Ints]:
        """Parts of steps of all trials from their first step on: trial, step, place within the step, seconds, pumps that run, instant of the end."""
        found = []
        for r, t in enumerate(trials):
            begin = self.offsets_s[first[r]]
            edges = np.union1d(self.offsets_s[first[r] :], t.at_s[(t.at_s > begin) & (t.at_s < self.horizon_s)])
            step = np.searchsorted(self.offsets_s, edges[:-1], side="right") - 1
            rank = np.arange(len(step)) - np.searchsorted(step, step, side="left")
            found.append((np.full(len(step), r), step, rank, np.diff(edges), t.on_at(edges[:-1]), edges[1:]))
        row, step, rank, lasts, on, ends = (np.concatenate([f[i] for f in found]) for i in range(6))
        return row, step, rank, lasts, on, ends

    def _at(self, t: Switches, first: int, ends: Ints, after: Floats, volume: Floats, base: Course | None) -> Floats:
        """Volumes at the switches, (m, tanks)."""
        place = np.searchsorted(ends, t.at_s)
        is_after = t.at_s > self.offsets_s[first]
        found: Floats = np.where(is_after[:, None], after[np.minimum(place, len(ends) - 1)], volume[first])
        if base is not None:
            before = t.at_s < self.offsets_s[first]
            found[before] = base.at_volume[before]
        return found

    def _whole(self, trials: Sequence[Switches], power: Floats, source: Floats, volume: Floats) -> tuple[Floats, Floats]:
        """Cost (N,) of all, and severity (N,) of what is beyond the steps."""
        n, rows, whole, problem = self.plant.n, len(trials), self.whole, self.problem
        steps = np.tile(np.arange(n), rows)
        flat = power.reshape(rows * n, -1)
        cost = self._costs.of(steps, flat, source.reshape(rows * n, -1)).reshape(rows, n).sum(axis=1) + whole.stored(volume[:, -1])
        if whole.has_charges:
            cost += whole.charge(whole.grid_kw(steps, flat).reshape(rows, n, -1).max(axis=1))
        broken = whole.end(volume[:, -1])
        if whole.has_limits:
            broken = broken + whole.beyond(np.array([whole.totals_of(p, s) for p, s in zip(power, source, strict=True)]))
        if problem.wear_cost_per_start is not None:
            cost += [problem.wear_cost_per_start[t.pump[t.turns_on() & (t.at_s < self.horizon_s)]].sum() for t in trials]
        if problem.deviation_cost_per_h is not None and problem.previous_on is not None:
            cost += [self._deviation(t) for t in trials]
        return cost, broken

    def _deviation(self, t: Switches) -> float:
        edges = np.union1d(self.offsets_s, t.at_s)
        of = np.searchsorted(self.offsets_s, edges[:-1], side="right") - 1
        assert self.problem.previous_on is not None
        assert self.problem.deviation_cost_per_h is not None
        away = t.on_at(edges[:-1]) != self.problem.previous_on[of]
        return float((away * self.problem.deviation_cost_per_h[of] * (np.diff(edges) / 3600.0)[:, None]).sum())


_KINDS = ("starts", "simultaneous starts", "off time", "on time", "availability")


def _speed_if_on(problem: PumpingProblem, schedule: PumpSchedule) -> Floats:
    """Speed (n, pumps) of each pump in each step: where it is off, that of the step nearest in which it runs, or its highest where it never does."""
    speed = schedule.speed.copy()
    for j in range(speed.shape[1]):
        running = np.flatnonzero(schedule.on[:, j])
        if not len(running):
            speed[:, j] = problem.max_speed[j]
            continue
        nearest = running[np.abs(np.arange(len(speed))[:, None] - running[None, :]).argmin(axis=1)]
        speed[:, j] = speed[nearest, j]
    return speed
