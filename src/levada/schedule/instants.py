"""Free switch instants: from the best schedules on the planning steps to better ones whose pumps switch within steps.

Descent is sequential linear programming on the instants of all switches: what each does to cost and to the volumes at steps' edges and switches is
measured by simulating it a little earlier and a little later, from the changed instant on; a linear programme shifts all of them at once, within a
trust region, their order and least times kept; rounded to the resolution, its answers are simulated and the best is taken or the region shrinks.
Between descents a run or pause is put in, taken out, traded between pumps, or switches are shaken; the best of all is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import highspy
import numpy as np

from levada.domain.pumping import Bools, PumpingProblem, PumpSchedule
from levada.domain.series import Floats
from levada.hydraulics.engine import Engine
from levada.hydraulics.simulate import Simulator
from levada.schedule.assignment import Fits
from levada.schedule.linear import Builder, solver
from levada.schedule.plant import Ints, Plant
from levada.schedule.progress import Teller
from levada.schedule.switches import Course, Courses, Switches
from levada.schedule.whole import Whole

__all__ = ["free_instants"]

_SEVERITY = 200.0
"""A unit of severity costs so many times the schedule: what a tank lacks at the end counts for little of a unit, and must never be worth its pumping."""

_RADIUS_S, _NEAR_RADIUS_S, _MOST_RADIUS_S = 3600, 600, 3 * 3600
"""By how much a switch may be shifted at once: at first, in a second descent from what breaks a limit, which may be a little only; at most."""

_GROW, _SHRINK = 1.6, 0.4
_MOST_ROUNDS = 40
_SHARES = (1.0, 0.5, 0.2)
"""Shares of the linear programme's shifts that are tried."""

_WHOLE, _MOST_WHOLE, _MOST_NODES = 8, 40, 200
"""Shifts are whole multiples of the resolution in the linear programme from so many resolutions on, for so many switches at most, within so many nodes."""

_MARGIN = 1e-4
"""Share of a tank's range by which the linear programme stays away from its limits, times the rounds of failures so far."""

_WORSE, _STALE = 0.01, 10
"""A descent goes on from a schedule dearer than the best by at most this share, by more of it for every so many descents that have found nothing better."""

_MOST_MISSES = 2000
"""Kicks in a row that lead to nothing new, after which there is nothing left to try."""

_FEW_ROUNDS, _HOPELESS = 6, 0.04
"""A descent is given up where it is dearer than the best by more than this share after so many rounds."""

_RUN_S = (1800, 4 * 3600)
"""Lengths of runs and pauses that are put in."""


def free_instants(
    plant: Plant, fits: Fits, on_steps: PumpSchedule, starts: list[Switches], rng: np.random.Generator, budget: int, teller: Teller,
    engine: Callable[[PumpingProblem], Engine] = Simulator,
) -> tuple[PumpingProblem, PumpSchedule]:
    """The best schedule found whose pumps switch at multiples of the problem's resolution, and the problem on the steps that its switches make.

    `on_steps`, a schedule on the problem's steps, says how fast pumps run and how valves stand in each of them; `starts` where the search begins;
    `budget`: hydraulic solves.
    """  # fmt: skip
    assert plant.problem.switch_resolution_s is not None
    courses = Courses(plant, Whole(plant, fits), on_steps, engine)
    search = _Search(courses, plant.problem.switch_resolution_s, courses.solves + budget, teller)
    return courses.schedule(search.best(starts, rng).switches)


@dataclass(frozen=True, slots=True)
class _Slopes:
    """What a second later (row 0) and a second earlier (row 1) of each switch adds: cost and severity (2, m), volumes at edges (2, m, n + 1, tanks)
    and at switches (2, m, m, tanks)."""

    cost: Floats
    severity: Floats
    volume: Floats
    at_volume: Floats

    @staticmethod
    def of(course: Course, around: list[Course], width_s: int) -> _Slopes:
        """`around` (2 m): each switch of the course `width_s` later, then each so much earlier."""
        m = len(course.switches.at_s)
        return _Slopes(
            cost=np.array([c.cost - course.cost for c in around]).reshape(2, m) / width_s,
            severity=np.array([c.severity - course.severity for c in around]).reshape(2, m) / width_s,
            volume=np.array([c.volume - course.volume for c in around]).reshape(2, m, *course.volume.shape) / width_s,
            at_volume=np.array([c.at_volume - course.at_volume for c in around]).reshape(2, m, *course.at_volume.shape) / width_s,
        )


