"""From how many identical pumps run to which of them: an exact search over the set that is on, the starts each has used and how long it must stay."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import comb

import numpy as np

from levada.domain.pumping import Bools, PumpSchedule
from levada.domain.series import Floats
from levada.schedule.balance import balanced
from levada.schedule.duties import Duties
from levada.schedule.plant import Ints, Plant

__all__ = ["Fits", "assign", "closest", "to_pumps"]

_WIDTHS = (48, 800)
"""States kept after each step: few first, many where few lead nowhere."""

_MOST_SETS = 70
"""Where more sets of pumps could run, only those are tried that change least."""

_START, _HOUR = 0.1, 0.1
"""Severity of a start, of an hour too short, before the weight of its kind."""

_State = tuple[int, tuple[int, ...], tuple[float, ...], tuple[float, ...]]
"""Pumps that are on (bits), starts used today, seconds that each must stay as it is, and, counted periodically, seconds of its first stay (-1 while that lasts)."""

_Cost = tuple[float, float, int, float]
"""What is amiss, money, starts, seconds other than planned before: less is better in this order."""


def assign(counts: Ints, duties: Duties, *, strict: bool = True) -> Bools | None:
    """Which pumps of a class run in each step, (n, pumps), so that `counts` (n,) of them run and their duties hold.

    Of all such assignments one of least wear and deviation cost, then fewest starts, then nearest to the previous plan (counted periodically and
    without wear and previous plan: any). Where none is, None; with strict=False the one that breaks limits least (those of availability always hold). Among very many states the best-looking are kept, so
    that with many unlike limits one may be missed. Raises ValueError where counts and availability alone contradict each other and strict is off.
    """
    if (counts > duties.available.sum(axis=1)).any() or (counts < duties.forced.sum(axis=1)).any():
        if strict:
            return None
        raise ValueError("counts are beyond what is available or forced")
    if strict and not _may_hold(counts, duties):
        return None
    for width in _WIDTHS:
        search = _Assignment(counts, duties, strict, width)
        found = search.best()
        if found is not None:
            return np.array([[bool(mask >> j & 1) for j in range(duties.available.shape[1])] for mask in found]).reshape(duties.available.shape)
        if not search.was_cut:
            break
    return None


def _may_hold(counts: Ints, duties: Duties) -> bool:
    """Conditions on counts alone, quickly looked at, without which no assignment holds."""
    n, pumps = duties.available.shape
    before = int(counts[-1]) if duties.is_periodic else int(duties.initial_on.sum())
    change = np.diff(counts, prepend=before)
    rises, falls = np.maximum(change, 0), np.maximum(-change, 0)
    if duties.most_started is not None and (rises > duties.most_started).any():
        return False
    for day in range(int(duties.day[-1]) + 1):
        limit = np.maximum(duties.max_starts - (duties.starts_made if day == 0 else 0), 0).sum()
        if duties.most_in_day is not None:
            limit = min(limit, duties.most_in_day[day])
        if rises[duties.day == day].sum() > limit:
            return False
    # Pumps started within the least time on are on still; those stopped within the least time off are off.
    at = np.concatenate([[0.0], np.cumsum(duties.durations_s)])[:n]
    for changed, least, room in ((rises, float(duties.min_on_s.min()), counts), (falls, float(duties.min_off_s.min()), pumps - counts)):
        if least > 0:
            since = np.searchsorted(at, at - least + 1e-6, side="left")
            total = np.concatenate([[0], np.cumsum(changed)])
            if (total[1:] - total[since] > room).any():
                return False
    return True


class _Assignment:
    """The search of one assignment. Layer by layer; of states alike only those that none other is at least as good as are kept."""

    def __init__(self, counts: Ints, duties: Duties, strict: bool, width: int) -> None:
        self.counts, self.strict, self.width = counts.tolist(), strict, width
        self.was_cut = False
        d = self.d = duties
        self.n, self.pumps = d.available.shape
        self.ready = [_bits(row) for row in d.available]
        self.must = [_bits(row) for row in d.forced]
        self.least = [(float(off), float(on)) for off, on in zip(d.min_off_s, d.min_on_s, strict=True)]
        self.limit = tuple(int(s) for s in d.max_starts)
        self.limit_today = tuple(int(s) for s in np.maximum(d.max_starts - d.starts_made, 0))
        self.has_stays, self.by_counts, self.limits_starts = d.has_stays, d.by_counts and d.most_started is None, d.limits_starts
        self.seconds = d.durations_s.tolist()
        self.day = d.day.tolist()
        self.wear = d.wear.tolist()
        self.is_priced = bool(d.wear.any()) or d.previous_on is not None
        self.plan = None if d.previous_on is None else [_bits(row) for row in d.previous_on]
        self.price = None if d.deviation_cost is None else d.deviation_cost.tolist()
        self.most = None if d.most_started is None else d.most_started.tolist()
        self.in_day = None if d.most_in_day is None else d.most_in_day.tolist()

    def _alike(self, before: int) -> list[list[int]]:
        """Pumps that nothing tells apart from now on."""
        d, groups = self.d, dict[tuple[object, ...], list[int]]()
        for j in range(self.pumps):
            plan = b"" if d.previous_on is None else d.previous_on[:, j].tobytes()
            price = b"" if d.deviation_cost is None else d.deviation_cost[:, j].tobytes()
            key = (
                d.available[:, j].tobytes(), d.forced[:, j].tobytes(), self.limit[j], self.limit_today[j], self.least[j], self.wear[j], plan, price,
                d.is_periodic and before >> j & 1,
            )  # fmt: skip
            groups.setdefault(key, []).append(j)
        return list(groups.values())

    def best(self) -> list[int] | None:
        d = self.d
        if not d.is_periodic:
            found = self._from(_bits(d.initial_on))
            return None if found is None else found[1]
        chosen: tuple[_Cost, list[int]] | None = None
        alike, tried = self._alike(0), set[tuple[int, ...]]()
        for c in combinations([j for j in range(self.pumps) if self.ready[-1] >> j & 1], self.counts[-1]):
            before = sum(1 << j for j in c)
            members = tuple(sum(before >> j & 1 for j in group) for group in alike)
            if self.must[-1] & ~before or members in tried:
                continue
            tried.add(members)
            found = self._from(before)
            if found is not None and (chosen is None or found[0] < chosen[0]):
                chosen = found
            if chosen is not None and not self.is_priced and chosen[0][0] == 0.0:
                break
        return None if chosen is None else chosen[1]

    def _from(self, before: int) -> tuple[_Cost, list[int]] | None:
        d = self.d
        left = head = tuple(0.0 for _ in range(self.pumps)) if self.has_stays else ()
        if self.has_stays and d.is_periodic:
            head = tuple(-1.0 for _ in range(self.pumps))
        elif self.has_stays:
            left = tuple(max(0.0, self.least[j][before >> j & 1] - float(d.held_s[j])) for j in range(self.pumps))
        used = (0,) * self.pumps if self.limits_starts else ()
        alike = self._alike(before)
        layer: dict[_State, _Cost] = {(before, used, left, head): (0.0, 0.0, 0, 0.0)}
        trail: list[dict[_State, _State]] = []
        for k in range(self.n):
            parents: dict[_State, _State] = {}
            following: dict[_State, _Cost] = {}
            if k and self.limits_starts and self.day[k] != self.day[k - 1]:
                layer = self._new_day(layer, trail)
            for state, cost in layer.items():
                for after in self._sets(k, state):
                    moved = self._move(k, state, cost, after)
                    if moved is not None and (moved[0] not in following or moved[1] < following[moved[0]]):
                        following[moved[0]], parents[moved[0]] = moved[1], state
            trail.append(parents)
            if len(following) > 1 and len(alike) < self.pumps:
                following = _representatives(following, alike)
            layer = self._undominated(following) if len(following) > 16 else following
            if not layer:
                return None
        ends = [(self._closed(s, cost, before), s) for s, cost in layer.items()]
        possible = [(cost, s) for cost, s in ends if cost is not None]
        if not possible:
            return None
        cost, state = min(possible)
        masks = []
        for parents in reversed(trail):
            if parents:
                masks.append(state[0])
                state = parents[state]
        return cost, masks[::-1]

    def _new_day(self, layer: dict[_State, _Cost], trail: list[dict[_State, _State]]) -> dict[_State, _Cost]:
        """No starts used yet; the trail is told which state of yesterday each comes from."""
        fresh: dict[_State, _Cost] = {}
        origin: dict[_State, _State] = {}
        for state, cost in layer.items():
            new = (state[0], (0,) * self.pumps, state[2], state[3])
            if new not in fresh or cost < fresh[new]:
                fresh[new], origin[new] = cost, state
        last = trail[-1]
        trail[-1] = {new: last[old] for new, old in origin.items()}
        return fresh

    def _sets(self, k: int, state: _State) -> list[int]:
        """Sets of pumps worth trying in step k."""
        mask, count, ready = state[0], self.counts[k], self.ready[k]
        if self.by_counts:
            return _nearest(mask & ready, ready, count, self.pumps)
        must, may = self.must[k], ready
        if self.has_stays and self.strict:
            for j, seconds in enumerate(state[2]):
                if seconds > 0:
                    if mask >> j & 1:
                        must |= 1 << j
                    else:
                        may &= ~(1 << j)
        if must & ~may:
            return []
        free = [j for j in range(self.pumps) if may >> j & 1 and not must >> j & 1]
        more = count - must.bit_count()
        if not 0 <= more <= len(free):
            return []
        if comb(len(free), more) > _MOST_SETS:
            return [must | s for s in _nearest(mask & may & ~must, may & ~must, more, self.pumps)[:_MOST_SETS]]
        return [must | sum(1 << j for j in c) for c in combinations(free, more)]

    def _move(self, k: int, state: _State, cost: _Cost, after: int) -> tuple[_State, _Cost] | None:
        mask, used, left, head = state
        started, changed = after & ~mask, after ^ mask
        amiss, money, starts, away = cost
        starts += started.bit_count()
        weight_starts, weight_together, weight_off, weight_on = self.d.weights
        if self.most is not None and (over := started.bit_count() - self.most[k]) > 0:
            if self.strict:
                return None
            amiss += weight_together * _START * over
        if self.limits_starts and started:
            limit = self.limit_today if self.day[k] == 0 else self.limit
            spent = list(used)
            for j in range(self.pumps):
                if started >> j & 1:
                    if spent[j] >= limit[j]:
                        if self.strict:
                            return None
                        amiss += weight_starts * _START
                    else:
                        spent[j] += 1
            if self.in_day is not None and (over := sum(spent) - self.in_day[self.day[k]]) > 0:
                if self.strict:
                    return None
                amiss += weight_starts * _START * over
            used = tuple(spent)
        if self.has_stays:
            seconds = self.seconds[k]
            if changed:
                stay, first = list(left), list(head)
                for j in range(self.pumps):
                    if changed >> j & 1:
                        if stay[j] > 0:
                            if self.strict:
                                return None
                            amiss += (weight_on if mask >> j & 1 else weight_off) * _HOUR * stay[j] / 3600.0
                        if first and self.d.is_periodic and first[j] < 0:
                            first[j] = min(sum(self.seconds[:k]), self.least[j][mask >> j & 1])
                        stay[j] = self.least[j][after >> j & 1]
                left, head = tuple(stay), tuple(first)
            left = tuple(s - seconds if s > seconds else 0.0 for s in left)
        if self.is_priced:
            for j in range(self.pumps):
                if started >> j & 1:
                    money += self.wear[j]
            if self.plan is not None and (other := after ^ self.plan[k]):
                away += other.bit_count() * self.seconds[k]
                if self.price is not None:
                    money += sum(self.price[k][j] for j in range(self.pumps) if other >> j & 1)
        return (after, used, left, head), (amiss, money, starts, away)

    def _closed(self, state: _State, cost: _Cost, before: int) -> _Cost | None:
        """The cost with the end joined to the beginning where starts are counted periodically; None where they do not join."""
        if not self.d.is_periodic:
            return cost
        if state[0] != before:
            return None
        amiss = cost[0]
        if self.has_stays:
            for j, (left, head) in enumerate(zip(state[2], state[3], strict=True)):
                lack = 0.0 if head < 0 else left - head
                if lack > 1e-6:
                    if self.strict:
                        return None
                    amiss += self.d.weights[3 if before >> j & 1 else 2] * _HOUR * lack / 3600.0
        return (amiss, *cost[1:])

    def _undominated(self, layer: dict[_State, _Cost]) -> dict[_State, _Cost]:
        kept: dict[_State, _Cost] = {}
        alike: dict[tuple[int, tuple[float, ...]], list[tuple[tuple[int, ...], tuple[float, ...]]]] = {}
        for state, cost in sorted(layer.items(), key=lambda item: (item[1], sum(item[0][1]) + sum(item[0][2]), item[0])):
            mask, used, left, head = state
            others = alike.setdefault((mask, head), [])
            if any(all(a <= b for a, b in zip(u, used, strict=True)) and all(a <= b for a, b in zip(s, left, strict=True)) for u, s in others):
                continue
            others.append((used, left))
            kept[state] = cost
            if len(kept) >= self.width:
                self.was_cut = True
                break
        return kept


def _representatives(layer: dict[_State, _Cost], alike: list[list[int]]) -> dict[_State, _Cost]:
    """Of states that differ only in which of the pumps alike is which, the cheapest."""
    kept: dict[object, tuple[_Cost, _State]] = {}
    for state, cost in layer.items():
        mask, *rest = state
        columns = [t for t in rest if t]
        key = tuple(tuple(sorted((mask >> j & 1, *(t[j] for t in columns)) for j in group)) for group in alike)
        if key not in kept or cost < kept[key][0]:
            kept[key] = (cost, state)
    return {state: cost for cost, state in kept.values()}


def _bits(row: Bools) -> int:
    return sum(1 << j for j, on in enumerate(row.tolist()) if on)


def _nearest(kept: int, ready: int, count: int, pumps: int) -> list[int]:
    """Sets of `count` ready pumps that keep as many of `kept` as they can."""
    on = [j for j in range(pumps) if kept >> j & 1]
    if count <= len(on):
        return [sum(1 << j for j in c) for c in combinations(on, count)]
    off = [j for j in range(pumps) if ready >> j & 1 and not kept >> j & 1]
    return [kept | sum(1 << j for j in c) for c in combinations(off, count - len(on))]


class Fits:
    """Whether counts (n, classes) can be assigned to pumps within all that binds them by themselves; remembered by class."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.duties = [Duties.of(plant.problem, c.pumps) for c in plant.classes]
        self._free = [d.is_free for d in self.duties]
        self._known: dict[tuple[int, bytes, bytes, bytes], Bools | None] = {}

    def __call__(self, counts: Ints) -> bool:
        problem = self.plant.problem
        if problem.max_simultaneous_starts is not None or problem.max_starts_total is not None:
            return self.assigned(counts) is not None
        return all(free or self.of_class(c, counts[:, c]) is not None for c, free in enumerate(self._free))

    def assigned(self, counts: Ints) -> Bools | None:
        """Which pumps run, (n, pumps), or None where the counts do not fit."""
        problem, plant = self.plant.problem, self.plant
        most, total = problem.max_simultaneous_starts, problem.max_starts_total
        on = np.zeros((plant.n, plant.pumps), bool)
        before = counts[-1] if problem.count_starts == "periodic" else plant.initial_count
        rises: Ints = np.maximum(np.diff(counts, axis=0, prepend=before[None]), 0)
        # What all classes together may still start in each step and each day, beyond what their counts ask for.
        in_step = None if most is None else most - rises.sum(axis=1)
        in_day = None if total is None else self._left_in_day(total) - self._by_day(rises.sum(axis=1))
        if any(left is not None and (left < 0).any() for left in (in_step, in_day)):
            return None
        for c, cls in enumerate(plant.classes):
            # Each class may start as many pumps as the others leave; a swap takes from what is left.
            step_cap = None if in_step is None else in_step + rises[:, c]
            day_cap = None if in_day is None else in_day + self._by_day(rises[:, c])
            found = self.of_class(c, counts[:, c], step_cap, day_cap)
            if found is None:
                return None
            before_on = found[-1] if problem.count_starts == "periodic" else self.duties[c].initial_on
            started = (found & ~np.vstack([before_on, found[:-1]])).sum(axis=1)
            in_step = None if step_cap is None else step_cap - started
            in_day = None if day_cap is None else day_cap - self._by_day(started)
            on[:, list(cls.pumps)] = found
        return on

    def _by_day(self, started: Ints) -> Ints:
        """Starts by step (n,) summed by day (days,)."""
        return np.bincount(self.duties[0].day, started).astype(np.int64)

    def _left_in_day(self, total: int) -> Ints:
        """Starts of all pumps together that each day has left, (days,)."""
        left = np.full(int(self.duties[0].day[-1]) + 1, total, np.int64)
        left[0] = max(0, total - sum(int(d.starts_made.sum()) for d in self.duties))
        return left

    def of_class(self, c: int, counts: Ints, step_cap: Ints | None = None, day_cap: Ints | None = None) -> Bools | None:
        """Which pumps of class c run (n, pumps of the class) at counts (n,), with at most `step_cap` (n,) starts in a step and `day_cap` (days,) in a day;
        None where they do not fit."""
        key = (c, counts.tobytes(), b"" if step_cap is None else step_cap.tobytes(), b"" if day_cap is None else day_cap.tobytes())
        if key not in self._known:
            if len(self._known) > 100_000:
                self._known.clear()
            capped = step_cap is not None or day_cap is not None
            self._known[key] = assign(counts, replace(self.duties[c], most_started=step_cap, most_in_day=day_cap) if capped else self.duties[c])
        return self._known[key]


