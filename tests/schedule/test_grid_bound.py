"""The bound by values on a grid of tank levels: below every schedule, above what mixing gives, and none where it is not for the plant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.schedule.relaxed import random_ways, relaxed
from tests.schedule.small_networks import Small, best_by_trying_all
from tests.schedule.two_tanks import TERMS, two_tanks

from levada.domain.pumping import PumpingProblem
from levada.domain.pumping_terms import ControllableValve
from levada.schedule import grid_bound
from levada.schedule.certificate import Bound
from levada.schedule.grid_bound import bound_by_grid
from levada.schedule.grid_corridor import corridor
from levada.schedule.grid_steps import true_steps
from levada.schedule.grid_values import GridValues
from levada.schedule.joint import JointConfigurations
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Progress, Teller

LITTLE, MORE = Work(grid_solves=12_000), Work(grid_solves=80_000)


def _bound(problem: PumpingProblem, cost: float, work: Work = LITTLE, teller: Teller | None = None) -> tuple[Plant, Bound | None, float]:
    """The plant, the bound by grid, and that of the relaxation."""
    plant, _, zones, relaxation = relaxed(problem)
    found = bound_by_grid(plant, zones, relaxation.water, cost, -np.inf, np.random.default_rng(3), work, teller or Teller(None, plant))
    return plant, found, relaxation.value if relaxation.value is not None else -np.inf


@pytest.mark.parametrize("demand_l_per_s", [10.0, 16.0, 21.0])
@pytest.mark.parametrize("changes", [{}, {"may_stand_full": np.ones(2, bool), "hydraulic_step_s": 3600}], ids=["not full", "full"])
def test_it_is_below_the_best_of_all_schedules(demand_l_per_s: float, changes: dict[str, object]) -> None:
    problem = two_tanks(demand_l_per_s, **changes)
    best = best_by_trying_all(problem)
    assert best is not None
    # A schedule that is a little dearer than the best is what is known: the best lies in its corridor.
    _, found, relaxed_value = _bound(problem, 1.02 * best[0])
    assert found is not None
    assert found.value is not None
    assert found.value <= best[0] + 1e-9
    # One that says nothing would be as low as one likes.
    assert found.value > min(relaxed_value, 0.5 * best[0])


def test_it_does_not_mix_what_pumps_do() -> None:
    # What relaxing pays for half an hour of a pump this has to pay for whole.
    problem = two_tanks(18.0)
    best = best_by_trying_all(problem)
    assert best is not None
    _, found, relaxed_value = _bound(problem, 1.02 * best[0], MORE)
    assert found is not None
    assert found.value is not None
    assert relaxed_value < 0.9 * best[0]
    assert found.value > relaxed_value + 0.2 * (best[0] - relaxed_value)


@pytest.mark.parametrize("changes", TERMS.values(), ids=TERMS)
def test_no_random_schedule_undercuts_it(changes: dict[str, object]) -> None:
    plant = Plant(two_tanks(**changes))
    ways = random_ways(plant, 600)
    assert len(ways) > 3, "no schedule holds the limits, so this tests nothing"
    best = min(cost for _, cost in ways)
    _, found, _ = _bound(plant.problem, best + 0.02 * abs(best))
    assert found is not None
    assert found.value is not None
    assert found.value <= best + 1e-9


def test_how_a_valve_stands_is_part_of_a_configuration() -> None:
    # Shut, the second main's valve makes the second station's pump run at no flow, or the second tank drain: seldom good, but never to be left out.
    problem = two_tanks(14.0, pumps=1, valves=(ControllableValve(link="C", choices=("open", "closed")),))
    plant = Plant(problem)
    best = _best_of_all(JointConfigurations(plant))
    assert best is not None
    _, found, _ = _bound(problem, 1.02 * best, MORE)
    assert found is not None
    assert found.value is not None
    assert 0.4 * best < found.value <= best + 1e-9


def _best_of_all(joint: JointConfigurations) -> float | None:
    """The least cost of all sequences of joint configurations that hold the limits, each simulated."""
    plant = joint.plant
    x, paid = plant.x0[None], np.zeros(1)
    for k in range(plant.n):
        kinds = np.flatnonzero(joint.ready[k])
        ends = true_steps(joint, k, np.repeat(x, len(kinds), axis=0), np.tile(kinds, len(x)))
        paid = (np.repeat(paid, len(kinds)) + ends.cost)[ends.severity == 0]
        x = ends.x[ends.severity == 0]
    ends_well = (x >= plant.x_least[-1] - 1e-9).all(axis=1)
    return float(paid[ends_well].min()) if ends_well.any() else None


def test_the_best_schedule_lies_in_the_corridor_and_a_dear_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = two_tanks(16.0)
    best = best_by_trying_all(problem)
    assert best is not None
    kept: list[GridValues] = []
    passed = grid_bound._pass

    def watched(*args: object) -> GridValues | None:
        kept.append(passed(*args))  # type: ignore[arg-type]
        return kept[-1]

    monkeypatch.setattr(grid_bound, "_pass", watched)
    plant, _, _ = _bound(problem, 1.02 * best[0])
    left = corridor(kept[0], 1.01 * best[0], np.random.default_rng(0))
    trajectory = plant.simulator.run(best[1])
    states = plant.state(np.array([plant.simulator.volumes(level) for level in trajectory.level_m]))
    assert all(left.holds(k, states[k : k + 1]).all() for k in range(1, plant.n))
    dear = [(states, cost) for states, cost in random_ways(plant, 400) if cost > 1.4 * best[0]]
    assert dear
    assert not all(left.holds(k, states[k : k + 1]).all() for states, _ in dear for k in range(1, plant.n))


def test_a_simulated_way_that_pays_less_than_v_lowers_the_bound_and_one_outside_the_corridor_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = two_tanks(16.0)
    best = best_by_trying_all(problem)
    assert best is not None
    passed = grid_bound._pass
    kept: list[GridValues] = []

    def wrong(*args: object) -> GridValues | None:
        values = passed(*args)  # type: ignore[arg-type]
        assert values is not None
        values.values[1] = values.values[1] + 0.2 * best[0]
        kept.append(values)
        return values

    monkeypatch.setattr(grid_bound, "_pass", wrong)
    plant, _, zones, relaxation = relaxed(problem)
    # The best schedule is simulated, step by step, as a search would.
    volume = plant.simulator.volumes(problem.initial_level_m)
    for k in range(plant.n):
        counts, speeds = plant.by_class(np.where(best[1].on[k], best[1].speed[k], 0.0)[None])
        volume = plant.step(k, volume, counts[0], speeds[0]).volume
    found = bound_by_grid(plant, zones, relaxation.water, 1.02 * best[0], -np.inf, np.random.default_rng(3), LITTLE, Teller(None, plant))
    assert found is not None
    assert found.value is not None
    assert kept[0].short[1] > 0.1 * best[0]
    assert found.value <= best[0]
    # A corridor without room holds nothing beside the one way: the simulated best, cheaper than what is known, goes on outside it.
    left = replace(corridor(kept[0], 1.02 * best[0], np.random.default_rng(0)), room=-1.0)
    assert not grid_bound._stands(kept[0], left, 1.02 * best[0])


@pytest.mark.parametrize(
    ("problem", "cost"),
    [
        (Small().problem(n=4), 10.0),
        (two_tanks(min_speed=np.full(3, 0.8)), 10.0),
        (two_tanks(switch_resolution_s=300), 10.0),
        (two_tanks(), np.inf),
    ],
    ids=["one tank", "speeds", "free instants", "nothing known"],
)
def test_there_is_none_where_it_is_not_for_the_plant(problem: PumpingProblem, cost: float) -> None:
    assert _bound(problem, cost)[1] is None


def test_there_is_none_where_it_may_take_no_steps_or_is_stopped() -> None:
    problem = two_tanks()
    assert _bound(problem, 10.0, replace(LITTLE, grid_solves=0))[1] is None
    told: list[Progress] = []

    def stop(progress: Progress) -> bool:
        told.append(progress)
        return len(told) < 3

    assert _bound(problem, 10.0, teller=Teller(stop, Plant(problem)))[1] is None
    assert len(told) == 3
