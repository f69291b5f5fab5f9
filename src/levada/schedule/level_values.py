"""A bound for plants of one tank, by dynamic programming over its level.

V_k(x) is meant to be below the cost of every way on from state x at instant k, so V_0 at the start is a lower bound. Backward from the end,

    g_k(x) = min over actions of (cost of the step + V_k+1(state after it)),        V_k below g_k.

V_k is linear in segments, each with its own ends, for it jumps where one more pump must run: segments are halved where g_k is not a line, and the jumps of V_k+1 are
aimed at with speeds between those that EPANET was asked for (level_steps.py). How far costs and states come out otherwise than so interpolated
is measured, and given away: each action costs that much less and ends up to that far off, where V_k+1 is least. Then Bellman's inequality
V_k(x) <= cost + V_k+1(after) is held against true steps near the best actions, at any speeds, unequal ones too; V_k is lowered by the most that one of them falls
short, times a factor.

Unlike the linear relaxation it does not mix: a pump runs or not, at a speed, at a level. It knows no limits of starts and nothing of what is billed or limited
over the horizon: leaving these out only lowers it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from levada.domain.billing import StepCosts
from levada.domain.series import Floats
from levada.schedule.level_steps import LevelSteps, Outcome, speeds_within
from levada.schedule.plant import Ints, Plant
from levada.schedule.relaxation_samples import pump_speeds
from levada.schedule.relaxation_tariff import has_terms

__all__ = ["VALUES", "Curve", "LevelValues", "followed", "level_values"]

VALUES = "dynamic programming over the level of the one tank (value function in segments, lowered until Bellman's inequality held in EPANET)"
"""How this bound is obtained, for the certificate."""

_FIRST, _MOST_SEGMENTS = 40, 1200
_WIDTH = 1e-5
"""Segments are not cut further below this width, as a share of the tank."""

_LINE = 2e-5
"""What a line may be off, as a share of what a step at full power costs; below it segments are not cut."""

_EDGE = 1e-6
"""States that lie beyond the nodes by no more than this share of the tank are taken for the ends."""

_BENT = 0.25
"""Values that lie further below a chord than this share of their range are no bend but a jump."""

_PLACES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
"""Where a segment is looked at."""

_ROWS = 256
"""States that are looked at together."""

_REFINED = 4
"""Of so many of the best actions the speeds between are tried: at these shares, and where V_k+1 jumps."""
_BETWEEN = (0.25, 0.5, 0.75)
_MOST_JUMPS, _JUMP = 12, 5e-4
"""So many jumps are aimed at, each of at least this share of the range of V."""

_CHECKS, _BLOCKS = 1000, 24
"""True steps in each step of the horizon that V is held against, and into how many ranges of levels what is learnt from them is put."""

_SAFETY = 1.25
_SLOPE = 0.02
"""Slopes of V are taken over this share of the tank to both sides."""
_SPREAD = 0.02
"""Checked actions are the best at their state but for so much of a step's cost, in the mean."""


@dataclass(frozen=True, eq=False)
class Curve:
    """V at one instant: on each of the segments between `nodes` (S + 1,) linear from `left` to `right` (S,). Infinite beyond the nodes, and in segments
    from which no way leads on."""

    nodes: Floats
    left: Floats
    right: Floats

    def at(self, x: Floats) -> Floats:
        """V at states of any shape."""
        i = np.clip(np.searchsorted(self.nodes, x, side="right") - 1, 0, len(self.left) - 1)
        a, b = self.nodes[i], self.nodes[i + 1]
        share = np.clip((x - a) / (b - a), 0.0, 1.0)
        left, right = self.left[i], self.right[i]
        inside = np.isfinite(left)
        value = np.where(inside, left, 0.0) * (1 - share) + np.where(inside, right, 0.0) * share
        beyond = (x < self.nodes[0] - _EDGE) | (x > self.nodes[-1] + _EDGE)
        return np.asarray(np.where(inside & ~beyond, value, np.inf), np.float64)

    @cached_property
    def targets(self) -> Floats:
        """States worth aiming at: the ends, and where V jumps most."""
        finite = np.isfinite(self.left)
        range_of_v = float(np.ptp(np.concatenate([self.left[finite], self.right[finite]]))) if finite.any() else 0.0
        left, right = np.where(finite, self.left, 1e12), np.where(finite, self.right, 1e12)
        size = np.abs(left[1:] - right[:-1])
        order = np.argsort(-size, kind="stable")[:_MOST_JUMPS]
        return np.concatenate([self.nodes[[0, -1]], self.nodes[1:-1][order[size[order] > _JUMP * range_of_v]]])


