"""Energy cost of a cubic metre supplied."""

from __future__ import annotations

from levada.domain.plan import Indicator
from levada.domain.pumping import PumpingProblem, Trajectory
from levada.kpi.volumes import drawn_m3

__all__ = ["energy_cost"]


def energy_cost(problem: PumpingProblem, trajectory: Trajectory, currency: str) -> Indicator | None:
    """Cost of pumping energy over water drawn: C / sum(D dt), currency/m3; None where nothing is drawn.

    Per cubic metre supplied it can be compared from day to day and between utilities. Water taken from
    storage or put into it over the horizon is not accounted for.
    """
    volume = drawn_m3(problem)
    if volume <= 0:
        return None
    return Indicator(
        name="energy cost",
        value=trajectory.cost / volume,
        unit=f"{currency}/m3",
        description="Cost of pumping energy per cubic metre that customers draw",
    )
