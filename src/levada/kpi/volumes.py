"""What indicators count: seconds, energy, water pumped, water drawn, water stored."""

from __future__ import annotations

import numpy as np

from levada.domain.network import Tank
from levada.domain.pumping import PumpingProblem, Trajectory
from levada.domain.series import Floats

__all__ = ["drawn_m3", "energy_kwh", "pumped_m3", "seconds", "stored_m3", "tank_volume_m3"]


def seconds(problem: PumpingProblem) -> Floats:
    """Duration of each step, s, (n,)."""
    return np.asarray(problem.steps.durations_s, dtype=np.float64)


def energy_kwh(problem: PumpingProblem, trajectory: Trajectory) -> Floats:
    """Electric energy of each pump in each step, kWh, (n, pumps)."""
    energy: Floats = trajectory.power_w * seconds(problem)[:, None] / 3.6e6
    return energy


def pumped_m3(problem: PumpingProblem, trajectory: Trajectory) -> float:
    """Water through all pumps, m3. Water lifted by two stations in turn counts at each."""
    return float((trajectory.flow_m3_per_s * seconds(problem)[:, None]).sum())


def drawn_m3(problem: PumpingProblem) -> float:
    """Water drawn at all junctions, m3; water fed in (negative demand) is not taken off."""
    return float((np.maximum(problem.demand_m3_per_s, 0.0).sum(axis=1) * seconds(problem)).sum())


def tank_volume_m3(tank: Tank, level_m: Floats) -> Floats:
    """Water in a tank at these levels, m3: by its volume curve, linear between points as in EPANET and beyond its ends, or as a cylinder.

    Only differences between levels mean anything: a cylinder's volume is counted from level 0, a curve's from wherever it begins.
    """
    if not tank.volume_curve:
        area = np.pi * tank.diameter_m**2 / 4.0
        return np.asarray(area * level_m, dtype=np.float64)
    levels, volumes = (np.array(column, dtype=np.float64) for column in zip(*tank.volume_curve, strict=True))
    if len(levels) < 2:
        return np.asarray(volumes[0] / max(levels[0], 1e-9) * level_m, dtype=np.float64)
    piece = np.clip(np.searchsorted(levels, level_m, side="right") - 1, 0, len(levels) - 2)
    slope = (volumes[piece + 1] - volumes[piece]) / (levels[piece + 1] - levels[piece])
    return np.asarray(volumes[piece] + slope * (level_m - levels[piece]), dtype=np.float64)


def stored_m3(problem: PumpingProblem, level_m: Floats) -> Floats:
    """Water above the minimum levels in all tanks together, m3, for levels (instants, tanks): (instants,). Below a minimum counts as a lack."""
    stored = np.zeros(len(level_m))
    for i, tank in enumerate(problem.network.tanks):
        at_minimum = tank_volume_m3(tank, problem.min_level_m[i : i + 1])[0]
        stored += tank_volume_m3(tank, level_m[:, i]) - at_minimum
    return stored
