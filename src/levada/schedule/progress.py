"""Telling how a solve gets on, and being told to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from levada.schedule.plant import Plant

__all__ = ["Progress", "Stopped", "Teller"]


class Stopped(Exception):
    """Told to stop amid work that has nothing to show before its end: whoever began it goes on with what there was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a solve is. `cost` of the best schedule so far, None while none keeps all limits; `bound` that none can undercut; hydraulic solves spent."""

    stage: str
    cost: float | None
    bound: float | None
    solves: int


class Teller:
    """Passes progress on, keeps the best figures, and remembers that it was told to stop."""

    def __init__(self, progress: Callable[[Progress], bool] | None, plant: Plant) -> None:
        self._progress, self._plant = progress, plant
        self.is_stopped = False
        self.cost, self.bound = np.inf, -np.inf

    def __call__(self, stage: str, cost: float | None = None, bound: float | None = None) -> bool:
        """Tell; returns whether to go on."""
        self.cost = min(self.cost, np.inf if cost is None else cost)
        if self._plant.problem.switch_resolution_s is None:  # else the schedule may go below: the bounds know switches at steps' edges only
            self.bound = max(self.bound, -np.inf if bound is None else bound)
        if self.bound > self.cost:
            self.bound = -np.inf  # refuted by the schedule: the certificate says so at the end
        if self._progress is not None and not self.is_stopped:
            told = Progress(
                stage=stage, cost=float(self.cost) if np.isfinite(self.cost) else None, bound=float(self.bound) if np.isfinite(self.bound) else None,
                solves=self._plant.simulator.solves,
            )  # fmt: skip
            self.is_stopped = not self._progress(told)
        return not self.is_stopped

    def pause(self) -> None:
        """Between pieces of long work. Raises Stopped when told to."""
        if not self("learning"):
            raise Stopped
