"""Local search: small changes of a schedule, proposed on the response surfaces by the thousand, decided in EPANET.

Each single change (a pump more or less in a step, another speed) is run on the surfaces once. Pairs of changes are predicted by adding the
effects of the singles on cost and levels, which is true to first order, so that tens of thousands of pairs cost next to nothing. An
effect is the difference of two surface runs: what surfaces get wrong for both cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant
from levada.schedule.search import Candidate, Forecast, simulate

__all__ = ["improve"]

_MOST_PAIRS = 6_000
_FULL = 300
"""The most promising moves, which are run on the surfaces as a whole before EPANET is asked."""

_TRIALS = 24
_WORTH_TRYING = 0.002
"""Changes predicted to be dearer by more than this share of the cost are not tried."""

_BUNDLES = (8, 4, 2)
"""How many moves are tried together."""

_SPEED_STEPS = (0.005, 0.02, 0.06)

Fits = Callable[[Ints], bool]
"""Whether counts (n, classes) can be assigned to pumps within their start limits."""


@dataclass(frozen=True)
class _Singles:
    """Single changes: in step, of class, to count and speed; which way (1 more, -1 less). Shapes (changes,)."""

    step: Ints
    of: Ints
    count: Ints
    speed: Floats
    way: Ints


def improve(
    plant: Plant, forecast: Forecast, start: Candidate, price: float, fits: Fits, rng: np.random.Generator, *, budget: int, rounds: int
) -> tuple[Candidate, bool]:
    """Descend from `start` until no proposed change helps, `rounds` are over or `budget` hydraulic solves are spent.

    `price` is the cost of a unit of severity. Returns the schedule and whether it is a local optimum of these changes.
    """
    best = simulate(plant, start.counts, start.speeds)
    assert best is not None
    limit = plant.simulator.solves + budget
    tried: set[bytes] = set()
    for _ in range(rounds):
        singles = _singles(plant, best)
        if not len(singles.step):
            return best, True
        pairs = _pairs(best, singles, rng)
        gain = _predict(plant, forecast, best, singles, pairs, price)
        promising = np.argsort(gain, kind="stable")[:_FULL]
        pairs, gain = pairs[promising], _run_fully(plant, forecast, best, singles, pairs[promising], price)
        order = np.argsort(gain, kind="stable")
        moves = _bundles(singles, pairs, gain, order)
        moves += [pairs[r] for r in order.tolist() if gain[r] <= _WORTH_TRYING * abs(best.cost)]
        found, trials = None, 0
        scale = 1e-7 * (1.0 + abs(best.cost))
        for move in moves:
            if trials >= _TRIALS or plant.simulator.solves >= limit:
                break
            counts, speeds = _apply(best, singles, move)
            key = counts.tobytes() + speeds.tobytes()
            if key in tried or not fits(counts):
                continue
            tried.add(key)
            trials += 1
            candidate = simulate(plant, counts, speeds, worse_than=best.objective(price) + abs(best.cost), price=price)
            if candidate is not None and candidate.objective(price) < best.objective(price) - scale:
                found = candidate
                break
        if found is None:
            return best, True
        best = found
    return best, False


def _bundles(s: _Singles, pairs: NDArray[np.int64], gain: Floats, order: NDArray[np.intp]) -> list[NDArray[np.int64]]:
    """Several promising moves at once, in different places: where many help a little, this saves rounds. Largest bundle first."""
    taken: set[tuple[int, int]] = set()
    bundle: list[int] = []
    size = 0
    found = []
    for r in order.tolist():
        if gain[r] >= 0 or size >= _BUNDLES[0]:
            break
        mine = [i for i in pairs[r].tolist() if i >= 0]
        places = {(int(s.step[i]), int(s.of[i])) for i in mine}
        if taken & places:
            continue
        taken |= places
        bundle += mine
        size += 1
        if size in _BUNDLES:
            found.append(np.array(bundle, np.int64))
    return found[::-1]


def _singles(plant: Plant, best: Candidate) -> _Singles:
    n, classes = best.counts.shape
    rows: list[tuple[int, int, int, float, int]] = []
    for c in range(classes):
        low, high = plant.classes[c].bins[0][0], plant.classes[c].bins[-1][1]
        for k in range(n):
            count, speed = int(best.counts[k, c]), float(best.speeds[k, c])
            if count < plant.available[k, c]:
                rows.append((k, c, count + 1, _speed(plant, best, k, c), 1))
            if count > 0:
                rows.append((k, c, count - 1, speed if count > 1 else 0.0, -1))
            if count > 0 and plant.classes[c].is_variable:
                for step in _SPEED_STEPS:
                    for way in (-1, 1):
                        v = min(max(speed + way * step, low), high)
                        if v != speed:
                            rows.append((k, c, count, v, way))
    whole = np.array([(k, c, count, way) for k, c, count, _, way in rows], np.int64).reshape(-1, 4)
    return _Singles(whole[:, 0], whole[:, 1], whole[:, 2], np.array([r[3] for r in rows], np.float64), whole[:, 3])


def _pairs(best: Candidate, s: _Singles, rng: np.random.Generator) -> NDArray[np.int64]:
    """Changes to try, (moves, 2), the second -1 for a single: all singles, and pairs of one up and one down in different places."""
    m = len(s.step)
    alone = np.stack([np.arange(m), np.full(m, -1)], axis=1)
    ups, downs = np.flatnonzero(s.way > 0), np.flatnonzero(s.way < 0)
    i, j = np.repeat(ups, len(downs)), np.tile(downs, len(ups))
    apart = (s.step[i] != s.step[j]) | (s.of[i] != s.of[j])
    i, j = i[apart], j[apart]
    if len(i) > _MOST_PAIRS:
        # Changes at switches matter most, since they add no starts: keep those, and a random share of the rest.
        edge = np.zeros(best.counts.shape, bool)
        changed = best.counts[1:] != best.counts[:-1]
        edge[1:] |= changed
        edge[:-1] |= changed
        weight = edge[s.step[i], s.of[i]].astype(np.int64) + edge[s.step[j], s.of[j]]
        order = np.lexsort((rng.random(len(i)), -weight))[:_MOST_PAIRS]
        i, j = i[order], j[order]
    return np.concatenate([alone, np.stack([i, j], axis=1)])


def _predict(plant: Plant, forecast: Forecast, best: Candidate, s: _Singles, pairs: NDArray[np.int64], price: float) -> Floats:
    """Predicted change of the objective by each move."""
    n, m = plant.n, len(s.step)
    # Row 0 is the schedule itself, row r + 1 single change r; before its step a row equals row 0.
    x = np.repeat(plant.x0[None], m + 1, axis=0)
    cost, other = np.zeros(m + 1), np.zeros(m + 1)
    path = np.empty((m + 1, n, plant.tanks), np.float64)
    for k in range(n):
        rows = np.concatenate([[0], np.flatnonzero(s.step <= k) + 1])
        counts = np.repeat(best.counts[k][None], len(rows), axis=0)
        speeds = np.repeat(best.speeds[k][None], len(rows), axis=0)
        here = np.flatnonzero(s.step[rows[1:] - 1] == k) + 1
        changes = rows[here] - 1
        counts[here, s.of[changes]] = s.count[changes]
        speeds[here, s.of[changes]] = s.speed[changes]
        after, c, severity = forecast.step(k, x[rows], forecast.configuration(counts, speeds), speeds)
        # Rows not yet changed go along with row 0.
        x[:] = after[0]
        x[rows] = after
        step_cost, step_other = np.full(m + 1, c[0]), np.full(m + 1, severity[0])
        step_cost[rows], step_other[rows] = c, severity
        cost += step_cost
        other += step_other
        path[:, k] = x
    true_path = (best.volume[1:] - plant.simulator.min_volume) / plant.span
    shift = path - path[0]
    d_cost, d_other = cost - cost[0], other - other[0]
    first, second = pairs[:, 0] + 1, pairs[:, 1] + 1  # row 0 has no effect: it stands for "no second change"
    now = forecast.beyond(true_path, 0.0).sum() + np.maximum(plant.x_end - true_path[-1], 0.0).sum()
    gain = np.empty(len(pairs))
    block = max(1, 2_000_000 // (n * plant.tanks))
    for a in range(0, len(pairs), block):
        i, j = first[a : a + block], second[a : a + block]
        moved = true_path[None] + shift[i] + shift[j]
        severity = forecast.beyond(moved, 0.0).sum(axis=1) + np.maximum(plant.x_end - moved[:, -1], 0.0).sum(axis=1)
        gain[a : a + block] = d_cost[i] + d_cost[j] + price * (severity - now + d_other[i] + d_other[j])
    return gain


def _run_fully(plant: Plant, forecast: Forecast, best: Candidate, s: _Singles, pairs: NDArray[np.int64], price: float) -> Floats:
    """The change of the objective by each move, run on the surfaces as a whole: where levels move far, effects do not add up."""
    m = len(pairs)
    counts = np.repeat(best.counts[None], m + 1, axis=0)
    speeds = np.repeat(best.speeds[None], m + 1, axis=0)
    for side in range(2):
        rows = np.flatnonzero(pairs[:, side] >= 0)
        r = pairs[rows, side]
        counts[rows + 1, s.step[r], s.of[r]] = s.count[r]
        speeds[rows + 1, s.step[r], s.of[r]] = s.speed[r]
    first = int(min(s.step[pairs[:, 0]].min(), s.step[np.where(pairs[:, 1] >= 0, pairs[:, 1], pairs[:, 0])].min()))
    true_path = (best.volume - plant.simulator.min_volume) / plant.span
    x = np.repeat(true_path[first][None], m + 1, axis=0)
    objective = np.zeros(m + 1)
    for k in range(first, plant.n):
        x, cost, severity = forecast.step(k, x, forecast.configuration(counts[:, k], speeds[:, k]), speeds[:, k])
        # Levels as the difference to row 0, the schedule itself, from its true levels.
        levels = forecast.beyond(x - x[0] + true_path[k + 1], 0.0)
        objective += cost + price * (severity + levels)
    objective += price * np.maximum(plant.x_end - (x - x[0] + true_path[-1]), 0.0).sum(axis=1)
    return np.asarray(objective[1:] - objective[0], np.float64)


def _apply(best: Candidate, s: _Singles, move: NDArray[np.int64]) -> tuple[Ints, Floats]:
    counts, speeds = best.counts.copy(), best.speeds.copy()
    for r in move.tolist():
        if r >= 0:
            counts[s.step[r], s.of[r]] = s.count[r]
            speeds[s.step[r], s.of[r]] = s.speed[r]
    return counts, speeds


def _speed(plant: Plant, best: Candidate, k: int, c: int) -> float:
    """Speed for pumps that come on in step k: that of those running then or in the nearest step, else the middle."""
    if best.speeds[k, c] > 0:
        return float(best.speeds[k, c])
    running = np.flatnonzero(best.speeds[:, c] > 0)
    if len(running):
        return float(best.speeds[running[np.argmin(np.abs(running - k))], c])
    return (plant.classes[c].bins[0][0] + plant.classes[c].bins[-1][1]) / 2
