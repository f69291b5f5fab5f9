"""The plant near one schedule: what another choice in one step changes, and how changes of levels carry on.

All is measured in EPANET along the way of one schedule, the *base*: in each step one probe for the base itself, one for each tank's level a little
off, one for each tank full, and one for each other choice of each lever. A *lever* is a valve, or pump classes whose effects on each other
are too strong to be added up: its options are all that these can do together. Effects of different levers are added up, and levels that
differ from the base's act in proportion; both hold well over a whole day of other choices, since the base's own values are EPANET's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, TypeVar

import numpy as np

from levada.domain.billing import StepCosts
from levada.domain.series import Floats
from levada.hydraulics.engine import severity_weights
from levada.schedule.candidate import Candidate, Runner
from levada.schedule.plant import Ints, Plant

__all__ = ["Lever", "Near", "Options", "caps_of", "is_large", "levers_of", "near"]

_Array = TypeVar("_Array", Floats, Ints)

_ADDS_UP = 0.1
"""Pumps are moved by one lever if running both differs from the sum of running each by more than this share of the weaker one's effect ..."""

_MOST_JOINT = 32
"""... as long as they have no more options together."""

_LARGE = 1500
"""Options of all levers times steps from which programmes are slow: those in which full tanks send water elsewhere, and those far from a good schedule, take minutes."""

_INSIDE = 0.1
"""Probes keep off the limits by this share of a tank's range, so that no tank is cut off within the step."""

_NUDGE = 0.04
_BLOCKED = 0.002
"""Inflow (share of a tank's range) that must be held back before it is measured where the water goes instead."""

_NO_SUPPLY = 0.1
"""Severity of pumps that do not deliver or a network without a solution, before the weight of its kind."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lever:
    """What moves together: pump classes, or a valve where there are none. Options: counts, speeds (options, classes), or the valve's choices (options, 1)."""

    classes: tuple[int, ...]
    valve: int | None
    counts: Ints
    speeds: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Options:
    """What one lever can do in one step, the base's choice first, and what each changes against that: states at the end (options, tanks), power
    (options, caps) kW, step cost, totals (options, totals), severity of supply (options,), and pressures above their least (options, places) m."""

    counts: Ints
    speeds: Floats
    state: Floats
    kw: Floats
    cost: Floats
    totals: Floats
    amiss: Floats
    pressure: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Near:
    """A base and what is near it, by step (n, ...).

    `after` (n, tanks): the state that the base comes to, as though no tank were cut off when it is full. By state before the step: `drift`
    (n, tanks, tanks), `cost_slope` (n, tanks), `kw_slope` (n, caps, tanks), `pressure_slope` (n, places, tanks). `diverted` (n, tanks, tanks): what tanks
    gain by a unit that a full tank, the last axis, does not take, and `diverted_cost` (n, tanks). `kw` (n, caps), `amiss` (n,), `pressure` (n, places)
    of the base; `options` by lever and step.
    """

    base: Candidate
    x: Floats
    after: Floats
    drift: Floats
    cost_slope: Floats
    kw: Floats
    kw_slope: Floats
    amiss: Floats
    pressure: Floats
    pressure_slope: Floats
    diverted: Floats
    diverted_cost: Floats
    options: list[list[Options]]


def levers_of(plant: Plant) -> list[Lever]:
    """The levers of a plant: classes that act on each other are found by solves at half-full tanks, least and greatest demand. Where there would be
    very many options each class is a lever by itself: that effects are added up then costs less than programmes which take minutes."""
    joint = _levers(plant, _grouped(plant))
    return _levers(plant, [[c] for c in range(len(plant.classes))]) if is_large(plant, joint) else joint


def is_large(plant: Plant, levers: list[Lever]) -> bool:
    """Whether programmes over these levers are slow."""
    return plant.n * sum(len(lever.counts) for lever in levers) > _LARGE


def _levers(plant: Plant, groups: list[list[int]]) -> list[Lever]:
    found = []
    for group in groups:
        states = []
        for c in group:
            cls = plant.classes[c]
            speeds = sorted({edge for part in cls.bins for edge in part})
            states.append([(0, 0.0), *((m, v) for m in range(1, len(cls.pumps) + 1) for v in speeds)])
        rows = list(product(*states))
        found.append(Lever(
            classes=tuple(group), valve=None, counts=np.array([[m for m, _ in row] for row in rows], np.int64), speeds=np.array([[v for _, v in row] for row in rows]),
        ))  # fmt: skip
    for v, valve in enumerate(plant.problem.valves):
        choices = np.arange(len(valve.choices))[:, None]
        found.append(Lever(classes=(), valve=v, counts=choices, speeds=np.zeros(choices.shape)))
    return found


