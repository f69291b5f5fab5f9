"""What annealing says of a schedule is what a linear programme of the same says, and it finds no worse than branch and bound."""

from __future__ import annotations

import highspy
import numpy as np
import pytest
from tests.schedule.feature_cases import PRICE, random_problem, with_valve
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpingProblem
from levada.schedule.anneal import Annealing, can_be_annealed
from levada.schedule.assignment import Fits
from levada.schedule.candidate import Candidate, Runner, Trial
from levada.schedule.linear import solver
from levada.schedule.near import Lever, Near, levers_of, near
from levada.schedule.plant import Plant
from levada.schedule.programme import Programme
from levada.schedule.progress import Teller
from levada.schedule.replan import Descent
from levada.schedule.rules import rules_of
from levada.schedule.scope import Scope

ALL = 1e9


class Base:
    """A plant and what is near the schedule that level switches give."""

    def __init__(self, problem: PumpingProblem) -> None:
        self.plant = Plant(problem)
        self.runner = Runner(self.plant, Fits(self.plant))
        counts, speeds = self.plant.by_class(rules_of(self.plant).speed)
        self.candidate: Candidate = self.runner.simulate((counts, speeds, self.runner.first_choices))
        self.levers: list[Lever] = levers_of(self.plant)
        self.near: Near = near(self.runner, self.candidate, self.levers)

    def annealed(self, scope: Scope) -> tuple[Trial, float] | None:
        return Annealing(self.runner, self.near, self.levers, scope, PRICE).best()

    def scope(self, changes: float = ALL, *, diverts: bool = False, room: float = 0.0005) -> Scope:
        return Scope(levers=tuple(range(len(self.levers))), changes=changes, diverts=diverts, room=room)

    def programme(self, scope: Scope, trial: Trial | None = None) -> float | None:
        """The least that the mixed-integer programme comes to, or what it says of one schedule; None where there is no solution."""
        programme = Programme(self.runner, self.near, self.levers, scope, PRICE)
        h = solver()
        h.setOptionValue("mip_rel_gap", 1e-7)
        h.passModel(programme.model())
        for i in scope.levers if trial is not None else ():
            counts, _, choices = trial or self.candidate.trial
            for k, z in programme.chosen[i].items():
                lever = self.levers[i]
                wanted = choices[k, [lever.valve]] if lever.valve is not None else counts[k, list(lever.classes)]
                is_it = (self.near.options[i][k].counts == wanted).all(axis=1).astype(np.float64)
                h.changeColsBounds(len(z), z.astype(np.int32), is_it, is_it)
        h.run()
        return float(h.getInfo().objective_function_value) if h.getModelStatus() == highspy.HighsModelStatus.kOptimal else None


def fixed_speeds(seed: int) -> PumpingProblem:
    """The first random problem from a seed on whose pumps have one speed."""
    while True:
        problem, asked = random_problem(seed, most_steps=8, most_pumps=2)
        if "speed" not in asked:
            return problem
        seed += 1000


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_asked_it_promises_what_a_programme_says_and_no_worse_than_the_best_of_one(seed: int) -> None:
    base = Base(fixed_speeds(seed))
    scope = base.scope(changes=float(3 + seed % 4))
    found, least = base.annealed(scope), base.programme(scope)
    assert (found is None) == (least is None)
    if found is None or least is None:
        return
    trial, promised = found
    scale = abs(float(base.candidate.step_cost.sum())) + 1.0
    said = base.programme(scope, trial)
    assert said is not None
    assert promised == pytest.approx(said, abs=1e-5 * scale)
    assert promised <= least + 0.002 * scale


def test_water_that_a_full_tank_does_not_take_is_counted_where_it_goes() -> None:
    small = Small(pumps=2, upper=True, demand_l_per_s=12)
    base = Base(small.problem(n=8, prices=[0.1, 0.1, 0.1, 0.3, 0.3, 0.1, 0.3, 0.2], may_stand_full=np.array([True] * len(small.problem(n=8).network.tanks))))
    for diverts in (False, True):
        scope = base.scope(diverts=diverts)
        found = base.annealed(scope)
        assert found is not None
        said = base.programme(scope, found[0])
        assert said is not None
        # A programme may also let water go from a tank that is not full.
        assert said - 1e-6 <= found[1] <= said + 0.02 * abs(said)


def test_it_keeps_to_the_number_of_changes_and_to_its_levers() -> None:
    small = Small(pumps=2, demand_l_per_s=12)
    base = Base(with_valve(small.problem(n=6, prices=[0.1, 0.3, 0.1, 0.2, 0.3, 0.1]), small))
    pumps = tuple(i for i, lever in enumerate(base.levers) if lever.valve is None)
    found = base.annealed(Scope(levers=pumps, changes=2.0))
    assert found is not None
    (counts, _, choices), _ = found
    assert (choices == base.candidate.choices).all()
    assert 0 < (counts != base.candidate.counts).any(axis=1).sum() <= 2


def test_the_same_is_found_every_time() -> None:
    base = Base(Small(pumps=2, demand_l_per_s=12).problem(n=12))
    first, again = base.annealed(base.scope()), base.annealed(base.scope())
    assert first is not None
    assert again is not None
    assert first[1] == again[1]
    assert all((a == b).all() for a, b in zip(first[0], again[0], strict=True))


def test_starts_that_no_schedule_can_keep_are_no_answer_and_the_search_goes_on_without() -> None:
    problem = Small(pumps=1, demand_l_per_s=12).problem(n=6, forced_on=np.array([[True], [False], [True], [False], [True], [False]]), min_off_s=np.array([7200.0]))
    base = Base(problem)
    on = np.array([[1], [0], [1], [0], [1], [0]])
    base.candidate = base.runner.simulate((on, on * 1.0, base.runner.first_choices))
    base.near = near(base.runner, base.candidate, base.levers)
    assert base.annealed(base.scope(changes=0.0)) is None
    way = Descent(base.runner, base.candidate, base.levers, PRICE, Teller(None, base.plant))
    assert way.go(2) is not None


def test_speeds_that_can_be_mixed_are_left_to_programmes() -> None:
    fixed, varied = Small(pumps=1).problem(n=4), Small(pumps=1).problem(n=4, min_speed=np.array([0.8]))
    assert can_be_annealed(levers_of(Plant(fixed)))
    assert not can_be_annealed(levers_of(Plant(varied)))
