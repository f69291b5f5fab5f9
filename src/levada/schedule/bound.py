"""A lower bound: what no schedule of the problem can undercut.

The states that can be reached at each instant are cut into pieces. On piece p, for component and configuration c, the step is a patch
(relaxation_patches.py): over the states x at its start and the flows q of its variable-speed classes, within a polytope,

    inflow   a + B x + C q - d_low  <=  true inflow of each tank over the step  <=  a + B x + C q + d_high
    energy   likewise, for each meter

(Flows, not speeds: the network feels only what a station delivers, however its pumps share it; speeds that differ within a class are
sampled too.) Patches are made for the inflow of each tank and also for sums over several tanks, whose margins are far smaller: what a plane
gets wrong of the flow between two tanks cancels in their sum.

Where tanks may stand full, or pumps may be switched within steps (instants_bound.py), patches are of single solves instead: a step is then mixed from its solves by the time that each
holds, at states whose mean is near the step's ends. A full tank is shut at a solve or it is not, so that nothing has to be said of when in a step it filled up.

The relaxation lets each step mix pieces and configurations. Weights mu >= 0 on the corners v of the patches sum, for each component, to the mass of
their piece, and sum mu v is the piece's share of the states: within a piece all components see the same states, and a configuration is
paid for at levels of the pieces that it is used on. Masses sum to one, shares to the states, which are linked from step to step by the storage
balance; each share's own end lies within the limits too. The bill (relaxation_tariff.py) is a convex function of it all. Every true schedule is a point of this
linear programme, so its optimum is a lower bound, up to the margins, which are the largest deviations of sampled steps times a safety factor. That
makes the certificate `sampled`, never `exact`. docs/concepts/bounds.md derives it and says where it is loose.

Start limits (relaxation_starts.py) enter as the rise of each class's mixed count, which is weak, and where they are tight by counts that keep their own states.
For one tank level_values.py has a tighter bound; hull_bound.py has this one for more tanks and configurations than patches can be written out for.
The duals of the storage balances are the value of water in each tank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import highspy
import numpy as np

from levada.domain.series import Floats
from levada.schedule.linear import Builder, solver
from levada.schedule.models import Models, balances
from levada.schedule.plant import Ints, Plant
from levada.schedule.reach import Zone, ranges
from levada.schedule.relaxation_starts import Columns, limit_starts
from levada.schedule.relaxation_tariff import Tariff, has_terms

__all__ = ["Relaxation", "least_deviation", "on_the_way", "relax", "snapped_m3", "why_unbounded"]

_ROUNDING = 1e-8
_TURNS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of a step at which what bounds the states on its way turns from its beginning to its end."""

_SNAPPED_S = 2.0
"""Within a second's flow of its maximum a tank is put on it: so many seconds' flow of each step may come or go with that."""

_SHAVED = 1e-6
"""Share of the optimum that the solver's tolerances may have cost."""


@dataclass
class Relaxation:
    """The bound: `value` (None where the relaxation is infeasible or was not solved), whether it shows the problem `infeasible`,
    value of stored water (n + 1, tanks) in currency per unit of state x, reduced cost (n, configurations) per component, work spent."""

    value: float | None
    infeasible: bool
    water: Floats
    reduced: list[Floats]
    weight: list[Floats]
    work: dict[str, int] = field(default_factory=dict)


def why_unbounded(plant: Plant) -> str | None:
    """Why no relaxation bounds this plant, None where one may."""
    are_known = sum(len(c.valves) for c in plant.components) == len(plant.problem.valves)
    return None if are_known and all(c.is_complete for c in plant.components) else "there are more configurations of pumps and valves than can be modelled"