def _grouped(plant: Plant) -> list[list[int]]:
    total = plant.problem.demand_m3_per_s.sum(axis=1)
    pairs = [(a, b, c.classes) for c in plant.components for a, b in combinations(c.classes, 2)]
    rows = list(product(pairs, (int(total.argmin()), int(total.argmax())), (False, True), (False, True), (False, True)))
    if not rows:
        return [[c] for c in range(len(plant.classes))]
    speed = np.zeros((len(rows), plant.pumps))
    for r, ((a, b, members), _, others, one, two) in enumerate(rows):
        for c in members:
            if {a: one, b: two}.get(c, others):
                speed[r, list(plant.classes[c].pumps)] = plant.top_speed[c]
    steps = np.array([r[1] for r in rows])
    inflow = plant.simulator.solves_at(steps, plant.volume(np.full((len(rows), plant.tanks), 0.5)), speed, np.repeat(plant.first_choice, len(rows), axis=0)).inflow
    none, second, first, both = inflow.reshape(-1, 4, plant.tanks).swapaxes(0, 1)
    weaker = np.minimum(np.abs(first - none).sum(axis=1), np.abs(second - none).sum(axis=1))
    strength = (np.abs(both - first - second + none).sum(axis=1) / np.maximum(weaker, 1e-6)).reshape(len(pairs), -1).max(axis=1)
    group = {c: [c] for c in range(len(plant.classes))}
    states = [1 + int(plant.class_size[c]) for c in range(len(plant.classes))]
    for p in np.argsort(-strength, kind="stable").tolist():
        mine, theirs = group[pairs[p][0]], group[pairs[p][1]]
        if strength[p] < _ADDS_UP or mine is theirs or np.prod([states[c] for c in mine + theirs]) > _MOST_JOINT:
            continue
        for c in theirs:
            group[c] = mine
        mine += theirs
    return [sorted(g) for g in {id(g): g for g in group.values()}.values()]


def caps_of(runner: Runner) -> list[tuple[float, list[int]]]:
    """What power is limited or charged over: the limit, kW, and the pumps; each meter, and all pumps last."""
    problem = runner.plant.problem
    meters = [(np.inf if m.max_power_kw is None else m.max_power_kw, m.pumps.tolist()) for m in runner.whole.meters]
    return [*meters, (np.inf if problem.max_power_kw is None else problem.max_power_kw, list(range(runner.plant.pumps)))]


class _Probes:
    """Rows of planning steps to ask EPANET for, and what it answers."""

    def __init__(self) -> None:
        self.step: list[int] = []
        self.x: list[Floats] = []
        self.counts: list[Ints] = []
        self.speeds: list[Floats] = []
        self.choices: list[Ints] = []

    def add(self, step: int, x: Floats, counts: Ints, speeds: Floats, choices: Ints) -> int:
        self.step.append(step)
        self.x.append(x)
        self.counts.append(counts)
        self.speeds.append(speeds)
        self.choices.append(choices)
        return len(self.step) - 1

    def ask(self, runner: Runner) -> None:
        plant, problem = runner.plant, runner.plant.problem
        step, volume, choices = np.array(self.step), plant.volume(np.array(self.x)), np.array(self.choices)
        speed = runner.pump_speeds(step, np.array(self.counts), np.array(self.speeds))
        found, solved = plant.simulator.steps_and_solves(step, volume, speed, choices)
        self.after = plant.state(found.volume)
        self.kw: Floats = np.stack([found.power[:, pumps].sum(axis=1) for _, pumps in caps_of(runner)], axis=1) / 1000.0
        self.cost = StepCosts(problem).of(step, found.power, found.source)
        co2 = runner.whole.co2_kg(step, runner.whole.grid_kw(step, found.power))
        self.totals = np.zeros((len(step), len(runner.whole.most)))
        for k in range(plant.n):
            rows = step == k
            self.totals[rows] = runner.whole.totals(k, co2[rows], found.source[rows])
        (supply,) = severity_weights(problem, ("supply",)).tolist()
        dead = ~solved.delivers.all(axis=1) | np.isin(solved.warning, (1, 2, 3, 5)) | (solved.warning >= 100)
        self.amiss: Floats = supply * _NO_SUPPLY * dead
        self.pressure = np.concatenate([solved.pressure - plant.simulator.floors, solved.lowest], axis=1)
        if problem.pressure_ceilings_m or problem.flow_limits_m3_per_s or any(s.max_flow_m3_per_s is not None for s in problem.sources):
            # What else is amiss in a step that levels and power have no part in.
            inside = ((self.after > 0.0) & (self.after < 1.0)).all(axis=1)
            held = np.all([self.kw[:, i] <= most for i, (most, _) in enumerate(caps_of(runner))], axis=0)
            self.amiss = self.amiss + np.where(found.served & inside & held, found.severity, 0.0)


