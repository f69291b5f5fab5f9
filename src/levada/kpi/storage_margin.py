"""Storage margin: for how long the tanks could feed the town, at the worst moment."""

from __future__ import annotations

from levada.domain.plan import Indicator
from levada.domain.pumping import PumpingProblem, Trajectory
from levada.domain.time import from_np, isoformat_z
from levada.kpi.volumes import drawn_m3, seconds, stored_m3

__all__ = ["storage_margin"]


def storage_margin(problem: PumpingProblem, trajectory: Trajectory) -> Indicator | None:
    """Least water above the minimum levels, in hours of mean demand: min over instants of V / mean(D); None without tanks or demand.

    V is of all tanks together, D of all junctions. Negative where tanks below their minimum lack more than the others hold. It is the
    reserve against pump failure and forecast error: how long customers could be fed if all pumps stopped then, wherever the water is.
    """
    if not problem.network.tanks:
        return None
    mean_m3_per_h = drawn_m3(problem) / float(seconds(problem).sum()) * 3600.0
    if mean_m3_per_h <= 0:
        return None
    hours = stored_m3(problem, trajectory.level_m) / mean_m3_per_h
    worst = int(hours.argmin())
    return Indicator(
        name="storage margin",
        value=float(hours[worst]),
        unit="h",
        description=f"Hours of mean demand stored above the minimum levels at the lowest moment, {isoformat_z(from_np(problem.steps.edges[worst]))}",
    )
