"""Why each pump is switched when it is: computed figures, and a sentence for an operator.

Two figures decide a switch: what a cubic metre costs to pump now, and what a cubic metre in the tank is worth (the dual of the storage
balance in the bound). And one test shows what the switch is for: the schedule is simulated with this switch left out for a step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from levada.domain.pumping import PumpSchedule, Trajectory, Violation
from levada.domain.series import Floats
from levada.schedule.plant import Ints, Plant
from levada.schedule.rules import watched_tanks

__all__ = ["SwitchReason", "explain"]

_MOST_TESTS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchReason:
    """Pump `pump` is switched at the start of step `step`. `action`: on, off or speed. `figures` are the numbers behind the text.

    | figure | meaning |
    |---|---|
    | price, mean_price | per kWh in this step; mean over the horizon |
    | pumping_cost_per_m3 | energy cost of a cubic metre pumped in this step (of the step before, for a pump that stops) |
    | water_value_per_m3 | worth of a cubic metre more in the tank it fills, at the end of this step |
    | level_m, min_level_m, max_level_m | of that tank at the start of this step |
    | delay_cost | what the schedule would cost more were the switch a step later (energy only) |
    """

    pump: str
    step: int
    action: str
    text: str
    figures: dict[str, float] = field(default_factory=dict)


def explain(plant: Plant, schedule: PumpSchedule, trajectory: Trajectory, water: Floats) -> tuple[SwitchReason, ...]:
    """A reason for each switch. `water` (n + 1, tanks): worth of a full tank's content by tank and instant; zeros where it is not known."""
    problem = plant.problem
    before_on = np.vstack([problem.initial_on, schedule.on[:-1]])
    before_speed = np.vstack([np.where(problem.initial_on, schedule.speed[0], 0.0), schedule.speed[:-1]])
    watched = watched_tanks(plant)
    found = []
    tests = 0
    for k in range(plant.n):
        for j, pump in enumerate(problem.network.pumps):
            on, was = bool(schedule.on[k, j]), bool(before_on[k, j])
            turned = on and was and abs(schedule.speed[k, j] - before_speed[k, j]) > 1e-9
            if on == was and not turned:
                continue
            action = "speed" if turned else "on" if on else "off"
            figures = _figures(plant, trajectory, water, watched, k, j, on)
            why = _because(figures, action)
            if action != "speed" and tests < _MOST_TESTS:
                tests += 1
                why += _test(plant, schedule, trajectory, before_on, before_speed, k, j, figures)
            if not problem.available[k, j] and action == "off":
                why = "it is not available from here"
            tank = problem.network.tanks[watched[j]].name if watched[j] >= 0 else None
            state = f"; tank {tank} is at {figures['level_m']:.2f} m ({figures['min_level_m']:.2f} to {figures['max_level_m']:.2f} m)" if tank else ""
            verb = {"on": "starts", "off": "stops", "speed": f"goes to speed {schedule.speed[k, j]:.3f}"}[action]
            found.append(SwitchReason(pump=pump.name, step=k, action=action, text=f"{pump.name} {verb}: {why}{state}.", figures=figures))
    return tuple(found)


def _figures(
    plant: Plant, trajectory: Trajectory, water: Floats, watched: Ints, k: int, j: int, on: bool
) -> dict[str, float]:
    problem = plant.problem
    hours = problem.steps.hours
    price = problem.price_per_kwh[:, j]
    figures = {"price": float(price[k]), "mean_price": float((price * hours).sum() / hours.sum())}
    running = k if on else k - 1
    if running >= 0 and trajectory.flow_m3_per_s[running, j] > 1e-9:
        kwh_per_m3 = trajectory.power_w[running, j] / 3.6e6 / trajectory.flow_m3_per_s[running, j]
        figures["kwh_per_m3"] = float(kwh_per_m3)
        figures["pumping_cost_per_m3"] = float(kwh_per_m3 * price[k])
    tank = int(watched[j])
    if tank >= 0:
        if water.any():
            figures["water_value_per_m3"] = float(water[k + 1, tank] / plant.span[tank])
        figures["level_m"] = float(trajectory.level_m[k, tank])
        figures["min_level_m"] = float(problem.min_level_m[tank])
        figures["max_level_m"] = float(problem.max_level_m[tank])
    if k + 1 < plant.n:
        figures["next_price"] = float(price[k + 1])
    return figures


def _because(figures: dict[str, float], action: str) -> str:
    price, mean = figures["price"], figures["mean_price"]
    cost, worth = figures.get("pumping_cost_per_m3"), figures.get("water_value_per_m3")
    if cost is not None and worth is not None:
        relation = "less than" if cost < worth else "more than"
        text = f"pumping a cubic metre costs {cost:.4f} now, {relation} the {worth:.4f} that it is worth in the tank"
    else:
        side = "below" if price < mean else "above" if price > mean else "at"
        text = f"energy costs {price:.4f} per kWh now, {side} the mean of {mean:.4f}"
    nearby = figures.get("next_price")
    if nearby is not None and action == "on" and nearby > price * 1.02 + 1e-12:
        text += f"; the price rises from {price:.4f} to {nearby:.4f} after this step"
    if nearby is not None and action == "off" and nearby < price * 0.98 - 1e-12:
        text += f"; the price falls from {price:.4f} to {nearby:.4f} after this step"
    return text


def _test(
    plant: Plant, schedule: PumpSchedule, trajectory: Trajectory, before_on: Floats, before_speed: Floats, k: int, j: int, figures: dict[str, float]
) -> str:
    """Simulate with the switch a step later, and say what comes of it."""
    on, speed = schedule.on.copy(), schedule.speed.copy()
    on[k, j] = before_on[k, j]
    slowest = float(plant.problem.min_speed[j])
    speed[k, j] = (before_speed[k, j] if before_speed[k, j] > 0 else slowest) if on[k, j] else 0.0
    if on[k, j] and not plant.problem.available[k, j]:
        return ""
    other = plant.simulator.run(PumpSchedule(on=on, speed=speed))
    more = other.cost - trajectory.cost
    figures["delay_cost"] = float(more)
    known = {(v.limit, v.element) for v in trajectory.violations}
    fresh = [v for v in other.violations if (v.limit, v.element) not in known and v.limit != "starts"]
    if fresh:
        return f"; a step later, {_worst(fresh).text}"
    if more > 0:
        return f"; a step later, energy would cost {more:.2f} more"
    return f"; a step later would save {-more:.2f} of energy but leave less water, or break a start limit"


def _worst(violations: list[Violation]) -> Violation:
    order = {"level": 0, "saturation": 1, "pressure": 2, "end level": 3, "supply": 4, "power": 5}
    return min(violations, key=lambda v: (order.get(v.limit, 9), -v.amount))
