"""A lower bound: what no schedule of the problem can undercut.

For step k, component and configuration c the plant over the whole step is modelled as linear in the states x at its start and the flows
q of its variable-speed classes, with margins:

    inflow   a + B x + C q - d_low  <=  true inflow of each tank over the step  <=  a + B x + C q + d_high
    cost     true cost of the component's energy  >=  a' + b' x + c' q - d'
    flow     f + F x - d''  <=  q  <=  g + G x + d''

(Flows, not speeds: the network feels only what a station delivers, however its pumps share it; speeds that differ within a class are
sampled too.) The models hold on the zone of states that can be reached (reach.py). They are made for the inflow of each tank and also for
sums over several tanks, whose margins are far smaller: what a model gets wrong of the flow between two tanks cancels in their sum.

The relaxation lets each step mix configurations: with weights mu >= 0 on the corners v of (zone x flow range), sum over c, v of mu = 1, the
states are x = sum mu v, the inflows and costs the same mixture. This is the convex hull of the union of the linear pieces (Balas), as exact
as a linear programme over them can be. States are linked from step to step by the storage
balance. Every true schedule gives a point of it, so its optimum is a lower bound, up to the margins: they are the largest deviations
of the surfaces from the linear models at many points, plus the largest deviations of EPANET from the surfaces in independent samples,
times a safety factor. That makes the certificate `sampled`, never `exact`.

Start limits enter as the rise of each class's mixed count, which is weak: with tight limits the bound is far below what can be had.
The duals of the storage balances are the value of water in each tank.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import highspy
import numpy as np
from highspy._core import _Highs
from numpy.typing import NDArray

from levada.domain.billing import MeterTerms, metered
from levada.domain.series import Floats
from levada.hydraulics.operation import days_of
from levada.schedule.models import Models, balances
from levada.schedule.plant import Ints, Plant
from levada.schedule.reach import Zone

__all__ = ["Relaxation", "relax"]


@dataclass
class Relaxation:
    """The bound: `value` (None where the relaxation is infeasible or was not solved), whether it shows the problem `infeasible`,
    value of stored water (n + 1, tanks) in currency per unit of state x, reduced cost (n, configurations) per component, work spent."""

    value: float | None
    infeasible: bool
    water: Floats
    reduced: list[Floats]
    weight: list[Floats]
    work: dict[str, int] = field(default_factory=dict)


class _Builder:
    """Columns, rows and entries of a linear programme, gathered as arrays."""

    def __init__(self) -> None:
        self.cost: list[Floats] = []
        self.low: list[Floats] = []
        self.high: list[Floats] = []
        self.row_low: list[Floats] = []
        self.row_high: list[Floats] = []
        self.entries: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]] = []
        self.columns = self.rows = 0

    def add_columns(self, cost: Floats, low: float | Floats = 0.0, high: float | Floats = np.inf) -> Ints:
        n = len(cost)
        self.cost.append(np.asarray(cost, np.float64))
        self.low.append(np.broadcast_to(low, n).astype(np.float64))
        self.high.append(np.broadcast_to(high, n).astype(np.float64))
        self.columns += n
        return np.arange(self.columns - n, self.columns)

    def add_rows(self, low: Floats, high: Floats) -> Ints:
        self.row_low.append(np.asarray(low, np.float64))
        self.row_high.append(np.asarray(high, np.float64))
        self.rows += len(low)
        return np.arange(self.rows - len(low), self.rows)

    def put(self, rows: Ints, columns: Ints, values: Floats) -> None:
        rows, columns, values = np.broadcast_arrays(rows, columns, values)
        keep = values != 0
        self.entries.append((rows[keep].ravel(), columns[keep].ravel(), values[keep].ravel()))

    def model(self) -> highspy.HighsLp:
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.columns, self.rows
        lp.col_cost_ = np.concatenate(self.cost)
        lp.col_lower_, lp.col_upper_ = np.concatenate(self.low), np.concatenate(self.high)
        lp.row_lower_, lp.row_upper_ = np.concatenate(self.row_low), np.concatenate(self.row_high)
        rows, columns, values = (np.concatenate([e[i] for e in self.entries]) for i in range(3))
        order = np.lexsort((rows, columns))
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = np.searchsorted(columns[order], np.arange(self.columns + 1)).astype(np.int32)
        lp.a_matrix_.index_, lp.a_matrix_.value_ = rows[order].astype(np.int32), values[order]
        return lp


def solver() -> _Highs:
    """HiGHS, silent, on one thread, its random seed fixed: it stops on work, never on seconds."""
    # The class behind highspy.Highs: that one prints a banner while it is made, before any option can silence it.
    h = _Highs()
    for option, value in (("output_flag", False), ("threads", 1), ("random_seed", 0), ("parallel", "off")):
        h.setOptionValue(option, value)
    return h


def relax(plant: Plant, models: list[Models], zones: list[Zone]) -> Relaxation:
    """Build the relaxation and solve it by HiGHS's simplex."""
    problem, n, tanks = plant.problem, plant.n, plant.tanks
    b = _Builder()
    worth = np.zeros(tanks) if problem.stored_value_per_m3 is None else problem.stored_value_per_m3 * plant.span
    constant = float(worth @ plant.x0)
    states = [b.add_columns(-worth if k == n else np.zeros(tanks), plant.x_least[k], plant.x_most[k]) for k in range(n + 1)]
    meters = _Meters(plant, models, b)
    # Storage balances as two inequalities each, since inflows have margins; a tank that may stand full may also take less.
    of = balances(plant)
    spill = (of[:, problem.may_stand_full] > 0).any(axis=1)
    less = [b.add_rows(np.full(len(of), -np.inf), np.zeros(len(of))) for _ in range(n)]
    more = [b.add_rows(np.where(spill, -np.inf, 0.0), np.full(len(of), np.inf)) for _ in range(n)]
    for k in range(n):
        for rows in (less[k], more[k]):
            b.put(rows[:, None], states[k + 1][None, :], of * plant.span)
            b.put(rows[:, None], states[k][None, :], -of * plant.span)
    counts: dict[int, list[tuple[Ints, Floats]]] = {c: [(np.zeros(0, np.int64), np.zeros(0))] * n for c in range(len(plant.classes))}
    power_rows = b.add_rows(np.full(n, -np.inf), np.full(n, problem.max_power_kw)) if problem.max_power_kw is not None else None
    pick_rows, pieces = [], []
    for m in models:
        component = m.surface.component
        own = list(component.tanks)
        pick = b.add_rows(np.ones(n), np.ones(n))
        pick_rows.append(pick)
        mine = []
        for k in range(n):
            link = b.add_rows(np.zeros(len(own)), np.zeros(len(own)))
            if m.is_flat:
                link = link[:0]
            else:
                b.put(link, states[k][own], -np.ones(len(own)))
            corners = np.zeros((1, len(own))) if m.is_flat else (zones[k].vertices(component.tanks) - plant.floor_m[own]) / plant.rise_m[own]
            ready = np.flatnonzero(m.possible[k] & (m.surface.counts >= plant.forced[k, list(component.classes)]).all(axis=1))
            columns, which = [], []
            for c in ready.tolist():
                a = _corners(m, k, c, corners)
                power = a @ m.power[k, c] - m.power_low[k, c]
                mu = b.add_columns(np.zeros(len(a)) if m in meters else a @ m.cost[k, c] - m.cost_low[k, c])
                meters.draw(m, k, mu, power)
                b.put(pick[k : k + 1], mu, np.ones(len(mu)))
                b.put(link[None, :], mu[:, None], a[:, 1 : 1 + len(link)])
                inflow = a @ m.inflow[k, c]
                b.put(less[k][None, :], mu[:, None], -(inflow + m.inflow_high[k, c]))
                b.put(more[k][None, :], mu[:, None], -(inflow - m.inflow_low[k, c]))
                if power_rows is not None:
                    b.put(power_rows[k : k + 1], mu, power)
                for f in np.flatnonzero(m.binding[k, c]):
                    row = b.add_rows(np.zeros(1), np.full(1, np.inf))
                    b.put(row, mu, a @ m.floor[k, c][:, f] + m.floor_high[k, c, f])
                columns.append(mu)
                which.append(np.full(len(mu), c))
            mine.append((np.concatenate(columns) if columns else np.zeros(0, np.int64), np.concatenate(which) if which else np.zeros(0, np.int64)))
            for i, cls in enumerate(component.classes):
                counts[cls][k] = (mine[k][0], m.surface.counts[mine[k][1], i].astype(np.float64))
        pieces.append(mine)
    _limit_starts(plant, b, counts)
    return _solve(plant, models, b, of, less, more, pieces, constant + meters.constant)


