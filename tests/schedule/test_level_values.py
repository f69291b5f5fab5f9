"""The bound by values over the level of one tank: below every schedule, and near the best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.schedule.relaxed import random_costs
from tests.schedule.small_networks import Small, best_by_trying_all

from levada.domain.pumping import PumpingProblem
from levada.domain.pumping_terms import Meter, Source
from levada.domain.series import Floats
from levada.schedule.assignment import Fits
from levada.schedule.candidate import Runner
from levada.schedule.level_values import Curve, followed, level_values
from levada.schedule.plant import Plant

N = 8
SUN = np.array([0.0, 0, 4, 9, 9, 4, 0, 0])


def _bound(problem: PumpingProblem) -> tuple[Plant, float | None]:
    plant = Plant(problem)
    values = level_values(plant, np.random.default_rng(7))
    return plant, None if values is None else values.bound()


@pytest.mark.parametrize("demand_l_per_s", [9.0, 18.0, 24.0])
@pytest.mark.parametrize("hydraulic_step_s", [1800, 3600, 2400, 7200])
def test_it_is_below_the_best_of_all_schedules_and_near_it(demand_l_per_s: float, hydraulic_step_s: int) -> None:
    problem = Small(demand_l_per_s=demand_l_per_s).problem(n=6, max_starts=np.full(2, 6), hydraulic_step_s=hydraulic_step_s)
    best = best_by_trying_all(problem)
    assert best is not None
    _, value = _bound(problem)
    assert value is not None
    # Some pumps that run or not: costs go in jumps, which V has to follow.
    assert 0.97 * best[0] < value <= best[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"min_speed": np.full(2, 0.85)},
        {"may_stand_full": np.ones(1, bool), "prices": [-0.1, 0.1, -0.05, 0.2, 0.1, -0.1, 0.1, 0.2]},
        {"min_speed": np.full(2, 0.9), "may_stand_full": np.ones(1, bool), "initial_level_m": np.full(1, 4.0)},
        {"stored_value_per_m3": np.array([0.03])},
        {"sources": (Source(reservoir="R", cost_per_m3=np.full(N, 0.2)),)},
        {"meters": (Meter(name="M", pumps=("P0", "P1"), own_power_kw=4 * SUN, export_price_per_kwh=np.linspace(0.0, 0.3, N)),)},
    ],
    ids=["speeds", "full tank, negative prices", "speeds, full tank", "stored water", "source", "own power"],
)
def test_no_random_schedule_undercuts_it(changes: dict[str, object]) -> None:
    plant, value = _bound(Small(demand_l_per_s=12).problem(n=N, **{"end_level_m": np.full(1, 1.0), **changes}))  # type: ignore[arg-type]
    costs = random_costs(plant, 400)
    assert len(costs) > 3, "no schedule holds the limits, so this tests nothing"
    assert value is not None
    assert value <= min(costs)
    # A bound that says nothing would be as low as one likes.
    assert value > min(costs) - 0.6 * (max(costs) - min(costs))


def test_speeds_between_those_tried_do_not_undercut_it() -> None:
    # The cheapest way at a steady demand is one speed throughout, whatever it is.
    problem = Small(pumps=1, demand_l_per_s=14).problem(n=4, prices=[0.1] * 4, min_speed=np.full(1, 0.8))
    plant, value = _bound(problem)
    assert value is not None
    tank, engine = plant.simulator.end_volume, plant.simulator
    reached = []
    for speed in np.linspace(0.8, 1.0, 400):
        volume, cost = engine.volumes(problem.initial_level_m), 0.0
        for k in range(4):
            step = engine.step(k, volume, np.ones(1, bool), np.array([speed]))  # type: ignore[attr-defined]
            volume, cost = step.volume, cost + step.cost
            if step.severity > 0:
                break
        else:
            if (volume >= tank).all():
                reached.append(cost)
    assert reached
    assert value <= min(reached)


def test_there_is_none_once_a_simulated_step_goes_on_from_where_it_knows_no_way() -> None:
    plant = Plant(Small(demand_l_per_s=12).problem(n=4, max_starts=np.full(2, 4)))
    values = level_values(plant, np.random.default_rng(7))
    assert values is not None
    best = best_by_trying_all(plant.problem)
    assert best is not None
    runner = Runner(plant, Fits(plant))
    runner.simulate((best[1].on.sum(axis=1)[:, None].astype(np.int64), np.where(best[1].on.any(axis=1), 1.0, 0.0)[:, None], runner.first_choices))
    assert values.bound() is not None
    curve = values.curves[2]
    blind = replace(values, curves=[*values.curves[:2], Curve(curve.nodes, np.full_like(curve.left, np.inf), np.full_like(curve.right, np.inf)), *values.curves[3:]])
    assert blind.bound() is None


def test_there_is_none_for_two_tanks() -> None:
    assert _bound(Small(pumps=2, upper=True, demand_l_per_s=14).problem(n=4))[1] is None


def test_there_is_none_where_no_way_leads_to_the_end() -> None:
    assert _bound(Small().problem(n=4, available=np.zeros((4, 2), bool)))[1] is None


@settings(deadline=None)
@given(
    jumps=st.lists(st.tuples(st.floats(0.02, 0.98), st.floats(-3.0, 3.0)), max_size=5),
    bend=st.floats(-4.0, 4.0),
    gap=st.one_of(st.none(), st.tuples(st.floats(0.1, 0.5), st.floats(0.55, 0.9))),
)
def test_segments_stay_below_what_they_follow_and_near_it(jumps: list[tuple[float, float]], bend: float, gap: tuple[float, float] | None) -> None:
    def function(x: Floats) -> Floats:
        value = 10.0 + bend * x * x + sum((np.where(x >= at, size, 0.0) for at, size in jumps), np.zeros_like(x))
        return value if gap is None else np.where((x > gap[0]) & (x < gap[1]), np.inf, value)

    curve = followed(function, 0.0, 1.0, 1e-4, 40)
    x = np.linspace(0.0, 1.0, 20_001)
    # Where values jump, on the width of the narrowest segment, either side will do.
    edges = np.array([at for at, _ in jumps] + list(gap or ()))
    clear = np.abs(x[:, None] - edges).min(axis=1, initial=1.0) > 2e-4
    value, true = curve.at(x), function(x)
    finite = clear & np.isfinite(true)
    assert (value[finite] <= true[finite] + 1e-4).all()
    assert (value[finite] >= true[finite] - 4e-4).all()
    assert np.isinf(value[clear & ~np.isfinite(true)]).all()
