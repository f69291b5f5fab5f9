"""What counts of running pumps alone forbid: starts in a day, starts together, least times on and off."""

from __future__ import annotations

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.hydraulics.operation import days_of
from levada.schedule.plant import Ints, Plant

__all__ = ["Bars"]


class Bars:
    """The bars by class. Starts are by calendar day, those made today counted."""

    def __init__(self, plant: Plant) -> None:
        problem = plant.problem
        self.plant = plant
        self.is_periodic = problem.count_starts == "periodic"
        self.day = days_of(problem)
        made = np.zeros(plant.pumps, np.int64) if problem.starts_made is None else problem.starts_made
        limits = [np.maximum(problem.max_starts - (made if d == 0 else 0), 0) for d in range(int(self.day[-1]) + 1)]
        self.starts: Ints = np.array([[int(limit[list(c.pumps)].sum()) for c in plant.classes] for limit in limits])
        """Most starts by day and class."""
        most = problem.max_starts_total
        self.total = None if most is None else np.array([max(0, most - int(made.sum()) * (d == 0)) for d in range(len(self.starts))])
        """Most starts of all classes together by day."""
        if self.total is not None:
            self.starts = np.minimum(self.starts, self.total[:, None])
        self.at_s = problem.steps.offsets_s
        self.least = [
            None if of is None or not of.any() else np.array([float(of[list(c.pumps)].max()) for c in plant.classes]) for of in (problem.min_on_s, problem.min_off_s)
        ]
        self.held = np.full(plant.pumps, np.inf) if problem.held_s is None else problem.held_s

    def begun(self, k: int, before: Ints, counts: Ints) -> Ints:
        """Starts by which counts until step k become those in it, (..., classes); by what went before the first step where the days are a ring nothing is started."""
        return np.asarray(np.maximum(counts - before, 0) * (k > 0 or not self.is_periodic), np.int64)

    def used_before(self, k: int, used: Ints) -> Ints:
        """Starts of the day of step k made before it, by those of the day of the step before."""
        return np.zeros_like(used) if k and self.day[k] != self.day[k - 1] else used

    def look(self, k: int, past: Ints, used: Ints, counts: Ints) -> tuple[Ints, Ints, Ints]:
        """Starts of rows (N) by actions (A), (N, A, classes); starts used today with them; how many bars each breaks, (N, A).
        past (N, k, classes), used (N, classes), counts (A, classes)."""
        plant = self.plant
        before = past[:, -1] if k else np.repeat(plant.initial_count[None], len(past), axis=0)
        begun = self.begun(k, before[:, None], counts[None])
        spent = self.used_before(k, used)[:, None] + begun
        broken = (np.maximum(spent - self.starts[self.day[k]], 0) * (begun > 0)).sum(axis=2)
        if self.total is not None:
            broken += np.maximum(spent.sum(axis=2) - self.total[self.day[k]], 0) * (begun > 0).any(axis=2)
        if plant.problem.max_simultaneous_starts is not None:
            broken += np.maximum(begun.sum(axis=2) - plant.problem.max_simultaneous_starts, 0)
        for sign, least in zip((1, -1), self.least, strict=True):
            if least is not None:
                locked = self._locked(k, past, sign, least)
                room = counts if sign > 0 else plant.class_size - counts
                broken += np.maximum(locked[:, None] - room[None], 0).sum(axis=2)
        return begun, spent, broken

    def _locked(self, k: int, past: Ints, sign: int, least: Floats) -> Ints:
        """How many pumps of each class (N, classes) must stay on (sign 1) or off (-1) in step k, having been switched less than `least` seconds ago."""
        plant, problem = self.plant, self.plant.problem
        start = plant.initial_count if not self.is_periodic else past[:, :1] if k else plant.initial_count
        before = np.concatenate([np.broadcast_to(start, (len(past), 1, past.shape[2])), past], axis=1)
        switched = np.maximum(sign * np.diff(before, axis=1), 0)
        recent: Bools = self.at_s[k] - self.at_s[:k, None] < least - 1e-6
        locked = (switched * recent[None]).sum(axis=1)
        if not self.is_periodic:
            as_now = problem.initial_on if sign > 0 else ~problem.initial_on
            for c, cls in enumerate(plant.classes):
                own = list(cls.pumps)
                locked[:, c] += int((as_now[own] & (self.held[own] + self.at_s[k] < least[c] - 1e-6)).sum())
        return np.asarray(locked, np.int64)
