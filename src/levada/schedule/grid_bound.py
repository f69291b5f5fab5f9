"""The bound by values on grids of two or three tanks' levels, in passes: each on finer grids, over what the pass before has left possible.

Where a schedule is known that costs little more than the bound, cheaper ones can pass but a small part of all states (grid_corridor.py), and only there grids are made finer. What is proved is
that no schedule costs less than the lesser of the bound and that schedule.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.certificate import Bound
from levada.schedule.grid import Grid
from levada.schedule.grid_corridor import Corridor, corridor
from levada.schedule.grid_steps import true_steps
from levada.schedule.grid_values import SAFETY, Asked, GridValues, Layer
from levada.schedule.joint import JointConfigurations, are_all, joint_choices
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Teller
from levada.schedule.reach import Zone, ranges
from levada.schedule.relaxation_pieces import within
from levada.schedule.relaxation_tariff import has_terms

__all__ = ["bound_by_grid", "is_for_grid"]

_METHOD = "dynamic programming over the levels of all tanks (values on a grid, lowered until Bellman's inequality held in EPANET)"

_TANKS = (2, 3)
_MOST_KINDS = 12
"""More joint configurations would leave too few nodes for each."""

_LEAST_NODES, _MOST_NODES = 9, 81
"""Of each tank: with fewer nothing is gained, with more the programme between the steps takes longer than they do."""

_STEEP = 1.5
"""Beyond limits V goes on at so many times the most that water is worth."""

_FINER = (1.75, 1.5, 1.25)
_MORE_STEPS, _MOST_PASSES = 2.0, 2
"""Grids of the next pass are finer by the most of these that takes no more than so many times the steps of the first."""

_NODES = 100
"""Networks with more junctions take longer a solve, so fewer are made."""

_PROBED = 8
"""Random steps in each step of the horizon that tell how many solves a step takes."""

_TRUE_SHARE = 8
"""True steps that are drawn in a round, as a share of those from nodes: one in so many."""


def bound_by_grid(
    plant: Plant, zones: list[Zone], water: Floats, cost: float, known: float, rng: np.random.Generator, work: Work, teller: Teller
) -> Bound | None:
    """The bound beside a schedule that costs `cost`, with the worth of a full tank's content by instant and tank, (n + 1, tanks). A first pass that comes to no more than the bound that is `known`
    is the last. None where this is not for the plant, takes too many steps, or was stopped before it had a bound."""
    worth = float(water.max(initial=0.0))
    if not (zones and is_for_grid(plant) and worth > 0 and np.isfinite(cost)):
        return None
    joint, n = JointConfigurations(plant), plant.n
    steps = 0 if not work.grid_solves else _affordable(joint, work.grid_solves, rng)
    nodes = min(int((steps / (n * len(joint))) ** (1 / plant.tanks)), _MOST_NODES)
    if nodes < _LEAST_NODES:
        return None
    asked = Asked(joint, _STEEP * worth, max(abs(cost), worth), steps // (_TRUE_SHARE * n))
    best: float | None = None
    spent, samples, left = 0, 0, None
    layers = _layers(plant, zones, nodes, None)
    for attempt in range(_MOST_PASSES):
        values = _pass(asked, layers, left, rng, teller)
        if values is None:
            break
        samples += values.samples
        spent += sum(int(s.is_run.sum()) for s in values.steps.values())
        if not _stands(values, left, cost):
            break
        value = min(values.bound(), cost)
        best = value if best is None else max(best, value)
        if not teller("values", bound=best) or value <= known or cost - best <= work.gap * abs(cost) or attempt == _MOST_PASSES - 1:
            break
        left = corridor(values, cost, rng)
        finer = _finer(joint, zones, nodes, left, int(_MORE_STEPS * steps))
        if finer is None:
            break
        layers = finer
    if best is None:
        return None
    return Bound(value=best, method=_METHOD, cost=cost, samples=samples, work={"grid_steps": spent})


def _affordable(joint: JointConfigurations, solves: int, rng: np.random.Generator) -> int:
    """Steps that so many solves make, by a few random ones: tanks that are cut off and let in again by turns take many a step."""
    plant = joint.plant
    before = plant.simulator.solves
    for k in range(plant.n):
        kinds = np.flatnonzero(joint.ready[k])
        if len(kinds):
            true_steps(joint, k, rng.random((_PROBED, plant.tanks)), rng.choice(kinds, _PROBED))
    each = max(1.0, (plant.simulator.solves - before) / (_PROBED * plant.n))
    return int(solves * _NODES / (max(len(plant.problem.network.junctions), _NODES) * each))


def is_for_grid(plant: Plant) -> bool:
    """Whether V is for this plant: few tanks, few joint configurations, fixed speeds, pumps of a class that are the same, and a bill of its steps."""
    problem = plant.problem
    return plant.tanks in _TANKS and are_all(plant) and joint_choices(plant) <= _MOST_KINDS and has_terms(plant) and problem.switch_resolution_s is None


def _pass(asked: Asked, layers: list[Layer], left: Corridor | None, rng: np.random.Generator, teller: Teller) -> GridValues | None:
    """V on the grids of these layers; None where it was stopped."""
    values = GridValues(asked, layers, rng)
    for k in range(values.n - 1, 0, -1):
        if not teller("values"):
            return None
        values.back(k, _is_run(asked.joint, k, layers[k], left))
    return values


def _layers(plant: Plant, zones: list[Zone], nodes: int, left: Corridor | None) -> list[Layer]:
    """Grids of so many nodes at all instants."""
    return [_layer(plant, zones, k, nodes, left) for k in range(len(zones))]


def _is_run(joint: JointConfigurations, k: int, layer: Layer, left: Corridor | None) -> Bools:
    """Configurations to run from each node of the cells, (configurations, size)."""
    grid = layer.grid
    node = np.unique((layer.cells[:, None] + grid.corners).ravel())
    found = np.zeros((len(joint), grid.size), bool)
    found[:, node] = joint.ready[k][:, None] if left is None else left.goes_on_by(k, grid.states[node])
    return found


def _layer(plant: Plant, zones: list[Zone], k: int, nodes: int, left: Corridor | None) -> Layer:
    """Grid and cells of an instant: over what can be reached, and what the pass before has left of it."""
    zone = zones[k]
    low, high = ranges(plant, zone)

    def holds(x: Floats) -> Bools:
        return _in_zone(plant, zone, x) & (np.ones(len(x), bool) if left is None else left.holds(k, x))

    if left is not None and k > 0:
        before = left.values.layers[k].grid
        kept = before.states[left.paid[k] <= left.room]
        if len(kept):
            low, high = np.maximum(kept.min(axis=0) - before.width, low), np.minimum(kept.max(axis=0) + before.width, high)
    grid = Grid(nodes, low, np.maximum(high, low + 1e-9))
    if not 0 < k < plant.n:
        return Layer(grid, grid.cells, np.full(grid.size, np.inf), holds)
    cells = grid.cells[_touches(plant, zone, grid.states[grid.cells], grid.width)]
    if left is None:
        return Layer(grid, cells, np.full(grid.size, np.inf), holds)
    # Cells are no wider than those of the pass before, so one that reaches into the corridor has a corner there.
    corners = grid.states[(cells[:, None] + grid.corners).ravel()]
    cells = cells[left.holds(k, corners).reshape(len(cells), -1).any(axis=1)]
    return Layer(grid, cells, left.most(k, grid.states), holds, lambda x: left.most(k, x))


def _in_zone(plant: Plant, zone: Zone, x: Floats) -> Bools:
    return within(plant.floor_m + plant.rise_m * x, zone, room_m=1e-6)


def _touches(plant: Plant, zone: Zone, low: Floats, width: Floats) -> Bools:
    """Whether boxes of states, from `low` (N, tanks) on, may reach into a zone: by each of its bounds alone."""
    y = np.concatenate([np.zeros((len(low), 1)), plant.floor_m + plant.rise_m * low], axis=1)
    span = np.concatenate([[0.0], plant.rise_m * width])
    return np.asarray((y[:, :, None] - y[:, None, :] - span <= zone.d + 1e-6).all(axis=(1, 2)), np.bool_)


def _finer(joint: JointConfigurations, zones: list[Zone], nodes: int, left: Corridor, most: int) -> list[Layer] | None:
    """Finer grids than those of `nodes` for the next pass, None where all of them would take more than `most` steps."""
    for times in _FINER:
        finer = min(int(times * nodes), _MOST_NODES)
        if finer <= nodes:
            continue
        layers = _layers(joint.plant, zones, finer, left)
        if sum(int(_is_run(joint, k, layers[k], left).sum()) for k in range(1, joint.plant.n)) <= most:
            return layers
    return None


def _stands(values: GridValues, left: Corridor | None, cost: float) -> bool:
    """Hold V against all steps simulated on ways without violation: what it lies above them is put to `short`. False where a way cheaper than `cost` goes on outside the corridor, or where no way leads on."""
    plant = values.asked.joint.plant
    paid: dict[tuple[int, bytes], float] = defaultdict(lambda: np.inf)
    paid[0, plant.simulator.volumes(plant.problem.initial_level_m).tobytes()] = 0.0
    by_step: dict[int, list[tuple[Floats, Floats, float, float]]] = defaultdict(list)
    for k, volume, _, _, _, result in plant.simulated_steps():
        until, reached = paid[k, volume.tobytes()], (k + 1, result.volume.tobytes())
        paid[reached] = min(paid[reached], until + result.cost)
        by_step[k].append((volume, result.volume, result.cost, until))
    for k, steps in by_step.items():
        volumes, volumes_after, costs, until_then = (np.array(column) for column in zip(*steps, strict=True))
        before, after = plant.state(volumes), plant.state(volumes_after)
        inside = np.ones(len(steps), bool)
        if k and left is not None:
            inside = left.holds(k, before)
            spare = SAFETY * float(left.values.short[k:].sum())
            if (~inside & (until_then + left.values.at(k, before) + spare < cost)).any():
                return False
        here = values.at(k, before) if k else np.full(len(steps), values.start())
        values.short[k] = max(values.short[k], float((here - costs - values.at(k + 1, after))[inside].max(initial=0.0)))
    return bool(np.isfinite(values.start()))