def relax(plant: Plant, models: list[Models], zones: list[Zone], *, within_steps: bool = False) -> Relaxation:
    """Build the relaxation and solve it by HiGHS's simplex. `within_steps`: pumps may be switched within steps; the models are then of that kind too."""
    b = Builder()
    n, tanks = plant.n, plant.tanks
    if not has_terms(plant):
        return Relaxation(None, False, np.zeros((n + 1, tanks)), [], [])
    worth = plant.problem.stored_value_per_m3
    states = []
    for k in range(n + 1):
        cost = np.zeros(tanks) if worth is None or k < n else -worth * plant.span
        low, high = ranges(plant, zones[k])
        low, high = np.maximum(low, plant.x_least[k]) - _ROUNDING, np.minimum(high, plant.x_most[k]) + _ROUNDING
        states.append(b.add_columns(cost, low, np.maximum(low, high)))
    if worth is not None:
        b.constant(float(worth @ (plant.x0 * plant.span)))
    of = balances(plant)
    sums = of * plant.span
    # Storage balances as two inequalities each, since inflows have margins.
    less = [b.add_rows(np.full(len(of), -np.inf), np.zeros(len(of))) for _ in range(n)]
    more = [b.add_rows(np.zeros(len(of)), np.full(len(of), np.inf)) for _ in range(n)]
    for k in range(n):
        for rows in (less[k], more[k]):
            b.put(rows[:, None], states[k + 1][None, :], sums)
            b.put(rows[:, None], states[k][None, :], -sums)
    tariff = Tariff(plant, b, of)
    columns: list[list[list[Columns]]] = [[[] for _ in range(n)] for _ in models]
    of_solves = models[0].of_solves
    mixed = [b.add_columns(np.zeros(tanks), -np.inf) for _ in range(n)] if of_solves else states
    for k in range(n):
        pieces = range(max(len(models[0].pieces[k]), 1))
        mass = [b.add_columns(np.zeros(1)) for _ in pieces]
        there = [b.add_columns(np.zeros(tanks), -np.inf) for _ in pieces]
        one = b.add_rows(np.ones(1), np.ones(1))
        mean = b.add_rows(np.zeros(tanks), np.zeros(tanks))
        b.put(mean, mixed[k], np.full(tanks, -1.0))
        for m, t in zip(mass, there, strict=True):
            b.put(one, m, np.ones(1))
            b.put(mean, t, np.ones(tanks))
        # What each piece's share of the states becomes stays within the limits too, but where it is a state on the way only.
        under = [b.add_rows(np.full(tanks, -np.inf), np.zeros(tanks)) for _ in pieces]
        over = [b.add_rows(np.zeros(tanks), np.full(tanks, np.inf)) for _ in pieces]
        for p in () if of_solves else pieces:
            for rows, end in ((under[p], plant.x_most[k + 1] + _ROUNDING), (over[p], plant.x_least[k + 1] - _ROUNDING)):
                b.put(rows, there[p], plant.span)
                b.put(rows, np.repeat(mass[p], tanks), -end * plant.span)
        for i, model in enumerate(models):
            own = model.tanks
            picks = []
            for p in pieces:
                pick = b.add_rows(np.zeros(1 + len(own)), np.zeros(1 + len(own)))
                b.put(pick, np.concatenate([mass[p], there[p][own]]), np.full(1 + len(own), -1.0))
                picks.append(pick)
            for patch in model.patches[k]:
                a = patch.corners
                low, high = patch.ends()
                mu = b.add_columns(np.zeros(len(a)))
                b.put(picks[patch.piece][None, :], mu[:, None], a[:, : 1 + len(own)])
                b.put(less[k][None, :], mu[:, None], -high[:, : len(of)])
                b.put(more[k][None, :], mu[:, None], -low[:, : len(of)])
                if not of_solves:
                    b.put(under[patch.piece][None, :], mu[:, None], low[:, :tanks])
                    b.put(over[patch.piece][None, :], mu[:, None], high[:, :tanks])
                tariff.draw(k, i, mu, low, high)
                b.add_cost(mu, np.full(len(mu), least_deviation(plant, model.surface.component.classes, model.surface.counts[patch.configuration], k)))
                columns[i][k].append(Columns(mu, patch, low, high))
        if of_solves:
            here = [own[k] for own in columns]
            fills, drains = _most_flows(plant, here)
            way = (states[k], states[k + 1], mixed[k])
            on_the_way(plant, b, k, way, (fills, drains))
            if not within_steps:
                _while_none_is_full(plant, models, b, k, way, (fills, drains), here)
            for row, by in enumerate((of @ snapped_m3(plant, k, fills, drains)).tolist()):
                b.move_row(less[k][row : row + 1], by)
                b.move_row(more[k][row : row + 1], -by)
    tariff.close()
    if not within_steps:  # starts within steps are not seen in the shares of them in which pumps run
        limit_starts(plant, models, b, columns)
    return _solve(plant, models, b, sums, less, more, columns)


def _most_flows(plant: Plant, columns: list[list[Columns]]) -> tuple[Floats, Floats]:
    """The most by which tanks can fill and drain in a step, as shares of them, (tanks,)."""
    fills, drains = np.zeros(plant.tanks), np.zeros(plant.tanks)
    for mine in columns:
        fills += np.max([np.maximum(c.high[:, : plant.tanks], 0.0).max(axis=0) for c in mine], axis=0, initial=0.0) / plant.span
        drains += np.max([np.maximum(-c.low[:, : plant.tanks], 0.0).max(axis=0) for c in mine], axis=0, initial=0.0) / plant.span
    return fills, drains


def snapped_m3(plant: Plant, k: int, fills: Floats, drains: Floats) -> Floats:
    """What may come or go in step k with tanks that are put on their maximum, (tanks,). `fills`, `drains`: the most by which tanks can, as shares of them."""
    return np.asarray(np.maximum(fills, drains) * plant.span * plant.problem.may_stand_full * _SNAPPED_S / plant.problem.steps.durations_s[k], np.float64)


