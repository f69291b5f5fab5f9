"""Load factor: how evenly power is drawn."""

from __future__ import annotations

from levada.domain.plan import Indicator
from levada.domain.pumping import PumpingProblem, Trajectory
from levada.kpi.volumes import seconds

__all__ = ["load_factor"]


def load_factor(problem: PumpingProblem, trajectory: Trajectory) -> Indicator | None:
    """Mean over highest power of all pumps together, %; None where no power is drawn.

    The usual load factor of electricity supply: mean(P) / max(P), P the mean power of a step. Where power is contracted or charged by
    its peak, a low one is money; under time-of-use prices alone, a low one can be right.
    """
    power = trajectory.power_w.sum(axis=1)
    peak = float(power.max())
    if peak <= 0:
        return None
    mean = float((power * seconds(problem)).sum() / seconds(problem).sum())
    return Indicator(
        name="load factor",
        value=100.0 * mean / peak,
        unit="%",
        description=f"Mean over highest power of all pumps together, the highest being {peak / 1000:.1f} kW",
    )
