"""What the relaxation pays: energy by meter with own power and export, emissions, demand charges, limits of power.

Energy drawn by a meter in a step is within margins of a mixture of planes. Where its price alone counts, the margin on the cheap side is taken and
the cost goes straight to the columns. Where there is own power, the cost is p max(D, 0) - e max(-D, 0) of D = energy - own:
convex where p >= e, so D and the part G >= max(D, 0) drawn from the grid are columns; concave where p < e, so the chord below it stands in.
"""

from __future__ import annotations

import numpy as np

from levada.domain.billing import MeterTerms, metered
from levada.domain.series import Floats
from levada.hydraulics.operation import days_of
from levada.schedule.linear import Builder
from levada.schedule.plant import Ints, Plant

__all__ = ["Tariff", "has_terms"]


def has_terms(plant: Plant) -> bool:
    """Whether the bill can be bounded: pumps that can be swapped share a meter, and no water is paid for being taken."""
    problem = plant.problem
    of = {j: i for i, m in enumerate(metered(problem)) for j in m.pumps.tolist()}
    paid = any(s.cost_per_m3 is not None and (s.cost_per_m3 < 0).any() for s in problem.sources)
    return not paid and all(len({of[j] for j in c.pumps}) == 1 for c in plant.classes)


class Tariff:
    """Terms of the bill in a programme. Call `draw` for all columns that draw energy, then `close`. `of_sums`: columns are sums over all that a component does, not corners of
    patches, so that a bill that bends is taken of the whole."""

    def __init__(self, plant: Plant, b: Builder, of: Floats, *, of_sums: bool = False) -> None:
        problem, n = plant.problem, plant.n
        self._balances = len(of)
        self._plant, self._b = plant, b
        self._meters = metered(problem)
        self._co2 = np.zeros(n) if problem.co2_kg_per_kwh is None else problem.co2_kg_per_kwh * problem.co2_price_per_kg
        self._hours = problem.steps.hours
        self._feeds = [self._components_of(m) for m in self._meters]
        self._bends_apart = [len(components) == 1 and not of_sums for components in self._feeds]
        # Whether what is drawn from the grid is needed as a column.
        limited = problem.max_co2_kg is not None
        self._has_grid = [bool(m.own_power_kw.any()) or m.demand_charge_per_kw > 0 or limited for m in self._meters]
        self._low = [[b.add_rows(np.zeros(1), np.full(1, np.inf)) if has else np.zeros(0, np.int64) for _ in range(n)] for has in self._has_grid]
        self._high = [[b.add_rows(np.full(1, -np.inf), np.zeros(1)) if has else np.zeros(0, np.int64) for _ in range(n)] for has in self._has_grid]
        self._most = np.zeros((len(self._meters), n))
        self._grid: list[list[list[Ints]]] = [[[] for _ in range(n)] for _ in self._meters]
        self._whole = [[np.zeros(0, np.int64)] * n for _ in self._meters]
        caps = [(i, m.max_power_kw) for i, m in enumerate(self._meters) if m.max_power_kw is not None]
        self._caps: list[tuple[list[int], list[Ints]]] = []
        for meters, kw in [([i], kw) for i, kw in caps] + ([(list(range(len(self._meters))), problem.max_power_kw)] if problem.max_power_kw is not None else []):
            self._caps.append((meters, [b.add_rows(np.full(1, -np.inf), np.full(1, float(kw or 0.0) * self._hours[k])) for k in range(n)]))

        self._open_sources(of)

    def _open_sources(self, of: Floats) -> None:
        """What a source gives is what the components at it use and store, where they have no other: columns of at least that."""
        plant, problem, b, n = self._plant, self._plant.problem, self._b, self._plant.n
        network = problem.network
        ends = {x.name: (x.start_node, x.end_node) for x in network.links} | {p.name: (p.start_node, p.end_node) for p in network.pumps}
        reservoirs = {r.name for r in network.reservoirs}
        touched = [{end for name in c.links for end in ends[name]} & reservoirs for c in plant.components]
        self._drawn: dict[int, list[list[tuple[Ints, int]]]] = {}
        for source in problem.sources:
            at = [i for i, names in enumerate(touched) if source.reservoir in names]
            if any(len(touched[i]) > 1 for i in at) or (source.cost_per_m3 is None and source.max_volume_m3_per_day is None):
                continue
            used = sum((problem.demand_m3_per_s[:, list(plant.components[i].junctions)].sum(axis=1) for i in at), np.zeros(n)) * self._hours * 3600
            given = b.add_columns(np.zeros(n) if source.cost_per_m3 is None else source.cost_per_m3)
            rows = b.add_rows(used, np.full(n, np.inf))
            b.put(rows, given, np.ones(n))
            if source.max_volume_m3_per_day is not None:
                days = days_of(problem)
                for day in np.unique(days).tolist():
                    total = b.add_rows(np.full(1, -np.inf), np.full(1, source.max_volume_m3_per_day))
                    b.put(total, given[days == day], np.ones(1))
            for i in at:
                own = np.isin(np.arange(plant.tanks), plant.components[i].tanks).astype(np.float64)
                stored = int(np.flatnonzero((of == own).all(axis=1))[0]) if own.any() else -1
                self._drawn.setdefault(i, [[] for _ in range(n)])
                if stored >= 0:
                    for k in range(n):
                        self._drawn[i][k].append((rows[k : k + 1], stored))

    def _components_of(self, meter: MeterTerms) -> list[int]:
        own = set(meter.pumps.tolist())
        return [i for i, c in enumerate(self._plant.components) if own & {j for k in c.classes for j in self._plant.classes[k].pumps}]

    def draw(self, k: int, component: int, mu: Ints, low: Floats, high: Floats) -> None:
        """Columns `mu` of a component have outputs between `low` and `high` (columns, outputs) in step k, where their weight is 1."""
        b = self._b
        for row, stored in self._drawn[component][k] if component in self._drawn else []:
            b.put(row, mu, -low[:, stored])
        self._draw_energy(k, component, mu, low[:, self._balances :], high[:, self._balances :])

    def _draw_energy(self, k: int, component: int, mu: Ints, low_kwh: Floats, high_kwh: Floats) -> None:
        b = self._b
        for meters, rows in self._caps:
            b.put(rows[k], mu, low_kwh[:, meters].sum(axis=1))
        for i, m in enumerate(self._meters):
            if component not in self._feeds[i]:
                continue
            price, export, own = m.price_per_kwh[k] + self._co2[k], m.export_price_per_kwh[k], m.own_power_kw[k] * self._hours[k]
            low, high = low_kwh[:, i], high_kwh[:, i]
            if self._has_grid[i]:
                self._most[i, k] += max(float(high.max()), 0.0)
            if own == 0 or (self._bends_apart[i] and price < export):
                # Linear, or concave: at a corner the dearer or cheaper end of the margins, whichever costs less.
                ends = [np.maximum(e - own, 0) * price - np.maximum(own - e, 0) * export if own else e * price for e in (low, high)]
                b.add_cost(mu, np.minimum(ends[0], ends[1]))
                if self._has_grid[i]:
                    b.put(self._low[i][k], mu, -low)
                continue
            if not self._bends_apart[i]:
                b.put(self._low[i][k], mu, -low)
                b.put(self._high[i][k], mu, -high)
                continue
            # One component feeds the meter: each patch has its own max(D, 0).
            d_low, d_high = low - own, high - own
            b.add_cost(mu, export * (d_low if export >= 0 else d_high))
            if (d_low >= 0).all():
                b.put(self._low[i][k], mu, -d_low)
            elif (d_low > 0).any():
                part = b.add_columns(np.zeros(1))
                row = b.add_rows(np.zeros(1), np.full(1, np.inf))
                b.put(row, part, np.ones(1))
                b.put(row, mu, -d_low)
                b.put(self._low[i][k], part, -np.ones(1))

    def close(self) -> None:
        """Columns of what is drawn from the grid, peaks and emissions."""
        b, problem, n = self._b, self._plant.problem, self._plant.n
        grids = []
        for i, m in enumerate(self._meters):
            if not self._has_grid[i]:
                continue
            price, export, own = m.price_per_kwh + self._co2, m.export_price_per_kwh, m.own_power_kw * self._hours
            grid = b.add_columns(np.zeros(n))
            grids.append(grid)
            for k in range(n):
                row = self._low[i][k]
                if own[k] == 0 or (self._bends_apart[i] and price[k] < export[k]):
                    b.put(row, grid[k : k + 1], np.ones(1))
                    if own[k] > 0:
                        b.move_row(row, -own[k])
                elif self._bends_apart[i]:
                    b.put(row, grid[k : k + 1], np.ones(1))
                    b.add_cost(grid[k : k + 1], np.full(1, price[k] - export[k]))
                else:
                    self._pay(i, k, grid[k], float(price[k]), float(export[k]), float(own[k]))
            if m.demand_charge_per_kw > 0:
                peak = b.add_columns(np.full(1, m.demand_charge_per_kw), m.peak_so_far_kw)
                b.constant(-m.demand_charge_per_kw * m.peak_so_far_kw)
                rows = b.add_rows(np.zeros(n), np.full(n, np.inf))
                b.put(rows, np.repeat(peak, n), np.ones(n))
                b.put(rows, grid, -1 / self._hours)
        if problem.max_co2_kg is not None and problem.co2_kg_per_kwh is not None:
            row = b.add_rows(np.full(1, -np.inf), np.full(1, problem.max_co2_kg))
            for grid in grids:
                b.put(np.repeat(row, n), grid, problem.co2_kg_per_kwh)

    def _pay(self, i: int, k: int, grid: int, price: float, export: float, own: float) -> None:
        """Several components feed the meter: energy E between its margins, D = E - own, and G >= D."""
        b = self._b
        energy = b.add_columns(np.zeros(1))
        b.put(self._low[i][k], energy, np.ones(1))
        b.put(self._high[i][k], energy, np.ones(1))
        row = b.add_rows(np.full(1, -own), np.full(1, np.inf))
        b.put(row, np.array([grid]), np.ones(1))
        b.put(row, energy, -np.ones(1))
        if price >= export:
            b.add_cost(energy, np.full(1, export))
            b.add_cost(np.array([grid]), np.full(1, price - export))
            b.constant(-export * own)
        else:
            most = max(self._most[i, k], own + 1e-9)
            slope = (price * (most - own) + export * own) / most
            b.add_cost(energy, np.full(1, slope))
            b.constant(-export * own)
