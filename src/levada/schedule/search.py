"""Finding a good schedule: a beam over states that EPANET itself has computed, steered by surfaces and the value of water.

In each step every kept state is continued by every sensible action on the response surfaces at once; the most promising continuations,
spread over starts used and volumes stored, are then simulated in EPANET and become the states of the next step. Costs, levels and
violations of what is kept are therefore EPANET's own. What is promising: cost so far, plus a heavy price on violations, plus what is
still to pay (outlook.py). What belongs to the whole schedule (whole.py) is counted as it accrues: peaks, starts, totals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.ahead import FREE_SHARE, Forecast
from levada.schedule.bars import Bars
from levada.schedule.bound import Relaxation
from levada.schedule.candidate import Candidate, Runner, Trial, penalty
from levada.schedule.models import Models
from levada.schedule.plant import Ints, Plant
from levada.schedule.surface import joined

__all__ = ["BROKEN", "Actions", "Candidate", "Forecast", "Lean", "Outlook", "actions_of", "beam", "keep"]

_MOST_ACTIONS = 48

_BINS = (1000, 100, 30, 12, 6)
"""Cells a tank's range may be cut into, to keep only the best of like states."""

_CROWD = 1
"""Cells are made coarser until so many times the width are left."""

BROKEN = 0.1
"""Severity of a start beyond the limit, where no action keeps it."""

Outlook = Callable[[int, Floats, Ints, Ints], Floats]
"""From an instant, states (N, tanks), counts until then and starts used that day (N, classes) to what is still to pay, (N,), but for a constant."""


@dataclass(frozen=True)
class Actions:
    """What may be done in one step: counts, speeds (actions, classes), choices (actions, valves), and the configuration of each component (actions,
    components)."""

    counts: Ints
    speeds: Floats
    choices: Ints
    configuration: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Lean:
    """Which way the beam is pressed beyond costs and limits: power (meters,) kW that it should not draw more than, and a price on each of
    the totals that are limited (totals,). A beam meets peaks and totals only when it is too late; pressed from the first step it does not."""

    peak_kw: Floats
    price_of_totals: Floats

    @staticmethod
    def none(runner: Runner) -> Lean:
        return Lean(peak_kw=np.full(len(runner.whole.meters), np.inf), price_of_totals=np.zeros(len(runner.whole.most)))

    def of(self, grid_kw: Floats, totals: Floats, price: float) -> Floats:
        """What rows pay for power from the grid (N, meters) and totals (N, totals), at a price of severity."""
        over = np.maximum(grid_kw / np.maximum(self.peak_kw, 1.0) - 1.0, 0.0).sum(axis=1)
        return np.asarray(price * over + totals @ self.price_of_totals, np.float64)


def actions_of(plant: Plant, models: list[Models], relaxation: Relaxation) -> list[Actions]:
    """For each step the sensible actions: products over components of configurations and speeds, those of least reduced cost."""
    found = []
    for k in range(plant.n):
        parts: list[list[tuple[float, int, tuple[float, ...]]]] = []
        for m, model in enumerate(models):
            s = model.surface
            mine: list[tuple[float, int, tuple[float, ...]]] = []
            for c in range(len(s.counts)):
                if not model.possible[k, c] or (s.counts[c] < plant.forced[k, list(s.component.classes)]).any():
                    continue
                reduced = float(relaxation.reduced[m][k, c]) if relaxation.reduced else 0.0
                if relaxation.weight and relaxation.weight[m][k, c] > 1e-9:
                    reduced = 0.0
                choices = [
                    [low] if low == high else [low, high] if low == plant.classes[cls].bins[0][0] else [high]
                    for low, high, cls in zip(s.low[c].tolist(), s.high[c].tolist(), s.component.classes, strict=True)
                ]
                mine.extend((reduced, c, speed) for speed in product(*choices))
            if not mine:
                # Nothing possible by the models (say, a floor that no configuration holds): let the pumps that may run all be tried.
                mine = [(0.0, c, tuple(s.high[c].tolist())) for c in s.ready(plant, k).tolist()]
            mine.sort(key=lambda item: item[0])
            parts.append(mine[:_MOST_ACTIONS])
        joint = sorted(product(*parts), key=lambda items: sum(i[0] for i in items))[:_MOST_ACTIONS] if len(parts) <= 3 else _join(parts)
        configuration = np.array([[c for _, c, _ in items] for items in joint], np.int64)
        taken = joined(plant, [m.surface for m in models], list(configuration.T))
        speeds = np.zeros((len(joint), len(plant.classes)))
        for a, items in enumerate(joint):
            for model, (_, _, speed) in zip(models, items, strict=True):
                speeds[a, list(model.surface.component.classes)] = speed
        found.append(Actions(taken.counts, np.where(taken.counts > 0, speeds, 0.0), taken.choices, configuration))
    return found


def _join(parts: list[list[tuple[float, int, tuple[float, ...]]]]) -> list[tuple[tuple[float, int, tuple[float, ...]], ...]]:
    """The joint actions of least reduced cost without forming the whole product: component by component, the best so far kept."""
    joint: list[tuple[tuple[float, int, tuple[float, ...]], ...]] = [()]
    for part in parts:
        joint = sorted(((*j, p) for j in joint for p in part), key=lambda items: sum(i[0] for i in items))[:_MOST_ACTIONS]
    return joint


@dataclass(frozen=True)
class _Beam:
    """States kept, by row: volume (N, tanks); cost with what has accrued of the whole; severity; what was paid for leaning; counts so far
    (N, steps done, classes); starts used today (N, classes); peaks (N, meters) kW; totals (N, totals)."""

    volume: Floats
    cost: Floats
    severity: Floats
    leaned: Floats
    past: Ints
    used: Ints
    peak_kw: Floats
    totals: Floats


