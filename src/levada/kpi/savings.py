"""What a plan saves beside rule-based control of the same day."""

from __future__ import annotations

from levada.domain.plan import Indicator
from levada.domain.pumping import PumpingProblem, Trajectory
from levada.kpi.volumes import pumped_m3, stored_m3

__all__ = ["savings"]


def savings(problem: PumpingProblem, trajectory: Trajectory, baseline: Trajectory, currency: str) -> Indicator | None:
    """Cost of the baseline less that of the plan, over that of the baseline, %; None where the baseline costs nothing.

    (C_b - C - c (V_b - V)) / C_b, with C the cost, V the water in the tanks at the end, c = C_b / water pumped in the baseline. The last
    term values the water that one leaves in the tanks and the other does not: without it, a plan that empties the tanks would look
    thrifty. Baseline and plan are of the same problem, so their demand, prices and initial levels agree. A baseline that breaks limits is
    compared all the same, and the description says so: it would cost more if it had kept them.
    """
    if baseline.cost <= 0:
        return None
    pumped = pumped_m3(problem, baseline)
    per_m3 = baseline.cost / pumped if pumped > 0 else 0.0
    left = float(stored_m3(problem, baseline.level_m[-1:])[0] - stored_m3(problem, trajectory.level_m[-1:])[0])
    saved = baseline.cost - trajectory.cost - per_m3 * left
    broken = f"; the baseline breaks {len(baseline.violations)} limits" if baseline.violations else ""
    return Indicator(
        name="savings",
        value=100.0 * saved / baseline.cost,
        unit="%",
        description=f"{saved:.2f} {currency} less than rule-based control, which costs {baseline.cost:.2f}; water left in tanks is valued{broken}",
    )
