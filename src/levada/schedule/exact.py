"""Exact search where few configurations act and tanks hang together: layer by layer through the horizon, every state EPANET's own.

In each step every kept state is continued by every configuration; a continuation is dropped only when its cost so far plus the bound on its cost to go
(volume_bound.py) is not below the best schedule known, or when it breaks a limit. Where a layer grows beyond a width, the least promising are
dropped too and the least of their bounds is remembered: the search then proves that bound and no more. Widths rise until nothing was dropped for
width, or the work is spent. Every simulated step is checked against the models that the bound stands on; where one fails, the margins are widened
and all is done again.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from levada.domain.billing import metered
from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.assignment import Fits
from levada.schedule.certificate import Bound
from levada.schedule.joint import JointConfigurations
from levada.schedule.plant import Ints, Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Teller
from levada.schedule.reach import Zone
from levada.schedule.volume_bound import CostToGo, Starts, least_deviation, tables_of
from levada.schedule.volume_models import VolumeModels, fit_volume_models, predict

__all__ = ["Exact", "applies", "search_exactly"]

MOST_JOINT = 27
"""More joint configurations than these are left to the other search."""

_WIDTHS = (50, 400, 3_000, 20_000, 120_000)
_TOLERANCE = 2e-5
"""A schedule this share below the best known is worth finding."""

_CELLS_B = 6
_REPEATS = 4
_SLACK = 1.5
_MOST_WIDENING = 1.5


_METHOD = (
    "dynamic programming over the volume stored in all tanks and one coordinate of their differences, by configuration and starts used, with margins measured in "
    "EPANET; then a search of all schedules below the best one"
)


@dataclass
class Exact:
    """What the search found: counts (n, classes) and valve choices of the best schedule and its cost (inf: none), the bound, the worth of a full
    tank's content (n + 1, tanks). The bound has no value where checks contradict the models to the end."""

    counts: Ints | None
    choices: Ints | None
    cost: float
    bound: Bound
    water: Floats


def applies(plant: Plant) -> bool:
    """Whether there are few enough configurations: fixed speeds, and no start outside the limits."""
    kinds = int(np.prod([len(c.pumps) + 1 for c in plant.classes], dtype=np.float64))
    inside = ((plant.x0 >= -1e-9) & (plant.x0 <= 1 + 1e-9)).all()
    return kinds <= MOST_JOINT and not any(c.is_variable for c in plant.classes) and bool(inside) and plant.tanks <= 4 and not plant.problem.valves


@dataclass
class _Layer:
    volume: Floats
    cost: Floats
    last: Ints
    used: Ints
    parent: Ints


@dataclass
class _Best:
    """The best schedule so far, as configurations (n,), and what was checked."""

    counts: Ints | None = None
    cost: float = np.inf
    kinds: Ints | None = None
    checked: int = 0


