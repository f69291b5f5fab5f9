from __future__ import annotations

import numpy as np
import pytest

from levada.forecast.weights import by_lead, weigh

RNG = np.random.default_rng(2)
TRUTH = 10 + RNG.normal(size=2000)
LEAD = RNG.integers(0, 48, 2000)
AGE = RNG.integers(0, 84 * 24, 2000)


def test_the_better_member_counts_more_at_the_leads_where_it_is_better() -> None:
    near = np.where(LEAD < 24, 0.1, 2.0) * RNG.normal(size=2000)
    far = np.where(LEAD < 24, 2.0, 0.1) * RNG.normal(size=2000)
    found = weigh(TRUTH, {"near": TRUTH + near, "far": TRUTH + far}, LEAD, AGE, set())
    assert found["near"][0] > 0.9
    assert found["far"][1] > 0.9
    assert found["near"] + found["far"] == pytest.approx([1.0, 1.0])


def test_a_member_that_has_lately_got_better_counts_more_than_over_all_time() -> None:
    better = np.where(AGE < 21 * 24, 0.2, 1.5) * RNG.normal(size=2000)
    members = {"steady": TRUTH + 0.7 * RNG.normal(size=2000), "better": TRUTH + better}
    found, whole = (weigh(TRUTH, members, LEAD, age, set()) for age in (AGE, np.zeros(2000, np.int64)))
    assert found["better"][0] > 1.2 * whole["better"][0]


def test_members_that_are_fitted_again_are_favoured() -> None:
    members = {"plain": TRUTH + RNG.normal(size=2000), "trees": TRUTH + RNG.normal(size=2000)}
    found = weigh(TRUTH, members, LEAD, AGE, {"trees"})
    assert found["trees"][0] > 0.8
    assert by_lead(found["trees"], np.array([0, 30])).tolist() == found["trees"].tolist()
