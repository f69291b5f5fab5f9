"""Linear models of the plant over each step, piece by piece of its states: what the bound stands on (bound.py has the equations).

The states that can be reached at an instant (reach.py) are cut into pieces where a plane serves best (relaxation_pieces.py). On each piece and for each
component and configuration, steps that EPANET ran are fitted by a plane in the states of the component's tanks and the flows of its
variable-speed classes. Those with a full tank, or with a pump that idled, and the halves of a range of speeds, are fitted
apart: each is a `Patch`. Its margins are
the largest deviations of those steps times a factor, and what further, independent steps exceed them by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from levada.domain.billing import MeterTerms, metered
from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant
from levada.schedule.problem import Work
from levada.schedule.reach import Zone, draw_each
from levada.schedule.relaxation_patches import Patch, fit_patch
from levada.schedule.relaxation_pieces import Rows, cut, within
from levada.schedule.relaxation_samples import (
    Run,
    Runs,
    draw_speeds,
    pieces_of_work,
    pump_speeds,
    run_solves,
    run_steps,
)
from levada.schedule.surface import Sampler, Surface, joined

__all__ = ["MOST_TANKS", "Models", "balances", "fit_models", "patch_of", "rows_of", "shadow_of", "where_full", "zones_of_steps"]

_ENOUGH, _FEW = 6, 4
"""Modes with fewer steps than so many for each coefficient are drawn again; the latter where a tank is full."""

_STEPS_A_SAMPLE = 20
"""Steps run in EPANET for each of the samples that a solve may spend on measuring margins."""

_STEPS_A_PATCH = 36
"""So many steps a configuration and piece are wanted: that limits the pieces."""

_MOST_CORNERS = 400_000
"""Columns that the programme may have, about."""

_LINKS = 150
"""Networks with more links, or more hydraulic steps in a planning step, get fewer steps."""

MOST_TANKS = 4
"""Components with more tanks are modelled without their states."""

_MOST_TANKS_FOR_SUBSETS = 4
_IDLE_M3_PER_S = 1e-6
"""A class that runs and delivers no more than this in the mean idles: its tanks are full."""
_FULL = 2e-6
"""A shut tank is full to this share of its range."""

_NEAR, _NEAR_RISE = 0.2, 0.005
"""Rare modes are drawn again within the states they were seen at, widened by these shares of their range and of a tank's."""


@dataclass
class Models:
    """Models of one component: its patches in each step. `possible` (n, configurations) says which may run at all."""

    surface: Surface
    pieces: list[list[Zone]]
    """Pieces of the states at the start of each step, the same for all components."""
    patches: list[list[Patch]]
    possible: NDArray[np.bool_]
    tanks: list[int]
    """Tanks that its planes know: the component's, or none where there are too many; margins then span the piece."""
    of_solves: bool = False
    """Whether the patches are of single solves, at states on the way of a step too, instead of whole steps."""
    is_refuted: bool = False
    """A configuration thought impossible was seen to run: nothing can be concluded from these models."""
    samples: int = 0
    """Steps run to measure the margins; those that shape the planes come on top."""

    def are_brimful(self, mode: Ints) -> NDArray[np.bool_]:
        """Whether a tank is full, shut or not, in each mode."""
        tanks, classes = len(self.tanks), len(self.surface.component.classes)
        return np.asarray((mode & ((1 << tanks) - 1) > 0) | (mode >> (tanks + 2 * classes) & 1 > 0), np.bool_)


def balances(plant: Plant) -> Floats:
    """Which sums of tanks the bound keeps a balance of, (balances, tanks) of 0 and 1: each tank, each component's tanks, all; all
    subsets where there are few tanks."""
    t = plant.tanks
    rows = [np.eye(t, dtype=bool)[i] for i in range(t)]
    if t <= _MOST_TANKS_FOR_SUBSETS:
        rows += [np.isin(np.arange(t), c) for size in range(2, t) for c in combinations(range(t), size)]
    rows += [np.isin(np.arange(t), c.tanks) for c in plant.components if len(c.tanks) > 1]
    rows.append(np.ones(t, bool))
    return np.array(list(dict.fromkeys(tuple(r.tolist()) for r in rows)), np.float64)


def _corner_count(s: Surface, tanks: list[int]) -> int:
    """About how many corners the pieces of a component have, times those of its speed ranges and their halves."""
    free = int((s.high > s.low).sum(axis=1).max(initial=0))
    return (1, 2, 6, 20, 70)[len(tanks)] * (1 << free) * (1 << free)


