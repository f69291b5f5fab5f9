"""What binds and prices the pumps of one class by themselves: starts, times on and off, availability, the previous plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.pumping import Bools, PumpingProblem
from levada.domain.series import Floats
from levada.hydraulics.engine import severity_weights
from levada.hydraulics.operation import days_of
from levada.schedule.plant import Ints

__all__ = ["Duties"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Duties:
    """What binds and prices the pumps of one class by themselves. n steps; shapes (n, pumps) and (pumps,).

    `most_started` (n,): most starts of this class in each step, or None; `most_in_day` (days,): most starts of all its pumps together in each day, those made
    before not counted, or None. `deviation_cost` is per step. `weights` of starts, simultaneous
    starts, off time, on time: how much each counts where not all can hold.
    """

    available: Bools
    forced: Bools
    max_starts: Ints
    starts_made: Ints
    initial_on: Bools
    is_periodic: bool
    day: Ints
    durations_s: Floats
    min_on_s: Floats
    min_off_s: Floats
    held_s: Floats
    wear: Floats
    previous_on: Bools | None = None
    deviation_cost: Floats | None = None
    most_started: Ints | None = None
    most_in_day: Ints | None = None
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)

    @staticmethod
    def of(problem: PumpingProblem, pumps: tuple[int, ...]) -> Duties:
        own, n = list(pumps), len(problem.steps)
        hours = problem.steps.hours[:, None]
        starts, together, off, on = severity_weights(problem, ("starts", "simultaneous starts", "off time", "on time")).tolist()
        none = np.zeros(len(own))
        return Duties(
            available=problem.available[:, own],
            forced=np.zeros((n, len(own)), bool) if problem.forced_on is None else problem.forced_on[:, own],
            max_starts=problem.max_starts[own],
            starts_made=np.zeros(len(own), np.int64) if problem.starts_made is None else problem.starts_made[own],
            initial_on=problem.initial_on[own],
            is_periodic=problem.count_starts == "periodic",
            day=days_of(problem),
            durations_s=np.asarray(problem.steps.durations_s, np.float64),
            min_on_s=none if problem.min_on_s is None else problem.min_on_s[own],
            min_off_s=none if problem.min_off_s is None else problem.min_off_s[own],
            held_s=none + np.inf if problem.held_s is None else problem.held_s[own],
            wear=none if problem.wear_cost_per_start is None else problem.wear_cost_per_start[own],
            previous_on=None if problem.previous_on is None else problem.previous_on[:, own],
            deviation_cost=None if problem.deviation_cost_per_h is None else problem.deviation_cost_per_h[:, own] * hours,
            weights=(starts, together, off, on),
        )

    @property
    def has_stays(self) -> bool:
        return bool((self.min_on_s > 0).any() or (self.min_off_s > 0).any())

    @property
    def limits_starts(self) -> bool:
        """Whether the limits of starts can bind at all."""
        return self.most_in_day is not None or bool((self.max_starts * 2 < len(self.available) + 1 + 2 * self.starts_made).any())

    @property
    def is_free(self) -> bool:
        """Any counts within what is available can be assigned."""
        return bool(self.available.all()) and not (self.forced.any() or self.has_stays or self.limits_starts) and self.most_started is None

    @property
    def by_counts(self) -> bool:
        """Sets that change by as few pumps as they can are enough: nothing is gained by swapping running pumps."""
        return self.previous_on is None and not self.has_stays and not self.forced.any() and bool((self.wear == self.wear[0]).all())
