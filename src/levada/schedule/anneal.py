"""The best schedule near a base by simulated annealing: which option of each lever in each step.

A move changes one choice or a few, and what it leads to is computed along the steps (anneal.c) in microseconds. So many thousand moves find as good a schedule as
branch and bound does, in a tenth of the time or less, as long as each count of pumps has one speed; where speeds may be mixed, programme.py is asked.
Limits that may give way count little at first and fully in the end, so that schedules are reached that lie behind others that break them.

Kirkpatrick, Gelatt and Vecchi 1983, Optimization by simulated annealing.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from levada.domain.pumping import PumpingProblem
from levada.domain.series import Floats
from levada.hydraulics.compiled import library, pointer
from levada.hydraulics.operation import days_of
from levada.schedule.candidate import Runner, Trial
from levada.schedule.near import Lever, Near, caps_of
from levada.schedule.plant import Ints
from levada.schedule.scope import Limits, Scope, costs_of, limits_of, starts_of, stays_of

__all__ = ["Annealing", "can_be_annealed"]

_COMPILED = Path(__file__).with_name("anneal.compiled")

_MOVES, _MOVES_THOROUGHLY = 100_000, 400_000

_HOT, _COLD = 0.1, 0.01
"""Temperature at first and in the end, as a share of what a change costs in the mean."""

_SOFTLY = 0.01
"""Share of its price that breaking a limit costs at first."""

_SEED = 1


def can_be_annealed(levers: list[Lever]) -> bool:
    """Whether each count of pumps has one speed."""
    return all(len(np.unique(lever.counts, axis=0)) == len(lever.counts) for lever in levers)


class Annealing:
    """A search by annealing. `price`: cost of a unit of severity."""

    def __init__(self, runner: Runner, near: Near, levers: list[Lever], scope: Scope, price: float) -> None:
        self._near, self._n = near, runner.plant.n
        self._levers = [levers[i] for i in scope.levers]
        self._most_kinds = max(len(lever.counts) for lever in self._levers)
        self._options = [near.options[i] for i in scope.levers]
        self._moves = _MOVES_THOROUGHLY if scope.effort == "thorough" else _MOVES
        self._cost = float(near.base.step_cost.sum() + runner.whole.stored(near.base.volume[-1]))
        self._first: Ints = np.cumsum([0, *(len(o.counts) for of in self._options for o in of)])
        limits = limits_of(runner, near, scope, price)
        self._problem = _Near(**self._sizes(runner, scope, limits, price), **self._arrays(runner, limits))

    def solve(self) -> Trial | None:
        """The best schedule that was found, or None where starts or times cannot be kept."""
        best = self.best()
        return None if best is None else best[0]

    def best(self) -> tuple[Trial, float] | None:
        """The best schedule with what it promises to cost, and limits that give way at their price."""
        choice, value = self._first[:-1].astype(np.int32), ctypes.c_double()
        cost = np.concatenate([np.abs(o.cost[1:]) for of in self._options for o in of])
        change = float(cost[cost > 0].mean()) if (cost > 0).any() else 1.0
        wrong = library(_COMPILED).levada_anneal(
            ctypes.byref(self._problem), ctypes.c_long(self._moves), ctypes.c_double(_HOT * change), ctypes.c_double(_COLD * change), ctypes.c_double(_SOFTLY),
            ctypes.c_uint64(_SEED), pointer(choice), ctypes.byref(value),
        )  # fmt: skip
        if wrong < 0:
            raise MemoryError("annealing")
        return (self._trial(choice - self._first[:-1]), self._cost + value.value) if wrong == 0 else None

    def _trial(self, chosen: Ints) -> Trial:
        base, place = self._near.base, 0
        counts, speeds, choices = base.counts.copy(), base.speeds.copy(), base.choices.copy()
        for lever, of in zip(self._levers, self._options, strict=True):
            for k, o in enumerate(of):
                c = int(chosen[place])
                place += 1
                if lever.valve is not None:
                    choices[k, lever.valve] = o.counts[c, 0]
                else:
                    counts[k, list(lever.classes)], speeds[k, list(lever.classes)] = o.counts[c], o.speeds[c]
        return counts, speeds, choices

    def _sizes(self, runner: Runner, scope: Scope, limits: Limits, price: float) -> dict[str, Any]:
        plant, whole = runner.plant, runner.whole
        return {
            "n": plant.n, "tanks": plant.tanks, "levers": len(self._levers), "caps": len(caps_of(runner)), "totals": int(np.isfinite(whole.most).sum()),
            "places": int(limits.watched.any(axis=0).sum()), "classes": len(plant.classes), "kinds": self._most_kinds,
            "days": int(days_of(plant.problem)[-1]) + 1, "is_periodic": plant.problem.count_starts == "periodic",
            "most_changes": int(min(scope.changes, len(self._first))),
            "level_price": limits.level_price, "end_price": limits.end_price, "supply_price": price,
            "pressure_price": limits.pressure_price, "pressure_room_m": limits.pressure_room_m,
        }  # fmt: skip

    def _arrays(self, runner: Runner, limits: Limits) -> dict[str, Any]:
        near, plant, problem, whole = self._near, runner.plant, runner.plant.problem, runner.whole
        n, caps = plant.n, len(caps_of(runner))
        end = np.zeros(plant.tanks) if problem.stored_value_per_m3 is None else -problem.stored_value_per_m3 * plant.span
        # What is charged over: each meter, and not all pumps together, which come last.
        charge, peak, own = np.zeros(caps), np.zeros(caps), np.zeros((n, caps))
        charge[:-1], peak[:-1], own[:, :-1] = whole.charge_per_kw, whole.peak_so_far_kw, whole.own_kw
        places, totals = np.flatnonzero(limits.watched.any(axis=0)), np.flatnonzero(np.isfinite(whole.most))
        most_starts, made = starts_of(plant)
        every = [o for of in self._options for o in of]
        return {
            "x": _floats(near.x), "after": _floats(near.after), "drift": _floats(near.drift), "state_cost": _floats(np.vstack([near.cost_slope, end])),
            "low": _floats(limits.low), "high": _floats(limits.high), "full": (problem.may_stand_full + limits.sends).astype(np.int8),
            "diverted": _floats(near.diverted), "diverted_cost": _floats(near.diverted_cost),
            "kw": _floats(near.kw), "kw_slope": _floats(near.kw_slope), "own_kw": own, "most_kw": limits.most_kw, "kw_price": limits.kw_price,
            "charge_per_kw": charge, "peak_so_far_kw": peak, "amiss": _floats(near.amiss),
            "pressure": _floats(near.pressure[:, places]), "pressure_slope": _floats(near.pressure_slope[:, places]),
            "watched": limits.watched[:, places].astype(np.int8),
            "total_room": limits.total_room[totals], "total_price": limits.total_price[totals],
            "first_option": self._first.astype(np.int32),
            "option_state": _floats(np.concatenate([o.state for o in every])), "option_cost": self._costs(runner),
            "option_kw": _floats(np.concatenate([o.kw for o in every])), "option_amiss": _floats(np.concatenate([o.amiss for o in every])),
            "option_pressure": _floats(np.concatenate([o.pressure[:, places] for o in every])),
            "option_total": _floats(np.concatenate([o.totals[:, totals] for o in every])),
            "option_differs": np.concatenate([(o.counts != o.counts[0]).any(axis=1) for o in every]).astype(np.int8),
            **self._kinds(len(plant.classes)), "base_count": np.ascontiguousarray(near.base.counts.T, np.int32),
            "pumps": plant.class_size.astype(np.int32), "count_before": plant.initial_count.astype(np.int32),
            "most_starts": most_starts.astype(np.int32), "starts_made": made.astype(np.int32), "wear": np.array([whole.wear(c) for c in range(len(plant.classes))]),
            "day": days_of(problem).astype(np.int32),
            **{name: self._since(problem, stays) for name, stays in zip(("on_since", "off_since"), stays_of(plant), strict=True)},
        }  # fmt: skip

    def _costs(self, runner: Runner) -> Floats:
        """Costs of the options, with what it costs to differ from the previous plan."""
        return np.concatenate([costs_of(runner, lever, o, k) for lever, of in zip(self._levers, self._options, strict=True) for k, o in enumerate(of)])

    def _kinds(self, classes: int) -> dict[str, Any]:
        """What options have their levers do: a kind is a row of a lever's counts."""
        kinds, n = self._most_kinds, self._n
        of_option, option_of = np.zeros(self._first[-1], np.int32), np.full((len(self._levers) * n, kinds), -1, np.int32)
        lever_of, count_of = np.full(classes, -1, np.int32), np.zeros((classes, kinds), np.int32)
        for g, lever in enumerate(self._levers):
            place = {row.tobytes(): kind for kind, row in enumerate(lever.counts)}
            for i, c in enumerate(lever.classes):
                lever_of[c] = g
                count_of[c, : len(lever.counts)] = lever.counts[:, i]
            for k, o in enumerate(self._options[g]):
                first = self._first[g * n + k]
                for j, row in enumerate(o.counts):
                    of_option[first + j] = place[row.tobytes()]
                    option_of[g * n + k, place[row.tobytes()]] = first + j
        return {"option_kind": of_option, "option_of_kind": option_of, "lever_of_class": lever_of, "count_of_kind": count_of}

    def _since(self, problem: PumpingProblem, stays_s: Floats) -> Ints:
        """The first step, by class and step, from which a switch still binds the pump in a step (classes, n): the step after, where none does."""
        offset = problem.steps.offsets_s[: self._n]
        binds = offset[None, :, None] - offset[None, None, :] < stays_s[:, None, None] - 1e-6
        binds &= np.tri(self._n, dtype=bool)
        since = np.where(binds.any(axis=2), binds.argmax(axis=2), np.arange(1, self._n + 1))
        return np.ascontiguousarray(since, np.int32)


