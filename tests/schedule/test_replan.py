"""What a programme near a schedule is made of is what EPANET does, and what it promises is judged by EPANET before it counts."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from tests.schedule.feature_cases import PRICE, Searching, random_problem, with_valve
from tests.schedule.small_networks import Small

from levada.schedule.candidate import Candidate
from levada.schedule.near import levers_of, near
from levada.schedule.programme import Programme
from levada.schedule.progress import Teller
from levada.schedule.replan import Descent, onward
from levada.schedule.scope import Scope

PRICES = [0.1, 0.3, 0.1, 0.2, 0.3, 0.1]


def beginning(search: Searching, counts: list[int]) -> Candidate:
    wanted = np.repeat(np.array(counts)[:, None], len(search.plant.classes), axis=1)
    return search.runner.simulate((wanted, np.where(wanted > 0, search.plant.top_speed, 0.0), search.runner.first_choices))


def planned(search: Searching, start: Candidate, programmes: int = 12) -> Candidate:
    return Descent(search.runner, start, levers_of(search.plant), PRICE, Teller(None, search.plant)).go(programmes)


def test_a_single_other_choice_changes_level_power_and_cost_as_measured() -> None:
    search = Searching(Small(pumps=2).problem(n=6, prices=PRICES))
    base = beginning(search, [1, 0, 1, 1, 0, 1])
    levers = levers_of(search.plant)
    found = near(search.runner, base, levers)
    for k, r in product(range(6), (1, 2)):
        option = found.options[0][k]
        counts, speeds = base.counts.copy(), base.speeds.copy()
        counts[k], speeds[k] = option.counts[r], option.speeds[r]
        other = search.runner.simulate((counts, speeds, base.choices))
        change = search.plant.state(other.volume)[k + 1] - search.plant.state(base.volume)[k + 1]
        assert option.state[r] == pytest.approx(change, abs=0.01)
        assert option.cost[r] == pytest.approx(other.step_cost[k] - base.step_cost[k], rel=0.02, abs=0.02)
        assert option.kw[r, -1] == pytest.approx((other.power[k].sum() - base.power[k].sum()) / 1000, rel=0.02, abs=0.1)


def test_from_a_dear_schedule_the_best_of_all_is_found() -> None:
    search = Searching(Small(pumps=2, demand_l_per_s=12).problem(n=6, prices=PRICES))
    start = beginning(search, [1, 2, 1, 1, 2, 1])
    tried = [beginning(search, list(counts)) for counts in product((0, 1, 2), repeat=6) if search.runner.fits(np.array(counts)[:, None])]
    best = min(c.cost for c in tried if c.severity == 0)
    found = planned(search, start)
    assert found.severity == 0
    assert found.cost <= best * 1.005


def test_limits_that_do_not_hold_are_made_to_hold() -> None:
    search = Searching(Small(pumps=2, demand_l_per_s=12).problem(n=6, prices=PRICES))
    start = beginning(search, [0, 0, 0, 0, 0, 1])
    assert start.severity > 0
    assert planned(search, start).severity == 0


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_asked_a_schedule_is_never_made_worse_and_starts_still_fit(seed: int) -> None:
    search = Searching(random_problem(seed, most_steps=8)[0])
    start = search.runner.simulate(search.beam()[0])
    found = planned(search, start, programmes=4)
    assert found.objective(PRICE) <= start.objective(PRICE)
    assert found is start or search.runner.fits(found.counts)


def test_a_programme_keeps_to_the_number_of_changes_and_to_its_levers() -> None:
    small = Small(pumps=2, demand_l_per_s=12)
    search = Searching(with_valve(small.problem(n=6, prices=PRICES), small))
    base = beginning(search, [1, 2, 1, 1, 2, 1])
    levers = levers_of(search.plant)
    pumps = [i for i, lever in enumerate(levers) if lever.valve is None]
    trial = Programme(search.runner, near(search.runner, base, levers), levers, Scope(levers=tuple(pumps), changes=2.0), 10 * PRICE).solve()
    assert trial is not None
    assert (trial[2] == base.choices).all()
    assert (trial[0] != base.counts).any(axis=1).sum() <= 2


def test_a_way_that_is_gone_on_with_comes_where_it_would_have_come_at_once() -> None:
    search = Searching(Small(pumps=2, demand_l_per_s=12).problem(n=6, prices=PRICES))
    start = beginning(search, [1, 2, 1, 1, 2, 1])
    way = Descent(search.runner, start, levers_of(search.plant), PRICE, Teller(None, search.plant))
    way.go(2)
    assert way.go(4).key == planned(search, start, programmes=6).key


def test_work_is_bounded_and_the_same_start_gives_the_same_schedule() -> None:
    search = Searching(Small(pumps=2, demand_l_per_s=12).problem(n=6, prices=PRICES))
    start = beginning(search, [1, 2, 1, 1, 2, 1])
    assert planned(search, start, programmes=0) is start
    assert planned(search, start).key == planned(search, start).key


def test_of_a_race_the_better_half_goes_on_and_what_lacks_a_little_only() -> None:
    search = Searching(Small(pumps=2, demand_l_per_s=12).problem(n=6, prices=PRICES))
    start = beginning(search, [1, 2, 1, 1, 2, 1])
    levers, teller = levers_of(search.plant), Teller(None, search.plant)

    def way(cost: float, severity: float = 0.0) -> Descent:
        return Descent(search.runner, replace(start, cost=cost, severity=severity), levers, PRICE, teller)

    dear, dearer, dearest, short = way(120.0), way(130.0), way(140.0), way(100.0, 1e-4)
    assert onward([dearest, dear, dearer], PRICE) == [dear, dearer]
    assert onward([dearest, short, dear, dearer], PRICE) == [dear, dearer, short]
    assert onward([short], PRICE) == [short]
    # What lacks much is no nearer, and two ways to one place are one.
    assert onward([dearest, way(100.0, 60.0 / PRICE), dear, dearer], PRICE) == [dear, dearer]
    assert onward([dear, way(120.001), dearer], PRICE) == [dear]