def on_the_way(plant: Plant, b: Builder, k: int, states: tuple[Ints, Ints, Ints], most: tuple[Floats, Floats]) -> None:
    """How far the mean of the states at the solves of step k can be from those at its ends. `states`: columns before, after and of that mean; `most`: by how much tanks
    can fill and drain in a step at most, as shares of them.

    With u from 0 to 1 over the step, a tank fills by at most a u and drains by at most d u. Levels are held from one solve to the next, for a share s of the step at most, so what
    counts at u lies below x_k + a u and below x_k+1 + d (1 - u + s), and above likewise. Integrated with the first up to u = c and the second from there on.
    """
    (before, after, mixed), (fills, drains) = states, most
    tanks, share = plant.tanks, min(plant.problem.hydraulic_step_s / plant.problem.steps.durations_s[k], 1.0)
    for c in _TURNS:
        early, late = c**2 / 2, (1 - c) ** 2 / 2 + share * (1 - c)
        rows = b.add_rows(-(drains * early + fills * late), fills * early + drains * late)
        b.put(rows, mixed, np.ones(tanks))
        b.put(rows, before, np.full(tanks, -c))
        b.put(rows, after, np.full(tanks, c - 1.0))


def _while_none_is_full(
    plant: Plant, models: list[Models], b: Builder, k: int, states: tuple[Ints, Ints, Ints], most: tuple[Floats, Floats], columns: list[list[Columns]]
) -> None:
    """A step of one solve goes on to another only where a tank has filled up: for as long as one is full, at most, are levels others than at its beginning."""
    (before, _, mixed), (fills, drains) = states, most
    tanks = plant.tanks
    if plant.problem.hydraulic_step_s < plant.problem.steps.durations_s[k] or any(len(m.tanks) < len(m.surface.component.tanks) for m in models):
        return
    over, under = b.add_rows(np.full(tanks, -np.inf), np.zeros(tanks)), b.add_rows(np.zeros(tanks), np.full(tanks, np.inf))
    for rows, flow in ((over, -fills), (under, drains)):
        b.put(rows, mixed, np.ones(tanks))
        b.put(rows, before, np.full(tanks, -1.0))
        for model, mine in zip(models, columns, strict=True):
            for own in (c for c, full in zip(mine, model.are_brimful(np.array([c.patch.mode for c in mine], np.int64)), strict=True) if full):
                b.put(rows[:, None], own.mu[None, :], flow[:, None])


def least_deviation(plant: Plant, classes: Sequence[int], counts: Ints, k: int) -> float:
    """Least cost in step k of running other pumps than the previous plan, where so many of each of these classes run: each class differs at least by its change of count."""
    previous, price = plant.problem.previous_on, plant.problem.deviation_cost_per_h
    if previous is None or price is None:
        return 0.0
    total = 0.0
    for c, count in zip(classes, counts.tolist(), strict=True):
        own = list(plant.classes[c].pumps)
        total += abs(count - int(previous[k, own].sum())) * float(price[k, own].min())
    return total * float(plant.problem.steps.hours[k])


def _solve(
    plant: Plant, models: list[Models], b: Builder, sums: Floats, less: list[Ints], more: list[Ints], columns: list[list[list[Columns]]]
) -> Relaxation:
    h = solver()
    h.passModel(b.model())
    run = h.run()
    status, info, n = h.getModelStatus(), h.getInfo(), plant.n
    work = {"columns": b.columns, "rows": b.rows, "iterations": int(info.simplex_iteration_count)}
    if run == highspy.HighsStatus.kError or status != highspy.HighsModelStatus.kOptimal:
        return Relaxation(None, status == highspy.HighsModelStatus.kInfeasible, np.zeros((n + 1, plant.tanks)), [], [], work)
    solution = h.getSolution()
    value, dual, column_dual = np.array(solution.col_value), np.array(solution.row_dual), np.array(solution.col_dual)
    water = np.zeros((n + 1, plant.tanks))
    for k in range(n):
        # The worth of a unit more in the balance of step k is the worth of water at its end.
        water[k + 1] = -(dual[less[k]] + dual[more[k]]) @ sums
    water[0] = water[1]
    reduced, weight = [], []
    for m, mine in zip(models, columns, strict=True):
        r, w = np.full((n, len(m.surface.counts)), np.inf), np.zeros((n, len(m.surface.counts)))
        for k in range(n):
            for c in mine[k]:
                kind = c.patch.configuration
                r[k, kind] = min(r[k, kind], float(column_dual[c.mu].min()))
                w[k, kind] += float(value[c.mu].sum())
        reduced.append(r)
        weight.append(w)
    objective = float(info.objective_function_value)
    return Relaxation(objective - _SHAVED * abs(objective), False, water, reduced, weight, work)
