"""Pump starts: wear of motors, contactors and valves."""

from __future__ import annotations

from levada.domain.plan import Indicator
from levada.domain.pumping import PumpingProblem, PumpSchedule

__all__ = ["most_starts", "starts"]


def starts(problem: PumpingProblem, schedule: PumpSchedule) -> Indicator:
    """Starts of all pumps together, counted as the problem counts them (`count_starts`).

    Starts as the measure of a schedule's wear: Lansey & Awumah (1994), Optimal pump operations considering pump switches, J. Water
    Resour. Plann. Manage. 120(1), doi 10.1061/(ASCE)0733-9496(1994)120:1(17).
    """
    return Indicator(
        name="pump starts", value=float(schedule.starts(problem.count_starts, problem.initial_on).sum()), unit="1", description="Starts of all pumps together"
    )


def most_starts(problem: PumpingProblem, schedule: PumpSchedule) -> Indicator | None:
    """Starts of the pump that starts most, named in the description; None in a network without pumps."""
    by_pump = schedule.starts(problem.count_starts, problem.initial_on)
    if not len(by_pump):
        return None
    worst = int(by_pump.argmax())
    return Indicator(
        name="most starts of a pump", value=float(by_pump[worst]), unit="1", description=f"Starts of pump {problem.network.pumps[worst].name}, which starts most"
    )