class _Meters:
    """Meters whose bill is not price times energy: own power, export, demand charges. Their grid power g and export e in each step satisfy
    g - e = power of the pumps - own power; the peak is at least each g. Not in it: meters that share a component with another, whose pumps count by their price
    alone where the meter has no own power, and not at all where it has some.
    """

    def __init__(self, plant: Plant, models: list[Models], b: _Builder) -> None:
        self.constant = 0.0
        self._b = b
        self._rows: dict[int, Ints] = {}
        hours = plant.problem.steps.hours
        for meter in metered(plant.problem):
            has_own = bool((meter.own_power_kw != 0).any())
            if not has_own and meter.demand_charge_per_kw == 0:
                continue
            pumps = set(meter.pumps.tolist())
            touched = [m for m in models if any(pumps & set(plant.classes[i].pumps) for i in m.surface.component.classes)]
            whole = [m for m in touched if all(set(plant.classes[i].pumps) <= pumps for i in m.surface.component.classes)]
            is_convex = (meter.price_per_kwh >= meter.export_price_per_kwh).all() and (meter.export_price_per_kwh >= 0).all()
            if len(whole) < len(touched) or not is_convex:
                if has_own:
                    # At the least: nothing drawn, everything exported (or, at a negative price, all of it drawn at once).
                    self._free(plant, touched, meter)
                continue
            grid = b.add_columns(meter.price_per_kwh * hours)
            export = b.add_columns(-meter.export_price_per_kwh * hours, 0.0, meter.own_power_kw)
            rows = b.add_rows(-meter.own_power_kw, -meter.own_power_kw)
            b.put(rows, grid, np.ones(plant.n))
            b.put(rows, export, -np.ones(plant.n))
            if meter.demand_charge_per_kw > 0:
                peak = b.add_columns(np.array([meter.demand_charge_per_kw]), meter.peak_so_far_kw)
                above = b.add_rows(np.zeros(plant.n), np.full(plant.n, np.inf))
                b.put(above, peak, np.ones(plant.n))
                b.put(above, grid, -np.ones(plant.n))
                self.constant -= meter.demand_charge_per_kw * meter.peak_so_far_kw
            for m in whole:
                self._rows[id(m)] = rows

    def _free(self, plant: Plant, touched: list[Models], meter: MeterTerms) -> None:
        hours = plant.problem.steps.hours
        most_kw = sum(float((m.power[..., 0] + np.abs(m.power[..., 1:]).sum(axis=-1)).max(initial=0.0)) for m in touched)
        self.constant -= float((np.maximum(meter.export_price_per_kwh, 0.0) * np.maximum(meter.own_power_kw, 0.0) * hours).sum())
        self.constant -= float((np.maximum(-meter.price_per_kwh, 0.0) * most_kw * hours).sum())
        for m in touched:
            self._rows[id(m)] = np.zeros(0, np.int64)

    def __contains__(self, m: Models) -> bool:
        return id(m) in self._rows

    def draw(self, m: Models, k: int, mu: Ints, power_kw: Floats) -> None:
        """Pumps of a component draw power with weights mu in step k."""
        rows = self._rows.get(id(m))
        if rows is not None and len(rows):
            self._b.put(rows[k : k + 1], mu, -power_kw)


