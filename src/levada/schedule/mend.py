"""Making a schedule of counts fit what binds the pumps by themselves, by changing it as little as a few simple steps allow."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.assignment import Fits
from levada.schedule.plant import Ints, Plant

__all__ = ["mend", "usual_speeds"]

_WINDOWS = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 24.0)
"""Hours that runs and pauses shorter than are taken out, beyond those that must be."""


def mend(plant: Plant, fits: Fits, counts: Ints) -> Ints:
    """Counts (n, classes) like these that fit, or nearly: short pauses are filled and short runs left out, more of them until a class fits
    by itself, and all of them within the limit on starts of all pumps, else counts are constant; then starts are put off or brought forward where too many fall together."""
    counts = np.clip(counts, plant.forced, plant.available)
    for c in range(len(plant.classes)):
        if fits.of_class(c, counts[:, c]) is None:
            counts[:, c] = _class(plant, fits, c, counts[:, c])
    if plant.problem.max_starts_total is not None and not fits(counts):
        counts = _fewer(plant, fits, counts)
    most = plant.problem.max_simultaneous_starts
    return counts if most is None or fits(counts) else _spread(plant, fits, counts, most)


def usual_speeds(plant: Plant, counts: Ints, speeds: Floats) -> Floats:
    """Speeds (n, classes) for counts that may run where none was meant to: the highest that the class has had."""
    usual = np.where(speeds.max(axis=0) > 0, speeds.max(axis=0), plant.top_speed)
    return np.where(counts > 0, np.where(speeds > 0, speeds, usual), 0.0)


def _class(plant: Plant, fits: Fits, c: int, counts: Ints) -> Ints:
    for hours in _WINDOWS:
        for fill_first in (True, False):
            found = _smoothed(plant, c, counts, hours, fill_first=fill_first)
            if fits.of_class(c, found) is not None:
                return found
    for count in (round(float(counts.mean())), int(plant.initial_count[c]), 0, int(plant.class_size[c])):
        found = np.clip(np.full_like(counts, count), plant.forced[:, c], plant.available[:, c])
        if fits.of_class(c, found) is not None:
            return found
    return counts


def _smoothed(plant: Plant, c: int, counts: Ints, hours: float, *, fill_first: bool) -> Ints:
    """Counts (n,) of a class without runs and pauses that are shorter than their least times and so many hours."""
    problem, own = plant.problem, list(plant.classes[c].pumps)
    seconds = np.asarray(problem.steps.durations_s, np.float64)
    least_on, least_off = (0.0 if of is None else float(of[own].max()) for of in (problem.min_on_s, problem.min_off_s))
    found = np.zeros_like(counts)
    for q in range(1, int(plant.class_size[c]) + 1):
        on = counts >= q
        for fill in (fill_first, not fill_first):
            least = (least_off if fill else least_on) + hours * 3600.0
            on = ~_without_short(~on, seconds, least) if fill else _without_short(on, seconds, least)
        found += on
    return np.clip(found, plant.forced[:, c], plant.available[:, c])


def _fewer(plant: Plant, fits: Fits, counts: Ints) -> Ints:
    """Counts (n, classes) that start less: every class smoothed alike until all fit together, else constant."""
    for hours in _WINDOWS:
        for fill_first in (True, False):
            found = np.stack([_smoothed(plant, c, counts[:, c], hours, fill_first=fill_first) for c in range(counts.shape[1])], axis=1)
            if fits(found):
                return found
    constant = np.clip(np.broadcast_to(np.round(counts.mean(axis=0)).astype(np.int64), counts.shape), plant.forced, plant.available)
    return constant if fits(constant) else counts


def _without_short(on: Bools, seconds: Floats, least_s: float) -> Bools:
    """On (n,) without its runs shorter than least_s; runs at the ends stay."""
    n = len(on)
    turns = [0, *(np.flatnonzero(on[1:] != on[:-1]) + 1).tolist(), n]
    kept = on.copy()
    for a, b in pairwise(turns[1:-1]):
        if on[a] and float(seconds[a:b].sum()) < least_s - 1e-6:
            kept[a:b] = False
    return kept


def _spread(plant: Plant, fits: Fits, counts: Ints, most: int) -> Ints:
    counts = counts.copy()
    for _ in range(4 * plant.n):
        before = counts[-1:] if plant.problem.count_starts == "periodic" else plant.initial_count[None]
        rises = np.maximum(np.diff(counts, axis=0, prepend=before), 0)
        crowded = np.flatnonzero(rises.sum(axis=1) > most)
        if not len(crowded):
            break
        k = int(crowded[0])
        moved = next((m for c in np.flatnonzero(rises[k]).tolist() for m in _moved(counts, k, c) if fits.of_class(c, np.clip(m, plant.forced, plant.available)[:, c]) is not None), None)
        if moved is None:
            break
        counts = np.clip(moved, plant.forced, plant.available)
    return counts


def _moved(counts: Ints, k: int, c: int) -> list[Ints]:
    """A class's start in step k put off by a step, and brought forward by one."""
    found = []
    for at, value in ((k, counts[k, c] - 1), (k - 1, counts[k, c])):
        if at >= 0:
            other = counts.copy()
            other[at, c] = value
            found.append(other)
    return found