def near(runner: Runner, base: Candidate, levers: list[Lever]) -> Near:
    """Measure what is near a base: about (1 + 2 tanks + options) steps in EPANET for each of its steps."""
    plant, n, tanks = runner.plant, runner.plant.n, runner.plant.tanks
    x = plant.state(base.volume)
    at = np.clip(x[:-1], _INSIDE, 1 - _INSIDE)
    nudge = np.where(at > 0.5, -_NUDGE, _NUDGE)
    fillable = np.flatnonzero(plant.problem.may_stand_full).tolist()
    probes = _Probes()
    first, others = np.zeros(n, np.int64), [[np.zeros(0, np.int64)] * n for _ in levers]
    made: list[list[tuple[Ints, Floats]]] = [[] for _ in levers]
    for k in range(n):
        counts, speeds, choices = base.counts[k], base.speeds[k], base.choices[k]
        first[k] = probes.add(k, at[k], counts, speeds, choices)
        for t in range(tanks):
            probes.add(k, _with(at[k], t, at[k, t] + nudge[k, t]), counts, speeds, choices)
        for t in fillable:
            probes.add(k, _with(at[k], t, 1.0), counts, speeds, choices)
        for i, lever in enumerate(levers):
            option_counts, option_speeds = _options(plant, lever, base, k)
            made[i].append((option_counts, option_speeds))
            rows = []
            for c, v in zip(option_counts[1:], option_speeds[1:], strict=True):
                if lever.valve is not None:
                    rows.append(probes.add(k, at[k], counts, speeds, _with(choices, lever.valve, c[0])))
                else:
                    own = list(lever.classes)
                    rows.append(probes.add(k, at[k], _with(counts, own, c), _with(speeds, own, v), choices))
            others[i][k] = np.array([first[k], *rows], np.int64)
    probes.ask(runner)
    slopes: dict[str, Floats] = {}
    for name in ("after", "cost", "kw", "pressure"):
        value: Floats = getattr(probes, name)
        slopes[name] = np.stack([(value[first + 1 + t] - value[first]) / nudge[:, t].reshape(-1, *[1] * (value.ndim - 1)) for t in range(tanks)], axis=-1)
    open_end = probes.after[first] + np.einsum("kij,kj->ki", slopes["after"], x[:-1] - at)
    diverted, diverted_cost = np.tile(-np.eye(tanks), (n, 1, 1)), np.zeros((n, tanks))
    for i, t in enumerate(fillable):
        row, up = first + 1 + tanks + i, 1.0 - at[:, t]
        freely = probes.after[first] + slopes["after"][:, :, t] * up[:, None]
        blocked = freely[:, t] - probes.after[row, t]
        known = blocked > _BLOCKED
        if known.any():
            gained = (probes.after[row] - freely)[known] / blocked[known, None]
            gained = np.clip(gained, 0.0, plant.span[t] / plant.span)
            gained[:, t] = -1.0
            diverted[:, :, t] = gained.mean(axis=0)
            diverted[known, :, t] = gained
            cost = (probes.cost[row] - probes.cost[first] - slopes["cost"][:, t] * up)[known] / blocked[known]
            diverted_cost[:, t] = cost.mean()
            diverted_cost[known, t] = cost
    # Where the base is full, it came to that by water that went elsewhere: that is given back.
    cut = np.where(plant.problem.may_stand_full & (x[1:] >= 1 - 1e-6), np.maximum(open_end - x[1:], 0.0), 0.0)
    options = [
        [
            Options(
                counts=c, speeds=v, **{name: getattr(probes, of)[rows] - getattr(probes, of)[rows[0]] for name, of in _MEASURED.items()},
            )
            for (c, v), rows in zip(made[i], others[i], strict=True)
        ]
        for i in range(len(levers))
    ]  # fmt: skip
    return Near(
        base=base, x=x, after=x[1:] - np.einsum("kij,kj->ki", diverted, cut), drift=slopes["after"], cost_slope=slopes["cost"],
        kw=np.stack([base.power[:, pumps].sum(axis=1) for _, pumps in caps_of(runner)], axis=1) / 1000.0, kw_slope=slopes["kw"], amiss=probes.amiss[first],
        pressure=probes.pressure[first] + np.einsum("kij,kj->ki", slopes["pressure"], x[:-1] - at), pressure_slope=slopes["pressure"],
        diverted=diverted, diverted_cost=diverted_cost, options=options,
    )  # fmt: skip


_MEASURED = {"state": "after", "kw": "kw", "cost": "cost", "totals": "totals", "amiss": "amiss", "pressure": "pressure"}


def _options(plant: Plant, lever: Lever, base: Candidate, k: int) -> tuple[Ints, Floats]:
    """Counts and speeds of the lever's options in a step, the base's first."""
    if lever.valve is not None:
        now, speed = base.choices[k, [lever.valve]], np.zeros(1)
        keep = lever.counts[:, 0] != now[0]
    else:
        own = list(lever.classes)
        now, speed = base.counts[k, own], base.speeds[k, own]
        keep = ((lever.counts <= plant.available[k, own]) & (lever.counts >= plant.forced[k, own])).all(axis=1)
        keep &= ~((lever.counts == now) & (np.abs(lever.speeds - speed) < 1e-9)).all(axis=1)
    return np.vstack([now[None], lever.counts[keep]]), np.vstack([speed[None], lever.speeds[keep]])


def _with(values: _Array, place: int | list[int], value: Any) -> _Array:
    changed = values.copy()
    changed[place] = value
    return changed