class _Search:
    def __init__(self, courses: Courses, resolution_s: int, limit: int, teller: Teller) -> None:
        self.courses, self.resolution_s, self.limit, self.teller = courses, resolution_s, limit, teller
        plant = self.plant = courses.plant
        self.horizon_s, self.is_periodic = courses.horizon_s, courses.is_periodic
        self.alike = [c.pumps for c in plant.classes if len(c.pumps) > 1]
        self.price = 0.0
        problem = plant.problem
        none = np.zeros(plant.pumps)
        self.least_on_s = none if problem.min_on_s is None else problem.min_on_s
        self.least_off_s = none if problem.min_off_s is None else problem.min_off_s

    def is_over(self) -> bool:
        """Told how it stands, whoever waits says whether to go on."""
        return not self.teller("instants") or self.courses.solves >= self.limit

    def best(self, starts: list[Switches], rng: np.random.Generator) -> Course:
        begun = self.courses.run(starts)
        self.price = _SEVERITY * max(1e-6, max(abs(c.cost) for c in begun))
        # What is planned on steps is judged as it is first: nothing worse is returned.
        ends = [self.descend(c) for c in begun] + [self.descend(c, radius_s=_NEAR_RADIUS_S) for c in begun if c.severity > 0]
        best = min([*begun, *ends], key=self.worth)
        now, least, broken, misses, stale = best, self.worth(best), self.courses.operation(best.switches), 0, 0
        tried = {best.switches.key()}
        while not self.is_over() and misses < _MOST_MISSES:
            other = self.kicked(now.switches, rng)
            if other is None or other.key() in tried or self.courses.operation(other) > broken:
                misses += 1
                continue
            misses = 0
            tried.add(other.key())
            found = self.descend(self.courses.run([other])[0], least + _HOPELESS * abs(best.cost))
            gain = least - self.worth(found)
            stale += 1
            if gain > 0:
                best, least, stale = found, self.worth(found), 0
                self.teller("instants", best.cost if best.severity == 0 else None)
            now = found if gain > -min(_WORSE * (1 + stale // _STALE), _HOPELESS) * abs(best.cost) else best
        return best

    def worth(self, course: Course) -> float:
        return course.objective(self.price) + self.price * self.courses.operation(course.switches)

    # --- descent ------------------------------------------------------------------------------------------------------

    def descend(self, course: Course, hopeless: float = np.inf, radius_s: int = _RADIUS_S) -> Course:
        """The best in reach, first of shifts up to `radius_s`; given up where a few rounds leave it dearer than `hopeless`."""
        radius, failures = float(radius_s), 0
        broken = self.courses.operation(course.switches)
        course = self.simplified(course, broken)
        for done in range(_MOST_ROUNDS):
            if done >= _FEW_ROUNDS and course.objective(self.price) > hopeless:
                break
            if not len(course.switches.at_s) or radius < self.resolution_s or self.is_over():
                break
            width = int(max(1, min(radius / 4, 600) // self.resolution_s)) * self.resolution_s
            slopes, around = self.slopes(course, width)
            shifts = self.shifts(course, slopes, radius, failures)
            trials = [] if shifts is None else self.courses.run(self.rounded(course, shifts), course)
            found = min([*trials, *around], key=lambda c: c.objective(self.price))
            gain = course.objective(self.price) - found.objective(self.price)
            if gain > 1e-7 * (1.0 + abs(course.cost)) and (now := self.courses.operation(found.switches)) <= broken + 1e-12:
                broken, failures = now, 0
                course = self.simplified(found, broken)
                radius = min(radius * _GROW, _MOST_RADIUS_S) if found in trials[:1] else radius
            else:
                radius, failures = radius * _SHRINK, failures + 1
        return course

    def simplified(self, course: Course, broken: float) -> Course:
        """Without runs and pauses of no length and without takeovers, where that breaks nothing."""
        for alike in (self.alike, []):
            tidy = self._with_ends(course.switches.plain(self.horizon_s, alike, is_periodic=self.is_periodic))
            if tidy.key() == course.switches.key():
                return course
            if self.courses.operation(tidy) <= broken + 1e-12:
                return self.courses.run([tidy])[0]
        return course

    def _with_ends(self, s: Switches) -> Switches:
        """With a switch at the horizon's end, which does nothing as long as it stays there, for each pump that runs until then."""
        if self.is_periodic:
            return s
        running = np.flatnonzero(s.on_at(np.array([self.horizon_s]))[0])
        return Switches(s.before, np.concatenate([s.at_s, np.full(len(running), self.horizon_s)]), np.concatenate([s.pump, running]))

    def slopes(self, course: Course, width_s: int) -> tuple[list[_Slopes], list[Course]]:
        """By moving each switch `width_s` to both sides: of the course and of those beside it, and what was simulated for them."""
        m = len(course.switches.at_s)
        eye = np.eye(m, dtype=np.int64) * width_s
        around = self.courses.run([course.switches.moved(sign * row, self.horizon_s, is_periodic=self.is_periodic) for sign in (1, -1) for row in eye], course)
        others = [_Slopes.of(own, [c.beside[i] for c in around], width_s) for i, own in enumerate(course.beside)]
        return [_Slopes.of(course, around, width_s), *others], around

    def rounded(self, course: Course, shifts: Floats) -> list[Switches]:
        """The switches shifted by shares of `shifts` (m,), on multiples of the resolution."""
        r = self.resolution_s
        found = []
        for share in _SHARES:
            target = np.round((course.switches.at_s + share * shifts) / r).astype(np.int64) * r
            found.append(course.switches.moved(target - course.switches.at_s, self.horizon_s, is_periodic=self.is_periodic))
        return found

    def shifts(self, course: Course, all_slopes: list[_Slopes], radius: float, failures: int) -> Floats | None:
        """The linear programme, of whole multiples of the resolution once the radius is but a few: seconds by which each switch is shifted, (m,). None
        where it has no solution."""
        slopes, m, unit = all_slopes[0], len(course.switches.at_s), self.resolution_s
        later, earlier = (np.floor(x / unit) for x in self.room(course.switches, radius))
        # A switch whose cost bends down goes by the mean slope: both columns at once would be worth more than nothing.
        bends = slopes.cost[0] + slopes.cost[1] < 0
        mean = (slopes.cost[0] - slopes.cost[1]) / 2
        cost = np.where(bends, [mean, -mean], slopes.cost)
        lp = Builder()
        columns = np.stack([lp.add_columns(unit * cost[0], 0.0, later), lp.add_columns(unit * cost[1], 0.0, earlier)])
        self._keep_order(lp, columns, course.switches)
        for own, its_slopes in zip((course, *course.beside), all_slopes, strict=True):
            self._keep_volumes(lp, columns, own, its_slopes, radius, failures)
        if course.severity > 0:
            over = lp.add_columns(np.array([self.price]))
            row = lp.add_rows(np.array([-np.inf]), np.array([-course.severity]))
            lp.put(row, columns.ravel(), unit * slopes.severity.ravel())
            lp.put(row, over, np.array([-1.0]))
        h = solver()
        h.passModel(lp.model())
        if radius <= _WHOLE * self.resolution_s and m <= _MOST_WHOLE:
            h.setOptionValue("mip_max_nodes", _MOST_NODES)
            h.changeColsIntegrality(2 * m, columns.ravel().astype(np.int32), np.full(2 * m, highspy.HighsVarType.kInteger))
        h.run()
        if h.getModelStatus() not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kSolutionLimit) or not len(h.getSolution().col_value):
            return None
        x = np.array(h.getSolution().col_value[: 2 * m]) * self.resolution_s
        return np.asarray(x[:m] - x[m:], np.float64)

    def room(self, switches: Switches, radius: float) -> tuple[Floats, Floats]:
        """How much later and earlier (m,) each switch may be: the radius, the horizon, and what its pump must or must not do."""
        problem, edges = self.plant.problem, self.courses.offsets_s
        at = switches.at_s
        later, earlier = np.full(len(at), radius), np.full(len(at), radius)
        if not self.is_periodic:
            later, earlier = np.minimum(later, self.horizon_s - at), np.minimum(earlier, at)
        forced = np.zeros_like(problem.available) if problem.forced_on is None else problem.forced_on
        for s, is_on in enumerate(switches.turns_on().tolist()):
            j = switches.pump[s]
            # What bars the pump from the state before the switch bars it from being later; from the state after, from being earlier.
            bars_later, bars_earlier = (forced, ~problem.available) if is_on else (~problem.available, forced)
            after, before = edges[:-1][bars_later[:, j] & (edges[:-1] >= at[s])], edges[1:][bars_earlier[:, j] & (edges[1:] <= at[s])]
            later[s] = min([later[s], *(after[:1] - at[s])])
            earlier[s] = min([earlier[s], *(at[s] - before[-1:])])
        return later, earlier

    def _keep_order(self, lp: Builder, columns: Ints, switches: Switches) -> None:
        is_on = switches.turns_on()
        for j in np.unique(switches.pump).tolist():
            own = np.flatnonzero(switches.pump == j)
            own = own[np.argsort(switches.at_s[own], kind="stable")]
            pairs = list(zip(own[:-1].tolist(), own[1:].tolist(), strict=True))
            gaps = [int(switches.at_s[b] - switches.at_s[a]) for a, b in pairs]
            if self.is_periodic and len(own) > 1:
                pairs.append((int(own[-1]), int(own[0])))
                gaps.append(int(switches.at_s[own[0]] + self.horizon_s - switches.at_s[own[-1]]))
            for (a, b), gap in zip(pairs, gaps, strict=True):
                least = float(self.least_on_s[j] if is_on[a] else self.least_off_s[j])
                row = lp.add_rows(np.array([min(least - gap, 0.0)]), np.array([np.inf]))
                lp.put(row, np.array([columns[0, b], columns[1, b], columns[0, a], columns[1, a]]), self.resolution_s * np.array([1.0, -1.0, -1.0, 1.0]))

    def _keep_volumes(self, lp: Builder, columns: Ints, course: Course, slopes: _Slopes, radius: float, failures: int) -> None:
        """Tanks within their limits at the steps' edges and at the switches, and as asked for at the end; what lacks is priced."""
        plant, horizon = self.plant, self.horizon_s
        n, tanks = plant.n, plant.tanks
        span = plant.span
        low, high = plant.volume(plant.x_least), plant.volume(plant.x_most)
        at = course.switches.at_s
        inside = np.flatnonzero((at > radius) & (at < horizon - radius))
        step = np.minimum(np.searchsorted(self.courses.offsets_s, at[inside], side="right"), n)
        volume = np.concatenate([course.volume[1:], course.at_volume[inside]])
        slope = np.concatenate([slopes.volume[:, :, 1:], slopes.at_volume[:, :, inside]], axis=2)
        low, high = np.concatenate([low[1:], low[np.minimum(step, n - 1)]]), np.concatenate([high[1:], high[np.minimum(step, n - 1)]])
        high = np.where(plant.problem.may_stand_full & (high >= plant.simulator.max_volume - 1e-9), np.inf, high)
        margin = _MARGIN * (1 + failures) * span
        reach = np.abs(slope).max(axis=0).sum(axis=0) * radius
        for i in range(tanks):
            for limit, sign in ((low[:, i], 1.0), (high[:, i], -1.0)):
                room = sign * (volume[:, i] - limit) - margin[i]
                for e in np.flatnonzero(np.isfinite(limit) & (room < reach[:, i])).tolist():
                    row = lp.add_rows(np.array([-room[e]]), np.array([np.inf]))
                    lp.put(row, columns.ravel(), self.resolution_s * sign * slope[:, :, e, i].ravel())
                    lp.put(row, lp.add_columns(np.array([self.price / span[i]])), np.array([1.0]))

    # --- kicks --------------------------------------------------------------------------------------------------------

    def kicked(self, switches: Switches, rng: np.random.Generator) -> Switches | None:
        """Another schedule, not far from this one; None where the way drawn leads to none."""
        way = int(rng.integers(5))
        other: Switches | None = switches
        if way == 0:
            other = self._shaken(switches, rng)
        elif way == 1:
            other = self._without(switches, rng)
        elif way == 2:
            other = self._with(switches, rng)
        elif way == 3:
            other = self._without(switches, rng)
            other = None if other is None else self._with(other, rng)
        else:
            other = self._traded(switches, rng)
        if other is None:
            return None
        return other.plain(self.horizon_s, self.alike, is_periodic=self.is_periodic)

    def _shaken(self, s: Switches, rng: np.random.Generator) -> Switches | None:
        r = self.resolution_s
        if not len(s.at_s):
            return None
        by = rng.normal(0.0, rng.choice([1800.0, 5400.0]), len(s.at_s)) * (rng.random(len(s.at_s)) < 0.6)
        later, earlier = self.room(s, 4 * 3600.0)
        by = np.clip(by, -earlier, later)
        return s.moved(np.round(by / r).astype(np.int64) * r, self.horizon_s, is_periodic=self.is_periodic)

    def _without(self, s: Switches, rng: np.random.Generator) -> Switches | None:
        """A run or pause less: two switches of a pump that follow one another."""
        if not len(s.at_s):
            return None
        first = int(rng.integers(len(s.at_s)))
        own = np.flatnonzero(s.pump == s.pump[first])
        own = own[np.argsort(s.at_s[own], kind="stable")]
        if len(own) < 2:
            return None
        place = int(np.flatnonzero(own == first)[0])
        second = int(own[(place + 1) % len(own)])
        if place == len(own) - 1 and not self.is_periodic:
            return None
        kept = np.ones(len(s.at_s), bool)
        kept[[first, second]] = False
        before: Bools = s.before.copy()
        if place == len(own) - 1:
            before[s.pump[first]] ^= True
        return Switches(before, s.at_s[kept], s.pump[kept])

    def _with(self, s: Switches, rng: np.random.Generator) -> Switches | None:
        """A run or pause more, of a pump that starts less than it may."""
        r = self.resolution_s
        pump = int(rng.integers(self.plant.pumps))
        lasts = max(r, int(rng.integers(_RUN_S[0], _RUN_S[1])) // r * r)
        begin = int(rng.integers(0, max(1, (self.horizon_s - lasts) // r))) * r
        end = begin + lasts
        if end > self.horizon_s:
            return None
        return Switches(s.before, np.concatenate([s.at_s, [begin, end]]), np.concatenate([s.pump, [pump, pump]]))

    def _traded(self, s: Switches, rng: np.random.Generator) -> Switches | None:
        """Two pumps trade places from one instant to another."""
        if self.plant.pumps < 2 or not len(s.at_s):
            return None
        a, b = rng.choice(self.plant.pumps, 2, replace=False).tolist()
        edges = np.unique(np.concatenate([s.at_s, [0, self.horizon_s]]))
        begin, end = sorted(rng.choice(edges, 2, replace=False).tolist())
        if self.is_periodic and s.before[a] != s.before[b] and end == self.horizon_s:
            return None
        extra_at, extra_pump = [], []
        for instant, state in zip((begin, end), s.on_at(np.array([begin, end - 1])), strict=True):
            if state[a] != state[b] and instant < self.horizon_s:
                extra_at += [instant, instant]
                extra_pump += [a, b]
        pump = s.pump.copy()
        between = (s.at_s > begin) & (s.at_s < end)
        pump[between & (s.pump == a)], pump[between & (s.pump == b)] = b, a
        return Switches(s.before, np.concatenate([s.at_s, np.array(extra_at, np.int64)]), np.concatenate([pump, np.array(extra_pump, np.int64)]))
