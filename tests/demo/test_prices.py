"""The invented market: the shape of a sunny one, and days of 23, 24 and 25 hours."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from levada.demo.prices import day_prices, published_until
from levada.domain.settings import Utility
from levada.domain.time import to_np

MADRID = Utility(name="somewhere", time_zone="Europe/Madrid", country="ES")


@pytest.mark.parametrize(("day", "quarters"), [(date(2026, 10, 25), 100), (date(2027, 3, 28), 92), (date(2026, 6, 1), 96)])
def test_a_day_has_as_many_quarter_hours_as_the_clock_says(day: date, quarters: int) -> None:
    times, prices = day_prices(MADRID, day, 7)
    assert len(times) == len(prices) == quarters
    assert times[-1] + np.timedelta64(15, "m") == day_prices(MADRID, day + timedelta(days=1), 7)[0][0]


def test_the_same_day_always_has_the_same_prices_and_another_seed_others() -> None:
    day = date(2026, 5, 3)
    assert (day_prices(MADRID, day, 7)[1] == day_prices(MADRID, day, 7)[1]).all()
    assert (day_prices(MADRID, day, 7)[1] != day_prices(MADRID, day, 8)[1]).any()


def test_noon_is_cheap_evenings_are_dear_and_some_quarter_hours_are_below_zero() -> None:
    days = [day_prices(MADRID, date(2026, 1, 1) + timedelta(days=i), 7)[1] for i in range(0, 365, 2)]
    table = np.array([d for d in days if len(d) == 96])
    assert table[:, 52:60].mean() < 0.5 * table.mean() < table.mean() < table[:, 82:88].mean()
    assert 0.01 < (table < 0).mean() < 0.12
    assert table.min() > -0.05
    assert table.max() < 0.4


def test_tomorrow_is_known_from_one_o_clock_local_on() -> None:
    assert published_until(MADRID, datetime(2026, 7, 1, 10, 59, tzinfo=UTC)) == date(2026, 7, 1)
    assert published_until(MADRID, datetime(2026, 7, 1, 11, 0, tzinfo=UTC)) == date(2026, 7, 2)
    assert published_until(MADRID, datetime(2026, 1, 1, 11, 59, tzinfo=UTC)) == date(2026, 1, 1)


def test_times_are_the_local_days() -> None:
    assert day_prices(MADRID, date(2026, 7, 1), 7)[0][0] == to_np(datetime(2026, 6, 30, 22, tzinfo=UTC))
