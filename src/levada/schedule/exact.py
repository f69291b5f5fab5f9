"""Exact search where few configurations act and tanks hang together: layer by layer through the horizon, every state EPANET's own.

In each step every kept state is continued by every configuration; a continuation is dropped only when its cost so far plus the bound on its cost to go
(volume_bound.py) is not below the best schedule known, or when it breaks a limit. Where a layer grows beyond a width, the least promising are
dropped too and the least of their bounds is remembered: the search then proves that bound and no more. Stages of finer bounds and greater widths
follow until nothing was dropped for width, or the work is spent. Every simulated step is checked against the models that the bound stands on; where
one fails, the margins are widened and the stage is done again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.assignment import Fits
from levada.schedule.candidate import Trial
from levada.schedule.certificate import Bound
from levada.schedule.joint import Histories, JointConfigurations, are_all, joint_choices
from levada.schedule.locks import Locks
from levada.schedule.plant import Ints, Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Teller
from levada.schedule.reach import Zone
from levada.schedule.volume_bound import CostToGo, Starts, least_deviation, tables_of
from levada.schedule.volume_models import VolumeModels, fit_volume_models, outputs, predict

__all__ = ["Exact", "applies", "search_exactly"]

_MOST_JOINT = 27
"""More joint configurations than these are left to the other searches."""

_MOST_HISTORIES = 64
_TOLERANCE = 2e-5
"""A schedule this share below the best known is worth finding."""

_REPEATS = 4
_SLACK = 1.5
_MOST_WIDENING = 1.5

_MOST_LEAVES = 5000

_HOPELESS = 0.2
"""Where the first stage leaves a gap wider than this share of the cost, or finds no schedule at all, the tanks do not hang together."""

_SMALL_NETWORK = 20
"""Junctions of a network whose solves count as one."""

_METHOD = (
    "dynamic programming over the volume stored in all tanks and one coordinate of their differences, by the last configurations and starts used, with margins "
    "measured in EPANET; then a search of all schedules below the best one"
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
    """Whether there are few enough configurations (fixed speeds, and no start outside the limits), and the volume stored in all tanks tells enough: with
    several tanks only where all pumps can be swapped and no valve turns water from one to another. Of 9 random networks with two tanks or three and unlike pumps none was ever proved, and for 8 it found
    no schedule. Pumps that are nearly alike only are not swapped here: what is proved is proved of the very steps that were run."""
    inside = ((plant.x0 >= -1e-9) & (plant.x0 <= 1 + 1e-9)).all()
    hangs_together = plant.tanks == 1 or (len(plant.classes) == 1 and not plant.problem.valves)
    return hangs_together and joint_choices(plant) <= _MOST_JOINT and are_all(plant) and bool(inside) and plant.tanks <= 4


@dataclass
class _Layer:
    """States after a step: volume (N, tanks), cost so far, history, starts used, row in the layer before, recent configurations (N, memory of locks)."""

    volume: Floats
    cost: Floats
    history: Ints
    used: Ints
    parent: Ints
    recent: Ints


@dataclass
class _Best:
    """The best schedule so far, as configurations (n,), the worth of water along it, and what was checked."""

    counts: Ints | None = None
    cost: float = np.inf
    kinds: Ints | None = None
    water: Floats | None = None
    checked: int = 0
    cells: int = 0


@dataclass(frozen=True)
class _Stage:
    memory: int
    cells_a: int
    cells_b: int
    widths: tuple[int, ...]


def _stages(plant: Plant, joint: JointConfigurations, work: Work) -> tuple[_Stage, ...]:
    cells = int(np.clip(work.exact_cells // plant.n, 2500, 4000))
    first = _Stage(1, cells // 4, 3, (50, 400))
    # Within an hour the tanks' differences forget what was before; with shorter steps more than the last configuration is needed to know them.
    if plant.tanks > 1 and float(min(plant.problem.steps.hours)) < 1 and len(joint) ** 2 <= _MOST_HISTORIES:
        return first, _Stage(1, cells, 6, (400, 3_000, 20_000)), _Stage(2, cells // 2, 4, (20_000,))
    return first, _Stage(1, cells, 6, (400, 3_000, 20_000, 120_000))


def search_exactly(plant: Plant, rng: np.random.Generator, fits: Fits, work: Work, known: Trial | None, teller: Teller) -> Exact:
    """Search until proved, told to stop, or out of work. `known`: a schedule to beat."""
    joint = JointConfigurations(plant)
    locks = Locks(plant, joint)
    starts = Starts(plant, joint)
    begun = plant.simulator.solves
    # A solve of a large network takes longer: the limit is of work, not of solves.
    limit = begun + int(work.exact_solves / max(1.0, len(plant.problem.network.junctions) / _SMALL_NETWORK))
    best, value, samples, contradicted = _Best(), -np.inf, 0, False
    if known is not None and fits(known[0]):
        _take(plant, joint, starts, best, known[0], known[2])
    models: VolumeModels | None = None
    is_done = False
    for stage in _stages(plant, joint, work):
        if models is None or models.histories.memory != stage.memory:
            models = fit_volume_models(plant, joint, Histories.of(joint, stage.memory), rng, work.exact_points)
            if models is None:
                why = "no configuration keeps the limits through every step, from any of the states drawn"
                return Exact(None, None, np.inf, Bound(value=None, method=_METHOD, why=why), np.zeros((plant.n + 1, plant.tanks)))
        for _ in range(_REPEATS):
            run = _Run(plant, joint, locks, models, starts, fits, best, stage, limit, teller)
            bound, is_done = run.all_ends()
            contradicted = run.failed > 0
            if not contradicted:
                if bound > value:
                    value, samples = bound, models.samples // 2
                break
            if teller.is_stopped or run.is_spent:
                break
        is_hopeless = not np.isfinite(best.cost) or best.cost - value > _HOPELESS * abs(best.cost)
        if is_done or is_hopeless or teller.is_stopped or plant.simulator.solves >= limit:
            break
    bound_found = Bound(
        value=value if np.isfinite(value) else None, method=_METHOD, cost=best.cost, samples=samples,
        why="steps that were simulated contradict its models" if contradicted else "no schedule was found that keeps all limits",
        work={"exact_solves": plant.simulator.solves - begun, "exact_checks": best.checked, "exact_cells": best.cells},
    )  # fmt: skip
    choices = None if best.kinds is None else joint.choices[best.kinds]
    water = np.zeros((plant.n + 1, plant.tanks)) if best.water is None else best.water
    return Exact(best.counts, choices, best.cost, bound_found, water)


def _take(plant: Plant, joint: JointConfigurations, starts: Starts, best: _Best, counts: Ints, choices: Ints) -> None:
    """Take counts and choices of valves as the best schedule, if they hold all limits."""
    kinds = joint.places(counts, choices)
    root = volume = plant.simulator.volumes(plant.problem.initial_level_m)[None]
    cost = 0.0
    last = kinds[-1] if plant.problem.count_starts == "periodic" else joint.index_of(plant.initial_count, plant.problem.initial_choice)
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
    """One stage with models as they stand."""

    def __init__(
        self, plant: Plant, joint: JointConfigurations, locks: Locks, models: VolumeModels, starts: Starts, fits: Fits, best: _Best, stage: _Stage,
        limit: int, teller: Teller,
    ) -> None:  # fmt: skip
        self.plant, self.joint, self.locks, self.models, self.starts = plant, joint, locks, models, starts
        self.fits, self.best, self.stage, self.limit, self.teller = fits, best, stage, limit, teller
        self.histories = models.histories
        self.failed = 0
        self.grid, self.tables, self.possible = tables_of(plant, joint, models, stage.cells_a, stage.cells_b)
        self.root = plant.simulator.volumes(plant.problem.initial_level_m)
        self.least_deviation = np.array([[least_deviation(plant, joint, k, c) for c in range(len(joint))] for k in range(plant.n)])
        most = plant.problem.end_level_max_m
        self.end_most = None if most is None else plant.simulator.volumes(most)

    def _ab(self, volume: Floats) -> tuple[Floats, Floats]:
        return volume.sum(axis=1), self.plant.heads(volume) @ self.grid.b_vector

    @property
    def cutoff(self) -> float:
        cost = self.best.cost
        return cost - _TOLERANCE * abs(cost) if np.isfinite(cost) else np.inf

    @property
    def is_spent(self) -> bool:
        return self.plant.simulator.solves >= self.limit

    def all_ends(self) -> tuple[float, bool]:
        """Search for each configuration that the horizon may end with (any, unless starts are counted periodically). Returns the bound, and whether
        no width dropped anything, so that the best schedule is proved."""
        plant = self.plant
        ends: list[int | None] = [None]
        if plant.problem.count_starts == "periodic":
            ends = [int(c) for c in np.flatnonzero(self.joint.ready[-1])]
            if self.best.kinds is not None:
                known = int(self.best.kinds[-1])
                ends.sort(key=lambda end: end != known)  # the best known first: its cutoff helps the others
        least, is_proved = [], True
        for end in ends:
            value, complete = self._one_end(end)
            least.append(value)
            is_proved &= complete
            if self.teller.is_stopped:
                is_proved = False
                break
        bound = min(least) if len(least) == len(ends) else -np.inf
        bound -= 2e-6 * abs(bound) if np.isfinite(bound) else 0.0  # costs to go are kept in single precision
        kept = None if self.failed or not np.isfinite(bound) else bound
        self.teller("search", self.best.cost if np.isfinite(self.best.cost) else None, kept)
        return bound, is_proved and not self.failed

    def _one_end(self, end: int | None) -> tuple[float, bool]:
        to_go = CostToGo(self.plant, self.joint, self.models, self.starts, self.grid, self.tables, self.possible, end)
        self.best.cells += int(np.prod(to_go.value[0].shape)) * self.plant.n
        first = self.histories.constant(self.joint.index_of(self.plant.initial_count, self.plant.problem.initial_choice) if end is None else end)
        a, b = self._ab(self.root[None])
        value = float(to_go.at(0, np.array([first]), a, b, np.array([self.starts.first]))[0])
        if value >= self.cutoff:
            return self.cutoff, True
        for width in self.stage.widths:
            found, cut = self._explore(to_go, first, width)
            value = max(value, found)
            if not cut or self.failed:
                return value, not cut
            if not self.teller("search", self.best.cost if np.isfinite(self.best.cost) else None) or self.is_spent:
                break
        return value, False

    def _explore(self, to_go: CostToGo, first: int, width: int) -> tuple[float, bool]:
        """One search by layers. Returns what it proves (the least bound of what was dropped, at most the cutoff), and whether anything was for width."""
        start = np.array([first])
        recent = np.repeat(self.histories.last[start][:, None], self.locks.memory, axis=1)
        layer = _Layer(self.root[None], np.zeros(1), start, np.array([self.starts.first]), np.zeros(1, np.int64), recent)
        layers = [layer]
        least, cut = np.inf, False
        for k in range(self.plant.n):
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
        self._leaves(to_go, layers)
        return min(least, self.cutoff), cut

    def _continuations(self, to_go: CostToGo, k: int, layer: _Layer) -> tuple[Ints, Ints, Floats]:
        """Rows of the layer and configurations to continue them with, and the bound on each's whole cost; only those below the cutoff."""
        a, b = self._ab(layer.volume)
        cell = self.grid.cell(k, self.histories.group[layer.history], a, b)
        outside = cell < 0
        if outside.any():
            self.failed += int(outside.sum())
            self._widen_zones(k, layer, outside)
        inside = np.flatnonzero(~outside)
        kinds = np.flatnonzero(self.joint.ready[k])
        rows, kind = np.repeat(inside, len(kinds)), np.tile(kinds, len(inside))
        if self.locks.memory:
            free = self.locks.allow(k, layer.recent[rows], kind)
            rows, kind = rows[free], kind[free]
        promise = layer.cost[rows] + to_go.going_to(k, layer.history[rows], kind, cell[rows], layer.used[rows])
        keep = promise < self.cutoff
        return rows[keep], kind[keep], promise[keep]

    def _simulate(self, k: int, layer: _Layer, rows: Ints, kind: Ints) -> _Layer:
        plant = self.plant
        order = np.argsort(kind, kind="stable")  # pumps are set once a configuration
        rows, kind = rows[order], kind[order]
        volume, history, used = layer.volume[rows], layer.history[rows], layer.used[rows]
        last = self.histories.last[history]
        steps = plant.simulator.steps(np.full(len(rows), k), volume, self.joint.speeds_at(k, kind), self.joint.choices[kind])
        ok = steps.severity == 0.0
        if k == plant.n - 1:
            ok &= (steps.volume >= plant.simulator.end_volume - 1e-9).all(axis=1)
            if self.end_most is not None:
                ok &= (steps.volume <= self.end_most + 1e-9).all(axis=1)
        self._check(k, history[ok], kind[ok], volume[ok], steps.volume[ok], steps.power[ok], steps.source[ok])
        # Which of the identical pumps run is chosen at the end: wear and deviation count with the least that they can be.
        cost = layer.cost[rows] + steps.cost + self.starts.wear[last, kind] + self.least_deviation[k, kind]
        if k == plant.n - 1 and plant.problem.stored_value_per_m3 is not None:
            cost = cost - (steps.volume - self.root) @ plant.problem.stored_value_per_m3
        after = self.starts.next[k][last, kind, used]
        recent = np.concatenate([kind[:, None], layer.recent[rows][:, :-1]], axis=1) if self.locks.memory else layer.recent[rows]
        return _Layer(steps.volume[ok], cost[ok], self.histories.after[history, kind][ok], after[ok], rows[ok], recent[ok])

    def _check(self, k: int, history: Ints, kind: Ints, before: Floats, after: Floats, power: Floats, source: Floats) -> None:
        """Simulated steps against the models: widen the margins that fail."""
        models, plant = self.models, self.plant
        self.best.checked += len(history)
        group = self.histories.group[history]
        out = outputs(plant, models, k, after, power, source)
        deviation = out - predict(models, k, group, kind, before.sum(axis=1), models.differences(plant.heads(before)))
        under, over = -deviation - models.low[k, group, kind], deviation - models.high[k, group, kind]
        scale = np.maximum(np.abs(out).max(axis=0, initial=0.0), 1.0)
        bad = (np.maximum(under, over) > 1e-7 * scale).any(axis=1) | ~models.possible[k, group, kind]
        if not bad.any():
            return
        self.failed += int(bad.sum())
        share = plant.problem.steps.hours / plant.problem.steps.hours[k]
        for g, c in np.unique(np.stack([group[bad], kind[bad]], axis=1), axis=0).tolist():
            mine = bad & (group == g) & (kind == c)
            models.possible[:, g, c] |= self.joint.ready[:, c]
            for margin, beyond in ((models.low, under[mine].max(axis=0)), (models.high, over[mine].max(axis=0))):
                widened = margin[k, g, c] + _SLACK * np.maximum(beyond, 0.0)
                # Where one step shows a margin too small, the others were measured no better.
                ratio = np.minimum(widened / np.maximum(margin[k, g, c], 1e-12), _MOST_WIDENING)
                margin[:, g, c] = np.maximum(margin[:, g, c] * ratio, widened * share[:, None] * (beyond > 0))

    def _widen_zones(self, k: int, layer: _Layer, outside: Bools) -> None:
        """Let the zones hold states that were reached outside them."""
        heads = self.plant.heads(layer.volume[outside])
        y = np.concatenate([np.zeros((len(heads), 1)), heads], axis=1)
        difference = y[:, :, None] - y[:, None, :]
        group = self.histories.group[layer.history[outside]]
        zones = self.models.zones[k] = list(self.models.zones[k])
        for g in np.unique(group).tolist():
            here = difference[group == g].max(axis=0)
            zone = zones[g]
            zones[g] = Zone(here) if zone is None else Zone(zone.d + _SLACK * np.maximum(here - zone.d, 0.0))

    def _leaves(self, to_go: CostToGo, layers: list[_Layer]) -> None:
        """Take the cheapest last state whose counts can be assigned to pumps, if it is better than what is known."""
        last = layers[-1]
        for r in np.argsort(last.cost, kind="stable")[:_MOST_LEAVES].tolist():
            if last.cost[r] >= self.best.cost:
                return
            path = [r]
            for layer in layers[:0:-1]:
                path.append(int(layer.parent[path[-1]]))
            path.reverse()
            kinds = np.array([self.histories.last[layer.history[row]] for layer, row in zip(layers[1:], path[1:], strict=True)])
            counts = self.joint.counts[kinds]
            if self.fits(counts):
                self.best.counts, self.best.kinds, self.best.cost = counts, kinds, float(last.cost[r])
                self.best.water = self._water(to_go, layers, path)
                return

    def _water(self, to_go: CostToGo, layers: list[_Layer], path: list[int]) -> Floats:
        """Worth of a full tank's content along a way, (n + 1, tanks): the slope of the cost to go over stored volume."""
        worth = np.zeros((self.plant.n + 1, self.plant.tanks))
        for k, (layer, row) in enumerate(zip(layers[:-1], path[:-1], strict=True)):
            a, b = self._ab(layer.volume[row][None])
            worth[k] = to_go.worth(k, int(layer.history[row]), float(a[0]), float(b[0]), int(layer.used[row])) * self.plant.span
        worth[-1] = worth[-2]
        return worth
