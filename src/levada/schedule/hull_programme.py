"""The programme of the bound by columns (hull_bound.py): linear in states, what each part gives and draws, bill and starts; its columns are made when they are wanted.

A column of step k and part m is a configuration at a state with what it gives and draws. Under the duals of the programme the best of all of a part's configurations, states and remainders (hull_models.py) is found at
once: planes are least in a corner of the states. It becomes a column, and so on. For any duals

    bound  =  value of the programme so far  +  sum over steps and parts of (least reduced cost of any column)

holds without waiting for the last column [Lasdon 1970, Optimization theory for large systems].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import highspy
import numpy as np

from levada.domain.billing import metered
from levada.domain.series import Floats
from levada.schedule.bound import least_deviation, on_the_way, snapped_m3
from levada.schedule.hull_models import Drawn, HullModel, are_of_solves, outputs_of
from levada.schedule.hull_states import States
from levada.schedule.linear import Builder, solver
from levada.schedule.models import balances
from levada.schedule.plant import Ints, Plant
from levada.schedule.progress import Teller
from levada.schedule.relaxation_starts import add_starts, limited_classes
from levada.schedule.relaxation_tariff import Tariff

__all__ = ["Column", "Programme", "columns_of"]

_COLUMNS, _ITERATIONS = 3, 80
"""Columns of each step and part that an iteration adds at most, and iterations."""

_CLOSE = 5e-4
"""The programme is solved once its value is this near to the bound, as a share of it."""

_BLOCK = 8
"""Steps that are priced at once."""

_ROUNDING, _SHAVED = 1e-8, 1e-6
"""Room around states, and share of the value that the solver's tolerances may have cost."""

_MARGIN = 1.25
"""What a part can give and draw at most, over the most that was drawn."""


@dataclass(frozen=True)
class Column:
    """A configuration of a part in a step, at states x of the part's tanks, with its outputs y (m3/h, kW)."""

    step: int
    part: int
    configuration: int
    x: Floats
    y: Floats


@dataclass(frozen=True)
class _Prices:
    """Of one part, by step: what its outputs, states and configurations cost under the duals, (n, outputs), (n, tanks), (n, configurations), and what a column is worth (n,)."""

    weight: Floats
    worth: Floats
    by_kind: Floats
    mass: Floats


def columns_of(plant: Plant, models: Sequence[HullModel], drawn: Drawn, rows: Sequence[Ints]) -> list[Column]:
    """Some of what was drawn, by part, as it is."""
    found = []
    for i, (m, which) in enumerate(zip(models, rows, strict=True)):
        own = drawn.rows(which)
        y, x, kinds = outputs_of(plant, m.part, own), own.runs.x[:, m.part.tanks], own.configuration[:, i]
        found += [Column(k, i, int(kinds[r]), x[r], y[r]) for r, k in enumerate(own.step.tolist())]
    return found


