"""Local search: small changes of a schedule, proposed on the response surfaces by the thousand, decided in EPANET.

A single change gives one class another column for a while: a pump more or less in a step, over the least time a pump must stay, over a whole run or
pause; another speed. Each is run on the surfaces once. Pairs of changes are predicted by adding the effects of the singles on cost, levels,
power and totals, which is true to first order, so that tens of thousands of pairs cost next to nothing. An effect is the difference of two surface
runs: what surfaces get wrong for both cancels. Valves are not on the surfaces: their changes go to EPANET at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.schedule.ahead import Forecast
from levada.schedule.candidate import Candidate, Runner, Trial, penalty
from levada.schedule.plant import Ints, Plant

__all__ = ["improve"]

_MOST_PAIRS = 6_000
_FULL = 300
"""The most promising moves, which are run on the surfaces as a whole before EPANET is asked."""

_TRIALS = 36
_SIDE_BY_SIDE = 6
"""So many moves are simulated at once, and the best of them taken."""

_WORTH_TRYING = 0.002
"""Changes predicted to be dearer by more than this share of the cost are not tried."""

_BUNDLES = (8, 4, 2)
"""How many moves are tried together."""

_PATIENCE = 2
"""Rounds without success before a schedule counts as a local optimum: pairs are drawn anew in each."""

_SPEED_STEPS = (0.005, 0.02, 0.06)
_VALVE_TRIALS = 240
"""Stretches of other valve choices drawn at random, most of them with a change or two of the pumps to make up for it."""


@dataclass(frozen=True)
class _Singles:
    """Single changes: of a class, its new counts and speeds (changes, n), which differ from the old in steps [first, last); which way (1 more, -1 less)."""

    of: Ints
    first: Ints
    last: Ints
    way: Ints
    counts: Ints
    speeds: Floats


def improve(
    runner: Runner, forecast: Forecast, start: Candidate, price: float, rng: np.random.Generator, *, budget: int, rounds: int
) -> tuple[Candidate, bool]:
    """Descend from `start` until no proposed change helps, `rounds` are over or `budget` hydraulic solves are spent.

    `price` is the cost of a unit of severity. Returns the schedule and whether it is a local optimum of these changes.
    """
    plant, best = runner.plant, start
    limit = plant.simulator.solves + budget
    tried: set[bytes] = set()
    failures = 0
    for _ in range(rounds):
        found = _better(runner, best, price, tried, limit, _TRIALS, _moves(plant, runner, forecast, best, price, rng))
        if found is None and plant.problem.valves:
            found = _better(runner, best, price, tried, limit, 2 * _VALVE_TRIALS, _valve_moves(plant, best, rng))
        failures = failures + 1 if found is None else 0
        if failures >= _PATIENCE or plant.simulator.solves >= limit:
            return best if found is None else found, found is None
        best = best if found is None else found
    return best, False


def _better(runner: Runner, best: Candidate, price: float, tried: set[bytes], limit: int, most: int, moves: Iterator[Trial]) -> Candidate | None:
    """The best of the first few trials side by side among which one is better than the best so far; the end of trials or budget gives None."""
    scale = 1e-7 * (1.0 + abs(best.cost))
    waiting: list[Trial] = []
    trials = 0

    def decide() -> Candidate | None:
        found = runner.simulate_all(waiting, best, worse_than=best.objective(price) + abs(best.cost), price=price)
        better = [c for c in found if c is not None and c.objective(price) < best.objective(price) - scale]
        return min(better, key=lambda c: c.objective(price), default=None)

    for counts, speeds, choices in moves:
        if trials >= most or runner.plant.simulator.solves >= limit:
            break
        key = counts.tobytes() + speeds.tobytes() + choices.tobytes()
        if key in tried or not runner.fits(counts):
            continue
        tried.add(key)
        trials += 1
        waiting.append((counts, speeds, choices))
        if len(waiting) == _SIDE_BY_SIDE:
            if (found := decide()) is not None:
                return found
            waiting.clear()
    return decide() if waiting else None


# --- pumps ------------------------------------------------------------------------------------------------------------


def _moves(plant: Plant, runner: Runner, forecast: Forecast, best: Candidate, price: float, rng: np.random.Generator) -> Iterator[Trial]:
    """Changes of what the pumps do, the most promising first, bundles of them before that."""
    singles = _singles(plant, best)
    if not len(singles.of):
        return
    pairs = _pairs(best, singles, rng)
    gain = _predict(runner, forecast, best, singles, pairs, price)
    promising = np.argsort(gain, kind="stable")[:_FULL]
    pairs, gain = pairs[promising], _run_fully(runner, forecast, best, singles, pairs[promising], price)
    order = np.argsort(gain, kind="stable")
    moves = _bundles(singles, pairs, gain, order)
    moves += [pairs[r] for r in order.tolist() if gain[r] <= _WORTH_TRYING * abs(best.cost)]
    for move in moves:
        counts, speeds = _apply(best, singles, move)
        yield counts, speeds, best.choices


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
        places = {(int(s.of[i]), k) for i in mine for k in range(int(s.first[i]), int(s.last[i]))}
        if taken & places:
            continue
        taken |= places
        bundle += mine
        size += 1
        if size in _BUNDLES:
            found.append(np.array(bundle, np.int64))
    return found[::-1]


def _singles(plant: Plant, best: Candidate) -> _Singles:
    of, first, last, way = [], [], [], []
    columns: list[Ints] = []
    speeds: list[Floats] = []

    def add(c: int, a: int, b: int, sign: int, counts: Ints, speed: Floats) -> None:
        of.append(c)
        first.append(a)
        last.append(b)
        way.append(sign)
        columns.append(counts)
        speeds.append(speed)

    for c in range(len(plant.classes)):
        old, old_speed = best.counts[:, c], best.speeds[:, c]
        low, high = plant.classes[c].bins[0][0], plant.classes[c].bins[-1][1]
        resting = _resting_speed(plant, best, c)
        for a, b, sign in _spans(plant, best, c):
            counts = old.copy()
            counts[a:b] = np.clip(old[a:b] + sign, plant.forced[a:b, c], plant.available[a:b, c])
            if (counts == old).all():
                continue
            speed = old_speed.copy()
            speed[a:b] = np.where(counts[a:b] > 0, np.where(old_speed[a:b] > 0, old_speed[a:b], resting[a:b]), 0.0)
            add(c, a, b, sign, counts, speed)
        if not plant.classes[c].is_variable:
            continue
        for k in np.flatnonzero(old > 0).tolist():
            for step in _SPEED_STEPS:
                for sign in (-1, 1):
                    v = min(max(float(old_speed[k]) + sign * step, low), high)
                    if v != old_speed[k]:
                        speed = old_speed.copy()
                        speed[k] = v
                        add(c, k, k + 1, sign, old, speed)
    n = plant.n
    return _Singles(
        np.array(of, np.int64), np.array(first, np.int64), np.array(last, np.int64), np.array(way, np.int64), np.array(columns, np.int64).reshape(-1, n),
        np.array(speeds, np.float64).reshape(-1, n),
    )  # fmt: skip


def _spans(plant: Plant, best: Candidate, c: int) -> list[tuple[int, int, int]]:
    """Where a pump of a class may be put on (1) or off (-1): steps, stretches as long as a pump must stay, whole runs and pauses."""
    n, problem = plant.n, plant.problem
    counts = best.counts[:, c]
    spans = {(k, k + 1, sign) for k in range(n) for sign in (1, -1)}
    edges = problem.steps.offsets_s
    own = list(plant.classes[c].pumps)
    for sign, least in ((1, problem.min_on_s), (-1, problem.min_off_s)):
        seconds = 0.0 if least is None else float(least[own].max())
        for k in range(n if seconds > 0 else 0):
            spans.add((k, min(n, int(np.searchsorted(edges, edges[k] + seconds - 1e-6))), sign))
    turns = [0, *(np.flatnonzero(np.diff(counts)) + 1).tolist(), n]
    for a, b in pairwise(turns):
        before = counts[a - 1] if a else counts[a]
        after = counts[b] if b < n else counts[a]
        if counts[a] >= max(before, after):
            spans.add((a, b, -1))
        if counts[a] <= min(before, after):
            spans.add((a, b, 1))
    return sorted(s for s in spans if s[0] < s[1])


def _pairs(best: Candidate, s: _Singles, rng: np.random.Generator) -> NDArray[np.int64]:
    """Changes to try, (moves, 2), the second -1 for a single: all singles, and pairs of one up and one down in different places."""
    m = len(s.of)
    alone = np.stack([np.arange(m), np.full(m, -1)], axis=1)
    ups, downs = np.flatnonzero(s.way > 0), np.flatnonzero(s.way < 0)
    i, j = np.repeat(ups, len(downs)), np.tile(downs, len(ups))
    apart = (s.last[i] <= s.first[j]) | (s.last[j] <= s.first[i]) | (s.of[i] != s.of[j])
    i, j = i[apart], j[apart]
    if len(i) > _MOST_PAIRS:
        # Changes at switches matter most, since they add no starts: keep those, and a random share of the rest.
        edge = np.zeros((len(best.counts) + 1, best.counts.shape[1]), bool)
        edge[1:-1] = best.counts[1:] != best.counts[:-1]
        at_edge = (edge[s.first, s.of] | edge[s.last, s.of]).astype(np.int64)
        order = np.lexsort((rng.random(len(i)), -(at_edge[i] + at_edge[j])))[:_MOST_PAIRS]
        i, j = i[order], j[order]
    return np.concatenate([alone, np.stack([i, j], axis=1)])


def _predict(runner: Runner, forecast: Forecast, best: Candidate, s: _Singles, pairs: NDArray[np.int64], price: float) -> Floats:
    """Predicted change of the objective by each move."""
    plant, whole = runner.plant, runner.whole
    n, m = plant.n, len(s.of)
    # Row 0 is the schedule itself, row r + 1 single change r; before its first step a row equals row 0.
    x = np.repeat(plant.x0[None], m + 1, axis=0)
    cost, other, totals = np.zeros(m + 1), np.zeros(m + 1), np.zeros((m + 1, len(whole.most)))
    path = np.empty((m + 1, n, plant.tanks), np.float64)
    power = np.empty((m + 1, n, len(whole.meters)) if whole.has_charges else (m + 1, 0, 0))
    for k in range(n):
        rows = np.concatenate([[0], np.flatnonzero(s.first <= k) + 1])
        counts = np.repeat(best.counts[k][None], len(rows), axis=0)
        speeds = np.repeat(best.speeds[k][None], len(rows), axis=0)
        changes, here = rows[1:] - 1, np.arange(1, len(rows))
        counts[here, s.of[changes]] = s.counts[changes, k]
        speeds[here, s.of[changes]] = s.speeds[changes, k]
        ahead = forecast.step(k, x[rows], forecast.configuration(counts, speeds, np.repeat(best.choices[k : k + 1], len(rows), axis=0)), speeds)
        # Rows not yet changed go along with row 0.
        for of_all, of_rows in ((x, ahead.x), (step_cost := np.empty(m + 1), ahead.cost), (step_other := np.empty(m + 1), ahead.severity)):
            of_all[:] = of_rows[0]
            of_all[rows] = of_rows
        cost += step_cost
        other += step_other
        path[:, k] = x
        if whole.has_charges:
            power[:, k] = ahead.grid_kw[0]
            power[rows, k] = ahead.grid_kw
        if whole.has_limits:
            gained = np.repeat(ahead.totals[:1], m + 1, axis=0)
            gained[rows] = ahead.totals
            totals += gained
    for c in range(len(plant.classes) if whole.has_operation_cost else 0):
        mine = np.flatnonzero(s.of == c)
        cost[mine + 1] += whole.operation(c, s.counts[mine]) - whole.operation(c, best.counts[None, :, c])
    shift, power, totals = path - path[0], power - power[:1], totals - totals[0]
    d_cost, d_other = cost - cost[0], other - other[0]
    first, second = pairs[:, 0] + 1, pairs[:, 1] + 1  # row 0 has no effect: it stands for "no second change"
    true_path, true_kw, true_totals = plant.state(best.volume[1:]), whole.grid_kw(np.arange(n), best.power), whole.totals_of(best.power, best.source)[None]

    def standing(levels: Floats, peaks: Floats, sums: Floats) -> tuple[Floats, Floats]:
        """What whole schedules cost and break, by row."""
        amiss = forecast.beyond(slice(None), levels, 0.0).sum(axis=-1) + forecast.end(levels[..., -1, :]) + whole.beyond(sums)
        return whole.stored(plant.volume(levels[..., -1, :])) + (whole.charge(peaks) if whole.has_charges else 0.0), amiss

    cost_now, amiss_now = standing(true_path[None], true_kw.max(axis=0)[None], true_totals)
    gain = np.empty(len(pairs))
    block = max(1, 2_000_000 // (n * plant.tanks))
    for a in range(0, len(pairs), block):
        i, j = first[a : a + block], second[a : a + block]
        peaks = (true_kw[None] + power[i] + power[j]).max(axis=1) if whole.has_charges else true_kw[:1]
        cost_then, amiss_then = standing(true_path[None] + shift[i] + shift[j], peaks, true_totals + totals[i] + totals[j])
        more = amiss_then - amiss_now + d_other[i] + d_other[j]
        gain[a : a + block] = d_cost[i] + d_cost[j] + cost_then - cost_now + price * _more(best, more)
    return gain


def _more(best: Candidate, more: Floats) -> Floats:
    """By how much the penalty of a schedule's severity grows with so much more of it."""
    return penalty(np.maximum(best.severity + more, 0.0)) - penalty(np.array([best.severity]))