def _corners(m: Models, k: int, c: int, corners: Floats) -> Floats:
    """Inputs of the linear model at the corners of (zone x flow range): (corners, inputs). The flow range moves with x."""
    free = np.flatnonzero(m.surface.high[c] > m.surface.low[c])
    at = np.concatenate([np.ones((len(corners), 1)), corners], axis=1)
    found = []
    for pick in product((0, 1), repeat=len(free)):
        flow = np.zeros((len(corners), len(m.surface.component.classes)))
        for i, end in zip(free.tolist(), pick, strict=True):
            flow[:, i] = at @ (m.flow_most if end else m.flow_least)[k, c, :, i]
        found.append(np.concatenate([at, flow], axis=1))
    return np.concatenate(found)


def _limit_starts(plant: Plant, b: _Builder, counts: dict[int, list[tuple[Ints, Floats]]]) -> None:
    """Starts of each class: the rise of its count from step to step, at most the sum of its pumps' limits."""
    days = int(days_of(plant.problem)[-1]) + 1
    for c in range(len(plant.classes)):
        limit = float(plant.class_starts[c]) * days
        if limit >= plant.n * plant.class_size[c] / 2:
            continue
        starts = b.add_columns(np.zeros(plant.n))
        total = b.add_rows(np.full(1, -np.inf), np.full(1, limit))
        b.put(total, starts, np.ones(plant.n))
        window = plant.problem.count_starts == "window"
        for k in range(plant.n):
            # starts >= count now - count before
            before = float(plant.initial_count[c]) if k == 0 and window else 0.0
            row = b.add_rows(np.full(1, -before), np.full(1, np.inf))
            b.put(row, starts[k : k + 1], np.ones(1))
            b.put(row, counts[c][k][0], -counts[c][k][1])
            if k > 0 or not window:
                b.put(row, counts[c][k - 1][0], counts[c][k - 1][1])


