"""What joint configurations do in a step: in EPANET from any states, and from states between the nodes of a grid, interpolated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.schedule.grid import Grid
from levada.schedule.joint import JointConfigurations
from levada.schedule.plant import Ints

__all__ = ["Ends", "GridSteps", "true_steps"]


@dataclass(frozen=True, slots=True)
class Ends:
    """Rows after a step: cost (N,), states (N, tanks), severity of what it breaks (N,)."""

    cost: Floats
    x: Floats
    severity: Floats


def true_steps(joint: JointConfigurations, k: int, x: Floats, kind: Ints) -> Ends:
    """Step k in EPANET from states x (N, tanks) at configurations `kind` (N,)."""
    plant = joint.plant
    order = np.argsort(kind, kind="stable")  # settings change once a configuration
    back = np.argsort(order, kind="stable")
    own = kind[order]
    found = plant.simulator.steps(np.full(len(x), k), plant.volume(x[order]), joint.speeds_at(k, own), joint.choices[own])
    return Ends(found.cost[back], plant.state(found.volume[back]), found.severity[back])


class GridSteps:
    """Step k from nodes of a grid: each configuration from the nodes where it `is_run` (configurations, size)."""

    def __init__(self, joint: JointConfigurations, k: int, grid: Grid, is_run: Bools) -> None:
        self._grid, self.is_run = grid, is_run
        # Of all nodes only those from which any is run have a row: few, once cheaper schedules can be in few places.
        used = is_run.any(axis=0)
        self._row = np.cumsum(used) - 1
        kinds, rows = len(is_run), int(used.sum())
        self._cost, self._severity, self._after = np.zeros((kinds, rows)), np.zeros((kinds, rows)), np.zeros((kinds, rows, grid.tanks))
        kind, node = np.nonzero(is_run)
        ends, row = true_steps(joint, k, grid.states[node], kind), self._row[node]
        self._cost[kind, row], self._severity[kind, row], self._after[kind, row] = ends.cost, ends.severity, ends.x

    def from_nodes(self, kind: int, node: Ints) -> Ends:
        """Ends of a configuration from nodes (N,) where it is run."""
        row = self._row[node]
        return Ends(self._cost[kind, row], self._after[kind, row], self._severity[kind, row])

    def between(self, x: Floats) -> Iterator[tuple[int, Ints, Ends]]:
        """From states x (N, tanks): each configuration, the rows all of whose corners were run with it, and their ends."""
        corners, weights = self._grid.around(x)
        for kind in range(len(self.is_run)):
            rows = np.flatnonzero(self.is_run[kind][corners].all(axis=1))
            if len(rows):
                i, w = self._row[corners[rows]], weights[rows]
                after = (self._after[kind][i] * w[:, :, None]).sum(axis=1)
                yield kind, rows, Ends((self._cost[kind][i] * w).sum(axis=1), after, (self._severity[kind][i] * w).sum(axis=1))
