from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from tests.forecast.made_up import NOW, asked, measured

from levada.domain.errors import ProblemError


@pytest.mark.parametrize("step_s", [7200, 1000, 30, 0])
def test_a_step_that_does_not_divide_the_hour_is_refused(step_s: int) -> None:
    with pytest.raises(ProblemError, match="divide an hour"):
        asked({}, step_s=step_s)


@pytest.mark.parametrize("count", [0, 8 * 24 + 1])
def test_a_horizon_of_nothing_or_of_more_than_eight_days_is_refused(count: int) -> None:
    with pytest.raises(ProblemError, match="count"):
        asked({}, count=count)


def test_a_fallback_of_another_length_is_refused() -> None:
    with pytest.raises(ProblemError, match=r"fallback\[a\]"):
        asked({"a": measured(days=1)}, fallback={"a": np.ones(3)})


def test_an_issue_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        asked({}, issue_time=datetime(2026, 5, 20))


def test_steps_start_at_the_start_of_the_step_that_holds_the_issue_time() -> None:
    assert asked({}, issue_time=datetime(2026, 5, 20, 6, 22, tzinfo=UTC), step_s=900).start == datetime(2026, 5, 20, 6, 15, tzinfo=UTC)
    assert asked({}, issue_time=NOW).start == NOW
