"""The best schedule near a base, as a mixed-integer linear programme: which option of each lever in each step.

States follow the base's with the options' effects added and carried on by the drift (near.py). Limits of levels, pressure and power may give way at a
price, those of starts and times may not. Speeds of a count may be mixed, counts may not. Water that a tank which the base has full does not take
goes where it was measured to go, as long as the tank is full; a switch sees to that.
"""

from __future__ import annotations

import highspy
import numpy as np

from levada.domain.series import Floats
from levada.hydraulics.operation import days_of
from levada.schedule.candidate import Runner, Trial
from levada.schedule.linear import Builder, solver
from levada.schedule.near import Lever, Near
from levada.schedule.plant import Ints
from levada.schedule.scope import Scope, costs_of, limits_of, starts_of, stays_of

__all__ = ["Programme", "water_near"]

_MOST_SENT = 2.0
"""Water that a full tank does not take in a step, as a share of its range, is at most this."""

_GAP = 0.003
_COLUMN_NODES, _NODES = 60_000, (10, 200)
"""Nodes of branch and bound of a thorough programme: so many over the number of columns, within these. A quick one has its root alone, and no heuristic that
solves a programme within it: a quarter of the time for what is nearly always the same schedule."""

_FIRST = 2
"""Better schedules found after which a programme for a first one ends."""

_NO_SHARE = 1e-12


def water_near(runner: Runner, near: Near, levers: list[Lever], price: float) -> Floats:
    """What a full tank's content is worth by instant and tank near a base, (n + 1, tanks): duals of the programme in which choices may be mixed; zeros where it has no solution."""
    return Programme(runner, near, levers, Scope(levers=tuple(range(len(levers))), diverts=False), price).water()


