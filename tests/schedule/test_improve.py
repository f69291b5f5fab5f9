"""Local search only ever gets better, and its schedules fit."""

import numpy as np
from tests.schedule.feature_cases import PRICE, Searching
from tests.schedule.small_networks import Small

from levada.schedule.improve import improve


def test_local_search_never_gets_worse_and_its_schedules_fit() -> None:
    search = Searching(Small(demand_l_per_s=12).problem(n=12, max_starts=np.full(2, 3), min_on_s=np.full(2, 7200.0), wear_cost_per_start=np.full(2, 0.4)))
    counts = np.ones((12, 1), np.int64)
    start = search.runner.simulate((counts, counts.astype(float), search.runner.first_choices))
    found, _ = improve(search.runner, search.forecast, start, PRICE, search.rng, budget=5000, rounds=10)
    assert found.objective(PRICE) < start.objective(PRICE)
    assert search.runner.fits(found.counts)
    again = search.runner.simulate(found.trial)
    assert (again.cost, again.severity) == (found.cost, found.severity)