def _run_fully(runner: Runner, forecast: Forecast, best: Candidate, s: _Singles, pairs: NDArray[np.int64], price: float) -> Floats:
    """The change of the objective by each move, run on the surfaces as a whole: where levels move far, effects do not add up."""
    plant, whole = runner.plant, runner.whole
    both = [_apply(best, s, move) for move in pairs]
    counts = np.stack([best.counts, *(c for c, _ in both)])
    speeds = np.stack([best.speeds, *(v for _, v in both)])
    first = int(min(s.first[pairs[:, 0]].min(), s.first[np.where(pairs[:, 1] >= 0, pairs[:, 1], pairs[:, 0])].min()))
    true_path, true_kw = plant.state(best.volume), whole.grid_kw(np.arange(plant.n), best.power)
    x = np.repeat(true_path[first][None], len(counts), axis=0)
    objective, amiss = np.zeros(len(counts)), np.zeros(len(counts))
    totals = np.repeat(whole.totals_of(best.power, best.source)[None], len(counts), axis=0)
    peaks = np.repeat(true_kw[:first].max(axis=0, initial=0.0)[None], len(counts), axis=0)
    for k in range(first, plant.n):
        ahead = forecast.step(k, x, forecast.configuration(counts[:, k], speeds[:, k], np.repeat(best.choices[k : k + 1], len(x), axis=0)), speeds[:, k])
        x = ahead.x
        # Levels, power and totals as the difference to row 0, the schedule itself, from its true ones.
        levels = forecast.beyond(k, x - x[0] + true_path[k + 1], 0.0)
        peaks = np.maximum(peaks, ahead.grid_kw - ahead.grid_kw[0] + true_kw[k])
        totals += ahead.totals - ahead.totals[0]
        objective += ahead.cost
        amiss += ahead.severity + levels
    last = x - x[0] + true_path[-1]
    amiss += forecast.end(last) + whole.beyond(totals)
    objective += whole.stored(plant.volume(last)) + whole.charge(peaks)
    for c in range(len(plant.classes) if whole.has_operation_cost else 0):
        objective += whole.operation(c, counts[:, :, c])
    return np.asarray(objective[1:] - objective[0] + price * _more(best, amiss[1:] - amiss[0]), np.float64)