def to_pumps(plant: Plant, counts: Ints, speeds: Floats, choices: Ints | None = None) -> PumpSchedule:
    """Choose which of the identical pumps run, within all that binds them; where that cannot be, with what gives way first broken by as little as can be.

    counts, speeds (n, classes); choices (n, valves), the first choice where None.
    """
    fits = Fits(plant)
    counts = np.maximum(np.minimum(counts, plant.available), plant.forced)
    found = fits.assigned(counts)
    on = closest(plant, fits, counts) if found is None else found
    speed: Floats = np.zeros((plant.n, plant.pumps))
    for c, cls in enumerate(plant.classes):
        own = list(cls.pumps)
        running = np.where(speeds[:, c] > 0, speeds[:, c], plant.top_speed[c])
        speed[:, own] = np.where(on[:, own], running[:, None], 0.0)
    if choices is None:
        choices = np.repeat(plant.first_choice, plant.n, axis=0)
    schedule = PumpSchedule(on=on, speed=speed, valve_choice=choices)
    return schedule if plant.problem.run_hours_h is None else balanced(plant, schedule)


def closest(plant: Plant, fits: Fits, counts: Ints) -> Bools:
    """The assignment (n, pumps) of counts within what is available and forced that breaks other limits least, class by class."""
    on = np.zeros((plant.n, plant.pumps), bool)
    for c, cls in enumerate(plant.classes):
        found = assign(counts[:, c], fits.duties[c], strict=False)
        if found is None:
            raise AssertionError("an assignment that may break limits is always there")
        on[:, list(cls.pumps)] = found
    return on
