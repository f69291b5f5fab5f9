"""The bound by values that add up over tanks: V is climbed until true steps hold it, and held against others before it is told.

With V_k(x) a sum of functions of one number each (tank_values.py), what every schedule costs is at least the sum over steps k of

    m_k  =  least over all configurations and states that can be reached of (cost of the step + V_k+1(state after it) - V_k(state before it)),        V_0 = 0,

whatever V is. Steps are taken whole, each from one state in one configuration, so that neither is mixed within a step; what is mixed are states that agree in the mean of what V can tell. The sum is concave in V. Where it is
greatest is found by cutting planes, each time near the best so far (tank_programme.py), the steps that cut being looked for in EPANET (tank_search.py). As m_k is known by the steps seen alone, a V that came far is held against draws of its own, and
what they come below the steps seen before is taken off, three times; all that is seen later counts too.

It knows neither starts nor what is billed or limited over the horizon: leaving these out only lowers it.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from levada.domain.pumping import PumpSchedule
from levada.domain.series import Floats
from levada.schedule.certificate import Bound
from levada.schedule.hull_fit import Fitted
from levada.schedule.joint import JointConfigurations, joint_choices
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Stopped, Teller
from levada.schedule.tank_beam import Lead
from levada.schedule.tank_programme import best_near
from levada.schedule.tank_search import TankSearch
from levada.schedule.tank_steps import Seen, lowest, of_schedule, simulated
from levada.schedule.tank_values import TankValues

__all__ = ["ByTanks", "bound_by_tanks"]

_METHOD = "approximate dynamic programming over tank levels (values that add up, by concave programmes over steps in EPANET, held against others)"

_MOST_KINDS = 1000
_STEEP = 1.5
"""What is asked at the end has to be paid for at so many times the most that water is worth."""

_NODES, _FEWER, _COLUMNS = 9, 5, 4000
"""More brought nothing where it was tried; fewer where there would be more than so many in all."""

_EACH_KIND, _EACH, _AT_FIRST = 8, 20, 8
"""Random steps of each configuration in each step of the horizon to begin with, but no more than one in so many of all true steps; and so many of all before it is known how many that are."""

_ROWS, _ALL_ROWS = 120, 3500
"""Steps that come to least in each step of the horizon, which a programme is made of; of all no more."""

_STEP, _MOST_STEP = 0.005, 0.5
"""How far from the best V a programme goes at first and at most, by the steps of the horizon (tank_programme.py)."""

_GOOD, _FURTHER, _NEARER, _FREER = 0.2, 1.5, 0.9, 4.0
"""It goes further where V rose by such a share of what the programme promised, nearer where it fell, and much further where it promised little."""

_ITERATIONS, _IN_VAIN, _OFTEN = 120, 30, 40
"""Programmes at most; so many that bring little more end the climb; and after so many V is held against draws of its own, that there is a bound to tell."""

_MOST_LINKS = 120_000_000
"""Solves of true steps times links of the network: some minute and a half."""

_SEARCHES, _LEAST_EACH, _MOST_EACH = 100, 10, 40
"""True steps are for so many turns of searches, as long as that leaves these numbers in each step of the horizon."""

_LITTLE, _LEAST, _LAST = 2e-3, 5e-4, 3e-5
"""The climb is over where a programme that goes as far as it may promises no more than the first above V, as a share of the cost, and draws of its own find no more than that. A turn of these that finds no more than the second was in vain, and at the end one that finds no more than the third: many turns that find little come to a percent."""

_KEPT = 8
"""So many V are kept, and the best of them by all that was seen since goes on."""

_MORE, _MOST_MORE, _CHECKS, _TURNS = 4, 10, 3, 8
"""A V is held against so many times the draws of a search, and at the end against up to so many, as long as true steps are left for some such turns; so many V are then, one after the other. Where no more steps are left, as it was on the way."""

_SAFETY = 3.0
"""Factor on what draws of its own take off a V: six times as many still took 0.1 to 0.3 % of the cost off where these had taken next to nothing."""


def bound_by_tanks(
    plant: Plant, fitted: Fitted, water: Floats, schedule: PumpSchedule, cost: float, rng: np.random.Generator, work: Work, gap: float, teller: Teller
) -> ByTanks | None:
    """V beside a schedule without violations that costs `cost`, with the worth of a full tank's content by instant and tank, (n + 1, tanks). It ends once it leaves no more than `gap` of the cost. None where this is not
    for the plant, or was stopped before it had one."""
    worth = float(water.max(initial=0.0))
    if not (worth > 0 and _is_for(plant)) or work.tank_steps < _least(plant) or teller.is_stopped:
        return None
    joint = JointConfigurations(plant)
    search = TankSearch(joint, fitted, rng, teller.pause)
    seen = of_schedule(joint, schedule).joined(simulated(joint))
    values = TankValues.linear(plant, fitted.zones, water, _STEEP * worth, _NODES)
    if values.values.size > _COLUMNS:
        values = TankValues.linear(plant, fitted.zones, water, _STEEP * worth, _FEWER)
    climb = _Climb(values, search, seen, cost)
    # Whoever stops it gets the best of what was held by then.
    with suppress(Stopped):
        most = min(work.tank_steps, climb.begun())
        if most < _least(plant):
            return None
        climb.up(most, gap, teller)
    value = climb.told()
    # A step that the schedule holds by a rounding alone may hold nowhere: then nothing is known of it.
    return None if value is None or not np.isfinite(value) else ByTanks(climb, search)


class ByTanks:
    """Values by tank that were held: the bound that they give, and a lead for a search (tank_beam.py)."""

    def __init__(self, climb: _Climb, search: TankSearch) -> None:
        self._climb, self._search = climb, search

    def bound(self, cost: float) -> Bound:
        """The bound beside a schedule that costs `cost`, by all that has been simulated until now."""
        self._climb.see(simulated(self._search.joint))
        return Bound(value=self._climb.told(), method=_METHOD, cost=cost, samples=self._search.steps, work={"tank_steps": self._search.steps})

    def lead(self) -> Lead:
        """The V that tells most, with planes through all steps seen."""
        values, seen = self._climb.values(), self._climb.seen
        held = np.zeros((values.plant.n, len(self._search.joint)), bool)
        held[seen.step, seen.kind] = True
        return Lead(self._search.joint, values, self._search.planes.through(seen), held)


def _is_for(plant: Plant) -> bool:
    """Whether V is for this plant: several tanks, and not too many joint configurations."""
    return plant.tanks > 1 and joint_choices(plant) <= _MOST_KINDS


def _least(plant: Plant) -> int:
    """With fewer true steps nothing is gained."""
    return _SEARCHES * _LEAST_EACH * plant.n


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
        self._search, self.seen, self._cost = search, seen, cost
        self._best = [_Tried(values, seen)]
        self._held: list[tuple[_Tried, float]] = []
        self._each = _LEAST_EACH

    def begun(self) -> int:
        """So many true steps are affordable, by a few random ones: tanks that are cut off and let in again by turns take many solves a step. Raises Stopped when told to."""
        plant = self._search.joint.plant
        before = plant.simulator.solves
        self.see(self._search.anywhere(_EACH))
        solves = max(1.0, (plant.simulator.solves - before) / self._search.steps)
        return int(_MOST_LINKS / (solves * max(len(plant.problem.network.links), 1)))

    def up(self, most: int, gap: float, teller: Teller) -> None:
        """Climb for up to so many true steps. Raises Stopped when told to."""
        search, n, little = self._search, self._search.joint.plant.n, _LITTLE * abs(self._cost)
        self._each = min(most // (_SEARCHES * n), _MOST_EACH)
        self.see(search.anywhere(min(_EACH_KIND * len(search.joint), most // (_AT_FIRST * n))))
        if not np.isfinite(self._best[-1].comes_to()):
            return
        rows_of_each = min(_ROWS, _ALL_ROWS // n)
        last = self._best[-1]
        step, most_step = _STEP * n, _MOST_STEP * n
        high, at_turn = -np.inf, 0
        for turn in range(1, _ITERATIONS + 1):
            self._tell(teller)
            best, before = self._best[-1], self._best[-1].comes_to()
            rows = np.union1d(lowest(best.values, self.seen, rows_of_each), lowest(last.values, self.seen, rows_of_each))
            values, promised = best_near(best.values, self.seen.rows(rows), step)
            last = _Tried(values, self.seen)
            self._best.append(last)
            # What is refuted by a step that was seen needs no others: that step is in the next programme.
            if last.comes_to() > before:
                self.see(search.worst(last.values, self.seen, self._each, little))
            rose = last.comes_to() - before
            self._best = sorted(self._best, key=_Tried.comes_to)[-_KEPT:]
            is_at_the_top = promised - before < little and step >= most_step
            if is_at_the_top or turn % _OFTEN == 0 or self._leaves_little(self._best[-1].comes_to(), gap):
                lost, told = self._hold(), self.told()
                self._tell(teller)
                if (is_at_the_top and lost < little) or (told is not None and self._leaves_little(told, gap)):
                    break
            if (now := self._best[-1].comes_to()) > high + little:
                high, at_turn = now, turn
            if search.steps > most or turn - at_turn > _IN_VAIN:
                break
            step = min(step * _longer(rose, promised - before, little), most_step)
        # What a check leaves of the best may be less than the next best comes to.
        for _ in range(_CHECKS):
            each = min(_MOST_MORE * self._each, (most - search.steps) // (_TURNS * n))
            lost = self._hold(each, _LAST) if each > _MORE * self._each else self._hold()
            self._tell(teller)
            if lost < little:
                break

    def _leaves_little(self, value: float, gap: float) -> bool:
        """Whether a value leaves no more than such a share of the cost."""
        return self._cost - value <= gap * abs(self._cost)

    def _tell(self, teller: Teller) -> None:
        if not teller("values by tank", bound=self.told()):
            raise Stopped

    def told(self) -> float | None:
        """The best of what was held, by all that was seen since; None where nothing was yet."""
        return max((min(value, tried.comes_to()) for tried, value in self._held), default=None)

    def values(self) -> TankValues:
        """The V of what is told. Raises ValueError where nothing was held yet."""
        return max(self._held, key=lambda held: min(held[1], held[0].comes_to()))[0].values

    def see(self, more: Seen) -> None:
        """All V kept are held against these steps too."""
        self.seen = self.seen.joined(more)
        for tried in {*self._best, *(tried for tried, _ in self._held)}:
            tried.see(more)

    def _hold(self, each: int = 0, least: float = _LEAST) -> float:
        """Hold the best V against draws of its own, so many or more in each step of the horizon and turn, until turns find no more than such a share of the cost. What these come below the steps seen before."""
        best, before = self._best[-1], self._best[-1].comes_to()
        self.see(self._search.worst(best.values, self.seen, max(each, _MORE * self._each), least * abs(self._cost)))
        self._best.sort(key=_Tried.comes_to)
        lost = before - best.comes_to()
        self._held.append((best, before - _SAFETY * lost))
        return lost


def _longer(rose: float, promised: float, little: float) -> float:
    """What the next programme's step is longer by where V rose by so much of what was promised."""
    if promised < little:
        return _FREER
    if rose > _GOOD * promised:
        return _FURTHER
    return _NEARER if rose < 0 else 1.0