def _apply(best: Candidate, s: _Singles, move: NDArray[np.int64]) -> tuple[Ints, Floats]:
    counts, speeds = best.counts.copy(), best.speeds.copy()
    for r in move.tolist():
        if r >= 0:
            at = np.s_[int(s.first[r]) : int(s.last[r]), int(s.of[r])]
            counts[at], speeds[at] = s.counts[r, at[0]], s.speeds[r, at[0]]
    return counts, speeds


def _resting_speed(plant: Plant, best: Candidate, c: int) -> Floats:
    """Speed (n,) for pumps that come on where none runs: that of those running in the nearest step, else the middle."""
    running = np.flatnonzero(best.speeds[:, c] > 0)
    if not len(running):
        return np.full(plant.n, (plant.classes[c].bins[0][0] + plant.classes[c].bins[-1][1]) / 2)
    nearest = np.abs(np.arange(plant.n)[:, None] - running[None]).argmin(axis=1)
    return np.asarray(best.speeds[running[nearest], c], np.float64)


# --- valves -----------------------------------------------------------------------------------------------------------


def _valve_moves(plant: Plant, best: Candidate, rng: np.random.Generator) -> Iterator[Trial]:
    """Other choices of a valve: over the whole horizon, from and to its switches, and over stretches drawn at random."""
    n = plant.n
    for v, valve in enumerate(plant.problem.valves):
        for choice in range(len(valve.choices)):
            yield _with_choice(best, v, 0, n, choice)
        turns = (np.flatnonzero(np.diff(best.choices[:, v])) + 1).tolist()
        for k in turns:
            yield _with_choice(best, v, k - 1, k, int(best.choices[k, v]))
            yield _with_choice(best, v, k, k + 1, int(best.choices[k - 1, v]))
    singles = _singles(plant, best)
    ups, downs = np.flatnonzero(singles.way > 0), np.flatnonzero(singles.way < 0)
    for r in range(_VALVE_TRIALS):
        v = int(rng.integers(len(plant.problem.valves)))
        length = max(1, round(n * 2.0 ** -float(rng.integers(1, 6))))
        a = int(rng.integers(0, n - length + 1))
        _, _, choices = _with_choice(best, v, a, a + length, int(rng.integers(len(plant.problem.valves[v].choices))))
        # By turns a pump more, a pump less, one of each, none.
        mine = [int(rng.choice(way)) for way, when in ((ups, r % 4 in {0, 2}), (downs, r % 4 in {1, 2})) if when and len(way)]
        counts, speeds = _apply(best, singles, np.array(mine, np.int64))
        yield counts, speeds, choices


def _with_choice(best: Candidate, v: int, a: int, b: int, choice: int) -> Trial:
    choices = best.choices.copy()
    choices[a:b, v] = choice
    return best.counts, best.speeds, choices