def _floats(values: Floats) -> Floats:
    return np.ascontiguousarray(values, np.float64)


class _Near(ctypes.Structure):
    """Near of anneal.c, from arrays by name."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("n", "tanks", "levers", "caps", "totals", "places", "classes", "kinds", "days", "is_periodic", "most_changes")),
        *((name, ctypes.c_double) for name in ("level_price", "end_price", "supply_price", "pressure_price", "pressure_room_m")),
        *((name, ctypes.c_void_p) for name in (
            "x", "after", "drift", "state_cost", "low", "high", "full", "diverted", "diverted_cost", "kw", "kw_slope", "own_kw", "most_kw", "kw_price", "charge_per_kw",
            "peak_so_far_kw", "amiss", "pressure", "pressure_slope", "watched", "total_room", "total_price", "first_option", "option_state", "option_cost", "option_kw",
            "option_amiss", "option_pressure", "option_total", "option_differs", "option_kind", "option_of_kind", "lever_of_class", "count_of_kind", "base_count", "pumps",
            "count_before", "most_starts", "starts_made", "wear", "day", "on_since", "off_since",
        )),
    )  # fmt: skip

    def __init__(self, **values: Any) -> None:
        # The arrays are kept for as long as something points to them.
        self.kept = [v for v in values.values() if isinstance(v, np.ndarray)]
        super().__init__(**{name: pointer(v) if isinstance(v, np.ndarray) else v for name, v in values.items()})
