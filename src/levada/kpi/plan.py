"""The indicators of a plan, in the order in which they are shown."""

from __future__ import annotations

from levada.domain.plan import Indicator
from levada.domain.pumping import PumpingProblem, PumpSchedule, Trajectory
from levada.kpi.average_price import average_price
from levada.kpi.demand_volume import demand_volume
from levada.kpi.energy_cost import energy_cost
from levada.kpi.load_factor import load_factor
from levada.kpi.lowest_level import lowest_level
from levada.kpi.peak_share import off_peak_share, peak_share
from levada.kpi.savings import savings
from levada.kpi.specific_energy import specific_energy
from levada.kpi.starts import most_starts, starts
from levada.kpi.storage_margin import storage_margin

__all__ = ["plan_indicators"]


def plan_indicators(
    problem: PumpingProblem, schedule: PumpSchedule, trajectory: Trajectory, baseline: Trajectory | None, *, currency: str = "currency"
) -> list[Indicator]:
    """All indicators that are defined for a schedule and its trajectory; savings only beside a baseline. `currency` goes into units."""
    found = [
        demand_volume(problem),
        specific_energy(problem, trajectory),
        energy_cost(problem, trajectory, currency),
        average_price(problem, trajectory, currency),
        peak_share(problem, trajectory),
        off_peak_share(problem, trajectory),
        load_factor(problem, trajectory),
        storage_margin(problem, trajectory),
        lowest_level(problem, trajectory),
        starts(problem, schedule),
        most_starts(problem, schedule),
        savings(problem, trajectory, baseline, currency) if baseline is not None else None,
    ]
    return [indicator for indicator in found if indicator is not None]
