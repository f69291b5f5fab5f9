"""The bound by values that add up over tanks: below every schedule, above what mixing gives, and none where it is not for the plant."""

from __future__ import annotations

import numpy as np
import pytest
from tests.schedule.relaxed import random_ways, relaxed
from tests.schedule.small_networks import best_by_trying_all
from tests.schedule.two_tanks import TERMS, two_tanks

from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.pumping_terms import ControllableValve
from levada.schedule.certificate import Bound
from levada.schedule.hull_fit import Fitted, fitted
from levada.schedule.joint import JointConfigurations
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Progress, Teller
from levada.schedule.reach import Zone, whole
from levada.schedule.tank_bound import bound_by_tanks
from levada.schedule.tank_planes import planes_of_solves
from levada.schedule.tank_programme import best_near
from levada.schedule.tank_search import TankSearch
from levada.schedule.tank_steps import Seen, of_schedule, run
from levada.schedule.tank_values import TankValues


def _bound(problem: PumpingProblem, schedule: PumpSchedule, cost: float, work: Work | None = None, teller: Teller | None = None) -> tuple[Bound | None, float]:
    """The bound by tanks, and that of the relaxation."""
    plant, _, zones, relaxation = relaxed(problem)
    rng = np.random.default_rng(3)
    fit = fitted(plant, zones, rng, Work(hull_solves=2000), Teller(None, plant))
    assert fit is not None
    found = bound_by_tanks(plant, fit, relaxation.water, schedule, cost, rng, work or Work(tank_steps=12_000), 0.0, teller or Teller(None, plant))
    return None if found is None else found.bound(cost), relaxation.value if relaxation.value is not None else -np.inf


def _drawn(problem: PumpingProblem, seed: int) -> tuple[Plant, Fitted, np.random.Generator]:
    """A plant with planes through solves anywhere, and the generator that drew them."""
    plant, rng = Plant(problem), np.random.default_rng(seed)
    fit = fitted(plant, [], rng, Work(hull_solves=2000), Teller(None, plant))
    assert fit is not None
    return plant, fit, rng


@pytest.mark.parametrize("demand_l_per_s", [10.0, 16.0, 21.0])
@pytest.mark.parametrize("changes", [{}, {"may_stand_full": np.ones(2, bool), "hydraulic_step_s": 3600}], ids=["not full", "full"])
def test_it_is_below_the_best_of_all_schedules_and_above_the_relaxation(demand_l_per_s: float, changes: dict[str, object]) -> None:
    problem = two_tanks(demand_l_per_s, **changes)
    best = best_by_trying_all(problem)
    assert best is not None
    found, relaxed_value = _bound(problem, best[1], best[0])
    assert found is not None
    assert found.value is not None
    assert relaxed_value < found.value <= best[0] + 1e-9


@pytest.mark.parametrize("changes", [*TERMS.values(), {"wear_cost_per_start": np.full(3, 0.4)}], ids=[*TERMS, "wear"])
def test_no_schedule_undercuts_it(changes: dict[str, object]) -> None:
    problem = two_tanks(**changes)
    best = best_by_trying_all(problem)
    assert best is not None, "no schedule holds the limits, so this tests nothing"
    found, _ = _bound(problem, best[1], best[0])
    assert found is not None
    assert found.value is not None
    assert found.value <= best[0] + 1e-9


def test_how_a_valve_stands_is_part_of_a_configuration() -> None:
    # Shut, the second main's valve makes the second station's pump run at no flow, or the second tank drain: seldom good, but never to be left out.
    problem = two_tanks(14.0, pumps=1, valves=(ControllableValve(link="C", choices=("open", "closed")),))
    best = best_by_trying_all(problem)
    assert best is not None
    found, relaxed_value = _bound(problem, best[1], best[0])
    assert found is not None
    assert found.value is not None
    assert relaxed_value < found.value <= best[0] + 1e-9


def test_random_schedules_do_not_undercut_it() -> None:
    problem = two_tanks(13.0)
    best = best_by_trying_all(problem)
    assert best is not None
    found, _ = _bound(problem, best[1], best[0])
    assert found is not None
    assert found.value is not None
    assert found.value <= min(cost for _, cost in random_ways(Plant(problem), 600)) + 1e-9


