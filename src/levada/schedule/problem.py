"""What is asked, prepared for the search: classes of identical pumps, hydraulic components, and what may run in each step.

Two facts make problems small. Identical pumps side by side can be swapped, so only how many of them run matters until the very end. And
a solve is done with tank levels held, so parts of the network that meet only in tanks and reservoirs do not feel each other: each such
*component* has its own configurations, and a tank's inflow is the sum over components.

| symbol | in the code | meaning |
|---|---|---|
| k | step | planning step |
| c | configuration | a state of every pump class of one component |
| x | state | stored volume of each tank, 0 at its minimum and 1 at its maximum level; shape (tanks,) |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise, product
from math import prod

import numpy as np
from numpy.typing import NDArray

from levada.domain.errors import ProblemError
from levada.domain.pumping import PumpingProblem

__all__ = ["Component", "Configuration", "PumpClass", "Work", "availability", "check", "components_of", "forced", "most_configurations", "pump_classes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How much deterministic work a solve may spend. Seconds never count: the same problem and work give the same bytes."""

    gap: float = 0.002
    """Once cost and bound are this near to each other, as a share of the cost, the search is over."""
    exact_points: int = 60
    """States drawn for each step, group and configuration of the exact search's models, twice: to fit and to measure."""
    exact_cells: int = 60_000
    """Cells of stored volume in the exact search's bound, over all steps."""
    exact_solves: int = 2_500_000
    """Hydraulic solves that the exact search may spend."""
    fit_samples: int = 24
    """EPANET samples per configuration and group of steps for the response surfaces, above their number of coefficients."""
    audit_samples: int = 3000
    """Independent EPANET step transitions that measure the margins of the bound."""
    pieces: int = 4
    """Pieces that the states of a step are cut into for the bound, at most: with more it is a little tighter, and takes much longer."""
    outlook_rows: int = 1_500_000
    """Steps on response surfaces that the programme over all levels may take, by which the beam search looks ahead."""
    beam: int = 400
    """States kept after each step of the beam search; 0 for none: the search begins with what else there is alone."""
    candidates: int = 12
    """Schedules of the beam that are simulated in EPANET."""
    simulations: int = 60_000
    """Hydraulic solves in local search."""
    first_rounds: int = 2
    """Improvements made to every candidate."""
    finalists: int = 2
    """The best schedules of all, which are improved further, for up to `rounds` improvements; none where the search is for planning anew."""
    rounds: int = 40
    quick_programmes: int = 16
    """Quick programmes near a schedule to begin from, as long as it is among the best of these: annealing, or where speeds may be mixed mixed-integer programmes."""
    programmes: int = 16
    """Thorough ones near the best schedule, after those."""
    kicks: int = 40
    """Random changes of the best schedule, after those, from each of which programmes come down anew; fewer where many are in vain."""
    hull_solves: int = 300_000
    """Hydraulic solves that shape the planes of the bounds by columns and by tank; 0 for neither."""
    tank_steps: int = 400_000
    """True steps that the climb of values by tank may run; 0 for none."""
    switch_solves: int = 2_000_000
    """Hydraulic solves that the search on switch instants may spend, where pumps may be switched within steps."""
    seed: int = 0

    @property
    def is_again(self) -> bool:
        """Whether this is for planning anew from an earlier schedule: no local search."""
        return not self.finalists

    def again(self) -> Work:
        """For planning anew from an earlier plan: what goes on from there and from the relaxation, and where that comes far, from a narrow beam; and a bound from fewer
        samples and pieces."""
        return replace(
            self, fit_samples=min(self.fit_samples, 12), audit_samples=min(self.audit_samples, 400), pieces=1, hull_solves=0, tank_steps=0, first_rounds=0, finalists=0,
            outlook_rows=min(self.outlook_rows, 300_000), beam=min(self.beam, 100), candidates=min(self.candidates, 4), quick_programmes=min(self.quick_programmes, 8), programmes=0, kicks=0,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpClass:
    """Pumps that can be swapped: same ends, curves, speeds and prices; `is_nearly` where ends differ and they do nearly the same (alike.py). `bins` are (low, high)
    ranges of mean speed; one for fixed speed."""

    pumps: tuple[int, ...]
    bins: tuple[tuple[float, float], ...]
    is_nearly: bool = False

    @property
    def is_variable(self) -> bool:
        return self.bins[0][0] < self.bins[-1][1]


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one component's pumps and valves do: how many of each of its classes run, and in which bin of mean speed; the choice of each of its valves."""

    counts: tuple[int, ...]
    bins: tuple[int, ...]
    choices: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A part of the network between tanks and reservoirs. Indices are the network's; `classes` index the list of pump classes, `valves`
    those that the plan sets and configurations know: none of its own where there would be too many with them."""

    junctions: tuple[int, ...]
    tanks: tuple[int, ...]
    classes: tuple[int, ...]
    valves: tuple[int, ...]
    floors: tuple[int, ...]
    """Indices of the pressure floors at its nodes."""
    links: frozenset[str]
    configurations: tuple[Configuration, ...]
    place: NDArray[np.int64]
    """Configuration of each code, the code being the place in the product of the classes' states (off, then counts each with its bins) and the valves' choices."""
    is_complete: bool
    """False where there were too many configurations: then these are a sample of them, and no bound can be had."""


SPEED_BINS = 3
"""Ranges into which a class's speeds are cut: the surfaces over each are smoother, and the linear models of the bound tighter."""

MOST_CONFIGURATIONS = 400
"""More in one component are sampled, and then there is no bound."""

MOST_CODES = 50_000


def pump_classes(problem: PumpingProblem, speed_bins: int = SPEED_BINS) -> tuple[PumpClass, ...]:
    """Group the pumps into classes, in the order of their first pump; speeds cut into `speed_bins` ranges."""
    groups: dict[object, list[int]] = {}
    meter = {name: m.name for m in problem.meters for name in m.pumps}
    for j, p in enumerate(problem.network.pumps):
        key = (
            meter.get(p.name),
            p.start_node, p.end_node, p.head_curve, p.efficiency_curve, p.global_efficiency, p.constant_power_w,
            float(problem.min_speed[j]), float(problem.max_speed[j]), problem.price_per_kwh[:, j].tobytes(),
        )  # fmt: skip
        groups.setdefault(key, []).append(j)
    classes = []
    for members in groups.values():
        low, high = float(problem.min_speed[members[0]]), float(problem.max_speed[members[0]])
        if high > low:
            edges = np.linspace(low, high, speed_bins + 1).tolist()
            bins = tuple(pairwise(edges))
        else:
            bins = ((low, high),)
        classes.append(PumpClass(pumps=tuple(members), bins=bins))
    return tuple(classes)


def components_of(problem: PumpingProblem, classes: tuple[PumpClass, ...], floor_nodes: tuple[str, ...]) -> tuple[Component, ...]:
    """Cut the network at tanks and reservoirs. Components without pumps are kept: they too move water between tanks."""
    network = problem.network
    found = []
    for links, members, ends in _parts(problem):
        tanks = tuple(i for i, t in enumerate(network.tanks) if t.name in ends)
        own = tuple(k for k, c in enumerate(classes) if network.pumps[c.pumps[0]].name in links)
        names = {network.junctions[i].name for i in members}
        floors = tuple(i for i, node in enumerate(floor_nodes) if node in names)
        states, valves = [_states(classes[k]) for k in own], tuple(v for v, valve in enumerate(problem.valves) if valve.link in links)
        if prod(map(len, states)) * prod(len(problem.valves[v].choices) for v in valves) > MOST_CONFIGURATIONS:
            valves = ()
        configurations, codes, is_complete = _configurations(states, [len(problem.valves[v].choices) for v in valves])
        found.append(Component(
            junctions=members, tanks=tanks, classes=own, valves=valves, floors=floors, links=links, configurations=configurations, place=codes,
            is_complete=is_complete,
        ))  # fmt: skip
    return tuple(found)


def most_configurations(problem: PumpingProblem, classes: tuple[PumpClass, ...]) -> int:
    """How many configurations of its pumps that component has which has most."""
    pumps = problem.network.pumps
    totals = [prod(len(_states(c)) for c in classes if pumps[c.pumps[0]].name in links) for links, _, _ in _parts(problem)]
    return max(totals, default=1)


def _parts(problem: PumpingProblem) -> list[tuple[frozenset[str], tuple[int, ...], set[str]]]:
    """The parts between tanks and reservoirs: links, junctions, and all nodes at links' ends."""
    network = problem.network
    fixed = {t.name for t in network.tanks} | {r.name for r in network.reservoirs}
    parent: dict[str, str] = {j.name: j.name for j in network.junctions}

    def root(node: str) -> str:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    edges = [(x.name, x.start_node, x.end_node) for x in network.links] + [(p.name, p.start_node, p.end_node) for p in network.pumps]
    for name, a, b in edges:
        if a in fixed and b in fixed:
            parent.setdefault(f"link {name}", f"link {name}")  # a component of its own, without junctions
        elif a not in fixed and b not in fixed:
            parent[root(a)] = root(b)
    place = {}
    for name, a, b in edges:
        place[name] = root(f"link {name}" if a in fixed and b in fixed else b if a in fixed else a)
    found = []
    for r in dict.fromkeys(root(node) for node in parent):
        links = frozenset(name for name, _, _ in edges if place[name] == r)
        if links:
            members = tuple(i for i, j in enumerate(network.junctions) if root(j.name) == r)
            found.append((links, members, {end for name, a, b in edges if place[name] == r for end in (a, b)}))
    return found


def _states(c: PumpClass) -> list[tuple[int, int]]:
    """What a class can do: how many run, in which range of speed."""
    return [(0, 0)] + [(n, b) for n in range(1, len(c.pumps) + 1) for b in range(len(c.bins))]


def _configurations(states: list[list[tuple[int, int]]], choices: list[int]) -> tuple[tuple[Configuration, ...], NDArray[np.int64], bool]:
    """All products of the classes' `states` and the valves' `choices`, or an even sample where they are too many, each other code going to the nearest by counts."""
    total = prod(map(len, states)) * prod(choices)
    if total > MOST_CODES:
        raise ProblemError("network", f"{sum(s[-1][0] for s in states)} pumps act on one part between tanks: {total} ways to run them are too many; set some out of service or split the model")
    settings = list(product(*(range(c) for c in choices)))
    products = [Configuration(tuple(n for n, _ in s), tuple(b for _, b in s), v) for s in product(*states) for v in settings]
    if total <= MOST_CONFIGURATIONS:
        return tuple(products), np.arange(total), True
    chosen = np.unique(np.linspace(0, total - 1, MOST_CONFIGURATIONS // 2).astype(np.int64))
    counts = np.array([p.counts for p in products], np.int64)
    place = np.array([int(np.abs(counts[chosen] - c).sum(axis=1).argmin()) for c in counts], np.int64)
    place[chosen] = np.arange(len(chosen))
    return tuple(products[i] for i in chosen), place, False


def check(problem: PumpingProblem) -> None:
    """Raise ProblemError for what no schedule could mend and what cannot be meant: contradictions, not hard days."""
    network = problem.network
    if not network.pumps:
        raise ProblemError("network", "has no pumps, so there is nothing to schedule")
    if not network.tanks:
        raise ProblemError("network", "has no tanks: pumps must follow demand and there is nothing to choose")
    if (problem.max_starts < 0).any():
        raise ProblemError("max_starts", "is negative for some pump")
    if (problem.demand_m3_per_s.sum(axis=1) < 0).any():
        raise ProblemError("demand_m3_per_s", "total demand is negative in some step")
    if (problem.min_speed <= 0).any():
        raise ProblemError("min_speed", "must be above 0: a pump that does not turn is off")
    if problem.max_power_kw is not None and problem.max_power_kw <= 0:
        raise ProblemError("max_power_kw", "must be above 0, or absent for no limit")
    for node, floor in problem.pressure_floors_m.items():
        if not np.isfinite(floor):
            raise ProblemError("pressure_floors_m", f"the floor of {node!r} is not a finite number")
    if problem.hydraulic_step_s <= 0:
        raise ProblemError("hydraulic_step_s", "must be above 0")


def availability(problem: PumpingProblem, classes: tuple[PumpClass, ...]) -> NDArray[np.int64]:
    """How many pumps of each class may run, shape (n, classes)."""
    return np.stack([problem.available[:, list(c.pumps)].sum(axis=1) for c in classes], axis=1).astype(np.int64)


def forced(problem: PumpingProblem, classes: tuple[PumpClass, ...]) -> NDArray[np.int64]:
    """How many pumps of each class must run, shape (n, classes)."""
    if problem.forced_on is None:
        return np.zeros((len(problem.steps), len(classes)), np.int64)
    return np.stack([problem.forced_on[:, list(c.pumps)].sum(axis=1) for c in classes], axis=1).astype(np.int64)
