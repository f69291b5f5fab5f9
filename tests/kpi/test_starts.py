from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.kpi.kpi_case import problem, schedule

from levada.domain.pumping import PumpSchedule
from levada.kpi import most_starts, starts


def test_starts_as_counted_by_hand_from_the_state_before() -> None:
    asked = problem()
    assert starts(asked, schedule()).value == 3
    most = most_starts(asked, schedule())
    assert most is not None
    assert most.value == 2
    assert "pump A" in most.description


def test_a_periodic_horizon_starts_from_its_own_end() -> None:
    # A runs in the last step and the first: its first step is no start.
    assert starts(problem(count_starts="periodic"), schedule()).value == 2


@given(arrays(np.bool_, (4, 2)), st.sampled_from(["window", "periodic"]))
def test_the_pump_that_starts_most_has_between_an_equal_share_and_all(on: np.ndarray, count: str) -> None:
    asked, done = problem(count_starts=count), PumpSchedule(on=on, speed=on.astype(float))
    most = most_starts(asked, done)
    assert most is not None
    assert most.value <= starts(asked, done).value <= 2 * most.value