def _solve(
    plant: Plant, models: list[Models], b: _Builder, of: Floats, less: list[Ints], more: list[Ints], pieces: list[list[tuple[Ints, Ints]]], constant: float
) -> Relaxation:
    h = solver()
    h.passModel(b.model())
    run = h.run()
    status = h.getModelStatus()
    info = h.getInfo()
    n = plant.n
    empty = Relaxation(None, status == highspy.HighsModelStatus.kInfeasible, np.zeros((n + 1, plant.tanks)), [], [])
    work = {"columns": b.columns, "rows": b.rows, "iterations": int(info.simplex_iteration_count)}
    empty.work = work
    if run == highspy.HighsStatus.kError or status != highspy.HighsModelStatus.kOptimal:
        return empty
    solution = h.getSolution()
    value, dual, column_dual = np.array(solution.col_value), np.array(solution.row_dual), np.array(solution.col_dual)
    water = np.zeros((n + 1, plant.tanks))
    for k in range(n):
        # The worth of a unit more in the balance of step k is the worth of water at its end.
        water[k + 1] = -(dual[less[k]] + dual[more[k]]) @ of * plant.span
    water[0] = water[1]
    reduced, weight = [], []
    for m, mine in zip(models, pieces, strict=True):
        r, w = np.full((n, len(m.surface.counts)), np.inf), np.zeros((n, len(m.surface.counts)))
        for k, (columns, which) in enumerate(mine):
            np.minimum.at(r[k], which, column_dual[columns])
            np.add.at(w[k], which, value[columns])
        reduced.append(r)
        weight.append(w)
    objective = float(info.objective_function_value) + constant
    return Relaxation(objective - 1e-6 * abs(objective), False, water, reduced, weight, work)
