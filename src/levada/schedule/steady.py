"""Valves are left as they are where setting them anew saves nothing: searches take the first of choices that cost the same, now this one and now that."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from levada.domain.pumping import PumpSchedule
from levada.schedule.candidate import Candidate, Runner, Trial
from levada.schedule.plant import Ints

__all__ = ["steadied"]

_WORTH = 1e-4
"""So great a share of the cost may be given up in all for valves that are set less often."""


def steadied(runner: Runner, schedule: PumpSchedule, trial: Trial) -> PumpSchedule:
    """The schedule, `trial` by classes, with as few changes of its valves as holds all limits at next to no cost."""
    runner.follow(schedule)
    best = runner.simulate(trial)
    if best.severity > 0:
        return schedule
    most = best.cost + _WORTH * abs(best.cost)
    before = runner.plant.problem.initial_choice
    while True:
        calmer = _with_one_change_less(best.choices, before)
        found = _kept(runner, best, calmer, most)
        if not found:
            return replace(schedule, valve_choice=best.choices)
        found.sort(key=lambda c: (_changes(c.choices, before), c.cost))
        # Most of them go together, and each by itself would take as many simulations again.
        best = min([found[0], *_kept(runner, best, [_together(best.choices, found)], most)], key=lambda c: _changes(c.choices, before))


def _kept(runner: Runner, base: Candidate, choices: list[Ints], most: float) -> list[Candidate]:
    """The schedule with other choices of valves: those that hold all limits and cost no more than `most`."""
    trials = [(base.counts, base.speeds, c) for c in choices]
    found = runner.simulate_all(trials, base, worse_than=0.0, price=1.0) if trials else []
    return [c for c in found if c is not None and c.severity == 0 and c.cost <= most]


def _together(choices: Ints, found: list[Candidate]) -> Ints:
    """All changes of choices (n, valves) that are apart from each other, those found first before others."""
    joint, touched = choices.copy(), np.zeros(choices.shape, np.bool_)
    for c in found:
        changed = c.choices != choices
        beside = changed.copy()
        beside[1:] |= changed[:-1]
        beside[:-1] |= changed[1:]
        if not (beside & touched).any():
            joint, touched = np.where(changed, c.choices, joint), touched | changed
    return joint


def _changes(choices: Ints, before: Ints) -> int:
    return int((np.diff(np.vstack([before, choices]), axis=0) != 0).sum())


def _with_one_change_less(choices: Ints, before: Ints) -> list[Ints]:
    """Choices (n, valves) with one stretch of one valve set as the stretch before it, or the one after."""
    n, found = len(choices), []
    for v in range(choices.shape[1]):
        edges = [0, *(np.flatnonzero(np.diff(choices[:, v])) + 1).tolist(), n]
        for a, b in pairwise(edges):
            now, last = int(choices[a, v]), int(choices[a - 1, v] if a else before[v])
            # Where the first stretch is as before the start, setting it as the one after moves a change and takes none away.
            around = {last} if b == n or now == last else {last, int(choices[b, v])}
            for choice in sorted(around - {now}):
                other = choices.copy()
                other[a:b, v] = choice
                found.append(other)
    return found
