"""The bound's models against the true steps that the search has simulated: margins that fail are widened before the bound is used.

The samples that set the margins are random; the search goes where schedules are good, which is where a wrong margin would hurt. Each step is run
once more, taken apart by component, and must lie on the patch of its piece, configuration and mode: its states in the domain, its flows in their
range, its outputs within the margins.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from levada.domain.billing import metered
from levada.domain.pumping import Bools, PumpSchedule
from levada.domain.series import Floats
from levada.schedule.ahead import Forecast
from levada.schedule.models import Models, balances, patch_of, rows_of, shadow_of
from levada.schedule.plant import Ints, Plant
from levada.schedule.reach import Zone
from levada.schedule.relaxation_patches import Patch, excess
from levada.schedule.relaxation_pieces import Rows
from levada.schedule.relaxation_samples import Run, run_solves, run_steps

__all__ = ["ROUNDS", "Step", "simulated", "solves_of", "steps_of", "verify", "verify_in_rounds"]

ROUNDS = 4
"""Rounds of checking the bound's models against simulated steps, and of widening what fails."""

_MOST_CHECKS = 4000
_TOLERANCE = 1e-6
"""Share of an output by which a step may miss a patch: the solver's own tolerance."""

_WIDEN = 1.5
_NEAR_M = 1e-6

Step = tuple[int, Floats, Floats, Ints]
"""Planning step, volumes (tanks,) at its start, speeds (pumps,), 0 for off, choices (valves,)."""


