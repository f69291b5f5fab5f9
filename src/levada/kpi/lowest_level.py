"""The tank that comes nearest to its minimum."""

from __future__ import annotations

import numpy as np

from levada.domain.plan import Indicator
from levada.domain.pumping import PumpingProblem, Trajectory
from levada.domain.time import from_np, isoformat_z

__all__ = ["lowest_level"]


def lowest_level(problem: PumpingProblem, trajectory: Trajectory) -> Indicator | None:
    """Least of (level - minimum) / (maximum - minimum) over tanks and instants, %; negative below a minimum; None without tanks."""
    if not problem.network.tanks:
        return None
    filled = (trajectory.level_m - problem.min_level_m) / (problem.max_level_m - problem.min_level_m)
    at, tank = np.unravel_index(int(filled.argmin()), filled.shape)
    return Indicator(
        name="lowest level",
        value=100.0 * float(filled[at, tank]),
        unit="%",
        description=f"Tank {problem.network.tanks[int(tank)].name} between its limits at its lowest, {isoformat_z(from_np(problem.steps.edges[int(at)]))}",
    )
