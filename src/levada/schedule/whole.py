"""What a schedule costs and breaks as a whole, beyond what each of its steps does by itself.

Demand charges, wear, deviations from the previous plan and the worth of stored water are costs; end levels, emissions, a source's daily volume
and what pumps must not do by themselves (starts, times, starting together) are limits. The search counts them step by step where it can (`Whole.totals`,
`charge`, `operation`), and exactly once a schedule is simulated (`of`).
"""

from __future__ import annotations

import numpy as np

from levada.domain.billing import bill_of, metered
from levada.domain.pumping import Bools, PumpSchedule
from levada.domain.series import Floats
from levada.hydraulics.engine import severity_weights
from levada.hydraulics.operation import days_of, operation_violations
from levada.schedule.assignment import Fits, closest
from levada.schedule.plant import Ints, Plant

__all__ = ["Whole"]

_PER_START, _PER_HOUR = 0.1, 0.1
"""Severity of a start too many, of an hour too short or at the wrong time, before the weight of its kind."""


class Whole:
    """Costs and limits of whole schedules of one plant. `fits` assigns counts to pumps, and remembers."""

    def __init__(self, plant: Plant, fits: Fits) -> None:
        problem = plant.problem
        self.plant, self.fits = plant, fits
        self.meters = metered(problem)
        self.charge_per_kw: Floats = np.array([m.demand_charge_per_kw for m in self.meters])
        self.peak_so_far_kw: Floats = np.array([m.peak_so_far_kw for m in self.meters])
        self.own_kw: Floats = np.stack([m.own_power_kw for m in self.meters], axis=1)
        self.has_charges = bool((self.charge_per_kw > 0).any())
        self.has_operation_cost = problem.wear_cost_per_start is not None or problem.deviation_cost_per_h is not None
        worth = problem.stored_value_per_m3
        self.stored_value: Floats = np.zeros(plant.tanks) if worth is None else worth
        """Worth of a cubic metre at the end, (tanks,)."""
        self._end_least = plant.simulator.end_volume
        self._end_most = np.full(plant.tanks, np.inf) if problem.end_level_max_m is None else plant.simulator.volumes(problem.end_level_max_m)
        self.end_states: tuple[Floats, Floats] = (plant.state(self._end_least), plant.state(self._end_most))
        """Least and greatest state at the end, (tanks,)."""
        self._initial = plant.simulator.volumes(problem.initial_level_m)
        self._weight = dict(zip(_KINDS, severity_weights(problem, _KINDS).tolist(), strict=True))
        self._day = days_of(problem)
        days = int(self._day[-1]) + 1
        limits = [("co2", np.inf if problem.max_co2_kg is None else problem.max_co2_kg)]
        limits += [("source", np.inf if s.max_volume_m3_per_day is None else s.max_volume_m3_per_day) for s in problem.sources for _ in range(days)]
        self.most: Floats = np.array([most for _, most in limits])
        """Limits of totals: emissions, kg, and for each source, day by day, m3."""
        self._most_weight = np.array([self._weight[kind] for kind, _ in limits])
        self._scale = np.where(np.isfinite(self.most), np.maximum(np.abs(self.most), 1.0), 1.0)
        self.has_limits = bool(np.isfinite(self.most).any())
        self._days = days
        meters_of = [{i for i, m in enumerate(self.meters) for j in c.pumps if j in m.pumps} for c in plant.classes]
        self._needs_pumps = self.has_operation_cost or any(len(m) > 1 for m in meters_of)
        """Whether the cost depends on which of the pumps alike run."""

    # --- in part, for many at once ------------------------------------------------------------------------------------

    def totals(self, step: int, co2_kg: Floats, source_m3: Floats) -> Floats:
        """What rows add to the totals in a step, (N, totals): emissions (N,) and water drawn (N, sources)."""
        found = np.zeros((len(co2_kg), len(self.most)))
        found[:, 0] = co2_kg
        found[:, 1 + int(self._day[step]) :: self._days] = np.maximum(source_m3, 0.0)
        return found

    def totals_of(self, power_w: Floats, source_m3: Floats) -> Floats:
        """Totals (totals,) of a schedule with mean power (n, pumps) and water drawn (n, sources)."""
        steps = np.arange(self.plant.n)
        co2 = self.co2_kg(steps, self.grid_kw(steps, power_w))
        return np.asarray(sum(self.totals(k, co2[k : k + 1], source_m3[k : k + 1])[0] for k in range(self.plant.n)), np.float64)

    def beyond(self, totals: Floats) -> Floats:
        """Severity (N,) of totals (N, totals) above their limits."""
        over = np.maximum(totals - self.most, 0.0) / self._scale
        return np.asarray(np.where(over > 1e-9, over, 0.0) @ self._most_weight, np.float64)

    def charge(self, peak_kw: Floats) -> Floats:
        """Demand charges (...,) at peaks (..., meters)."""
        return np.asarray(np.maximum(peak_kw - self.peak_so_far_kw, 0.0) @ self.charge_per_kw, np.float64)

    def stored(self, volume_m3: Floats) -> Floats:
        """Cost (...,) of ending with volumes (..., tanks): the worth of what is missing, negative where there is more than at the start."""
        return np.asarray((self._initial - volume_m3) @ self.stored_value, np.float64)

    def end(self, volume_m3: Floats) -> Floats:
        """Severity (...,) of ending with volumes (..., tanks) below or above what is asked for."""
        span = self.plant.span
        off = np.maximum(self._end_least - volume_m3, 0.0) / span + np.maximum(volume_m3 - self._end_most, 0.0) / span
        return np.asarray(np.where(off > 1e-9, off, 0.0).sum(axis=-1) * self._weight["end level"], np.float64)

    def operation(self, of: int, counts: Ints) -> Floats:
        """About what the pumps of a class cost by wear and deviation, (N,), at counts (N, n): as if all its pumps were alike."""
        problem, own = self.plant.problem, list(self.plant.classes[of].pumps)
        cost = np.zeros(len(counts))
        if problem.wear_cost_per_start is not None:
            before = counts[:, -1] if problem.count_starts == "periodic" else np.full(len(counts), self.plant.initial_count[of])
            rises = np.maximum(np.diff(counts, axis=1, prepend=before[:, None]), 0).sum(axis=1)
            cost += rises * float(problem.wear_cost_per_start[own].mean())
        for k in range(self.plant.n if problem.deviation_cost_per_h is not None else 0):
            cost += self.deviation(k, of, counts[:, k])
        return cost

    def deviation(self, step: int, of: int, counts: Ints) -> Floats:
        """About what counts (N,) of a class that differ from the previous plan cost in a step."""
        problem, own = self.plant.problem, list(self.plant.classes[of].pumps)
        if problem.previous_on is None or problem.deviation_cost_per_h is None:
            return np.zeros(len(counts))
        away = np.abs(counts - int(problem.previous_on[step, own].sum()))
        return np.asarray(away * float(problem.deviation_cost_per_h[step, own].mean()) * problem.steps.hours[step], np.float64)

    def wear(self, of: int) -> float:
        """Mean wear of a start in a class."""
        wear = self.plant.problem.wear_cost_per_start
        return 0.0 if wear is None else float(wear[list(self.plant.classes[of].pumps)].mean())

    def grid_kw(self, step: Ints, power_w: Floats) -> Floats:
        """Power drawn from the grid by meter (N, meters), kW, at mean power (N, pumps) in step (N,)."""
        drawn = np.stack([power_w[:, m.pumps].sum(axis=1) for m in self.meters], axis=1) / 1000.0 - self.own_kw[step]
        return np.maximum(drawn, 0.0)

    def co2_kg(self, step: Ints, grid_kw: Floats) -> Floats:
        """Emissions (N,) of power from the grid (N, meters)."""
        problem = self.plant.problem
        if problem.co2_kg_per_kwh is None:
            return np.zeros(len(grid_kw))
        return np.asarray(grid_kw.sum(axis=1) * problem.co2_kg_per_kwh[step] * problem.steps.hours[step], np.float64)

    # --- exactly, of one schedule -------------------------------------------------------------------------------------

    def of(self, counts: Ints, power_w: Floats, source_m3: Floats, volume_m3: Floats) -> tuple[float, float]:
        """Cost of all, steps included, and severity of what is beyond the steps.

        counts (n, classes); mean power (n, pumps) of any assignment; source_m3 (n, sources); volumes (n + 1, tanks).
        """
        plant, problem = self.plant, self.plant.problem
        fitting = self.fits(counts)
        on = (self.fits.assigned(counts) if fitting else closest(plant, self.fits, counts)) if self._needs_pumps or not fitting else None
        if on is None:
            on, power = power_w > np.inf, power_w
        else:
            power = self._by_pumps(on, power_w)
        schedule = PumpSchedule(on=on, speed=on.astype(np.float64))
        bill = bill_of(problem, schedule, power, source_m3, volume_m3[-1] - volume_m3[0])
        severity = float(self.end(volume_m3[-1])) + (float(self.beyond(self.totals_of(power, source_m3)[None])[0]) if self.has_limits else 0.0)
        return bill.total, severity + (0.0 if fitting else self._operation(schedule))

    def _by_pumps(self, on: Bools, power_w: Floats) -> Floats:
        """Power (n, pumps) given to the pumps that run instead of others of their class."""
        power = np.zeros_like(power_w)
        for c in self.plant.classes:
            own = list(c.pumps)
            running = on[:, own].sum(axis=1)
            power[:, own] = np.where(on[:, own], (power_w[:, own].sum(axis=1) / np.maximum(running, 1))[:, None], 0.0)
        return power

    def _operation(self, schedule: PumpSchedule) -> float:
        unit = {"starts": _PER_START, "s": _PER_HOUR / 3600.0, "h": _PER_HOUR}
        return float(sum(self._weight[v.limit] * v.amount * unit[v.unit] for v in operation_violations(self.plant.problem, schedule)))


_KINDS = ("end level", "co2", "source", "starts", "simultaneous starts", "off time", "on time", "availability")
