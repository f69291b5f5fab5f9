"""What a schedule costs, item by item: energy by meter and step, demand charges, water, starts, emissions, deviations, stored water."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats

if TYPE_CHECKING:
    from levada.domain.pumping import PumpingProblem, PumpSchedule

__all__ = ["Bill", "MeterTerms", "StepCosts", "bill_of", "metered"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeterTerms:
    """A meter as the bill sees it: places of its pumps, price (n,), own power (n,) kW, export price (n,), demand charge terms."""

    name: str
    pumps: NDArray[np.intp]
    price_per_kwh: Floats
    own_power_kw: Floats
    export_price_per_kwh: Floats
    demand_charge_per_kw: float
    peak_so_far_kw: float
    max_power_kw: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bill:
    """Costs in the tariff's currency. Meters in the order of `metered`, sources and pumps in the problem's."""

    meters: tuple[str, ...]
    energy: Floats
    """(n, meters): energy drawn from the grid less what export is paid."""
    peak_kw: Floats
    """(meters,): the highest mean power drawn from the grid in a step."""
    demand_charge: Floats
    """(meters,): on what the peak is above the one already reached."""
    water: Floats
    """(n, sources)."""
    starts: Floats
    """(pumps,): wear."""
    co2: float
    co2_kg: float
    deviation: float
    stored_water: float
    """Worth of the water that the tanks hold less than at the start; negative where they hold more."""

    @property
    def total(self) -> float:
        return float(
            self.energy.sum() + self.demand_charge.sum() + self.water.sum() + self.starts.sum() + self.co2 + self.deviation + self.stored_water
        )


def metered(problem: PumpingProblem) -> tuple[MeterTerms, ...]:
    """All meters: the problem's, and for pumps without one a meter for each of their prices."""
    n, index = len(problem.steps), problem.network.pump_index
    found = []
    for m in problem.meters:
        own = np.array([index[name] for name in m.pumps], np.intp)
        found.append(MeterTerms(
            name=m.name,
            pumps=own,
            price_per_kwh=problem.price_per_kwh[:, own[0]] if len(own) else np.zeros(n),
            own_power_kw=np.zeros(n) if m.own_power_kw is None else m.own_power_kw,
            export_price_per_kwh=np.zeros(n) if m.export_price_per_kwh is None else m.export_price_per_kwh,
            demand_charge_per_kw=m.demand_charge_per_kw,
            peak_so_far_kw=m.peak_so_far_kw,
            max_power_kw=m.max_power_kw,
        ))  # fmt: skip
    named = {name for m in problem.meters for name in m.pumps}
    rest: dict[bytes, list[int]] = {}
    for j, pump in enumerate(problem.network.pumps):
        if pump.name not in named:
            rest.setdefault(problem.price_per_kwh[:, j].tobytes(), []).append(j)
    for i, places in enumerate(rest.values()):
        found.append(MeterTerms(
            name="pumps" if len(rest) == 1 else f"pumps {i + 1}",
            pumps=np.array(places, np.intp), price_per_kwh=problem.price_per_kwh[:, places[0]], own_power_kw=np.zeros(n),
            export_price_per_kwh=np.zeros(n), demand_charge_per_kw=0.0, peak_so_far_kw=0.0, max_power_kw=None,
        ))  # fmt: skip
    return tuple(found)


def bill_of(problem: PumpingProblem, schedule: PumpSchedule, power_w: Floats, source_m3: Floats, stored_m3: Floats) -> Bill:
    """The bill of a schedule whose pumps draw `power_w` (n, pumps; means over the step), whose sources give `source_m3` (n, sources) and
    whose tanks gain `stored_m3` (tanks,) from start to end."""
    hours = problem.steps.hours
    meters = metered(problem)
    power_kw = power_w / 1000.0
    energy = np.zeros((len(hours), len(meters)))
    peak, charge = np.zeros(len(meters)), np.zeros(len(meters))
    co2_kg = 0.0
    for i, m in enumerate(meters):
        drawn = _by_interval(problem, power_kw[:, m.pumps].sum(axis=1)) - m.own_power_kw
        grid, export = np.maximum(drawn, 0.0), np.maximum(-drawn, 0.0)
        energy[:, i] = (grid * m.price_per_kwh - export * m.export_price_per_kwh) * hours
        peak[i] = grid.max(initial=0.0)
        charge[i] = m.demand_charge_per_kw * max(0.0, peak[i] - m.peak_so_far_kw)
        if problem.co2_kg_per_kwh is not None:
            co2_kg += float((grid * problem.co2_kg_per_kwh * hours).sum())
    water = np.zeros((len(hours), len(problem.sources)))
    for i, s in enumerate(problem.sources):
        if s.cost_per_m3 is not None:
            water[:, i] = np.maximum(source_m3[:, i], 0.0) * s.cost_per_m3
    wear = np.zeros(len(problem.network.pumps))
    if problem.wear_cost_per_start is not None:
        wear = problem.wear_cost_per_start * schedule.starts(problem.count_starts, problem.initial_on)
    deviation = 0.0
    if problem.previous_on is not None and problem.deviation_cost_per_h is not None:
        deviation = float(((schedule.on != problem.previous_on) * problem.deviation_cost_per_h * hours[:, None]).sum())
    worth = problem.stored_value_per_m3
    return Bill(
        meters=tuple(m.name for m in meters),
        energy=energy,
        peak_kw=peak,
        demand_charge=charge,
        water=water,
        starts=wear,
        co2=co2_kg * problem.co2_price_per_kg,
        co2_kg=co2_kg,
        deviation=deviation,
        stored_water=0.0 if worth is None else -float(worth @ stored_m3),
    )


def _by_interval(problem: PumpingProblem, power_kw: Floats) -> Floats:
    """Power (n,) by its means over the intervals of problem.metered."""
    if problem.metered is None:
        return power_kw
    hours = problem.steps.hours
    mean: Floats = np.bincount(problem.metered, power_kw * hours) / np.bincount(problem.metered, hours)
    return mean[problem.metered]


class StepCosts:
    """The part of the bill that each step causes by itself: energy, emissions and water, for many rows at once.

    Demand charges, starts, deviations and stored water belong to the schedule as a whole and are not in it.
    """

    def __init__(self, problem: PumpingProblem) -> None:
        self._hours = problem.steps.hours
        self._meters = metered(problem)
        extra = 0.0 if problem.co2_kg_per_kwh is None else problem.co2_kg_per_kwh * problem.co2_price_per_kg
        self._price = [m.price_per_kwh + extra for m in self._meters]
        self._water = [(i, s.cost_per_m3) for i, s in enumerate(problem.sources) if s.cost_per_m3 is not None]

    def of(self, step: NDArray[np.int64], power_w: Floats, source_m3: Floats, hours: Floats | None = None) -> Floats:
        """Costs (N,) of rows with mean power (N, pumps) and water drawn (N, sources) in `step` (N,), whole or `hours` (N,) of each."""
        cost = np.zeros(len(step))
        lasts = self._hours[step] if hours is None else hours
        for m, price in zip(self._meters, self._price, strict=True):
            drawn = power_w[:, m.pumps].sum(axis=1) / 1000.0 - m.own_power_kw[step]
            cost += (np.maximum(drawn, 0.0) * price[step] - np.maximum(-drawn, 0.0) * m.export_price_per_kwh[step]) * lasts
        for i, price in self._water:
            cost += np.maximum(source_m3[:, i], 0.0) * price[step]
        return cost
