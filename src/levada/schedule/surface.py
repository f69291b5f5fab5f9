"""Response surfaces: what EPANET would answer, for thousands of states at once.

For each component, configuration and group of like steps a quadratic in tank states, demand coordinates and speeds is fitted to EPANET
solves by least squares, with a signed root of each level difference between two of its tanks: water runs between tanks as the 0.54th
power of the difference (Hazen-Williams), which a quadratic cannot follow through 0. Surfaces steer the search and carry the bound's linear models; they decide nothing: schedules are simulated in
EPANET and the bound's margins are measured against EPANET.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats
from levada.hydraulics.engine import Solves
from levada.schedule.plant import Ints, Plant
from levada.schedule.problem import Component
from levada.schedule.relaxation_samples import pieces_of_work, pump_speeds

__all__ = ["Sampler", "Surface", "fit_surfaces", "joined"]

_MOST_GROUPS = 12
"""Up to so many different demands of a component, each has surfaces of its own."""

_MANY = 60
"""Components with more configurations get linear surfaces for all steps at once."""

_DEMAND_GROUPS = 4
_DEMAND_COORDINATES = 4
_ROUNDING_M = 0.3
"""The root of a difference is rounded off within this."""

_ENDS = 0.15
"""Share of the drawn speeds at either end of their range."""

_UNUSABLE = 0.05
"""A configuration counts as unusable in a group of steps when fewer of its samples deliver."""


def _groups(demand: Floats, most: int) -> tuple[Ints, Floats]:
    """Group steps by demand (n, junctions): each distinct one by itself up to `most`, else a few groups. Returns the group of each step and demand coordinates (n, k) within -1..1; k may be 0."""
    n = len(demand)
    if demand.shape[1] == 0:
        return np.zeros(n, np.int64), np.zeros((n, 0))
    distinct, group = np.unique(np.round(demand, 9), axis=0, return_inverse=True)
    if len(distinct) <= most:
        return group.reshape(-1).astype(np.int64), np.zeros((n, 0))
    total = demand.sum(axis=1)
    rank = np.argsort(np.argsort(total, kind="stable"), kind="stable")
    group = (rank * min(_DEMAND_GROUPS, most) // n).astype(np.int64)
    centred = demand - demand.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    kept = min(int((s > 1e-3 * s[0]).sum()), _DEMAND_COORDINATES)
    coordinates = u[:, :kept] * s[:kept]
    return group, coordinates / np.abs(coordinates).max(axis=0)


@dataclass
class Surface:
    """Surfaces of one component.

    Outputs: inflow into each of its tanks (m3/s), power of each of its classes (W), least flow of a running pump of each class (m3/s; a
    large one where none runs), flow of each class (m3/s), slack of each floor (m), least pressure where water is drawn (m).
    `coefficient[g, c]` has shape (features, outputs); `usable[g, c]` says whether the configuration delivers at all.
    """

    component: Component
    group: Ints
    demand: Floats
    low: Floats
    high: Floats
    """Range of speeds by configuration and class, (configurations, classes)."""
    counts: Ints
    choices: Ints
    """Choice of each of the component's valves by configuration, (configurations, its valves)."""
    head: tuple[Floats, Floats]
    """Head (m) at state 0 and its rise (m) to state 1, of the component's tanks."""
    is_linear: bool = False
    """Without products of inputs: where there are so many configurations that quadratics would need too many samples."""
    coefficient: Floats = field(default_factory=lambda: np.zeros(0))
    usable: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def outputs(self) -> int:
        c = self.component
        return len(c.tanks) + 3 * len(c.classes) + len(c.floors) + 1

    @property
    def inputs(self) -> int:
        return len(self.component.tanks) + int(self.demand.shape[1]) + len(self.component.classes)

    @property
    def size(self) -> int:
        """Number of features."""
        tanks = len(self.component.tanks)
        return len(self.pairs[0]) + tanks * (tanks - 1) // 2

    @cached_property
    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        if self.is_linear:
            return np.zeros(self.inputs + 1, np.intp), np.arange(self.inputs + 1)
        return np.triu_indices(self.inputs + 1)

    def _state_pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        size = len(self.component.tanks) + 1
        return (np.zeros(size, np.intp), np.arange(size)) if self.is_linear else np.triu_indices(size)

    def ready(self, plant: Plant, k: int) -> Ints:
        """Configurations that outages and orders leave in step k."""
        own = list(self.component.classes)
        return np.flatnonzero((self.counts <= plant.available[k, own]).all(axis=1) & (self.counts >= plant.forced[k, own]).all(axis=1))

    def features(self, step: Ints, x: Floats, speed_u: Floats) -> Floats:
        """Quadratic features, (N, features). step (N,), x (N, tanks of the component), speed_u (N, classes) within -1..1 of the bin."""
        u = np.concatenate([np.ones((len(x), 1)), 2 * x - 1, self.demand[step], speed_u], axis=1)
        i, j = self.pairs
        return np.concatenate([u[:, i] * u[:, j], self._roots(x)], axis=1)

    def _roots(self, x: Floats) -> Floats:
        y = self.head[0] + x * self.head[1]
        i, j = np.triu_indices(x.shape[1], 1)
        d = y[:, i] - y[:, j]
        return np.asarray(d / (d * d + _ROUNDING_M**2) ** 0.23, np.float64)

    def state_features(self, x: Floats) -> Floats:
        """Features of states (N, tanks of the component), in the order of `at`."""
        u = np.concatenate([np.ones((len(x), 1)), 2 * x - 1], axis=1)
        i, j = self._state_pairs()
        return np.concatenate([u[:, i] * u[:, j], self._roots(x)], axis=1)

    def speed_coordinates(self, configuration: Ints, speed: Floats) -> Floats:
        """Speeds (N, classes) within the bin of each configuration (N,), as -1..1; 0 for fixed speeds and pumps that are off."""
        low, high = self.low[configuration], self.high[configuration]
        width = high - low
        return np.where(width > 0, (2 * speed - low - high) / np.where(width > 0, width, 1.0), 0.0)

    def evaluate(self, step: Ints, configuration: Ints, x: Floats, speed: Floats) -> Floats:
        """Outputs (N, outputs) at steps, configurations (N,), states (N, tanks of the component), speeds (N, classes)."""
        phi = self.features(step, x, self.speed_coordinates(configuration, speed))
        out = np.empty((len(x), self.outputs))
        key = self.group[step] * len(self.counts) + configuration
        order = np.argsort(key, kind="stable")
        key = key[order]
        edges = [0, *(np.flatnonzero(key[1:] != key[:-1]) + 1).tolist(), len(key)]
        for a, b in pairwise(edges):
            if b > a:
                g, c = divmod(int(key[a]), len(self.counts))
                out[order[a:b]] = phi[order[a:b]] @ self.coefficient[g, c]
        return out

    def at(self, step: int, configuration: int, speed: Floats) -> Floats:
        """The surface at one step, configuration and speed as a quadratic in the states alone: (features of x, outputs)."""
        tanks = len(self.component.tanks)
        fixed = np.concatenate([self.demand[step], self.speed_coordinates(np.array([configuration]), speed[None])[0]])
        value = np.concatenate([np.ones(tanks + 1), fixed])
        place = np.concatenate([np.arange(tanks + 1), np.zeros(len(fixed), np.int64)])
        i, j = self.pairs
        a, b = place[i], place[j]
        a, b = np.minimum(a, b), np.maximum(a, b)
        target = np.zeros((tanks + 1, tanks + 1), np.int64)
        rows = self._state_pairs()
        target[rows] = np.arange(len(rows[0]))
        folded = np.zeros((len(rows[0]), self.outputs))
        full = self.coefficient[self.group[step], configuration]
        np.add.at(folded, target[a, b], (value[i] * value[j])[:, None] * full[: len(i)])
        return np.concatenate([folded, full[len(i) :]])