def beam(
    runner: Runner, forecast: Forecast, actions: list[Actions], outlook: Outlook, price: float, width: int, lean: Lean | None = None
) -> list[Trial]:
    """The schedules of the states left at the end, best first. `outlook` is what is still to pay (outlook.py), `price` what a unit of severity
    costs; `width` states are kept."""
    plant, whole = runner.plant, runner.whole
    problem, classes = plant.problem, len(plant.classes)
    lean = lean or Lean.none(runner)
    bars = Bars(plant)
    limited = bars.starts.min(axis=0) < plant.n * plant.class_size / 2
    state = _Beam(
        plant.simulator.volumes(problem.initial_level_m)[None], np.zeros(1), np.zeros(1), np.zeros(1), np.zeros((1, 0, classes), np.int64),
        np.zeros((1, classes), np.int64), np.repeat(whole.peak_so_far_kw[None], 1, axis=0), np.zeros((1, len(whole.most))),
    )  # fmt: skip
    trail: list[tuple[Ints, Ints]] = []
    for k in range(plant.n):
        a, x = actions[k], plant.state(state.volume)
        m = len(a.counts)
        begun, used, broken = bars.look(k, state.past, state.used, a.counts)
        allowed = (broken == 0).ravel()
        if not allowed.any():
            allowed[:] = True
        rows = np.flatnonzero(allowed)
        i, j = rows // m, rows % m
        ahead = forecast.step(k, x[i], a.configuration[j], a.speeds[j])
        accrued = np.zeros(len(rows))
        for c in range(classes):
            accrued += begun[i, j, c] * whole.wear(c) + whole.deviation(k, c, a.counts[j, c])
        total = state.cost[i] + ahead.cost + accrued + whole.charge(np.maximum(state.peak_kw[i], ahead.grid_kw)) - whole.charge(state.peak_kw[i])
        amiss = state.severity[i] + ahead.severity + forecast.beyond(k, ahead.x) + whole.beyond(state.totals[i] + ahead.totals) + BROKEN * broken[i, j]
        if k == plant.n - 1:
            total += whole.stored(plant.volume(ahead.x))
            amiss += forecast.end(ahead.x, FREE_SHARE)
        else:
            total += outlook(k + 1, ahead.x, a.counts[j], used[i, j])
        score = total + price * penalty(amiss) + state.leaned[i] + lean.of(ahead.grid_kw, ahead.totals, price)
        first = state.past[i, 0] if k else a.counts[j]
        kept = keep(score, ahead.x, a.counts[j], used[i, j], first if bars.is_periodic else np.zeros_like(first), limited, width)
        i, j = i[kept], j[kept]
        step = runner.steps(k, state.volume[i], a.counts[j], a.speeds[j], a.choices[j])
        grid = whole.grid_kw(np.full(len(i), k), step.power)
        gained = whole.totals(k, whole.co2_kg(np.full(len(i), k), grid), step.source)
        peak = np.maximum(state.peak_kw[i], grid)
        state = _Beam(
            step.volume, state.cost[i] + step.cost + accrued[kept] + whole.charge(peak) - whole.charge(state.peak_kw[i]),
            state.severity[i] + step.severity + BROKEN * broken[i, j], state.leaned[i] + lean.of(grid, gained, price),
            np.concatenate([state.past[i], a.counts[j][:, None]], axis=1), used[i, j], peak, state.totals[i] + gained,
        )  # fmt: skip
        trail.append((i, j))
    amiss = state.severity + whole.end(state.volume) + whole.beyond(state.totals)
    objective = state.cost + whole.stored(state.volume) + price * penalty(amiss)
    found: list[Trial] = []
    for r in np.lexsort((np.arange(len(objective)), objective)).tolist():
        taken, row = [], r
        for i, j in reversed(trail):
            taken.append(int(j[row]))
            row = int(i[row])
        taken.reverse()
        speeds = np.array([actions[k].speeds[action] for k, action in enumerate(taken)])
        found.append((state.past[r], speeds, np.array([actions[k].choices[action] for k, action in enumerate(taken)])))
    return found


def keep(score: Floats, x: Floats, counts: Ints, starts: Ints, first: Ints, limited: Bools, width: int) -> Ints:
    """Rows to keep: of states alike (counts, starts, first counts, cell of volumes) the best, and of those `width`, spread over starts
    used and volume stored."""
    best_first = np.lexsort((np.arange(len(score)), score))
    labels = np.concatenate([np.zeros((len(score), 0), np.int64)] + [v[:, limited] for v in (counts, starts, first)], axis=1)
    for bins in _BINS:
        # Cells as fine as the width can hold: few states need no cells at all.
        cell = np.clip((x * bins).astype(np.int64), -bins, 2 * bins)
        _, where = np.unique(np.concatenate([cell, labels], axis=1)[best_first], axis=0, return_index=True)
        if len(where) <= _CROWD * width:
            break
    order = best_first[np.sort(where)]
    spent = starts[:, limited].sum(axis=1)[order] if limited.any() else np.zeros(len(order), np.int64)
    stratum = spent * 16 + np.clip(x[order].mean(axis=1) * 8, 0, 15).astype(np.int64)
    by_stratum = np.argsort(stratum, kind="stable")
    edges = np.flatnonzero(np.diff(stratum[by_stratum], prepend=-1))
    rank = np.empty(len(order), np.int64)
    rank[by_stratum] = np.arange(len(order)) - np.repeat(edges, np.diff(np.append(edges, len(order))))
    return np.asarray(order[np.lexsort((np.arange(len(order)), rank))[:width]], np.int64)
