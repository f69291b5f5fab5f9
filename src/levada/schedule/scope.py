"""What the best schedule near a base is asked for: what may change, the limits there and what it costs to break them.

Whoever answers, by linear programming (programme.py) or by annealing (anneal.py), means the same by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from levada.domain.pumping import Bools
from levada.domain.series import Floats
from levada.hydraulics.engine import severity_weights
from levada.hydraulics.operation import days_of
from levada.schedule.candidate import Runner, Trial
from levada.schedule.near import Lever, Near, Options, caps_of
from levada.schedule.plant import Ints, Plant

__all__ = ["Effort", "Limits", "Scope", "Search", "costs_of", "limits_of", "starts_of", "stays_of"]

Effort = Literal["first", "swift", "quick", "thorough"]

_NEARLY_FULL = 0.85
"""Only where the base's tank is at least so full is water that it does not take sent elsewhere: elsewhere it is lost."""

_WATCHED_M = 3.0
"""Pressures that may come nearer to their least than this are watched."""

_ROOM_M = 0.05
_POWER_ROOMS = 10.0
_PER_METRE = 0.1
"""Severity of a metre of pressure that lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What may change: the choices of some levers, at most so many in all; whether full tanks send water elsewhere; room kept to the limits of
    levels, as a share of a tank; how hard it is searched: a mixed-integer programme that is `quick` at its root alone, `swift` without programmes within it, `first` until something
    better is found."""

    levers: tuple[int, ...]
    changes: float = np.inf
    diverts: bool = True
    room: float = 0.0
    effort: Effort = "thorough"


class Search(Protocol):
    """A search near a base."""

    def solve(self) -> Trial | None:
        """The best schedule that was found, or None where there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits near a base, with room, and the cost of a unit beyond them.

    `low`, `high` (n + 1, tanks) states; `sends` (n, tanks): whether what a full tank does not take goes elsewhere. `most_kw` (caps,), inf for none. `watched` (n, places): pressures
    that matter, at least `pressure_room_m` above their least. `total_room` (totals,): what totals may rise by, inf for those without limit.
    """

    low: Floats
    high: Floats
    level_price: float
    end_price: float
    sends: Bools
    most_kw: Floats
    kw_price: Floats
    watched: Bools
    pressure_room_m: float
    pressure_price: float
    total_room: Floats
    total_price: Floats


def limits_of(runner: Runner, near: Near, scope: Scope, price: float) -> Limits:
    """`price`: cost of a unit of severity."""
    plant, problem, whole = runner.plant, runner.plant.problem, runner.whole
    kinds = ("level", "end level", "power")
    level, end, power = severity_weights(problem, kinds).tolist()
    low = plant.x_least + scope.room
    # A tank that may stand full needs no room above, but at the end.
    above = np.where(problem.may_stand_full, 0.0, scope.room) * np.ones((plant.n + 1, 1))
    above[-1] = scope.room
    caps: Floats = np.array([most for most, _ in caps_of(runner)])
    options = [near.options[i] for i in scope.levers]
    least = near.pressure + np.array([sum((of[k].pressure.min(axis=0) for of in options), np.zeros(near.pressure.shape[1])) for k in range(plant.n)])
    return Limits(
        low=low, high=np.maximum(plant.x_most - above, low), level_price=price * level, end_price=price * end,
        sends=problem.may_stand_full & scope.diverts & (near.x[1:] > _NEARLY_FULL),
        most_kw=caps * (1 - _POWER_ROOMS * scope.room), kw_price=price * power / caps,
        watched=least < _WATCHED_M, pressure_room_m=_ROOM_M, pressure_price=price * _PER_METRE,
        total_room=whole.most - whole.totals_of(near.base.power, near.base.source), total_price=price / np.maximum(whole.most, 1.0),
    )  # fmt: skip


def costs_of(runner: Runner, lever: Lever, options: Options, step: int) -> Floats:
    """What the options (options,) of a lever cost in a step against the base's, with what it costs to differ from the previous plan."""
    cost = options.cost.copy()
    for place, c in enumerate(lever.classes):
        deviation = runner.whole.deviation(step, c, options.counts[:, place])
        cost += deviation - deviation[0]
    return cost


def stays_of(plant: Plant) -> tuple[Floats, Floats]:
    """Seconds that pumps of each class must stay on, and off, both (classes,)."""
    on, off = (np.array([0.0 if of is None else float(of[list(c.pumps)].max()) for c in plant.classes]) for of in (plant.problem.min_on_s, plant.problem.min_off_s))
    return on, off


def starts_of(plant: Plant) -> tuple[Ints, Ints]:
    """Most starts of each class on a day, -1 where no schedule can have more, and those made on the first day so far, both (classes,)."""
    problem, days = plant.problem, days_of(plant.problem)
    at_most = (int(np.bincount(days).max()) + 1) // 2 * plant.class_size
    made = [0 if problem.starts_made is None else int(np.minimum(problem.starts_made, problem.max_starts)[list(c.pumps)].sum()) for c in plant.classes]
    return np.where(plant.class_starts >= at_most, -1, plant.class_starts), np.array(made, np.int64)
