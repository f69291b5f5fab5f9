"""The linear relaxation's bound under terms that are not price times energy: below the cost of the schedule found, and near enough to say something."""

from __future__ import annotations

import numpy as np
import pytest
from tests.schedule.small_networks import Small

from levada.domain.pumping_terms import Meter
from levada.schedule import solve

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
