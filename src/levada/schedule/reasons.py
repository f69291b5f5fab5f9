"""Why each pump is switched when it is: computed figures, and a sentence for an operator.

Two figures decide a switch: what a cubic metre costs to pump now, and what a cubic metre in the tank is worth (the dual of the storage
balance in the bound). And tests show what the switch is for: the schedule is simulated with this switch a step later, a step earlier, and without
the run or pause that it begins; what then costs more, or which limit fails first, is the reason.
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
"""Simulations spent on tests, three to a switch."""

_BY_THEMSELVES = frozenset({"starts", "simultaneous starts", "on time", "off time"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchReason:
    """Pump `pump` is switched at the start of step `step`. `action`: on, off or speed. `figures` are the numbers behind the text.

    | figure | meaning |
    |---|---|
    | price, mean_price | per kWh in this step; mean over the horizon |
    | pumping_cost_per_m3 | energy cost of a cubic metre pumped in this step (of the step before, for a pump that stops) |
    | water_value_per_m3 | worth of a cubic metre more in the tank it fills, at the end of this step |
    | level_m, min_level_m, max_level_m | of that tank at the start of this step |
    | delay_cost, advance_cost | what the schedule would cost more (its whole bill) were the switch a step later, a step earlier |
    | forbid_cost | what it would cost more without the run that begins here, or with the pause that begins here filled |

    Those three count no limits that would fail; `text` says which would fail first, and `binding` is it by its kind and element, such as
    `level of T`; empty where none would.
    """

    pump: str
    step: int
    action: str
    text: str
    figures: dict[str, float] = field(default_factory=dict)
    binding: str = ""


def explain(plant: Plant, schedule: PumpSchedule, trajectory: Trajectory, water: Floats) -> tuple[SwitchReason, ...]:
    """A reason for each switch. `water` (n + 1, tanks): worth of a full tank's content by tank and instant; zeros where it is not known."""
    problem, watched = plant.problem, watched_tanks(plant)
    switches = _switches(plant, schedule)
    tested = [(k, j) for k, j, action in switches if action != "speed"][: _MOST_TESTS // 3]
    others = {(k, j): _others(plant, schedule, k, j) for k, j in tested}
    simulated = iter(plant.simulator.run_all([other.schedule for of in others.values() for other in of]))
    found = []
    for k, j, action in switches:
        figures = _figures(plant, trajectory, water, watched, k, j, action != "off")
        why, binding = _because(figures, action), ""
        if (k, j) in others:
            said, binding = _compared(trajectory, [(other, next(simulated)) for other in others[k, j]], figures)
            why += said
        if not problem.available[k, j] and action == "off":
            why = "it is not available from here"
        if problem.forced_on is not None and problem.forced_on[k, j] and action == "on":
            why = "it must run from here"
        tank = problem.network.tanks[watched[j]].name if watched[j] >= 0 else None
        state = f"; tank {tank} is at {figures['level_m']:.2f} m ({figures['min_level_m']:.2f} to {figures['max_level_m']:.2f} m)" if tank else ""
        verb = {"on": "starts", "off": "stops", "speed": f"goes to speed {schedule.speed[k, j]:.3f}"}[action]
        pump = problem.network.pumps[j].name
        found.append(SwitchReason(pump=pump, step=k, action=action, text=f"{pump} {verb}: {why}{state}.", figures=figures, binding=binding))
    return tuple(found)


def _switches(plant: Plant, schedule: PumpSchedule) -> list[tuple[int, int, str]]:
    """Step, pump and action of each switch, in time."""
    initial_on = plant.problem.initial_on
    before_on = np.vstack([initial_on, schedule.on[:-1]])
    before_speed = np.vstack([np.where(initial_on, schedule.speed[0], 0.0), schedule.speed[:-1]])
    turned = schedule.on & before_on & (np.abs(schedule.speed - before_speed) > 1e-9)
    switched = (schedule.on != before_on) | turned
    return [(k, j, "speed" if turned[k, j] else "on" if schedule.on[k, j] else "off") for k, j in np.argwhere(switched).tolist()]


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Other:
    """The schedule without a switch: the names of its figures, and how that is said."""

    figures: tuple[str, ...]
    when: str
    schedule: PumpSchedule


def _others(plant: Plant, schedule: PumpSchedule, k: int, j: int) -> list[_Other]:
    """The schedule without a switch in up to three ways."""
    on = bool(schedule.on[k, j])
    turns = np.flatnonzero(schedule.on[k:, j] != on)
    until = k + int(turns[0]) if len(turns) else plant.n
    # A run of a single step is left out already where it is put off.
    ways = [(("delay_cost", "forbid_cost") if until == k + 1 else ("delay_cost",), "a step later", k, k + 1, not on)]
    if k > 0:
        ways.append((("advance_cost",), "a step earlier", k - 1, k, on))
    if until > k + 1:
        ways.append((("forbid_cost",), "without this run" if on else "with no pause", k, until, not on))
    changed = [(figures, when, _changed(plant, schedule, a, b, j, state)) for figures, when, a, b, state in ways]
    return [_Other(figures=figures, when=when, schedule=other) for figures, when, other in changed if other is not None]


def _compared(trajectory: Trajectory, others: list[tuple[_Other, Trajectory]], figures: dict[str, float]) -> tuple[str, str]:
    """Note what each other way costs, and say what comes of it; and the limit that fails first, of the first way in which one does."""
    said, binding = "", ""
    for other, found in others:
        more = float(found.cost - trajectory.cost)
        figures |= dict.fromkeys(other.figures, more)
        is_delay = "delay_cost" in other.figures
        first = _first_fresh(trajectory, found)
        if first is not None:
            binding = binding or f"{first.limit} of {first.element}"
            if "forbid_cost" not in other.figures or is_delay or "later" not in said:
                said += f"; {other.when}, {first.text}"
        elif more > 0:
            said += f"; {other.when}, it would cost {more:.2f} more"
        elif is_delay:
            said += f"; {other.when} would save {-more:.2f} but leave less water, or break a limit of starts"
    return said, binding


def _changed(plant: Plant, schedule: PumpSchedule, a: int, b: int, j: int, state: bool) -> PumpSchedule | None:
    """The schedule with pump j on or off in steps [a, b); None where it must not be."""
    problem = plant.problem
    if (state and not problem.available[a:b, j].all()) or (not state and problem.forced_on is not None and problem.forced_on[a:b, j].any()):
        return None
    on, speed = schedule.on.copy(), schedule.speed.copy()
    on[a:b, j] = state
    running = schedule.speed[:, j][schedule.on[:, j]]
    nearby = schedule.speed[[max(a - 1, 0), min(b, plant.n - 1)], j].max()
    speed[a:b, j] = (nearby or (running[0] if len(running) else problem.max_speed[j])) if state else 0.0
    return PumpSchedule(on=on, speed=speed, valve_choice=schedule.valve_choice)


def _first_fresh(trajectory: Trajectory, other: Trajectory) -> Violation | None:
    """The first limit to fail, in time, that holds in the schedule itself; starts and stays aside, which any change of one switch may touch."""
    known = {(v.limit, v.element) for v in trajectory.violations}
    fresh = [v for v in other.violations if (v.limit, v.element) not in known and v.limit not in _BY_THEMSELVES]
    return min(fresh, key=lambda v: (np.inf if v.at_s is None else v.at_s, -v.amount), default=None)