@dataclass(frozen=True, slots=True)
class Joint:
    """What configurations of all components come to by row: counts and ranges of speed (N, classes), choices (N, valves)."""

    counts: Ints
    low: Floats
    high: Floats
    choices: Ints


def joined(plant: Plant, surfaces: list[Surface], chosen: list[Ints]) -> Joint:
    """Configurations (N,) of each component, put together."""
    shape = len(chosen[0]), len(plant.classes)
    found = Joint(np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape), np.repeat(plant.first_choice, len(chosen[0]), axis=0))
    for s, c in zip(surfaces, chosen, strict=True):
        own = list(s.component.classes)
        found.counts[:, own], found.low[:, own], found.high[:, own] = s.counts[c], s.low[c], s.high[c]
        found.choices[:, list(s.component.valves)] = s.choices[c]
    return found


@dataclass(frozen=True, slots=True)
class Sampler:
    """What is sampled, and by which random numbers. `pause` is called between pieces of work, and may end it by an exception."""

    plant: Plant
    rng: np.random.Generator
    pause: Callable[[], object] = lambda: None

    def speeds(self, surface: Surface, configuration: Ints) -> Floats:
        """Mean speeds (N, classes) of configurations (N,) within their bins, uniform with the ends favoured."""
        low, high = surface.low[configuration], surface.high[configuration]
        u, end = self.rng.random(low.shape), self.rng.random(low.shape)
        return low + (high - low) * np.where(end < _ENDS, 0.0, np.where(end > 1 - _ENDS, 1.0, u))

    def solve(self, surfaces: list[Surface], step: Ints, x: Floats, chosen: list[Ints], speeds: list[Floats]) -> list[tuple[Floats, NDArray[np.bool_]]]:
        """EPANET's answers by row: steps (N,), states (N, tanks), and of each component its configurations (N,) and mean speeds (N, classes). For each
        component the outputs in the order of `Surface`, and whether all its running pumps deliver, (N,)."""
        plant, n = self.plant, len(step)
        joint, means = joined(plant, surfaces, chosen), np.zeros((n, len(plant.classes)))
        for s, mean in zip(surfaces, speeds, strict=True):
            means[:, list(s.component.classes)] = mean
        speed = pump_speeds(plant, self.rng, joint.counts, means, unequal=False)
        running = speed > 0
        volume, parts = plant.volume(x), list[Solves]()
        for piece in pieces_of_work(plant, n):
            self.pause()
            parts.append(plant.simulator.solves_at(step[piece], volume[piece], speed[piece], joint.choices[piece]))
        solved = Solves.joined(parts)
        found = []
        for m, s in enumerate(surfaces):
            part_of, floors = s.component, list(s.component.floors)
            inflow = np.zeros((n, len(part_of.tanks)))
            for port, (part, place, _) in enumerate(plant.port_place):
                if part == m:
                    inflow[:, place] += solved.port_flow[:, port]
            delivers = solved.warning < 100
            power, least, flow = (np.zeros((n, len(part_of.classes))) for _ in range(3))
            for i, k in enumerate(part_of.classes):
                pumps = list(plant.classes[k].pumps)
                power[:, i] = solved.power[:, pumps].sum(axis=1)
                flow[:, i] = np.where(running[:, pumps], solved.flow[:, pumps], 0.0).sum(axis=1)
                smallest = np.where(running[:, pumps], solved.flow[:, pumps], np.inf).min(axis=1)
                least[:, i] = np.where(np.isfinite(smallest), smallest, 1.0)
                delivers &= (solved.delivers[:, pumps] | ~running[:, pumps]).all(axis=1)
            slack = solved.pressure[:, floors] - plant.simulator.floors[floors]
            lowest = solved.lowest[:, plant.watch_row[m]] if plant.watched[m] else np.full(n, 100.0)
            found.append((np.concatenate([inflow, power, least, flow, slack, lowest[:, None]], axis=1), delivers))
        return found


