"""What a part of the plant does in a hydraulic solve, for all of its configurations: planes over levels and demands through true solves, and what they leave.

A part is a hydraulic component (problem.py) with *all* configurations of its pumps and valves, hundreds of them with any number of tanks. What it gives to each of its tanks (m3/h) and draws
by each meter (kW) in configuration c at states x and in step k is

    y  =  A_c [1, x, z_k, z_k1 x, z_k1^2]  +  r,        r in the hull of what true solves left, times 1.25,

z_k being the demands of step k along the few directions in which they vary, so that solves of all steps shape one plane. The remainders r are kept as they were measured, all outputs together: what a
plane gets wrong of the flow between two tanks, or of a pump's flow and its power, then cancels in them as it does in the plant, where margins of each output would add up.

Solves with a shut tank, which stands full, are on no such plane: the bound looks for those that matter one by one.

Where no tank may stand full, solves are whole steps as well as may be: then y is the mean of a step from x on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np

from levada.domain.billing import metered
from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant
from levada.schedule.relaxation_samples import Runs, pieces_of_work, pump_speeds, run_solves, run_steps

__all__ = ["Drawn", "HullModel", "Part", "are_of_solves", "directions", "parts_of", "run_at"]

_SAFETY = 1.25
"""Factor on what the planes leave of the solves that were run."""

_RICH = 2.0
"""So many solves for each coefficient make a plane richer."""

_RIDGE = 1e-6
_MOST_DIRECTIONS = 6
_LEAST_DIRECTION = 1e-3
"""Directions of demand are told apart down to this share of the greatest."""


@dataclass(frozen=True)
class Part:
    """A component: its classes, tanks and valves by index, the counts of its classes and choices of its valves in each configuration, and which may run in each step, (n, configurations)."""

    place: int
    classes: list[int]
    tanks: list[int]
    valves: list[int]
    sizes: tuple[int, ...]
    counts: Ints
    choices: Ints
    possible: Bools

    def configuration(self, counts: Ints, choices: Ints) -> Ints:
        """Configurations by counts of all classes (N, classes) and choices of all valves (N, valves)."""
        digits = (*counts[:, self.classes].T, *choices[:, self.valves].T)
        return np.asarray(np.ravel_multi_index(digits, self.sizes), np.int64) if digits else np.zeros(len(counts), np.int64)


def parts_of(plant: Plant, most: int) -> list[Part] | None:
    """The parts of a plant, None where one has more than `most` configurations or a speed can be chosen."""
    if any(c.is_variable for c in plant.classes):
        return None
    found = []
    for place, component in enumerate(plant.components):
        classes = list(component.classes)
        valves = [j for j, v in enumerate(plant.problem.valves) if v.link in component.links]
        sizes = (*(len(plant.classes[k].pumps) + 1 for k in classes), *(len(plant.problem.valves[j].choices) for j in valves))
        if np.prod([float(s) for s in sizes]) > most:
            return None
        digits = np.stack(np.unravel_index(np.arange(int(np.prod(sizes, dtype=np.int64))), sizes), axis=1) if sizes else np.zeros((1, 0))
        counts, choices = digits[:, : len(classes)].astype(np.int64), digits[:, len(classes) :].astype(np.int64)
        low, high = plant.forced[:, None, classes], plant.available[:, None, classes]
        possible = np.asarray(((counts >= low) & (counts <= high)).all(axis=2), np.bool_)
        found.append(Part(place, classes, list(component.tanks), valves, sizes, counts, choices, possible))
    return found


def are_of_solves(plant: Plant) -> bool:
    """Whether models are of single solves, since tanks may be full, or of whole steps."""
    return bool(np.any(plant.problem.may_stand_full))


def directions(plant: Plant) -> Floats:
    """Demands of each step along the directions in which they vary most, (n, directions), between -1 and 1."""
    demand = plant.problem.demand_m3_per_s
    u, s, _ = np.linalg.svd(demand - demand.mean(axis=0), full_matrices=False)
    kept = np.flatnonzero(s > max(_LEAST_DIRECTION * float(s.max(initial=0.0)), 1e-12))[:_MOST_DIRECTIONS]
    z = u[:, kept] * s[kept]
    return np.asarray(z / np.abs(z).max(axis=0) if len(kept) else z, np.float64)


@dataclass(frozen=True)
class Drawn:
    """True solves (or steps): planning step (N,), configuration of each part (N, parts), and what they came to."""

    step: Ints
    configuration: Ints
    runs: Runs

    def rows(self, which: Ints) -> Drawn:
        return Drawn(self.step[which], self.configuration[which], self.runs.rows(which))

    def joined(self, other: Drawn) -> Drawn:
        return Drawn(np.concatenate([self.step, other.step]), np.concatenate([self.configuration, other.configuration]), self.runs.joined(other.runs))


def run_at(plant: Plant, parts: list[Part], step: Ints, x: Floats, kinds: Ints, rng: np.random.Generator, pause: Callable[[], object] = lambda: None) -> Drawn:
    """Run such draws in EPANET, with a `pause` between pieces of a few seconds. Pumps that are nearly alike are put to any of a class."""
    rows = len(step)
    counts, choice = np.zeros((rows, len(plant.classes)), np.int64), np.zeros((rows, len(plant.problem.valves)), np.int64)
    for i, part in enumerate(parts):
        counts[:, part.classes], choice[:, part.valves] = part.counts[kinds[:, i]], part.choices[kinds[:, i]]
    speed = plant.swapped(pump_speeds(plant, rng, counts, np.tile(plant.top_speed, (rows, 1)), unequal=False), rng)
    run = run_solves if are_of_solves(plant) else run_steps
    runs = list[Runs]()
    for at in pieces_of_work(plant, rows):
        pause()
        runs.append(run(plant, step[at], x[at], speed[at], choice[at]))
    return Drawn(step, kinds, reduce(Runs.joined, runs))


@dataclass
class HullModel:
    """Planes and remainders of one part: `planes` (configurations, features, outputs); `rest` (N, outputs): remainders, those of configuration c from `first[c]` to `first[c + 1]`. Outputs: m3/h into
    each tank of the part, kW of each meter."""

    part: Part
    z: Floats
    planes: Floats
    rest: Floats
    first: Ints

    @classmethod
    def fit(cls, plant: Plant, part: Part, z: Floats, drawn: Drawn) -> HullModel:
        """Through all that was drawn, held its limits and had no tank shut."""
        own = np.flatnonzero(drawn.runs.holds[:, part.place] & ~drawn.runs.barred[:, part.place].any(axis=1))
        own = own[np.argsort(drawn.configuration[own, part.place], kind="stable")]
        first = np.searchsorted(drawn.configuration[own, part.place], np.arange(len(part.counts) + 1))
        features, rest = _features(z[drawn.step[own]], drawn.runs.x[own][:, part.tanks]), outputs_of(plant, part, drawn)[own]
        planes = np.zeros((len(part.counts), features.shape[1], rest.shape[1]))
        sizes = (1 + len(part.tanks), 1 + len(part.tanks) + z.shape[1])
        for c, (begin, end) in enumerate(pairwise(first.tolist())):
            if end > begin:
                planes[c] = _plane(features[begin:end], rest[begin:end], sizes)
                rest[begin:end] -= features[begin:end] @ planes[c]
        return cls(part, z, planes, _SAFETY * rest, first)

    def collapsed(self, step: Ints, weight: Floats) -> tuple[Floats, Floats]:
        """What the planes come to in steps (K,) where outputs are weighed by `weight` (K, outputs): constants (K, configurations) and slopes by state (K, configurations, tanks)."""
        tanks, count = len(self.part.tanks), self.z.shape[1]
        z, v = self.z[step], np.moveaxis(np.tensordot(self.planes, weight, axes=(2, 1)), 2, 0)
        constant, slope = v[:, :, 0].copy(), v[:, :, 1 : 1 + tanks].copy()
        if count:
            constant += np.einsum("kz,kcz->kc", z, v[:, :, 1 + tanks : 1 + tanks + count]) + z[:, :1] ** 2 * v[:, :, -1]
            slope += z[:, :1, None] * v[:, :, 1 + tanks + count : -1]
        return constant, slope

    def least_rest(self, weight: Floats) -> Floats:
        """The least that remainders come to where outputs are weighed by `weight` (K, outputs), (K, configurations); infinite for those that never held."""
        seen = self.first[1:] > self.first[:-1]
        found = np.full((len(weight), len(seen)), np.inf)
        if seen.any():
            found[:, seen] = np.minimum.reduceat(weight @ self.rest.T, self.first[:-1][seen], axis=1)
        return found

    def outputs(self, step: int, configuration: int, x: Floats, weight: Floats) -> Floats:
        """Outputs of a configuration at states x (tanks,) in a step, with the remainder that `weight` (outputs,) makes least."""
        rest = self.rest[self.first[configuration] : self.first[configuration + 1]]
        return np.asarray(_features(self.z[step : step + 1], x[None])[0] @ self.planes[configuration] + rest[int((rest @ weight).argmin())], np.float64)


def outputs_of(plant: Plant, part: Part, drawn: Drawn) -> Floats:
    """What the part gave to its tanks, m3/h, and drew by each meter, kW: (N, outputs)."""
    hours = plant.problem.steps.hours[drawn.step][:, None]
    pumps = {j for c in part.classes for j in plant.classes[c].pumps}
    return np.concatenate([drawn.runs.inflow[:, part.place][:, part.tanks], drawn.runs.metered_kwh(metered(plant.problem), pumps)], axis=1) / hours


def _features(z: Floats, x: Floats) -> Floats:
    """[1, x, z, z1 x, z1^2] by row."""
    more = [z[:, :1] * x, z[:, :1] ** 2] if z.shape[1] else []
    return np.concatenate([np.ones((len(x), 1)), x, z, *more], axis=1)


def _plane(features: Floats, y: Floats, sizes: tuple[int, int]) -> Floats:
    """Coefficients (features, outputs) by least squares, of as many features as there are solves for: all, so many of the first, or the first alone."""
    plane = np.zeros((features.shape[1], y.shape[1]))
    used = max((size for size in (*sizes, features.shape[1]) if len(y) >= _RICH * size), default=1)
    if used == 1:
        plane[0] = (y.min(axis=0) + y.max(axis=0)) / 2
        return plane
    a = np.vstack([features[:, :used], _RIDGE * np.eye(used)])
    plane[:used] = np.linalg.lstsq(a, np.vstack([y, np.zeros((used, y.shape[1]))]), rcond=None)[0]
    return plane