@dataclass(frozen=True, eq=False)
class LevelValues:
    """V at the n + 1 instants, the steps between them, and by how much V_k was still above true steps (n,) that it had not been lowered by."""

    curves: list[Curve]
    steps: list[LevelSteps]
    short: Floats

    @property
    def samples(self) -> int:
        """True steps that V was held against."""
        return 2 * _CHECKS * len(self.steps)

    @property
    def knows_one_of_unlike_pumps(self) -> bool:
        """Whether pumps of a class are nearly alike only: where a pump more must run they differ by a litre, and V jumps there."""
        return any(c.is_nearly for c in self.steps[0].plant.classes)

    def bound(self) -> float | None:
        """The bound, after what simulated schedules have shown of V as well: along any way V_0 is below the sum of its costs and of what V_k lies above its steps.
        None where no way leads to the end, where a simulated one goes on from a state from which V knows none, or where V knows one of several unlike pumps."""
        plant, short = self.steps[0].plant, self.short.copy()
        if self.knows_one_of_unlike_pumps:
            return None
        simulated = plant.simulated_steps()
        for k in sorted({s[0] for s in simulated}):
            mine = [s for s in simulated if s[0] == k]
            before, after = (plant.state(np.array(v))[:, 0] for v in ([s[1] for s in mine], [s[5].volume for s in mine]))
            ways = np.array([s[5].cost for s in mine]) + self.curves[k + 1].at(after)
            here = self.curves[k].at(before)
            goes_on = np.isfinite(ways)
            short[k] = max(short[k], float((here[goes_on] - ways[goes_on]).max(initial=0.0)))
        bound = float(self.curves[0].at(plant.x0)[0]) - _SAFETY * float(short.sum())
        return bound if np.isfinite(bound) else None

    def water(self, x: Floats) -> Floats:
        """What a full tank's content is worth at instants 0 to n, at the states x (n + 1,) there: the slope of V. Shape (n + 1, 1)."""
        found = np.zeros((len(x), 1))
        for k, curve in enumerate(self.curves):
            at = np.clip(x[k] + np.array([-_SLOPE, _SLOPE]), curve.nodes[0], curve.nodes[-1])
            low, high = curve.at(at)
            if at[1] > at[0] and np.isfinite(low) and np.isfinite(high):
                found[k] = (low - high) / (at[1] - at[0])
        found[0] = found[1]
        return found


def level_values(plant: Plant, rng: np.random.Generator) -> LevelValues | None:
    """All V; None where there is more than one tank, where there are too many actions, or where the bill has terms that are not known here."""
    speeds = speeds_within(plant)
    if plant.tanks != 1 or plant.problem.valves or speeds is None or not has_terms(plant) or not all(c.is_complete for c in plant.components):
        return None
    costs = StepCosts(plant.problem)
    curves, steps, short = [_at_the_end(plant)], [], []
    for k in range(plant.n - 1, -1, -1):
        steps.append(LevelSteps(plant, k, speeds, costs))
        back = _Back(steps[-1], curves[-1], rng)
        curve = back.lowered(back.curve())
        curves.append(curve)
        short.append(float(back.short(curve)[1].max(initial=0.0)))
    return LevelValues(curves[::-1], steps[::-1], np.array(short[::-1]))


def _range(plant: Plant, k: int) -> tuple[float, float]:
    low, high = float(plant.x_least[k, 0]), float(plant.x_most[k, 0])
    return low - 1e-9, max(high, low) + 1e-9


def _at_the_end(plant: Plant) -> Curve:
    nodes, worth = np.array(_range(plant, plant.n)), plant.problem.stored_value_per_m3
    stored = np.zeros(2) if worth is None else -(nodes - plant.x0[0]) * plant.span[0] * worth[0]
    return Curve(nodes, stored[:1], stored[1:])