def search_exactly(plant: Plant, rng: np.random.Generator, fits: Fits, work: Work, known: tuple[Ints, Floats] | None, teller: Teller) -> Exact:
    """Search until proved, told to stop, or out of work. `known`: counts and speeds of a schedule to beat."""
    joint = JointConfigurations(plant)
    before = plant.simulator.solves
    models = fit_volume_models(plant, joint, rng, work.exact_points)
    if models is None:
        why = "no configuration keeps the limits through every step, from any of the states drawn"
        return Exact(None, None, np.inf, Bound(value=None, method=_METHOD, why=why), np.zeros((plant.n + 1, plant.tanks)))
    starts = Starts(plant, joint)
    best = _Best()
    if known is not None and fits(known[0]):
        _take(plant, joint, starts, best, known[0])
    cells = int(np.clip(work.exact_cells // plant.n * (1 if plant.n < 40 else 2), 300, 6000)), _CELLS_B
    # First on coarse cells: that finds a good schedule, and tries the margins where good schedules are.
    rounds = [(max(cells[0] // 4, 100), max(cells[1] // 2, 1), _WIDTHS[:2])] * _REPEATS + [(*cells, _WIDTHS)] * _REPEATS
    run = None
    tried_well = False
    for cells_a, cells_b, widths in rounds:
        coarse = cells_a < cells[0]
        if coarse and tried_well:
            continue
        run = _Run(plant, joint, models, starts, fits, best, cells_a, cells_b, before + work.exact_solves, teller)
        run.all_widths(widths)
        tried_well = not run.failed
        if teller.is_stopped or (not run.failed and (not coarse or run.is_done)):
            break
    assert run is not None
    bound = Bound(
        value=None if run.failed else run.bound, method=_METHOD, cost=best.cost, why="withdrawn, since steps that were simulated contradict its models", samples=models.samples // 2,
        work={"exact_solves": plant.simulator.solves - before, "exact_checks": best.checked, "exact_cells": run.cells},
    )  # fmt: skip
    choices = None if best.counts is None else np.repeat(plant.first_choice, plant.n, axis=0)
    return Exact(best.counts, choices, best.cost, bound, run.water())


def _take(plant: Plant, joint: JointConfigurations, starts: Starts, best: _Best, counts: Ints) -> None:
    """Take counts as the best schedule, if they hold all limits."""
    kinds = np.array([joint.index_of(row) for row in counts])
    volume, cost = plant.simulator.volumes(plant.problem.initial_level_m)[None], 0.0
    root = volume
    last = kinds[-1] if plant.problem.count_starts == "periodic" else joint.index_of(plant.initial_count)
    for k, kind in enumerate(kinds):
        steps = plant.simulator.steps(np.array([k]), volume, joint.speeds_at(k, kinds[k : k + 1]), joint.choices[kinds[k : k + 1]])
        if steps.severity[0] > 0 or not joint.ready[k, kind]:
            return
        cost += float(steps.cost[0] + starts.wear[last, kind] + least_deviation(plant, joint, k, int(kind)))
        volume, last = steps.volume, kind
    x = plant.state(volume)[0]
    if (x < plant.x_least[-1] - 1e-9).any() or (x > plant.x_most[-1] + 1e-9).any():
        return
    if plant.problem.stored_value_per_m3 is not None:
        cost -= float(((volume - root) @ plant.problem.stored_value_per_m3)[0])
    best.counts, best.kinds, best.cost = counts, kinds, cost


class _Run:
    """One pass with models as they stand."""

    def __init__(
        self, plant: Plant, joint: JointConfigurations, models: VolumeModels, starts: Starts, fits: Fits, found: _Best,
        cells_a: int, cells_b: int, limit: int, tell: Teller,
    ) -> None:  # fmt: skip
        self.plant, self.joint, self.models, self.starts, self.fits, self.found, self.tell = plant, joint, models, starts, fits, found, tell
        self.limit = limit
        self.meters = metered(plant.problem)
        self.failed = 0
        self.is_done = False
        self.bound: float | None = None
        self.grid, self.tables, self.possible = tables_of(plant, joint, models, cells_a, cells_b)
        self.root = plant.simulator.volumes(plant.problem.initial_level_m)
        ends: list[int | None] = [None]
        if plant.problem.count_starts == "periodic":
            ends = [int(c) for c in np.flatnonzero(joint.ready[-1])]
        with ThreadPoolExecutor(2) as threads:
            programmes = list(threads.map(lambda end: CostToGo(plant, joint, models, starts, self.grid, self.tables, self.possible, end), ends))
        self.ends = []
        for end, to_go in zip(ends, programmes, strict=True):
            last = joint.index_of(plant.initial_count) if end is None else end
            a, b = self._ab(self.root[None])
            value = float(to_go.at(0, np.array([last]), a, b, np.array([starts.first]))[0])
            self.ends.append((value, last, to_go))
        self.ends.sort(key=lambda e: e[0])
        self.cells = self.grid.cells_a * self.grid.cells_b * len(joint) * starts.used * plant.n * len(ends)

    def _ab(self, volume: Floats) -> tuple[Floats, Floats]:
        return volume.sum(axis=1), self.plant.heads(volume) @ self.grid.b_vector

    @property
    def cutoff(self) -> float:
        cost = self.found.cost
        return cost - _TOLERANCE * abs(cost) if np.isfinite(cost) else np.inf

    def all_widths(self, widths: tuple[int, ...]) -> None:
        """Widen until proved. Sets `bound`; `is_done` once nothing is left to search, or the search was stopped."""
        roots = [e[0] for e in self.ends]
        self.bound = self._shaved(min(roots))
        for width in widths:
            least = []
            dropped = False
            for root, last, to_go in self.ends:
                if root >= self.cutoff:
                    least.append(self.cutoff)
                    continue
                value, cut = self._explore(to_go, last, width)
                dropped |= cut
                least.append(max(value, root))
            if self.failed:
                return
            self.bound = max(self.bound, self._shaved(min(least)))
            cost = self.found.cost if np.isfinite(self.found.cost) else None
            go_on = self.tell("search", cost, self.bound)
            self.is_done = not dropped or not go_on or self.plant.simulator.solves >= self.limit
            if self.is_done:
                return

    def _shaved(self, value: float) -> float:
        """Costs to go are kept in single precision."""
        return value - 2e-6 * abs(value) if np.isfinite(value) else value

    def _explore(self, to_go: CostToGo, last: int, width: int) -> tuple[float, bool]:
        """One search by layers. Returns what it proves (the least bound of what was dropped, at most the cutoff), and whether anything was for width."""
        plant, starts = self.plant, self.starts
        layer = _Layer(self.root[None], np.zeros(1), np.array([last]), np.array([starts.first]), np.zeros(1, np.int64))
        layers = [layer]
        least, cut = np.inf, False
        for k in range(plant.n):
            rows, kind, promise = self._continuations(to_go, k, layer)
            if len(rows) > width:
                order = np.argsort(promise, kind="stable")
                least, cut = min(least, float(promise[order[width]])), True
                keep = np.sort(order[:width])
                rows, kind = rows[keep], kind[keep]
            if not len(rows):
                return min(least, self.cutoff), cut
            layer = self._simulate(k, layer, rows, kind)
            layers.append(layer)
        self._leaves(layers)
        return min(least, self.cutoff), cut

    def _continuations(self, to_go: CostToGo, k: int, layer: _Layer) -> tuple[Ints, Ints, Floats]:
        """Rows of the layer and configurations to continue them with, and the bound on each's whole cost; only those below the cutoff."""
        a, b = self._ab(layer.volume)
        cell = self.grid.cell(k, self.models.group[layer.last], a, b)
        outside = cell < 0
        if outside.any():
            self.failed += int(outside.sum())
            self._widen_zones(k, layer, outside)
        inside = np.flatnonzero(~outside)
        kinds = np.flatnonzero(self.joint.ready[k])
        rows, kind = np.repeat(inside, len(kinds)), np.tile(kinds, len(inside))
        to_end = to_go.going_to(k, layer.last[rows], kind, cell[rows], layer.used[rows])
        promise = layer.cost[rows] + to_end
        keep = promise < self.cutoff
        return rows[keep], kind[keep], promise[keep]

    def _simulate(self, k: int, layer: _Layer, rows: Ints, kind: Ints) -> _Layer:
        plant = self.plant
        order = np.argsort(kind, kind="stable")  # pumps are set once a configuration
        rows, kind = rows[order], kind[order]
        volume, last, used = layer.volume[rows], layer.last[rows], layer.used[rows]
        steps = plant.simulator.steps(np.full(len(rows), k), volume, self.joint.speeds_at(k, kind), self.joint.choices[kind])
        ok = steps.severity == 0.0
        if k == plant.n - 1:
            ok &= (steps.volume >= plant.simulator.end_volume - 1e-9).all(axis=1)
            if plant.problem.end_level_max_m is not None:
                ok &= (steps.volume <= plant.simulator.volumes(plant.problem.end_level_max_m) + 1e-9).all(axis=1)
        self._check(k, last[ok], kind[ok], volume[ok], steps.volume[ok], steps.power[ok], steps.source[ok])
        cost = layer.cost[rows] + steps.cost + self.starts.wear[last, kind] + self._deviation(k, kind)
        if k == plant.n - 1 and plant.problem.stored_value_per_m3 is not None:
            cost = cost - (steps.volume - self.root) @ plant.problem.stored_value_per_m3
        after = self.starts.next[k][last, kind, used]
        return _Layer(steps.volume[ok], cost[ok], kind[ok], after[ok], rows[ok])

    def _deviation(self, k: int, kind: Ints) -> Floats:
        """Of other pumps than in the previous plan: the least, since which of the identical pumps run is chosen at the end."""
        least = np.array([least_deviation(self.plant, self.joint, k, c) for c in range(len(self.joint))])
        return np.asarray(least[kind], np.float64)

    def _check(self, k: int, last: Ints, kind: Ints, before: Floats, after: Floats, power: Floats, source: Floats) -> None:
        """Simulated steps against the models: widen the margins that fail."""
        models, plant = self.models, self.plant
        self.found.checked += len(last)
        group = models.group[last]
        y, y_after = plant.heads(before), plant.heads(after)
        d, d_after = y - (y @ models.weight)[:, None], y_after - (y_after @ models.weight)[:, None]
        out = np.zeros((len(last), models.low.shape[3]))
        out[:, 0] = after.sum(axis=1)
        out[:, 1] = d_after @ models.direction
        hours = plant.problem.steps.hours[k]
        for i, m in enumerate(self.meters):
            out[:, 2 + i] = power[:, m.pumps].sum(axis=1) / 1000.0 * hours
        out[:, models.low.shape[3] - source.shape[1] :] = source
        deviation = out - predict(models, k, group, kind, before.sum(axis=1), d)
        under, over = -deviation - models.low[k, group, kind], deviation - models.high[k, group, kind]
        scale = np.maximum(np.abs(out).max(axis=0, initial=0.0), 1.0)
        bad = (np.maximum(under, over) > 1e-7 * scale).any(axis=1) | ~models.possible[k, group, kind]
        if not bad.any():
            return
        self.failed += int(bad.sum())
        share = plant.problem.steps.hours / hours
        for r in np.flatnonzero(bad).tolist():
            at = np.s_[:, group[r], kind[r]]
            models.possible[at] |= self.joint.ready[:, kind[r]]
            for margin, beyond in ((models.low, under[r]), (models.high, over[r])):
                widened = margin[k, group[r], kind[r]] + _SLACK * np.maximum(beyond, 0.0)
                # Where one step shows a margin too small, the others were measured no better.
                ratio = widened / np.maximum(margin[k, group[r], kind[r]], 1e-12)
                margin[at] = np.maximum(margin[at] * np.minimum(ratio, _MOST_WIDENING), widened * share[:, None] * (beyond > 0))
            under[r] = over[r] = 0.0

    def _widen_zones(self, k: int, layer: _Layer, outside: Bools) -> None:
        """Let the zones hold states that were reached outside them."""
        heads = self.plant.heads(layer.volume[outside])
        y = np.concatenate([np.zeros((len(heads), 1)), heads], axis=1)
        difference = y[:, :, None] - y[:, None, :]
        group = self.models.group[layer.last[outside]]
        zones = self.models.zones[k] = list(self.models.zones[k])
        for g in np.unique(group).tolist():
            here = difference[group == g].max(axis=0)
            zone = zones[g]
            zones[g] = Zone(here) if zone is None else Zone(zone.d + _SLACK * np.maximum(here - zone.d, 0.0))

    def _leaves(self, layers: list[_Layer]) -> None:
        """Take the cheapest last state whose counts can be assigned to pumps, if it is better than what is known."""
        last = layers[-1]
        for r in np.argsort(last.cost, kind="stable")[:2000].tolist():
            if last.cost[r] >= self.found.cost:
                return
            kinds, row = [], r
            for layer in layers[:0:-1]:
                kinds.append(int(layer.last[row]))
                row = int(layer.parent[row])
            counts = self.joint.counts[kinds[::-1]]
            if self.fits(counts):
                self.found.counts, self.found.kinds, self.found.cost = counts, np.array(kinds[::-1]), float(last.cost[r])
                return

    def water(self) -> Floats:
        """Worth of a full tank's content along the best schedule, (n + 1, tanks): the slope of the cost to go over stored volume."""
        plant, kinds = self.plant, self.found.kinds
        worth = np.zeros((plant.n + 1, plant.tanks))
        if kinds is None:
            return worth
        periodic = plant.problem.count_starts == "periodic"
        last = int(kinds[-1]) if periodic else self.joint.index_of(plant.initial_count)
        to_go = next(t for _, end, t in self.ends if end == last)
        volume, used = self.root[None], np.array([self.starts.first])
        for k in range(plant.n + 1):
            a, b = self._ab(volume)
            worth[k] = to_go.worth(k, last, float(a[0]), float(b[0]), int(used[0])) * plant.span
            if k < plant.n:
                kind = kinds[k : k + 1]
                volume = plant.simulator.steps(np.array([k]), volume, self.joint.speeds_at(k, kind), self.joint.choices[kind]).volume
                used, last = self.starts.next[k][last, kind, used], int(kind[0])
        worth[plant.n] = worth[plant.n - 1]
        return worth