def _blank(plant: Plant, s: Surface) -> Models:
    tanks = list(s.component.tanks)
    if len(tanks) > MOST_TANKS or plant.n * len(s.counts) * _corner_count(s, tanks) > _MOST_CORNERS:
        tanks = []
    return Models(surface=s, pieces=[], patches=[], possible=np.zeros((plant.n, len(s.counts)), bool), tanks=tanks)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Steps to run: the planning step, where from, how many, and which component at which configuration (-1, -1: none in particular)."""

    step: int
    zone: Zone
    count: int
    component: int = -1
    kind: int = -1


class _Drawer:
    """Runs steps at states drawn in zones, at configurations that may run, and tells them apart by component."""

    def __init__(self, plant: Plant, models: list[Models], sampler: Sampler, run: Run) -> None:
        self.plant, self.models, self.rng, self.pause, self.run, self.measured = plant, models, sampler.rng, sampler.pause, run, 0
        self._of, self._meters = balances(plant), metered(plant.problem)

    def draw(self, wanted: list[_Wanted], *, unequal: bool) -> list[list[Rows]]:
        """Steps by planning step and component: for each of `wanted` so many states, its component at its configuration, the others at any. `unequal`
        spreads speeds within a class. All are run at once, since runs of few rows take nearly as long as those of many."""
        plant, rng = self.plant, self.rng
        y = draw_each([w.zone for w in wanted], [w.count for w in wanted], rng)
        step = np.repeat([w.step for w in wanted], [w.count for w in wanted])
        total = len(y)
        chosen = []
        for m, s in enumerate(model.surface for model in self.models):
            ready = [s.ready(plant, k) for k in range(plant.n)]
            chosen.append(np.concatenate([np.full(w.count, w.kind) if w.component == m else _any(ready[w.step], w.count, rng) for w in wanted]))
        joint = joined(plant, [model.surface for model in self.models], chosen)
        mean = draw_speeds(rng, joint.counts, joint.low, joint.high)
        self.measured += total if unequal else 0
        speed = pump_speeds(plant, rng, joint.counts, mean, unequal=unequal)
        if unequal:
            speed = plant.swapped(speed, rng)
        x, runs = (y - plant.floor_m) / plant.rise_m, list[Runs]()
        for piece in pieces_of_work(plant, total):
            self.pause()
            runs.append(self.run(plant, step[piece], x[piece], speed[piece], joint.choices[piece]))
        whole = reduce(Runs.joined, runs)
        rows = [rows_of(plant, model, m, whole, chosen[m], mean, self._of, self._meters) for m, model in enumerate(self.models)]
        return [[r.rows(step == k) for r in rows] for k in range(plant.n)]


def _any(ready: Ints, count: int, rng: np.random.Generator) -> Ints:
    """So many of the configurations that may run, each as often as another."""
    return ready[rng.permutation(np.arange(count) % len(ready))] if len(ready) else np.zeros(count, np.int64)


def rows_of(plant: Plant, model: Models, m: int, runs: Runs, configuration: Ints, mean: Floats, of: Floats, meters: tuple[MeterTerms, ...]) -> Rows:
    """What of the steps concerns component m."""
    s, tanks = model.surface, model.tanks
    own = list(s.component.classes)
    pumps = {j for k in own for j in plant.classes[k].pumps}
    energy = runs.metered_kwh(meters, pumps)
    free = s.high[configuration] > s.low[configuration]
    brim = np.asarray(runs.brim[:, tanks].any(axis=1) & ~runs.barred[:, m].any(axis=1), np.bool_)
    places = np.concatenate([
        runs.barred[:, m][:, tanks],
        free & (mean[:, own] > (s.low[configuration] + s.high[configuration]) / 2),
        (s.counts[configuration] > 0) & (runs.flow[:, own] <= _IDLE_M3_PER_S),
        brim[:, None],
    ], axis=1)  # fmt: skip
    mode = places.astype(np.int64) @ (1 << np.arange(places.shape[1], dtype=np.int64))
    return Rows(
        y=plant.floor_m[tanks] + plant.rise_m[tanks] * runs.x[:, tanks],
        inputs=np.concatenate([np.ones((len(mode), 1)), runs.x[:, tanks], np.where(free, runs.flow[:, own], 0.0)], axis=1),
        outputs=np.concatenate([runs.inflow[:, m] @ of.T, energy], axis=1),
        configuration=configuration, mode=mode, holds=runs.holds[:, m],
    )  # fmt: skip


def fit_models(plant: Plant, surfaces: list[Surface], zones: list[Zone], sampler: Sampler, work: Work, *, within_steps: bool = False) -> list[Models]:
    """Cut the zones into pieces, and fit each component's patches on them, with margins measured in EPANET.

    `within_steps`: pumps may be switched within steps, so that what a step comes to is mixed from single solves (relaxation_samples.run_solves) at states on its way.
    """
    n = plant.n
    models = [_blank(plant, s) for s in surfaces]
    kinds = max(len(s.counts) for s in surfaces)
    # The work of a step grows with the network and with the solves in it.
    problem = plant.problem
    of_solves = within_steps or bool(np.any(problem.may_stand_full))
    solves = 1 if of_solves else max(-(-int(d) // problem.hydraulic_step_s) for d in problem.steps.durations_s)
    share = min(1.0, _LINKS / ((len(problem.network.links) + plant.pumps) * solves))
    a_step = max(int(_STEPS_A_SAMPLE * work.audit_samples * share) // n, 3 * kinds)
    columns = sum(len(m.surface.counts) * _corner_count(m.surface, m.tanks) for m in models)
    most = int(np.clip(min(2 * a_step // (3 * _STEPS_A_PATCH * kinds), _MOST_CORNERS // (n * columns)), 1, max(work.pieces, 1)))
    drawer = _Drawer(plant, models, sampler, run_solves if of_solves else run_steps)
    scale = _scale(plant, balances(plant), metered(plant.problem))
    places = [[t + 1 for t in m.tanks] for m in models]
    zones = zones_of_steps(plant, zones, of_solves=of_solves)
    base = drawer.draw([_Wanted(k, zone, a_step // 3) for k, zone in enumerate(zones)], unequal=False)
    pieces = [cut(zone, base[k], places, scale[k], most) for k, zone in enumerate(zones)]
    everywhere = [_Wanted(k, piece, a_step // (3 * len(cuts))) for k, cuts in enumerate(pieces) for piece in cuts]
    fit = _together(base, drawer.draw(everywhere, unequal=False))
    # Unequal speeds within a class, and states that the fit has not seen.
    other = drawer.draw(everywhere, unequal=True)
    if rare := [w for k in range(n) for w in _rare(plant, models, k, pieces[k], places, fit[k], 2 * a_step // 3)]:
        fit = _together(fit, drawer.draw(rare, unequal=False))
        other = _together(other, drawer.draw(rare, unequal=True))
    for k in range(n):
        for i, m in enumerate(models):
            m.pieces.append(pieces[k])
            m.patches.append(_fit(plant, m, [shadow_of(piece, places[i]) for piece in pieces[k]], fit[k][i], other[k][i]))
            m.possible[k, [patch.configuration for patch in m.patches[k]]] = True
    for m in models:
        m.samples, m.of_solves = drawer.measured, of_solves
    return models


def _together(these: list[list[Rows]], others: list[list[Rows]]) -> list[list[Rows]]:
    return [[a.joined(b) for a, b in zip(mine, more, strict=True)] for mine, more in zip(these, others, strict=True)]


def _rare(plant: Plant, models: list[Models], k: int, pieces: list[Zone], places: list[list[int]], rows: list[Rows], most: int) -> list[_Wanted]:
    """What to draw again for modes that were seen too seldom to be fitted: where their tanks are full, and all over the piece."""
    wanted: list[_Wanted] = []
    whole = pieces[0] if len(pieces) == 1 else Zone(np.max([p.d for p in pieces], axis=0))
    for i, m in enumerate(models):
        r = rows[i].rows(rows[i].holds)
        own = [0, *places[i]]
        enough = _ENOUGH * (r.inputs.shape[1] + 1)
        ordinary = ~m.are_brimful(r.mode)
        inside = [within(r.y, shadow_of(piece, places[i])) for piece in pieces]
        for c, mode in sorted(set(zip(r.configuration.tolist(), r.mode.tolist(), strict=True))):
            at = (r.configuration == c) & (r.mode == mode)
            if ordinary[at].all():
                wanted += [_Wanted(k, piece, enough, i, c) for piece, here in zip(pieces, inside, strict=True) if 0 < (at & here).sum() < enough]
            elif at.sum() < (few := _FEW * (1 + 2 * len(m.tanks))):
                # Where a tank is full: near the states in which it was.
                d = whole.d.copy()
                d[np.ix_(own, own)] = np.minimum(d[np.ix_(own, own)], _near(r.y[at], plant.rise_m[m.tanks]))
                wanted.append(_Wanted(k, Zone.closed(d), 2 * few, i, c))
    share = most / max(sum(w.count for w in wanted), 1)
    return wanted if share >= 1 else [replace(w, count=max(round(w.count * share), 2)) for w in wanted]


def _near(y: Floats, rise_m: Floats) -> Floats:
    """Bounds of heads (N, tanks) and their differences, widened."""
    z = np.concatenate([np.zeros((len(y), 1)), y], axis=1)
    difference = z[:, :, None] - z[:, None, :]
    top, bottom = difference.max(axis=0), difference.min(axis=0)
    d = top + _NEAR * (top - bottom) + _NEAR_RISE * float(rise_m.mean())
    np.fill_diagonal(d, 0.0)
    return np.asarray(d, np.float64)


def zones_of_steps(plant: Plant, zones: list[Zone], *, of_solves: bool) -> list[Zone]:
    """Zones of the states at the beginning of each step, or at all of its solves, from those at the n + 1 instants."""
    if not of_solves:
        return [_narrowed(plant, zones[k], k) for k in range(plant.n)]
    swept = [_swept(zones[k], zones[k + 1]) for k in range(plant.n)]
    # On the way of the first step the state is no longer the initial one, which its limits are.
    return [swept[0], *(_narrowed(plant, swept[k], k) for k in range(1, plant.n))]


def _narrowed(plant: Plant, zone: Zone, k: int) -> Zone:
    """The zone within what limits and reserves leave at instant k."""
    d = zone.d.copy()
    d[1:, 0] = np.minimum(d[1:, 0], plant.floor_m + plant.rise_m * plant.x_most[k])
    d[0, 1:] = np.minimum(d[0, 1:], -(plant.floor_m + plant.rise_m * plant.x_least[k]))
    closed = Zone.closed(d)
    return zone if closed.is_empty else closed


def _swept(zone: Zone, after: Zone) -> Zone:
    """A zone that holds all states on the way from one zone to another: what bounds their levels and differences moves from the one's to the other's."""
    return Zone(np.maximum(zone.d, after.d))


def where_full(plant: Plant, zone: Zone, tanks: list[int], full: Bools) -> Zone:
    """A zone of some tanks where of these `full` (len(tanks),) are full; it may be empty."""
    d = zone.d.copy()
    d[0, 1:] = np.where(full, np.minimum(d[0, 1:], -(plant.floor_m[tanks] + plant.rise_m[tanks] * (1.0 - _FULL))), d[0, 1:])
    return Zone.closed(d)


def shadow_of(zone: Zone, places: list[int]) -> Zone:
    """A zone as the tanks at some places of it see it."""
    keep = [0, *places]
    return Zone(zone.d[np.ix_(keep, keep)])


def _scale(plant: Plant, of: Floats, meters: tuple[MeterTerms, ...]) -> Floats:
    """What a unit of each output is worth, roughly, (n, outputs): energy at its price, water at what pumping it costs."""
    mean = float(np.abs(plant.class_price).mean()) or 1.0
    energy = np.stack([np.maximum(np.abs(m.price_per_kwh), 0.1 * mean) for m in meters], axis=1)
    return np.concatenate([np.full((plant.n, len(of)), mean), energy], axis=1)


def _fit(plant: Plant, m: Models, shadows: list[Zone], rows: Rows, other: Rows) -> list[Patch]:
    """The patches of a step's pieces: planes by least squares through `rows`, margins by `rows` and `other`. Modes that a piece has too few steps of
    are fitted through those of all pieces."""
    everything = rows.joined(other)
    is_first = np.arange(len(everything.mode)) < len(rows.mode)
    inside = [within(everything.y, shadow) for shadow in shadows]
    found = []
    for c in np.unique(everything.configuration[everything.holds]).tolist():
        mine = (everything.configuration == c) & everything.holds
        for mode in np.unique(everything.mode[mine]).tolist():
            at = mine & (everything.mode == mode)
            for p, shadow in enumerate(shadows):
                here = at & inside[p]
                own = here if here.sum() >= _FEW * (1 + 2 * len(m.tanks)) else at
                if here.any() or _overlap(everything.y[own], shadow):
                    found.append(patch_of(plant, m, p, shadow, everything.rows(own), int((own & is_first).sum())))
    return [patch for patch in found if len(patch.corners)]


def _overlap(y: Floats, shadow: Zone) -> bool:
    """Whether the heads (N, tanks), taken together as a zone, meet another zone."""
    z = np.concatenate([np.zeros((len(y), 1)), y], axis=1)
    return not Zone.closed(np.minimum((z[:, :, None] - z[:, None, :]).max(axis=0), shadow.d)).is_empty


def patch_of(plant: Plant, m: Models, piece: int, shadow: Zone, rows: Rows, fitted: int) -> Patch:
    """The patch of a piece through steps of one configuration and mode, the first `fitted` of which shape the plane."""
    s, tanks = m.surface, m.tanks
    c = int(rows.configuration[0])
    speeds = np.flatnonzero(s.high[c] > s.low[c])
    # A tank is shut where it is full, and nowhere else, however few such steps there are.
    shadow = where_full(plant, shadow, tanks, np.array([int(rows.mode[0]) >> i & 1 for i in range(len(tanks))], bool))
    return fit_patch(rows, fitted, speeds, piece, shadow, plant.floor_m[tanks], plant.rise_m[tanks])
