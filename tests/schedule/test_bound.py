"""The linear relaxation's bound under terms that are not price times energy: below the cost of the schedule found, and near enough to say something."""

from __future__ import annotations

import numpy as np
import pytest
from tests.schedule.relaxed import random_costs, random_ways, relaxed
from tests.schedule.small_networks import Small

from levada.domain.pumping_terms import Meter, Source
from levada.domain.series import Floats
from levada.schedule import solve
from levada.schedule.bound import relax
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.reach import Zone

N = 8
SUN = np.array([0.0, 0, 4, 9, 9, 4, 0, 0])


@pytest.mark.parametrize(
    "changes",
    [
        {"meters": (Meter(name="M", pumps=("P0", "P1"), own_power_kw=SUN, export_price_per_kwh=np.full(N, 0.05)),)},
        {"meters": (Meter(name="M", pumps=("P0", "P1"), demand_charge_per_kw=0.3, peak_so_far_kw=5.0),)},
        {"stored_value_per_m3": np.array([0.03])},
        {"day": np.array([0, 0, 0, 0, 1, 1, 1, 1]), "max_starts": np.array([1, 1])},
    ],
    ids=["own power", "demand charge", "stored water", "starts in two days"],
)
def test_the_bound_prices_what_the_bill_prices(changes: dict[str, object]) -> None:
    problem = Small(demand_l_per_s=20).problem(n=N, min_speed=np.full(2, 0.85), **changes)  # type: ignore[arg-type]
    solution = solve(problem)
    certificate = solution.certificate
    assert solution.feasible
    assert certificate.lower_bound is not None
    assert certificate.lower_bound <= certificate.cost
    assert certificate.gap is not None
    assert certificate.gap < 0.2


@pytest.mark.parametrize(
    ("small", "changes"),
    [
        (Small(), {}),
        (Small(demand_l_per_s=22), {"min_speed": np.full(2, 0.85)}),
        (Small(pumps=2, upper=True, demand_l_per_s=14), {}),
        (Small(demand_l_per_s=10), {"may_stand_full": np.ones(1, bool), "prices": [-0.1, 0.1, -0.05, 0.2, 0.1, -0.1, 0.1, 0.2]}),
        (Small(), {"sources": (Source(reservoir="R", cost_per_m3=np.full(N, 0.2)),)}),
        (Small(), {"co2_kg_per_kwh": np.linspace(0.1, 0.5, N), "co2_price_per_kg": 0.4}),
        (Small(), {"meters": (Meter(name="M", pumps=("P0", "P1"), own_power_kw=4 * SUN, export_price_per_kwh=np.linspace(0.0, 0.3, N)),)}),
        (Small(pumps=1, upper=True, demand_l_per_s=14), {"meters": (Meter(name="M", pumps=("P0", "Q0"), own_power_kw=SUN, demand_charge_per_kw=0.2),)}),
        (Small(), {"wear_cost_per_start": np.full(2, 0.5), "previous_on": np.ones((N, 2), bool), "deviation_cost_per_h": np.full((N, 2), 0.1)}),
    ],
    ids=["energy", "speeds", "two zones", "full tank, negative prices", "source", "emissions", "export dearer than import", "meter of two zones", "wear and deviations"],
)
def test_no_random_schedule_undercuts_the_relaxation(small: Small, changes: dict[str, object]) -> None:
    plant, _, _, relaxation = relaxed(small.problem(n=N, end_level_m=np.full(2 if small.upper else 1, 1.0), **changes))  # type: ignore[arg-type]
    costs = random_costs(plant, 400)
    assert len(costs) > 3, "no schedule holds the limits, so this tests nothing"
    assert relaxation.value is not None
    assert relaxation.value <= min(costs)


@pytest.mark.parametrize("full", [False, True], ids=["never full", "may stand full"])
def test_every_true_schedule_is_a_point_of_the_relaxation(full: bool) -> None:
    problem = Small(pumps=2, upper=True, demand_l_per_s=11).problem(n=6, may_stand_full=np.full(2, full), end_level_m=np.full(2, 1.0), max_starts=np.full(3, 6))
    plant, models, _, _ = relaxed(problem, Work(fit_samples=12, audit_samples=1500))
    ways = random_ways(plant, 60)
    assert len(ways) >= 4, "no schedule holds the limits, so this tests nothing"
    assert not full or any((states >= 1 - 1e-9).any() for states, _ in ways), "no tank was ever full"
    outside = 0
    for states, cost in ways[:12]:
        # With all states held to its own, what is left is whether its steps lie on the patches.
        pinned = relax(plant, models, [_at(plant, x) for x in states])
        outside += pinned.infeasible
        assert pinned.infeasible or (pinned.value is not None and 0.8 * cost < pinned.value <= cost)
    assert outside <= 1


def _at(plant: Plant, x: Floats) -> Zone:
    y = np.concatenate([[0.0], plant.floor_m + plant.rise_m * x])
    return Zone(y[:, None] - y[None, :] + 1e-6 * (1 - np.eye(len(y))))


def test_a_step_that_needs_water_it_cannot_have_makes_the_relaxation_infeasible() -> None:
    _, _, _, relaxation = relaxed(Small().problem(n=N, available=np.zeros((N, 2), bool)))
    assert relaxation.infeasible
    assert relaxation.value is None


def test_no_bound_is_claimed_where_a_source_pays_for_being_used() -> None:
    _, _, _, relaxation = relaxed(Small().problem(n=N, sources=(Source(reservoir="R", cost_per_m3=np.full(N, -0.1)),)))
    assert relaxation.value is None
    assert not relaxation.infeasible


def test_stored_water_is_worth_what_the_cheapest_pumping_of_it_costs_about() -> None:
    plant, _, _, relaxation = relaxed(Small().problem(n=N, prices=[0.1] * N))
    # 40 m and losses at about 60 %: some 0.2 kWh a cubic metre at 0.1.
    assert (relaxation.water[1:-1] / plant.span > 0.005).all()
    assert (relaxation.water[1:-1] / plant.span < 0.06).all()
