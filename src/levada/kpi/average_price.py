"""The price paid on average for pumping energy."""

from __future__ import annotations

from levada.domain.plan import Indicator
from levada.domain.pumping import PumpingProblem, Trajectory
from levada.kpi.volumes import energy_kwh, seconds

__all__ = ["average_price"]


def average_price(problem: PumpingProblem, trajectory: Trajectory, currency: str) -> Indicator | None:
    """Energy-weighted mean price: sum(p P dt) / sum(P dt), currency/kWh; None where no energy is used.

    The description has the plain mean over time beside it: what pumps that run evenly would pay.
    """
    energy = energy_kwh(problem, trajectory)
    total = float(energy.sum())
    if total <= 0:
        return None
    evenly = float((problem.price_per_kwh.mean(axis=1) * seconds(problem)).sum() / seconds(problem).sum())
    return Indicator(
        name="average price",
        value=float((energy * problem.price_per_kwh).sum()) / total,
        unit=f"{currency}/kWh",
        description=f"Price paid on average for pumping energy; running evenly would pay {evenly:.4g}",
    )
