"""Water that is expected to be drawn."""

from __future__ import annotations

from levada.domain.plan import Indicator
from levada.domain.pumping import PumpingProblem
from levada.kpi.volumes import drawn_m3

__all__ = ["demand_volume"]


def demand_volume(problem: PumpingProblem) -> Indicator:
    """Water drawn at all junctions over the horizon, as planned for: sum(D dt), m3."""
    return Indicator(name="demand volume", value=drawn_m3(problem), unit="m3", description="Water that customers are expected to draw over the horizon")
