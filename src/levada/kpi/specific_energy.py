"""Specific energy: what it takes to pump a cubic metre."""

from __future__ import annotations

from levada.domain.plan import Indicator
from levada.domain.pumping import PumpingProblem, Trajectory
from levada.kpi.volumes import energy_kwh, pumped_m3

__all__ = ["specific_energy"]


def specific_energy(problem: PumpingProblem, trajectory: Trajectory) -> Indicator | None:
    """Energy over water pumped: sum(P dt) / sum(Q dt), kWh/m3; None where nothing is pumped.

    The indicator of specific energy in pumping; IWA's standardised energy consumption Ph5 is this per 100 m of head (Alegre et al.
    2016, Performance Indicators for Water Supply Services, 3rd ed., IWA Publishing). Water lifted twice counts twice in the volume.
    """
    volume = pumped_m3(problem, trajectory)
    if volume <= 0:
        return None
    return Indicator(
        name="specific energy",
        value=float(energy_kwh(problem, trajectory).sum()) / volume,
        unit="kWh/m3",
        description="Energy of all pumps per cubic metre pumped",
    )