class Programme:
    """The programme over the columns so far. Once it was solved: the `bound` that its duals prove, and the `least` that any column of a step and part comes to under them, (parts, n)."""

    def __init__(self, plant: Plant, models: Sequence[HullModel], states: States, drawn: Drawn, begin: list[Column]) -> None:
        """`drawn` tells what parts can give and draw at most; with the columns `begin` the programme has a solution."""
        self.plant, self.models, self.states = plant, models, states
        self.bound, self.iterations = -np.inf, 0
        self.least = np.zeros((len(models), plant.n))
        self._prices: list[_Prices] = []
        self._deviation = [self._deviations(m) for m in models]
        b = Builder()
        self._build(b, drawn)
        for column in begin:
            rows, values = self._entries(column)
            b.put(rows, np.repeat(b.add_columns(self._deviation[column.part][column.step, [column.configuration]]), len(rows)), values)
        self._solver = solver()
        self._solver.passModel(b.model())

    def _deviations(self, model: HullModel) -> Floats:
        """Least cost of running other pumps than in the earlier plan, (n, configurations)."""
        if self.plant.problem.previous_on is None or self.plant.problem.deviation_cost_per_h is None:
            return np.zeros((self.plant.n, len(model.part.counts)))
        return np.array([[least_deviation(self.plant, model.part.classes, counts, k) for counts in model.part.counts] for k in range(self.plant.n)])

    def _build(self, b: Builder, drawn: Drawn) -> None:
        """All but the columns: states, what each part gives and draws, balances, bill, starts."""
        plant, n, tanks = self.plant, self.plant.n, self.plant.tanks
        problem, hours, meters = plant.problem, plant.problem.steps.hours, metered(plant.problem)
        worth = problem.stored_value_per_m3
        if worth is not None:
            b.constant(float(worth @ (plant.x0 * plant.span)))
        states = [b.add_columns(np.zeros(tanks) if worth is None or k < n else -worth * plant.span, plant.x_least[k] - _ROUNDING, plant.x_most[k] + _ROUNDING) for k in range(n + 1)]
        sums_of = balances(plant)
        tariff = Tariff(plant, b, sums_of, of_sums=True)
        self._mass, self._state, self._out = ([[np.zeros(0, np.int64)] * len(self.models) for _ in range(n)] for _ in range(3))
        self._count = [b.add_rows(np.zeros(len(plant.classes)), np.zeros(len(plant.classes))) for _ in range(n)]
        counts = [b.add_columns(np.zeros(len(plant.classes)), 0.0, plant.class_size.astype(np.float64)) for _ in range(n)]
        rates = [_MARGIN * outputs_of(plant, m.part, drawn)[drawn.runs.holds[:, m.part.place]] for m in self.models]
        for k in range(n):
            mixed = b.add_columns(np.zeros(tanks), -np.inf) if are_of_solves(plant) else states[k]
            balance = b.add_rows(np.zeros(tanks), np.zeros(tanks))
            b.put(balance, states[k + 1], plant.span)
            b.put(balance, states[k], -plant.span)
            b.put(self._count[k], counts[k], -np.ones(len(counts[k])))
            fills, drains = np.zeros(tanks), np.zeros(tanks)
            for i, m in enumerate(self.models):
                own, t = m.part.tanks, len(m.part.tanks)
                self._mass[k][i] = b.add_rows(np.ones(1), np.ones(1))
                self._state[k][i] = b.add_rows(np.zeros(t), np.zeros(t))
                b.put(self._state[k][i], mixed[own], -np.ones(t))
                most = np.maximum(rates[i].max(axis=0, initial=0.0), 1e-9) * hours[k]
                scale = np.concatenate([np.ones(t), most[t:]])
                sums = b.add_columns(np.zeros(t + len(meters)), -np.inf)
                self._out[k][i] = b.add_rows(np.zeros(len(sums)), np.zeros(len(sums)))
                b.put(self._out[k][i], sums, -scale)
                b.put(balance[own], sums[:t], -np.ones(t))
                unit = np.zeros((len(sums), len(sums_of) + len(meters)))
                unit[:t, : len(sums_of)], unit[t:, len(sums_of) :] = sums_of[:, own].T, np.diag(scale[t:])
                tariff.draw(k, i, sums, unit, unit)
                fills[own] += most[:t] / plant.span[own]
                drains[own] += np.maximum(-rates[i].min(axis=0, initial=0.0), 0.0)[:t] * hours[k] / plant.span[own]
            if are_of_solves(plant):
                on_the_way(plant, b, k, (states[k], states[k + 1], mixed), (fills, drains))
                spare = snapped_m3(plant, k, fills, drains)
                b.put(balance, b.add_columns(np.zeros(tanks), -spare, spare), np.ones(tanks))
        tariff.close()
        for limited in limited_classes(plant):
            starts, of = add_starts(plant, b, limited), slice(limited.of_class, limited.of_class + 1)
            for k in range(n):
                is_first = k == 0 and problem.count_starts == "window"
                row = b.add_rows(np.full(1, -float(plant.initial_count[limited.of_class]) if is_first else 0.0), np.full(1, np.inf))
                b.put(row, starts[k : k + 1], np.ones(1))
                b.put(row, counts[k][of], -np.ones(1))
                if not is_first:
                    b.put(row, counts[k - 1][of], np.ones(1))

    def _entries(self, column: Column) -> tuple[Ints, Floats]:
        k, i = column.step, column.part
        part = self.models[i].part
        rows = np.concatenate([self._mass[k][i], self._state[k][i], self._out[k][i], self._count[k][part.classes]])
        return rows, np.concatenate([[1.0], column.x, column.y * self.plant.problem.steps.hours[k], part.counts[column.configuration]])

    def add(self, columns: list[Column]) -> None:
        """Add columns."""
        if not columns:
            return
        rows, values = zip(*(self._entries(c) for c in columns), strict=True)
        begin = np.cumsum([0, *(len(r) for r in rows[:-1])]).astype(np.int32)
        cost = np.array([self._deviation[c.part][c.step, c.configuration] for c in columns])
        entries = np.concatenate(rows).astype(np.int32)
        self._solver.addCols(len(columns), cost, np.zeros(len(columns)), np.full(len(columns), np.inf), len(entries), begin, entries, np.concatenate(values))

    def close_in(self, teller: Teller) -> bool:
        """Add columns until the bound is near to the value. False where the programme was not solved."""
        best = -np.inf
        for _ in range(_ITERATIONS):
            self._solver.run()
            if self._solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
                return False
            self.iterations += 1
            value = float(self._solver.getInfo().objective_function_value)
            prices = self._priced(np.array(self._solver.getSolution().row_dual))
            least, columns = zip(*(self._best(i, p, _COLUMNS) for i, p in enumerate(prices)), strict=True)
            bound = value + sum(float((x - p.mass).sum()) for x, p in zip(least, prices, strict=True)) - _SHAVED * abs(value)
            if bound > best:
                best, self.bound, self._prices, self.least = bound, bound, prices, np.stack(least)
            wanted = [c for found, own in zip(columns, prices, strict=True) for comes_to, c in found if comes_to < own.mass[c.step]]
            if value - best <= _CLOSE * abs(value) or not wanted or not teller("columns"):
                break
            self.add(wanted)
        return True

    def _priced(self, dual: Floats) -> list[_Prices]:
        n, hours, found = self.plant.n, self.plant.problem.steps.hours[:, None], []
        for i, m in enumerate(self.models):
            out, state, mass = (np.stack([dual[rows[k][i]] for k in range(n)]) for rows in (self._out, self._state, self._mass))
            count = np.stack([dual[self._count[k][m.part.classes]] for k in range(n)])
            found.append(_Prices(-out * hours, -state, self._deviation[i] - count @ m.part.counts.T, mass[:, 0]))
        return found

    def _best(self, i: int, prices: _Prices, count: int) -> tuple[Floats, list[tuple[float, Column]]]:
        """The least that a column of part i comes to in each step (n,), those of the programme among them, and the best configurations of each step at their best states, with what they come to."""
        model, least, found = self.models[i], prices.mass.copy(), list[tuple[float, Column]]()
        for begin in range(0, self.plant.n, _BLOCK):
            steps = np.arange(begin, min(begin + _BLOCK, self.plant.n))
            weight = prices.weight[steps]
            constant, slope = model.collapsed(steps, weight)
            slope += prices.worth[steps][:, None]
            ends = [self.states.ends(k, model.part.tanks) for k in steps.tolist()]
            values = constant + np.stack([e.least(s) for e, s in zip(ends, slope, strict=True)]) + model.least_rest(weight) + prices.by_kind[steps]
            values = np.where(model.part.possible[steps], values, np.inf)
            least[steps] = np.minimum(least[steps], values.min(axis=1))
            for r, k in enumerate(steps.tolist()):
                chosen = np.argsort(values[r], kind="stable")[:count]
                for c in chosen[np.isfinite(values[r, chosen])].tolist():
                    x = ends[r].at(slope[r, c])
                    found.append((float(values[r, c]), Column(k, i, c, x, model.outputs(k, c, x, weight[r]))))
        return least, found

    def best(self, count: int) -> list[Column]:
        """The best configurations of each step and part under the duals of the bound."""
        return [c for i, prices in enumerate(self._prices) for _, c in self._best(i, prices, count)[1]]

    def short(self, drawn: Drawn) -> Floats:
        """By how much true solves come below the least of their step, (N, parts); 0 where they do not or break a limit."""
        found = np.zeros((len(drawn.step), len(self.models)))
        for i, (m, p) in enumerate(zip(self.models, self._prices, strict=True)):
            k, kind = drawn.step, drawn.configuration[:, i]
            value = (outputs_of(self.plant, m.part, drawn) * p.weight[k]).sum(axis=1) + (drawn.runs.x[:, m.part.tanks] * p.worth[k]).sum(axis=1) + p.by_kind[k, kind]
            holds = drawn.runs.holds[:, m.part.place] & m.part.possible[k, kind]
            found[:, i] = np.where(holds, np.maximum(self.least[i, k] - value, 0.0), 0.0)
        return found