class _Back:
    """One step back in time: V_k from V_k+1."""

    def __init__(self, steps: LevelSteps, after: Curve, rng: np.random.Generator) -> None:
        self._steps, self._after, self._rng, self._plant = steps, after, rng, steps.plant

    def curve(self) -> Curve:
        """V_k by what is interpolated."""
        low, high = _range(self._plant, self._steps.k)
        return followed(self._least, low, high, _LINE * (self._steps.full_cost or 1.0), _FIRST if self._steps.k else 1)

    def _least(self, x: Floats) -> Floats:
        """g_k at states (N,)."""
        return np.concatenate([self._least_of_few(x[i : i + _ROWS]) for i in range(0, len(x), _ROWS)])

    def _with_rest(self, o: Outcome) -> Floats:
        """Cost of what actions lead to with all that follows, infinite where they cannot be taken."""
        return np.asarray(np.where(o.works, o.cost + self._after.at(o.end), np.inf), np.float64)

    def _least_of_few(self, x: Floats) -> Floats:
        """The least of all actions and of what lies between the best of them and those beside."""
        o, beside = self._steps.run(x), self._steps.actions.beside
        total = self._with_rest(o)
        columns = np.arange(len(x))
        least: Floats = total.min(axis=0)
        for best in np.argsort(total, axis=0, kind="stable")[:_REFINED]:
            for other in beside[best].T:
                # A speed at which a pump no longer delivers is where those between end.
                possible = (other >= 0) & self._steps.is_solved[other] & o.works[best, columns]
                if not possible.any():
                    continue
                at = columns[possible]
                a, b = best[possible], other[possible]
                end_a, end_b = o.end[a, at], o.end[b, at]
                moved = np.where(np.abs(end_b - end_a) > 1e-12, end_b - end_a, np.inf)
                aimed = np.clip((self._after.targets - end_a[:, None]) / moved[:, None], 0.0, 1.0)
                share = np.concatenate([np.tile(_BETWEEN, (len(at), 1)), aimed], axis=1)
                end = end_a[:, None] * (1 - share) + end_b[:, None] * share
                paid = o.cost[a, at][:, None] * (1 - share) + o.cost[b, at][:, None] * share
                least[at] = np.minimum(least[at], (paid + self._after.at(end)).min(axis=1))
        return least

    def short(self, curve: Curve) -> tuple[Floats, Floats, Floats]:
        """True steps near the best actions: states (N,), what V_k lies above them (N,), infinite where it is, and what they and V_k+1 come to (N,)."""
        plant, k, actions, rng = self._plant, self._steps.k, self._steps.actions, self._rng
        x = rng.uniform(curve.nodes[0], curve.nodes[-1], _CHECKS) if k else np.full(_CHECKS, plant.x0[0])
        ahead = self._with_rest(self._steps.run(x))
        best = np.where(np.isfinite(ahead), ahead, 1e12)
        usual = float(np.ptp(best.min(axis=0)[best.min(axis=0) < 1e12])) if (best < 1e12).any() else 0.0
        pick = (best + rng.exponential(_SPREAD * max(usual, 1e-9), best.shape)).argmin(axis=0)
        counts, mean = actions.counts[pick], actions.mean[pick]
        for i, c in enumerate(plant.classes):
            if c.is_variable:
                low, high = c.bins[0][0], c.bins[-1][1]
                near = np.clip(mean[:, i] + rng.uniform(-1, 1, len(x)) * (high - low) / self._steps.speeds, low, high)
                mean[:, i] = np.where(counts[:, i] > 0, near, 0.0)
        speed = pump_speeds(plant, rng, counts, mean, unequal=True)
        true = plant.simulator.steps(np.full(len(x), k), plant.volume(x[:, None]), speed, np.repeat(plant.first_choice, len(x), axis=0))
        end = plant.state(true.volume)
        holds = (true.severity == 0) & (end <= plant.x_most[k + 1] + 1e-9).all(axis=1) & (end >= plant.x_least[k + 1] - 1e-9).all(axis=1)
        ways = np.where(holds, true.cost + self._after.at(end[:, 0]), np.inf)
        return x, np.where(np.isfinite(ways), curve.at(x) - np.where(np.isfinite(ways), ways, 0.0), 0.0), ways

    def lowered(self, curve: Curve) -> Curve:
        """V_k less what true steps fall short of it. Where one leads on from a segment without a way, the way is V_k there."""
        x, short, ways = self.short(curve)
        left, right = curve.left.copy(), curve.right.copy()
        place = np.clip(np.searchsorted(curve.nodes, x, side="right") - 1, 0, len(left) - 1)
        lost = np.isposinf(short)
        for j in np.flatnonzero(lost).tolist():
            left[place[j]] = right[place[j]] = min(left[place[j]], ways[j])
        # The most of each range of levels and the two beside it.
        low, high = curve.nodes[0], curve.nodes[-1]
        most = np.zeros(_BLOCKS + 2)
        np.maximum.at(most, 1 + _block(x, low, high), np.where(lost, 0.0, short))
        most = np.maximum(np.maximum(most[:-2], most[2:]), most[1:-1])
        less = _SAFETY * most[_block((curve.nodes[:-1] + curve.nodes[1:]) / 2, low, high)]
        return Curve(curve.nodes, left - less, right - less)


