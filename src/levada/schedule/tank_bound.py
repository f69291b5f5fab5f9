"""The bound by values that add up over tanks: V is climbed until true steps hold it, and held against others before it is told.

With V_k(x) = sum over tanks of v_kt(x_t), what every schedule costs is at least the sum over steps k of

    m_k  =  least over all configurations and states that can be reached of (cost of the step + V_k+1(state after it) - V_k(state before it)),        V_0 = 0,

whatever V is. Steps are taken whole, each from one state in one configuration, so that neither is mixed within a step; what is mixed are states that agree in the mean of what V can tell. The sum is concave in V. Where it is
greatest is found by cutting planes in a region (tank_programme.py), the steps that cut being looked for in EPANET (tank_search.py). As m_k is known by the steps seen alone, a V that came far is held against draws of its own, and
what they come below the steps seen before is taken off, times 1.25; all that is seen later counts too.

It knows neither starts nor what is billed or limited over the horizon: leaving these out only lowers it.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from levada.domain.pumping import PumpSchedule
from levada.domain.series import Floats
from levada.schedule.certificate import Bound
from levada.schedule.joint import JointConfigurations, are_all, joint_choices
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Stopped, Teller
from levada.schedule.reach import Zone
from levada.schedule.relaxation_tariff import has_terms
from levada.schedule.tank_programme import best_near
from levada.schedule.tank_search import TankSearch
from levada.schedule.tank_steps import Seen, lowest, of_schedule, simulated
from levada.schedule.tank_values import TankValues

__all__ = ["bound_by_tanks"]

_METHOD = "approximate dynamic programming over tank levels (values that add up over tanks, by linear programming over steps in EPANET, held against others)"

_MOST_KINDS = 256
_STEEP = 1.5
"""What is asked at the end has to be paid for at so many times the most that water is worth."""

_NODES = 9
"""More brought nothing where it was tried."""

_EACH_KIND, _EACH = 8, 20
"""Random steps of each configuration in each step of the horizon to begin with, and at least so many of all."""

_ROWS = 120
"""Steps that come to least in each step of the horizon, which a programme is made of."""

_REGION, _WIDER, _NARROWER = 0.01, 2.0, 0.6
"""The region, as a share of the slope, and what it is multiplied by where a programme's V is better, and where it is not."""

_ITERATIONS, _LEAST_ITERATIONS, _LARGEST = 200, 40, 20_000
"""Programmes, fewer where they are large: so many times the instants and tanks at most. With fewer than the least nothing is gained."""

_MOST_LINKS = 40_000_000
"""True steps times links of the network: some minute and a half."""

_LITTLE = 2e-3
"""A V is held against draws of its own where a programme promises no more than this above it, as a share of the cost; and the climb is over where these find no more than that."""

_KEPT = 8
"""So many V are kept, and the best of them by all that was seen since goes on."""

_MORE = 4
"""A V is held against so many times the draws of a search."""

_SAFETY = 1.25
"""Factor on what draws of its own take off a V."""