class Programme:
    """Columns and rows, gathered in the order: states, limits, options, starts. `price`: cost of a unit of severity."""

    def __init__(self, runner: Runner, near: Near, levers: list[Lever], scope: Scope, price: float) -> None:
        self.runner, self.near, self.levers, self.scope, self.price = runner, near, levers, scope, price
        self.plant, self.problem = runner.plant, runner.plant.problem
        self.n, self.tanks = self.plant.n, self.plant.tanks
        self.limits = limits_of(runner, near, scope, price)
        self.b = Builder()
        worth = self.problem.stored_value_per_m3
        self.b.constant(float(near.base.step_cost.sum()) + (0.0 if worth is None else float(worth @ (self.plant.span * self.plant.x0))))
        self.integer: list[int] = []
        self.start: dict[int, float] = {}
        self.state = self._states()
        self.balance = self._balances()
        self.caps, self.supply, self.heads = self._limits()
        self.totals = self._totals()
        self.changes = self.b.add_rows(np.full(1, -np.inf), np.full(1, scope.changes))
        self.chosen: list[dict[int, Ints]] = [{} for _ in levers]
        for i in scope.levers:
            for k in range(self.n):
                self._option(i, levers[i], k)
        for c, (most_starts, made, *stays) in enumerate(zip(*starts_of(self.plant), *stays_of(self.plant), strict=True)):
            self._starts(c, int(most_starts), int(made), [float(s) for s in stays])

    # --- states and limits --------------------------------------------------------------------------------------------

    def _states(self) -> list[Ints]:
        b, near, plant, worth = self.b, self.near, self.plant, self.problem.stored_value_per_m3
        columns = [b.add_columns(np.zeros(self.tanks), near.x[0], near.x[0])]
        for k in range(1, self.n + 1):
            is_last = k == self.n
            slope = np.zeros(self.tanks) if is_last else near.cost_slope[k]
            b.constant(-float(slope @ near.x[k]))
            x = b.add_columns(slope if not is_last or worth is None else -worth * plant.span, -np.inf)
            amiss = self.limits.end_price if is_last else self.limits.level_price
            for limit, sign in ((self.limits.low[k], 1.0), (self.limits.high[k], -1.0)):
                rows = b.add_rows(sign * limit, np.full(self.tanks, np.inf))
                b.put(rows, x, np.full(self.tanks, sign))
                b.put(rows, b.add_columns(np.full(self.tanks, amiss)), np.ones(self.tanks))
            columns.append(x)
        return columns

    def _balances(self) -> list[Ints]:
        b, near, full = self.b, self.near, self.problem.may_stand_full
        balances = []
        for k in range(self.n):
            at = near.after[k] - near.drift[k] @ near.x[k]
            rows = b.add_rows(at, at)
            b.put(rows, self.state[k + 1], np.ones(self.tanks))
            b.put(rows[:, None], self.state[k][None, :], -near.drift[k])
            sends = self.limits.sends[k]
            spill = b.add_columns(np.where(sends, near.diverted_cost[k], 0.0) + 1e-7 * self.price, 0.0, np.where(full, np.inf, 0.0))
            b.put(rows[:, None], spill[None, :], -np.where(sends, near.diverted[k], -np.eye(self.tanks)))
            for t in np.flatnonzero(sends).tolist():
                is_full = b.add_columns(np.zeros(1), 0.0, 1.0)
                self.integer.append(int(is_full[0]))
                only, there = b.add_rows(np.zeros(2), np.full(2, np.inf))[:, None]
                b.put(only, np.append(is_full, spill[t]), np.array([_MOST_SENT, -1.0]))
                b.put(there, np.append(self.state[k + 1][t], is_full), np.array([1.0, -1.0]))
            balances.append(rows)
        return balances

    def _limits(self) -> tuple[list[tuple[Ints, list[int]]], list[Ints | None], list[tuple[Ints, Ints] | None]]:
        """Rows by step: of power with the places of their caps, of supply, of pressure with their places."""
        b, near, whole, limits = self.b, self.near, self.runner.whole, self.limits
        peak: dict[int, Ints] = {}
        for i in np.flatnonzero(whole.charge_per_kw > 0).tolist():
            peak[i] = b.add_columns(whole.charge_per_kw[[i]], whole.peak_so_far_kw[i])
            b.constant(-float(whole.charge_per_kw[i] * whole.peak_so_far_kw[i]))
        caps: list[tuple[Ints, list[int]]] = []
        supply: list[Ints | None] = []
        heads: list[tuple[Ints, Ints] | None] = []
        for k in range(self.n):
            rows, places = [], []
            for i, most in enumerate(limits.most_kw.tolist()):
                asked = [(most, b.add_columns(limits.kw_price[[i]]))] if np.isfinite(most) else []
                asked += [(float(whole.own_kw[k, i]), peak[i])] if i in peak else []
                for limit, gives in asked:
                    row = b.add_rows(np.full(1, -np.inf), np.array([limit - near.kw[k, i] + near.kw_slope[k, i] @ near.x[k]]))
                    b.put(row, gives, np.full(1, -1.0))
                    b.put(row[:, None], self.state[k][None, :], near.kw_slope[k, i][None])
                    rows.append(row)
                    places.append(i)
            caps.append((np.array(rows, np.int64).reshape(-1), places))
            free = [near.options[i][k] for i in self.scope.levers]
            if near.amiss[k] == 0.0 and all((o.amiss == 0.0).all() for o in free):
                supply.append(None)
            else:
                row = b.add_rows(near.amiss[[k]], np.full(1, np.inf))
                b.put(row, b.add_columns(np.full(1, self.price)), np.ones(1))
                supply.append(row)
            watched = np.flatnonzero(limits.watched[k])
            if len(watched):
                row = b.add_rows(limits.pressure_room_m - near.pressure[k, watched] + near.pressure_slope[k, watched] @ near.x[k], np.full(len(watched), np.inf))
                b.put(row, b.add_columns(np.full(len(watched), limits.pressure_price)), np.ones(len(watched)))
                b.put(row[:, None], self.state[k][None, :], near.pressure_slope[k, watched])
            heads.append((row, watched) if len(watched) else None)
        return caps, supply, heads

    def _totals(self) -> tuple[Ints, Ints]:
        """Rows of totals that are limited, and their places."""
        places = np.flatnonzero(np.isfinite(self.limits.total_room))
        rows = self.b.add_rows(np.full(len(places), -np.inf), self.limits.total_room[places])
        if len(places):
            self.b.put(rows, self.b.add_columns(self.limits.total_price[places]), np.full(len(places), -1.0))
        return rows, places

    # --- choices ------------------------------------------------------------------------------------------------------

    def _option(self, i: int, lever: Lever, k: int) -> None:
        b, o = self.b, self.near.options[i][k]
        z = self.chosen[i][k] = b.add_columns(costs_of(self.runner, lever, o, k), 0.0, 1.0)
        b.put(b.add_rows(np.ones(1), np.ones(1)), z, np.ones(len(z)))
        b.put(self.balance[k][:, None], z[None, :], -o.state.T)
        b.put(self.changes[:, None], z[None, :], (o.counts != o.counts[0]).any(axis=1)[None].astype(np.float64))
        rows, places = self.caps[k]
        if len(rows):
            b.put(rows[:, None], z[None, :], o.kw[:, places].T)
        supply, heads = self.supply[k], self.heads[k]
        if supply is not None:
            b.put(supply[:, None], z[None, :], -o.amiss[None])
        if heads is not None:
            b.put(heads[0][:, None], z[None, :], o.pressure[:, heads[1]].T)
        if len(self.totals[0]):
            b.put(self.totals[0][:, None], z[None, :], o.totals[:, self.totals[1]].T)
        kinds, which = np.unique(o.counts, axis=0, return_inverse=True)
        which = which.reshape(-1)
        self.start |= {int(column): float(r == 0) for r, column in enumerate(z)}
        if len(kinds) == len(z):
            self.integer += z.tolist()
            return
        # Speeds of like counts may be mixed.
        whole = b.add_columns(np.zeros(len(kinds)), 0.0, 1.0)
        same = b.add_rows(np.zeros(len(kinds)), np.zeros(len(kinds)))
        b.put(same, whole, np.ones(len(kinds)))
        b.put(same[which], z, np.full(len(z), -1.0))
        self.integer += whole.tolist()
        self.start |= {int(column): float(r == which[0]) for r, column in enumerate(whole)}

    def _count(self, c: int, k: int) -> tuple[float, Ints, Floats]:
        """How many pumps of a class run in step k: a constant, and columns with their counts."""
        for i, lever in enumerate(self.levers):
            if c in lever.classes and k in self.chosen[i]:
                return 0.0, self.chosen[i][k], self.near.options[i][k].counts[:, lever.classes.index(c)].astype(np.float64)
        return float(self.near.base.counts[k, c]), np.zeros(0, np.int64), np.zeros(0)

    def _starts(self, c: int, most_starts: int, made: int, stays: list[float]) -> None:
        """Starts of a class within its limit, each with its wear, and the least times, s, that its pumps stay on and off."""
        b, problem, plant, n = self.b, self.problem, self.plant, self.n
        pumps, days = list(plant.classes[c].pumps), days_of(problem)
        wear = self.runner.whole.wear(c)
        if most_starts < 0 and wear == 0 and not any(stays):
            return
        is_periodic = problem.count_starts == "periodic"
        base = self.near.base.counts[:, c]
        for sign, stay in zip((1.0, -1.0), stays, strict=True):
            if sign < 0 and stay == 0:
                continue
            turns = b.add_columns(np.full(n, wear if sign > 0 else 0.0), 0.0, float(len(pumps)))
            previous = np.append(base[-1] if is_periodic else plant.initial_count[c], base[:-1])
            self.start |= dict(zip(turns.tolist(), np.maximum(sign * (base - previous), 0.0).tolist(), strict=True))
            for k in range(n):
                now, columns, counts = self._count(c, k)
                then, before, counts_before = self._count(c, (k - 1) % n) if k or is_periodic else (float(plant.initial_count[c]), np.zeros(0, np.int64), np.zeros(0))
                row = b.add_rows(np.array([sign * (now - then)]), np.full(1, np.inf))
                b.put(row, np.concatenate([turns[[k]], columns, before]), np.concatenate([[1.0], -sign * counts, sign * counts_before]))
                if stay > 0:
                    recent = turns[: k + 1][problem.steps.offsets_s[k] - problem.steps.offsets_s[: k + 1] < stay - 1e-6]
                    row = b.add_rows(np.full(1, -np.inf), np.array([sign * now + (0.0 if sign > 0 else len(pumps))]))
                    b.put(row, np.concatenate([recent, columns]), np.concatenate([np.ones(len(recent)), -sign * counts]))
            if sign > 0 and most_starts >= 0:
                for day in np.unique(days).tolist():
                    row = b.add_rows(np.full(1, -np.inf), np.full(1, most_starts - (made if day == 0 else 0)))
                    b.put(row, turns[days == day], np.ones(1))

    # --- solving ------------------------------------------------------------------------------------------------------

    def model(self) -> highspy.HighsLp:
        """The programme for HiGHS."""
        lp = self.b.model()
        kinds = np.zeros(self.b.columns, bool)
        kinds[self.integer] = True
        lp.integrality_ = [highspy.HighsVarType.kInteger if is_integer else highspy.HighsVarType.kContinuous for is_integer in kinds]
        return lp

    def solve(self) -> Trial | None:
        """The best schedule that was found, or None where there is none."""
        h = solver()
        effort = self.scope.effort
        thorough = effort == "thorough"
        nodes = int(np.clip(_COLUMN_NODES // self.b.columns, *_NODES)) if thorough else 1
        for option, setting in (
            ("mip_rel_gap", _GAP), ("mip_max_nodes", nodes), ("mip_allow_restart", False), ("mip_heuristic_run_rens", thorough), ("mip_heuristic_run_rins", effort in ("quick", "thorough")),
        ):  # fmt: skip
            h.setOptionValue(option, setting)
        if effort == "first":
            h.setOptionValue("mip_max_improving_sols", _FIRST)
        h.passModel(self.model())
        columns = np.array(sorted(self.start), np.int32)
        h.setSolution(len(columns), columns, np.array([self.start[int(c)] for c in columns]))
        h.run()
        value = np.array(h.getSolution().col_value)
        return self._trial(value) if len(value) and np.isfinite(h.getInfo().objective_function_value) else None

    def water(self) -> Floats:
        h = solver()
        h.passModel(self.b.model())
        h.run()
        worth = np.zeros((self.n + 1, self.tanks))
        if h.getModelStatus() == highspy.HighsModelStatus.kOptimal:
            dual = np.array(h.getSolution().row_dual)
            worth[1:] = [-dual[rows] for rows in self.balance]
            worth[0] = worth[1]
        return worth

    def _trial(self, value: Floats) -> Trial:
        """The schedule that a solution means."""
        base = self.near.base
        counts, speeds, choices = base.counts.copy(), base.speeds.copy(), base.choices.copy()
        for i, lever in enumerate(self.levers):
            for k, z in self.chosen[i].items():
                o, share = self.near.options[i][k], np.maximum(value[z], _NO_SHARE)
                kinds, which = np.unique(o.counts, axis=0, return_inverse=True)
                chosen = int(np.bincount(which.reshape(-1), weights=share).argmax())
                if lever.valve is not None:
                    choices[k, lever.valve] = kinds[chosen, 0]
                    continue
                mine, own = which.reshape(-1) == chosen, list(lever.classes)
                counts[k, own] = kinds[chosen]
                speeds[k, own] = np.where(kinds[chosen] > 0, share[mine] @ o.speeds[mine] / share[mine].sum(), 0.0)
        return counts, speeds, choices