def _block(x: Floats, low: float, high: float) -> Ints:
    return np.clip(((x - low) / (high - low) * _BLOCKS).astype(np.int64), 0, _BLOCKS - 1)


def followed(function: Callable[[Floats], Floats], low: float, high: float, tolerance: float, first: int) -> Curve:
    """Segments below a function over [low, high], cut in four where it is further than `tolerance` from a line, as long as they are wide and few enough."""
    ends = np.linspace(low, high, first + 1)
    value = function(ends)
    a, b, open_at = ends[:-1], ends[1:], np.stack([value[:-1], value[1:]], axis=1)
    done: list[tuple[Floats, Floats, Floats, Floats]] = []
    count = 0
    while len(a):
        points = a[:, None] + (b - a)[:, None] * _PLACES
        inner = function(points[:, 1:4].ravel()).reshape(-1, 3)
        found = np.concatenate([open_at[:, :1], inner, open_at[:, 1:]], axis=1)
        finite = np.isfinite(found)
        safe = np.where(finite, found, 0.0)
        off = np.where(finite.all(axis=1), np.abs(safe - _chord(safe)).max(axis=1), np.inf)
        off[~finite.any(axis=1)] = 0.0
        count += len(a)
        ready = (off <= tolerance) | (b - a <= _WIDTH) | (count + 3 * (off > tolerance).sum() > _MOST_SEGMENTS)
        done.append((a[ready], b[ready], *_below(found[ready], tolerance)))
        rest = ~ready
        count -= int(rest.sum())
        a, b = points[rest, :4].ravel(), points[rest, 1:].ravel()
        open_at = np.stack([found[rest, :4].ravel(), found[rest, 1:].ravel()], axis=1)
    starts, ends, left, right = (np.concatenate([d[i] for d in done]) for i in range(4))
    order = np.argsort(starts, kind="stable")
    return Curve(np.append(starts[order], high), left[order], right[order])


def _chord(found: Floats) -> Floats:
    return np.asarray(found[:, :1] * (1 - _PLACES) + found[:, 4:] * _PLACES, np.float64)


def _below(found: Floats, tolerance: float) -> tuple[Floats, Floats]:
    """For values (N, 5) at even places of segments the ends of lines below them: chords lowered, and where there are jumps constants. Only finite values
    count."""
    finite = np.isfinite(found)
    whole = finite.all(axis=1)
    safe = np.where(finite, found, 0.0)
    above = _SAFETY * np.maximum((_chord(safe) - safe).max(axis=1), 0.0)
    least = np.where(finite, found, np.inf).min(axis=1)
    # Where V jumps, a lowered chord would lie below both sides.
    is_chord = whole & (above <= np.maximum(_BENT * np.ptp(safe, axis=1), tolerance))
    return np.where(is_chord, safe[:, 0] - above, least), np.where(is_chord, safe[:, 4] - above, least)