def bound_by_tanks(
    plant: Plant, zones: list[Zone], water: Floats, schedule: PumpSchedule, cost: float, rng: np.random.Generator, work: Work, gap: float, teller: Teller
) -> Bound | None:
    """The bound beside a schedule without violations that costs `cost`, with the worth of a full tank's content by instant and tank, (n + 1, tanks). It ends once it leaves no more than `gap` of the cost. None where this is not
    for the plant, or was stopped before it had one."""
    worth = float(water.max(initial=0.0))
    most = min(work.tank_steps, _MOST_LINKS // max(len(plant.problem.network.links), 1))
    if not (zones and worth > 0 and _is_for(plant, most)) or teller.is_stopped:
        return None
    joint = JointConfigurations(plant)
    search = TankSearch(joint, zones, rng, teller.pause)
    seen = of_schedule(joint, schedule).joined(simulated(joint))
    climb = _Climb(TankValues.linear(plant, zones, water, _STEEP * worth, _NODES), search, seen, cost)
    # Whoever stops it gets the best of what was held by then.
    with suppress(Stopped):
        climb.up(most, gap, teller)
    value = climb.told()
    # A step that the schedule holds by a rounding alone may hold nowhere: then nothing is known of it.
    return None if value is None or not np.isfinite(value) else Bound(value=value, method=_METHOD, cost=cost, samples=search.steps, work={"tank_steps": search.steps})


def _is_for(plant: Plant, most: int) -> bool:
    """Whether V is for this plant with so many true steps: several tanks, not too many joint configurations, fixed speeds, pumps of a class that are the same, and a bill of its steps."""
    kinds = joint_choices(plant)
    affordable = kinds <= _MOST_KINDS and _each(kinds) * plant.n <= most and _iterations(plant) >= _LEAST_ITERATIONS
    return plant.tanks > 1 and are_all(plant) and affordable and has_terms(plant) and plant.problem.switch_resolution_s is None


def _each(kinds: float) -> int:
    """Random steps in each step of the horizon to begin with."""
    return max(_EACH, int(_EACH_KIND * kinds))


def _iterations(plant: Plant) -> int:
    return min(_ITERATIONS, _LARGEST // (plant.n * plant.tanks))


class _Tried:
    """A V and the least that steps seen come to under it, by step, (n,)."""

    def __init__(self, values: TankValues, seen: Seen) -> None:
        self.values, self.least = values, seen.least(values)

    def see(self, more: Seen) -> None:
        self.least = np.minimum(self.least, more.least(self.values))

    def comes_to(self) -> float:
        """No schedule costs less, by the steps seen."""
        return float(self.least.sum())


class _Climb:
    """The way of V up, and the steps seen on it: the best V so far, the best last; those that were held against draws of their own, with what they came to less what these found."""

    def __init__(self, values: TankValues, search: TankSearch, seen: Seen, cost: float) -> None:
        self._search, self._seen, self._cost = search, seen, cost
        self._best = [_Tried(values, seen)]
        self._held: list[tuple[_Tried, float]] = []

    def up(self, most: int, gap: float, teller: Teller) -> None:
        """Climb for up to so many true steps. Raises Stopped when told to."""
        search, little = self._search, _LITTLE * abs(self._cost)
        self._see(search.anywhere(_each(len(search.joint))))
        last = self._best[-1]
        region = _REGION * last.values.slope
        for _ in range(_iterations(search.joint.plant)):
            if not teller("values by tank", bound=self.told()):
                raise Stopped
            best, before = self._best[-1], self._best[-1].comes_to()
            rows = np.union1d(lowest(best.values, self._seen, _ROWS), lowest(last.values, self._seen, _ROWS))
            found = best_near(best.values, self._seen.rows(rows), region)
            is_better, promised = False, np.inf
            if found is not None:
                last, promised = _Tried(found[0], self._seen), found[1]
                self._best.append(last)
                # What is refuted by a step that was seen needs no others: that step is in the next programme.
                if last.comes_to() > before:
                    self._see(search.worst(last.values, self._seen))
                self._best = sorted(self._best, key=_Tried.comes_to)[-_KEPT:]
                is_better = self._best[-1] is last
            now = self._best[-1].comes_to()
            # V was found too high by what it fell, so that the way up may be as long again.
            region = max(region * (_WIDER if is_better else _NARROWER), before - now)
            if promised - now < little:
                lost = self._hold()
                told = self.told()
                if lost < little or (told is not None and self._cost - told <= gap * abs(self._cost)):
                    break
                region = max(region, lost)
            if search.steps > most:
                break
        self._hold()

    def told(self) -> float | None:
        """The best of what was held, by all that was seen since; None where nothing was yet."""
        return max((min(value, tried.comes_to()) for tried, value in self._held), default=None)

    def _see(self, more: Seen) -> None:
        self._seen = self._seen.joined(more)
        for tried in {*self._best, *(tried for tried, _ in self._held)}:
            tried.see(more)

    def _hold(self) -> float:
        """Hold the best V against draws of its own. What these come below the steps seen before."""
        best, before = self._best[-1], self._best[-1].comes_to()
        self._see(self._search.worst(best.values, self._seen, _MORE).joined(self._search.anywhere(_EACH)))
        self._best.sort(key=_Tried.comes_to)
        lost = before - best.comes_to()
        self._held.append((best, before - _SAFETY * lost))
        return lost
