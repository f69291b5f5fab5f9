"""How much of the energy is used when it is dear, and how much when it is cheap."""

from __future__ import annotations

import numpy as np

from levada.domain.plan import Indicator
from levada.domain.pumping import PumpingProblem, Trajectory
from levada.domain.series import Floats
from levada.kpi.volumes import energy_kwh, seconds

__all__ = ["off_peak_share", "peak_share"]


def peak_share(problem: PumpingProblem, trajectory: Trajectory) -> Indicator | None:
    """Share of energy in the dearest third of the time, %; None where no energy is used.

    sum over pumps and steps of f E / sum E, where f is the part of a step that belongs to the dearest third of the horizon by that
    pump's price; steps of equal price belong to it in equal parts, so a flat tariff gives 33.3 %. Defined by time and not by the names
    of tariff periods, so that utilities with different tariffs, and day-ahead prices, can be compared.
    """
    return _share(problem, trajectory, problem.price_per_kwh, "peak share", "Share of energy used in the dearest third of the time")


def off_peak_share(problem: PumpingProblem, trajectory: Trajectory) -> Indicator | None:
    """Share of energy in the cheapest third of the time, %; defined as peak_share is, and None likewise."""
    return _share(problem, trajectory, -problem.price_per_kwh, "off-peak share", "Share of energy used in the cheapest third of the time")


def _share(problem: PumpingProblem, trajectory: Trajectory, rank: Floats, name: str, description: str) -> Indicator | None:
    energy = energy_kwh(problem, trajectory)
    total = float(energy.sum())
    if total <= 0:
        return None
    part = np.column_stack([_top_third(rank[:, i], seconds(problem)) for i in range(rank.shape[1])])
    return Indicator(name=name, value=100.0 * float((energy * part).sum()) / total, unit="%", description=description)


def _top_third(rank: Floats, duration: Floats) -> Floats:
    """The part of each step that belongs to the third of the time with the highest rank, (n,), from 0 to 1."""
    left = duration.sum() / 3.0
    part = np.zeros(len(rank))
    for value in np.unique(rank)[::-1]:
        same = rank == value
        together = duration[same].sum()
        part[same] = min(1.0, left / together)
        left -= together
        if left <= 0:
            break
    return part
