"""The bound by columns: the linear relaxation (bound.py) with all configurations, any number of tanks, and remainders as they were measured.

Where a component has more tanks or configurations than can be written out as patches, the programme is solved over a few of its columns, which are made as they are wanted (hull_programme.py). All that the bound rests
on is then that no true solve of step k and part m comes below the least L_km that any of its columns comes to under the last duals. Where no tank is shut, planes say what that is. Solves with tanks that stand
full and are shut are on no plane, and others may lie off theirs: so true solves are drawn, anywhere and near the configurations and states that come to L_km, with tanks full or not, and those that the search simulated are
looked at too. What comes below L_km becomes a column as it is, in all steps in which it does, and the programme is solved again, until what the draws of a round come below is little. That is taken off, times 1.25.
"""

from __future__ import annotations

import numpy as np

from levada.domain.pumping import PumpSchedule
from levada.domain.series import Floats
from levada.schedule.certificate import Bound
from levada.schedule.hull_fit import Fitted
from levada.schedule.hull_models import Drawn, Part, are_of_solves, run_at
from levada.schedule.hull_programme import Column, Programme, columns_of
from levada.schedule.hull_states import States
from levada.schedule.least import least_of_each
from levada.schedule.plant import Ints, Plant
from levada.schedule.progress import Stopped, Teller
from levada.schedule.verify import Step, simulated, solves_of, steps_of

__all__ = ["bound_by_hull"]

_METHOD = "linear relaxation over all pump and valve configurations by column generation (planes and their joint remainders in EPANET, its duals held against drawn solves)"

_ROUNDS, _LITTLE = 12, 1e-3
"""Rounds of draws, and what they come below that is little, as a share of the cost."""

_NEAR, _AT_EACH = 8, 6
"""Configurations of each step and part that are drawn near to in a round, and draws at each."""

_THERE = 0.5
"""Share of a drawn state's tanks that are where the least was found."""

_WORST, _A_STEP = 150, 4
"""Solves of each part that come furthest below, which are run in all steps, and how many of these become columns in each step at most."""

_SAFETY = 1.25
_MOST_CHECKED = 20_000


def bound_by_hull(plant: Plant, fitted: Fitted, schedule: PumpSchedule, cost: float, rng: np.random.Generator, teller: Teller) -> Bound | None:
    """The bound beside a schedule without violations that costs `cost`. None where it was stopped before it had one."""
    if teller.is_stopped:
        return None
    try:
        programme, drawn = _begun(plant, fitted, schedule, rng, teller)
    except Stopped:
        return None
    found = _closed_in(plant, fitted.parts, programme, drawn, cost, rng, teller)
    return None if found is None else Bound(value=found[0], method=_METHOD, cost=cost, samples=found[1], work={"column_iterations": programme.iterations})


def _begun(plant: Plant, fitted: Fitted, schedule: PumpSchedule, rng: np.random.Generator, teller: Teller) -> tuple[Programme, Drawn]:
    """The programme over the schedule's own columns; what its planes were put through, and what the search has simulated."""
    parts, drawn = fitted.parts, fitted.drawn
    own = _at_steps(plant, parts, steps_of(plant, np.arange(plant.n), plant.simulator.run(schedule).level_m[:-1], schedule), rng)
    programme = Programme(plant, fitted.models, fitted.states_of_solves(plant), drawn, columns_of(plant, fitted.models, own, [np.arange(len(own.step))] * len(parts)))
    others = simulated(plant)
    teller.pause()
    return programme, drawn.joined(_at_steps(plant, parts, others[:: max(1, len(others) // _MOST_CHECKED)], rng)) if others else drawn


def _closed_in(
    plant: Plant, parts: list[Part], programme: Programme, drawn: Drawn, cost: float, rng: np.random.Generator, teller: Teller
) -> tuple[float, int] | None:
    """The bound of the last of some rounds, and how many solves it was held against, those of earlier rounds among them. Whoever stops it gets what it has, held against fewer."""
    found: tuple[float, int] | None = None
    for _ in range(_ROUNDS):
        if not programme.close_in(teller):
            break
        drawn = drawn.joined(_near(plant, parts, programme, rng, few=teller.is_stopped))
        short = programme.short(drawn)
        loss = _SAFETY * float(sum(_by_step(plant.n, drawn.step, s).sum() for s in short.T))
        found = programme.bound - loss, len(drawn.step)
        if loss <= _LITTLE * abs(cost) or not teller("columns", bound=found[0]):
            break
        worst = _everywhere(plant, parts, programme.states, drawn, short, rng)
        below = programme.short(worst)
        programme.add(columns_of(plant, programme.models, worst, [_most(plant.n, worst.step, s) for s in below.T]))
        programme.add(columns_of(plant, programme.models, drawn, [_most(plant.n, drawn.step, s) for s in short.T]))
    return found


def _at_steps(plant: Plant, parts: list[Part], steps: list[Step], rng: np.random.Generator) -> Drawn:
    """Steps, or their solves where models are of such, run once more."""
    chosen = solves_of(plant, steps) if are_of_solves(plant) else steps
    of, volumes, speeds, choices = (np.array(column) for column in zip(*chosen, strict=True))
    counts, _ = plant.by_class(speeds)
    kinds = np.stack([part.configuration(counts, choices) for part in parts], axis=1)
    return run_at(plant, parts, of, plant.state(volumes), kinds, rng)


def _near(plant: Plant, parts: list[Part], programme: Programme, rng: np.random.Generator, *, few: bool) -> Drawn:
    """Solves drawn near what the duals find best, at other parts' best too."""
    near = 2 if few else _NEAR
    best: dict[tuple[int, int], list[Column]] = {}
    for c in programme.best(near):
        best.setdefault((c.step, c.part), []).append(c)
    step, x = programme.states.draw(plant.n * near * _AT_EACH, rng)
    kinds = np.zeros((len(step), len(parts)), np.int64)
    for i, part in enumerate(parts):
        for k in range(plant.n):
            rows = np.flatnonzero(step == k)
            if not (here := best.get((k, i), [])):
                continue
            chosen = rng.permutation(np.arange(len(rows)) % len(here))
            kinds[rows, i] = np.array([c.configuration for c in here])[chosen]
            places = rows[:, None], np.array(part.tanks, np.int64)[None]
            at = np.array([c.x for c in here]).reshape(len(here), len(part.tanks))[chosen]
            x[places] = np.where((rng.random(at.shape) < _THERE) & (x[places] < 1.0), at, x[places])
    return run_at(plant, parts, step, x, kinds, rng)


def _everywhere(plant: Plant, parts: list[Part], states: States, drawn: Drawn, short: Floats, rng: np.random.Generator) -> Drawn:
    """The solves that come furthest below, in all steps in which their states can be."""
    rows = np.unique(np.concatenate([np.argsort(-s, kind="stable")[: min(_WORST, int((s > 0).sum()))] for s in short.T]))
    step, of = (a.ravel() for a in np.meshgrid(np.arange(plant.n), rows, indexing="ij"))
    x = drawn.runs.x[of]
    can = states.hold(step, x) | (step == drawn.step[of])
    return run_at(plant, parts, step[can], x[can], drawn.configuration[of[can]], rng)


def _by_step(n: int, step: Ints, short: Floats) -> Floats:
    """The most of each step, (n,)."""
    worst = np.zeros(n)
    np.maximum.at(worst, step, short)
    return worst


def _most(n: int, step: Ints, short: Floats) -> Ints:
    """Rows of those that come furthest below in each step."""
    own = least_of_each(n, step, -short, _A_STEP)
    return own[short[own] > 0]
