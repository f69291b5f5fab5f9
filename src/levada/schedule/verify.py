"""The bound's models against the true steps that the search has simulated: margins that fail are widened before the bound is used.

The samples that set the margins are random; the search goes where schedules are good, which is where a wrong margin would hurt.
"""

from __future__ import annotations

import numpy as np

from levada.schedule.models import Models, balances, by_flow, inputs
from levada.schedule.plant import Plant
from levada.schedule.reach import Zone
from levada.schedule.search import Forecast

__all__ = ["verify"]

_MOST_CHECKS = 4000
_TOLERANCE_M3 = 0.01
_WIDEN = 1.5


def verify(plant: Plant, models: list[Models], zones: list[Zone], forecast: Forecast) -> tuple[int, int]:
    """Check up to a few thousand of the steps that EPANET has simulated on ways without violations. Returns how many were checked and how many failed.

    Where one fails, the margins of its configurations are widened (in place) by half as much again, at all steps.
    """
    steps = plant.simulated_steps()
    chosen = steps[:: max(1, len(steps) // _MOST_CHECKS)]
    of = balances(plant)
    failed = 0
    for k, before, counts, speeds, result in chosen:
        x = plant.state(before)
        y = np.concatenate([[0.0], plant.floor_m + plant.rise_m * x])
        if (y[:, None] - y[None, :] > zones[k].d + 1e-6).any():
            zones[k] = Zone(np.maximum(zones[k].d, y[:, None] - y[None, :]))
            failed += 1
        parts = forecast.configuration(counts[None], speeds[None])[0]
        flow = np.array([result.flow[list(c.pumps)].sum() for c in plant.classes])
        low, high = np.zeros(len(of)), np.zeros(len(of))
        cost, true_cost, used, lacking = 0.0, 0.0, [], []
        hours_k = float(plant.problem.steps.hours[k])
        for m, c0 in zip(models, parts.tolist(), strict=True):
            own = flow[list(m.surface.component.classes)]
            c = by_flow(m, k, c0, x, own)
            used.append(c)
            a = inputs(m, np.array([c]), x[None], own[None])[0]
            move = a @ m.inflow[k, c]
            low, high = low + move - m.inflow_low[k, c], high + move + m.inflow_high[k, c]
            cost += float(a @ m.cost[k, c] - m.cost_low[k, c])
            # The models price energy as such: what own power, export and emissions make of it is the relaxation's business.
            pumps = [j for i in m.surface.component.classes for j in plant.classes[i].pumps]
            power_kw = result.power[pumps] / 1000.0
            true_cost += float(power_kw @ plant.problem.price_per_kwh[k, pumps]) * hours_k
            lacking.append(max(float(a @ m.power[k, c] - m.power_low[k, c]) - float(power_kw.sum()), 0.0))
        moved = of @ (result.volume - before)
        over, under = np.maximum(moved - high, 0.0), np.maximum(low - moved, 0.0)
        short = max(cost - true_cost, 0.0)
        impossible = [m for m, c in zip(models, used, strict=True) if not m.possible[k, c]]
        if over.max() <= _TOLERANCE_M3 and under.max() <= _TOLERANCE_M3 and short <= 1e-6 * (1 + abs(true_cost)) and max(lacking) <= 1e-6 and not impossible:
            continue
        failed += 1
        for m in impossible:
            # A configuration that was struck out runs after all: its models were not fitted, so no bound can stand on them.
            m.is_refuted = True
        hours = plant.problem.steps.hours
        share = (hours / hours[k])[:, None]
        for m, c, kw in zip(models, used, lacking, strict=True):
            m.power_low[:, c] += _WIDEN * kw
            m.inflow_high[:, c] += _WIDEN * over * share
            m.inflow_low[:, c] += _WIDEN * under * share
            m.cost_low[:, c] += _WIDEN * short * share[:, 0]
    return len(chosen), failed