def verify(plant: Plant, models: list[Models], zones: list[Zone], forecast: Forecast, must: list[Step], others: list[Step]) -> tuple[int, int]:
    """Check all steps that `must` be and up to a few thousand of `others`, or their solves where the models are of such. Returns how many were checked and how many failed.

    Where one fails, its patch is widened (in place), and so are the others of its configuration in that step.
    """
    chosen = [*must, *others[:: max(1, len(others) // _MOST_CHECKS)]]
    run: Run = run_steps
    if models[0].of_solves:
        run, chosen = run_solves, solves_of(plant, chosen)
    failed = 0
    for k in sorted({s[0] for s in chosen}):
        failed += _verify_step(plant, models, zones, forecast, k, [s for s in chosen if s[0] == k], run)
    return len(chosen), failed


def verify_in_rounds(
    plant: Plant, models: list[Models], zones: list[Zone], forecast: Forecast, must: list[Step], others: list[Step], rounds: int,
    pause: Callable[[], object] = lambda: None,
) -> tuple[int, int, bool]:
    """`verify` until nothing fails, so many times at most. Returns how many were checked and how many failed in the last round, and whether any was widened."""
    checked, failed, is_widened = 0, 0, False
    for _ in range(rounds):
        pause()
        checked, failed = verify(plant, models, zones, forecast, must, others)
        is_widened |= failed > 0
        if not failed:
            break
    return checked, failed, is_widened


def solves_of(plant: Plant, steps: list[Step]) -> list[Step]:
    """All solves of steps, each as if a step began with it."""
    if not steps:
        return []
    solved: list[tuple[Ints, Floats]] = []
    of, volumes, speeds, choices = (np.array(column) for column in zip(*steps, strict=True))
    run_steps(plant, of, plant.state(volumes), speeds, choices, solved)
    return [(steps[r][0], v, *steps[r][2:]) for rows, volume in solved for r, v in zip(rows.tolist(), volume, strict=True)]


def simulated(plant: Plant) -> list[Step]:
    """The steps that the plant remembers, on ways from the start without a violation."""
    return [(k, volume, np.where(*plant.pumps_on(k, counts, speeds), 0.0), choices) for k, volume, counts, speeds, choices, _ in plant.simulated_steps()]


def steps_of(plant: Plant, steps: Ints, level_m: Floats, schedule: PumpSchedule) -> list[Step]:
    """Planning steps (N,), or parts of them, from levels (N, tanks) with what each row of a schedule runs."""
    speeds, choices = np.where(schedule.on, schedule.speed, 0.0), schedule.valve_choice if plant.problem.valves else np.zeros((len(steps), 0), np.int64)
    return [(k, plant.simulator.volumes(level), speed, choice) for k, level, speed, choice in zip(steps.tolist(), level_m, speeds, choices, strict=True)]


def _verify_step(plant: Plant, models: list[Models], zones: list[Zone], forecast: Forecast, k: int, steps: list[Step], run: Run) -> int:
    x = plant.state(np.array([s[1] for s in steps]))
    speed, choice = np.array([s[2] for s in steps]), np.array([s[3] for s in steps])
    counts, speeds = plant.by_class(speed)
    runs = run(plant, np.full(len(x), k), x, speed, choice)
    # What was given up is no step of the models' either.
    whole = np.flatnonzero(runs.holds.any(axis=1))
    runs, x, counts, speeds, choice = runs.rows(whole), x[whole], counts[whole], speeds[whole], choice[whole]
    if not len(x):
        return 0
    parts = forecast.configuration(counts, speeds, choice)
    bad = np.zeros(len(x), bool)
    place = _pieces_of(plant, models[0].pieces[k], zones, k, x, bad)
    for i, m in enumerate(models):
        rows = rows_of(plant, m, i, runs, parts[:, i], np.where(counts > 0, speeds, 0.0), balances(plant), metered(plant.problem))
        floor_m, rise_m = plant.floor_m[m.tanks], plant.rise_m[m.tanks]
        for p, c, mode in sorted(set(zip(place.tolist(), rows.configuration.tolist(), rows.mode.tolist(), strict=True))):
            at = (place == p) & (rows.configuration == c) & (rows.mode == mode)
            alike = [q for q in m.patches[k] if q.configuration == c and q.piece == p]
            if not alike:
                # A configuration that was struck out runs after all: nothing was fitted, so no bound can stand on these models.
                m.is_refuted = True
                continue
            same = [q for q in m.patches[k] if q.configuration == c and q.mode == mode]
            own = [q for q in same if q.piece == p]
            if own:
                bad[at] |= _widened(own[0], same, rows.rows(at), floor_m, rise_m)
                continue
            # A mode that was not seen here: a patch of its own.
            bad[at] = True
            shadow = shadow_of(m.pieces[k][p], [t + 1 for t in m.tanks])
            m.patches[k].append(patch_of(plant, m, p, shadow, rows.rows(at), int(at.sum())))
    return int(bad.sum())


def _pieces_of(plant: Plant, pieces: list[Zone], zones: list[Zone], k: int, x: Floats, bad: Bools) -> Ints:
    """Piece of each state (N, tanks), the nearest one, which is widened where a state lies outside."""
    y = np.concatenate([np.zeros((len(x), 1)), plant.floor_m + plant.rise_m * x], axis=1)
    difference = y[:, :, None] - y[:, None, :]
    beyond = np.array([(difference - z.d).max(axis=(1, 2)) for z in pieces])
    place = np.asarray(beyond.argmin(axis=0), np.int64)
    for r in np.flatnonzero(beyond.min(axis=0) > _NEAR_M).tolist():
        bad[r] = True
        p = int(place[r])
        pieces[p] = Zone(np.maximum(pieces[p].d, difference[r]))
        zones[k] = Zone(np.maximum(zones[k].d, difference[r]))
    return place


def _widened(patch: Patch, siblings: list[Patch], rows: Rows, floor_m: Floats, rise_m: Floats) -> Bools:
    """Widen a patch until these steps lie on it. Returns which did not, (N,)."""
    heads = np.concatenate([np.zeros((len(rows.y), 1)), rows.y], axis=1)
    difference = heads[:, :, None] - heads[:, None, :]
    outside = (difference - patch.domain.d > _NEAR_M).any(axis=(1, 2))
    if outside.any():
        patch.domain = Zone(np.maximum(patch.domain.d, difference.max(axis=0) + _NEAR_M))
    at = rows.inputs[:, : 1 + len(rise_m)]
    along = patch.along(rows.inputs)
    under, over = at @ patch.least - along, along - at @ patch.most
    outside |= (np.maximum(under, over) > 1e-9).any(axis=1)
    if outside.any():
        patch.least[0] -= _WIDEN * np.maximum(under.max(axis=0), 0.0)
        patch.most[0] += _WIDEN * np.maximum(over.max(axis=0), 0.0)
        patch.find_corners(floor_m, rise_m)
    low, high = excess(patch, rows.inputs, rows.outputs)
    missed = (np.maximum(low, high) > _TOLERANCE * np.maximum(np.abs(rows.outputs).max(axis=0), 1.0)).any(axis=1)
    if missed.any():
        for q in siblings:
            q.low = q.low + _WIDEN * low.max(axis=0)
            q.high = q.high + _WIDEN * high.max(axis=0)
    return np.asarray(outside | missed, np.bool_)
