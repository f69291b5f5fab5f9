"""Least times on and off, as the exact search sees them: by how much a class's count may fall or rise."""

from __future__ import annotations

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.joint import JointConfigurations
from levada.schedule.plant import Ints, Plant

__all__ = ["Locks"]


class Locks:
    """Pumps that were started within their least time on must still run, those stopped within their least time off must not.

    Of identical pumps those that run longest stop first, so counts alone decide: the count is at least the starts of that time, and as many pumps
    at least are off as were stopped in that time. `memory`: how many configurations back that reaches (0 where there are no such limits);
    what was before the horizon comes from initial_on and held_s, and bars configurations at once (joint.ready).
    """

    def __init__(self, plant: Plant, joint: JointConfigurations) -> None:
        problem = plant.problem
        least_on, least_off = _by_class(plant, problem.min_on_s), _by_class(plant, problem.min_off_s)
        self._counts, self._size = joint.counts, plant.class_size
        offsets = problem.steps.offsets_s
        longest = float(max(least_on.max(), least_off.max()))
        self.memory = 0
        if longest <= float(min(problem.steps.durations_s)):
            return
        # Steps back whose starts still bind at step k, by class.
        self._on = [[[k - j for j in range(k) if offsets[k] - offsets[j] < t] for t in least_on.tolist()] for k in range(plant.n)]
        self._off = [[[k - j for j in range(k) if offsets[k] - offsets[j] < t] for t in least_off.tolist()] for k in range(plant.n)]
        reach = [back for lists in (*self._on, *self._off) for backs in lists for back in backs]
        self.memory = 1 + max(reach, default=0)
        if problem.count_starts == "window" and problem.held_s is not None:
            for i, c in enumerate(plant.classes):
                own = list(c.pumps)
                for k in range(plant.n):
                    bound = problem.held_s[own] + offsets[k]
                    still_on = int((problem.initial_on[own] & (bound < least_on[i])).sum())
                    still_off = int((~problem.initial_on[own] & (bound < least_off[i])).sum())
                    joint.ready[k] &= (joint.counts[:, i] >= still_on) & (joint.counts[:, i] <= len(own) - still_off)

    def allow(self, k: int, recent: Ints, kind: Ints) -> Bools:
        """Whether configurations (N,) may follow at step k: recent (N, memory) holds the configurations before, latest first; before the horizon the
        one that it is taken to begin from."""
        allowed = np.ones(len(kind), np.bool_)
        for i in range(self._counts.shape[1]):
            count = self._counts[:, i]
            started, stopped = np.zeros(len(kind), np.int64), np.zeros(len(kind), np.int64)
            for backs, total, sign in ((self._on[k][i], started, 1), (self._off[k][i], stopped, -1)):
                for back in backs:
                    total += np.maximum(sign * (count[recent[:, back - 1]] - count[recent[:, back]]), 0)
            allowed &= (count[kind] >= started) & (count[kind] <= self._size[i] - stopped)
        return allowed


def _by_class(plant: Plant, least_s: Floats | None) -> Floats:
    """The least time of each class: the shortest of its pumps."""
    if least_s is None:
        return np.zeros(len(plant.classes))
    return np.array([float(least_s[list(c.pumps)].min()) for c in plant.classes])