def fit_surfaces(plant: Plant, sampler: Sampler, cloud: list[Floats], extra: int) -> list[Surface]:
    """Fit the surfaces of every component to EPANET solves at states drawn from `cloud`: for each step, states (N, tanks).

    Each group and configuration gets as many samples as it has coefficients, half as many again, and `extra` more.
    """
    surfaces = []
    for component in plant.components:
        drawn = plant.problem.demand_m3_per_s[:, list(component.junctions)]
        is_many = len(component.configurations) > _MANY
        group, demand = _groups(drawn, 1 if is_many else _MOST_GROUPS)
        low, high = np.zeros((len(component.configurations), len(component.classes))), np.zeros((len(component.configurations), len(component.classes)))
        for c, state in enumerate(component.configurations):
            for i, k in enumerate(component.classes):
                if state.counts[i]:
                    low[c, i], high[c, i] = plant.classes[k].bins[state.bins[i]]
        counts = np.array([s.counts for s in component.configurations], np.int64).reshape(len(component.configurations), len(component.classes))
        choices = np.array([s.choices for s in component.configurations], np.int64).reshape(len(component.configurations), len(component.valves))
        tanks = list(component.tanks)
        surfaces.append(Surface(component=component, group=group, demand=demand, low=low, high=high, counts=counts, choices=choices, head=(plant.floor_m[tanks], plant.rise_m[tanks]), is_linear=is_many))
    # One solve serves all components: draw for the one that lacks most, and give each other what it lacks most in that step's group.
    lacking = [np.full((int(s.group.max()) + 1, len(s.counts)), int(1.5 * s.size) + extra) for s in surfaces]
    members = [[np.flatnonzero(s.group == g) for g in range(int(s.group.max()) + 1)] for s in surfaces]
    steps, at, chosen = list[int](), list[int](), list[list[int]]()
    while (most := max(range(len(surfaces)), key=lambda m: int(lacking[m].max()))) >= 0 and lacking[most].max() > 0:
        g = int(lacking[most].argmax()) // lacking[most].shape[1]
        step = int(sampler.rng.choice(members[most][g]))
        steps.append(step)
        at.append(int(sampler.rng.integers(len(cloud[step]))))
        chosen.append([int(lacking[m][s.group[step]].argmax()) for m, s in enumerate(surfaces)])
        for m, s in enumerate(surfaces):
            lacking[m][s.group[step], chosen[-1][m]] -= 1
    order = np.argsort(steps, kind="stable")  # demands are set once a step
    step_of, states = np.array(steps)[order], np.array([cloud[k][i] for k, i in zip(steps, at, strict=True)])[order]
    configurations = list(np.array(chosen, np.int64)[order].T)
    speeds = [sampler.speeds(s, c) for s, c in zip(surfaces, configurations, strict=True)]
    for s, c, v, (out, ok) in zip(surfaces, configurations, speeds, sampler.solve(surfaces, step_of, states, configurations, speeds), strict=True):
        phi = s.features(step_of, states[:, list(s.component.tanks)], s.speed_coordinates(c, v))
        _fit(s, s.group[step_of], c, phi, out, ok)
    return surfaces


def _fit(surface: Surface, group: Ints, configuration: Ints, phi: Floats, out: Floats, ok: NDArray[np.bool_]) -> None:
    groups, kinds = int(surface.group.max()) + 1, len(surface.counts)
    surface.coefficient = np.zeros((groups, kinds, phi.shape[1], surface.outputs))
    surface.usable = np.zeros((groups, kinds), bool)
    for g in range(groups):
        for c in range(kinds):
            rows = (group == g) & (configuration == c)
            good = rows & ok
            if good.sum() > _UNUSABLE * rows.sum():
                surface.usable[g, c] = True
                # A little damping: inputs that do not vary (speed of a pump that is off) then get no weight.
                a = np.vstack([phi[good], 1e-4 * np.eye(phi.shape[1])])
                b = np.vstack([out[good], np.zeros((phi.shape[1], surface.outputs))])
                surface.coefficient[g, c] = np.linalg.lstsq(a, b, rcond=None)[0]