def test_the_same_draws_make_the_same_bound() -> None:
    problem = two_tanks()
    best = best_by_trying_all(problem)
    assert best is not None
    first, second = (_bound(problem, best[1], best[0])[0] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("times", [1, 2, 5])
def test_stopped_before_anything_was_held_it_is_none(times: int) -> None:
    problem = two_tanks()
    best = best_by_trying_all(problem)
    assert best is not None
    told: list[Progress] = []

    def stop(progress: Progress) -> bool:
        told.append(progress)
        return len(told) < times

    assert _bound(problem, best[1], best[0], teller=Teller(stop, Plant(problem)))[0] is None
    assert len(told) == times
    assert _bound(problem, best[1], best[0], Work(tank_steps=0))[0] is None


def test_stopped_later_it_is_what_was_held_by_then() -> None:
    problem = two_tanks()
    best = best_by_trying_all(problem)
    assert best is not None
    told: list[float] = []

    def stop(progress: Progress) -> bool:
        told.extend([] if progress.bound is None else [progress.bound])
        return not told

    found, _ = _bound(problem, best[1], best[0], teller=Teller(stop, Plant(problem)))
    assert found is not None
    assert told == [found.value]


def test_without_zones_it_is_over_what_levels_were_seen_to_change_by() -> None:
    problem = two_tanks()
    best = best_by_trying_all(problem)
    assert best is not None
    plant, fit, rng = _drawn(problem, 3)
    found = bound_by_tanks(plant, fit, np.full((plant.n + 1, plant.tanks), 2.0), best[1], best[0], rng, Work(tank_steps=12_000), 0.0, Teller(None, plant))
    assert found is not None
    value = found.bound(best[0]).value
    assert value is not None
    assert 0.0 < value <= best[0] + 1e-9


def test_there_is_none_with_too_few_true_steps_or_where_water_is_worth_nothing() -> None:
    problem = two_tanks()
    best = best_by_trying_all(problem)
    assert best is not None
    plant, fit, rng = _drawn(problem, 3)
    worth = np.ones((plant.n + 1, plant.tanks))
    for water, work in ((worth, Work(tank_steps=1000)), (0.0 * worth, Work(tank_steps=12_000))):
        assert bound_by_tanks(plant, fit, water, best[1], best[0], rng, work, 0.0, Teller(None, plant)) is None


def _whole(problem: PumpingProblem) -> tuple[JointConfigurations, list[Zone]]:
    plant = Plant(problem)
    return JointConfigurations(plant), [whole(plant)] * (plant.n + 1)


def test_v_adds_up_over_what_it_is_told_along_and_begins_as_what_each_tanks_water_is_worth() -> None:
    joint, zones = _whole(two_tanks(stored_value_per_m3=np.array([0.03, 0.01])))
    plant, rng = joint.plant, np.random.default_rng(0)
    water = rng.random((plant.n + 1, plant.tanks))
    values = TankValues.linear(plant, zones, water, 5.0, 5)
    k, x = rng.integers(0, plant.n + 1, 200), rng.uniform(-0.1, 1.1, (200, plant.tanks))
    inside = (k > 0) & (k < plant.n)
    np.testing.assert_allclose(values.at(k, x)[inside], -(water[k] * np.clip(x, 0.0, 1.0)).sum(axis=1)[inside], atol=1e-12)
    values = values.with_values(values.values + rng.random(values.values.shape))
    # Each tank's state, all stored water, and how much higher the first tank's level stands.
    higher = np.array([1.0, -1.0]) * plant.rise_m / plant.rise_m.sum()
    np.testing.assert_allclose(values.along, [[1.0, 0.0], [0.0, 1.0], plant.span / plant.span.sum(), higher])
    u = x @ values.along.T
    by_hand = [
        sum(np.interp(u[r, c], values.places[k[r], c], values.values[k[r], c]) for c in range(4)) if k[r] < plant.n else values.at_the_end(x[r : r + 1])[0]
        for r in range(200)
    ]
    np.testing.assert_allclose(values.at(k, x), by_hand, atol=1e-12)
    # At the end: what is stored beyond the start's content, less, and what is asked there and lacks at the slope.
    lacking = plant.x_least[-1] - np.array([0.1, 0.0])
    worth = np.array([0.03, 0.01]) @ ((lacking - plant.x0) * plant.span)
    assert values.at_the_end(lacking[None])[0] == pytest.approx(0.1 * 5.0 - worth)


def test_the_programme_finds_the_best_v_for_the_steps_of_one_schedule() -> None:
    # Through the steps of one way alone V can be told so that their sum is what the way costs, and no V makes it more.
    problem = two_tanks()
    best = best_by_trying_all(problem)
    assert best is not None
    joint, zones = _whole(problem)
    values = TankValues.linear(joint.plant, zones, np.ones((joint.plant.n + 1, joint.plant.tanks)), 5.0, 9)
    seen = of_schedule(joint, best[1])
    assert seen.cost.sum() == pytest.approx(best[0])
    found = best_near(values, seen, 1e4)
    assert found[1] == pytest.approx(best[0], rel=1e-5)
    assert seen.least(found[0]).sum() == pytest.approx(best[0], rel=1e-5)


def test_planes_tell_what_true_steps_come_to_and_the_better_the_more_were_seen() -> None:
    plant, rng, count = Plant(two_tanks()), np.random.default_rng(1), 800
    joint, fit = JointConfigurations(plant), fitted(plant, [], rng, Work(hull_solves=2000), Teller(None, plant))
    assert fit is not None
    step, kind = rng.integers(0, plant.n, count), rng.integers(0, len(joint), count)
    seen = run(joint, step, kind, rng.uniform(0.35, 0.65, (count, plant.tanks)), rng)
    assert len(seen) > 400
    planes = planes_of_solves(joint, fit.models)
    off = []
    for own in (planes, planes.through(seen)):
        cost, after = own.at(seen.step, seen.kind, seen.x)
        assert np.abs(cost - seen.cost).max() < 0.05 * np.ptp(seen.cost)
        off.append(float(np.median(np.abs(after - seen.after))))
        assert off[-1] < 0.05 * np.median(np.abs(seen.after - seen.x))
        assert own.known[seen.step, seen.kind].all()
    assert off[1] < off[0]


def test_planes_through_no_steps_are_as_they_were() -> None:
    plant, fit, rng = _drawn(two_tanks(), 1)
    joint = JointConfigurations(plant)
    none, planes = np.zeros(0, np.int64), planes_of_solves(joint, fit.models)
    more = planes.through(run(joint, none, none, np.zeros((0, 2)), rng))
    np.testing.assert_array_equal(more.constant, planes.constant)
    np.testing.assert_array_equal(more.slope, planes.slope)


def test_a_search_finds_more_than_three_times_as_many_draws_anywhere() -> None:
    found_in_all, drawn_in_all = 0.0, 0.0
    for seed in range(6):
        plant, fit, rng = _drawn(two_tanks(), seed)
        values = TankValues.linear(plant, fit.zones, np.ones((plant.n + 1, plant.tanks)), 5.0, 9)
        values = values.with_values(values.values + rng.random(values.values.shape))
        search = TankSearch(JointConfigurations(plant), fit, rng)
        begun = search.anywhere(20)
        found = begun.joined(search.worst(values, begun, 40, 1e-3))
        anywhere = search.anywhere(3000)
        assert 3 * len(found) < len(anywhere) + 3 * len(begun)
        found_in_all, drawn_in_all = found_in_all + found.least(values).sum(), drawn_in_all + anywhere.least(values).sum()
    assert found_in_all < drawn_in_all - 1.0


def test_a_programme_goes_the_further_the_freer_it_is_and_never_promises_less_than_is_there() -> None:
    problem = two_tanks()
    best = best_by_trying_all(problem)
    assert best is not None
    joint, zones = _whole(problem)
    plant, rng = joint.plant, np.random.default_rng(2)
    values = TankValues.linear(plant, zones, np.ones((plant.n + 1, plant.tanks)), 5.0, 5)
    step, kind = rng.integers(0, plant.n, 300), rng.integers(0, len(joint), 300)
    seen = of_schedule(joint, best[1]).joined(run(joint, step, kind, rng.uniform(0.2, 0.8, (300, plant.tanks)), rng))
    promised, gone = [seen.least(values).sum()], [0.0]
    for free in (0.001, 0.01, 0.1, 10.0):
        found, comes_to = best_near(values, seen, free)
        assert seen.least(found).sum() == pytest.approx(comes_to, abs=1e-6)
        promised.append(comes_to)
        gone.append(float(np.abs(found.values - values.values).max()))
    assert promised == sorted(promised)
    assert promised[-1] > promised[0] + 0.4
    assert promised[-1] <= best[0] + 1e-6
    assert gone == sorted(gone)


def test_one_step_seen_tells_of_nodes_and_instants_beside_it() -> None:
    joint, zones = _whole(two_tanks())
    plant = joint.plant
    values = TankValues.linear(plant, zones, np.zeros((plant.n + 1, plant.tanks)), 5.0, 5)
    steps = [(k, np.full((1, 2), 0.5), np.full((1, 2), 0.5)) for k in range(plant.n)]
    steps[2] = (2, np.array([[0.0, 0.5]]), np.array([[0.5, 0.5]]))
    seen = Seen(*(np.concatenate(column) for column in zip(*((np.array([k]), np.zeros(1, np.int64), x, after, np.zeros(1)) for k, x, after in steps), strict=True)))
    added = best_near(values, seen, 0.1)[0].values[:, 0]
    # The less the first tank's first node is worth at 2, the more the step comes to; what lies beside goes along, the less the further.
    down = -added[2]
    assert down[0] > down[1] > down[2]
    assert 0.0 < -added[1, 0] < down[0]
    assert 0.0 < -added[3, 0] < down[0]


def test_no_steps_are_none_and_those_that_break_a_limit_are_left_out() -> None:
    joint, rng = JointConfigurations(Plant(two_tanks())), np.random.default_rng(0)
    none = np.zeros(0, np.int64)
    assert len(run(joint, none, none, np.zeros((0, 2)), rng)) == 0
    # With an empty tank that goes on draining a step holds nothing.
    off = int(joint.places(np.zeros((1, len(joint.plant.classes)), np.int64), np.zeros((1, 0), np.int64))[0])
    seen = run(joint, np.array([1, 1]), np.array([off, off]), np.array([[0.0, 0.0], [0.9, 0.9]]), rng)
    assert seen.x.tolist() == [[0.9, 0.9]]
