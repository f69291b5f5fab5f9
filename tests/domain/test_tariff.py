from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from levada.domain.errors import InputGap
from levada.domain.series import Readings
from levada.domain.settings import Tariff
from levada.domain.tariff import billing_period_start, energy_prices
from levada.domain.time import Steps

NIGHT_AND_DAY: dict[str, Any] = {
    "tariff": {
        "kind": "time-of-use",
        "periods": [
            {"name": "holiday", "price_per_kwh": 0.05, "days": ["holiday"], "start": "00:00", "end": "00:00"},
            {"name": "night", "price_per_kwh": 0.1, "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "22:00", "end": "08:00"},
            {"name": "day", "price_per_kwh": 0.2, "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "08:00", "end": "22:00"},
        ],
    }
}


def test_periods_follow_the_tenants_clock_through_the_change_of_hour() -> None:
    # Lisbon, 2026-10-25: 02:00 summer time becomes 01:00. 08:00 winter time is 08:00 UTC; the day before it was 07:00 UTC.
    tariff = Tariff.model_validate(NIGHT_AND_DAY)
    steps = Steps.even(datetime(2026, 10, 24, 6, tzinfo=UTC), timedelta(hours=1), 27)
    prices = energy_prices(tariff, steps, "Europe/Lisbon", {})
    by_hour = dict(zip(steps.times.astype("datetime64[h]").astype(str).tolist(), prices.period, strict=True))
    assert [by_hour["2026-10-24T06"], by_hour["2026-10-24T07"]] == ["night", "day"]
    assert [by_hour["2026-10-25T07"], by_hour["2026-10-25T08"]] == ["night", "day"]


def test_a_step_over_two_periods_costs_their_mean() -> None:
    prices = energy_prices(Tariff.model_validate(NIGHT_AND_DAY), Steps(datetime(2026, 1, 14, 7, 30, tzinfo=UTC), (3600,)), "Europe/Lisbon", {})
    assert prices.per_kwh == pytest.approx([0.15])


def test_holidays_take_the_periods_that_name_them() -> None:
    day = date(2026, 1, 14)
    prices = energy_prices(Tariff.model_validate(NIGHT_AND_DAY), Steps(datetime(2026, 1, 14, 12, tzinfo=UTC), (3600,)), "Europe/Lisbon", {day: "Local day"})
    assert prices.period == ("holiday",)


def test_an_hour_without_a_period_is_named() -> None:
    body = {"tariff": {**NIGHT_AND_DAY["tariff"], "periods": NIGHT_AND_DAY["tariff"]["periods"][1:2]}}
    with pytest.raises(InputGap, match="the tariff has no period for Wednesday 14 January 12:00; add a period"):
        energy_prices(Tariff.model_validate(body), Steps(datetime(2026, 1, 14, 12, tzinfo=UTC), (3600,)), "Europe/Lisbon", {})


def test_day_ahead_prices_hold_until_the_next_and_gaps_are_assumed_and_said() -> None:
    tariff = Tariff.model_validate({"tariff": {"kind": "day-ahead", "typical_day_per_kwh": [0.3] * 24, "surcharge_per_kwh": 0.01}})
    start = datetime(2026, 1, 14, 0, tzinfo=UTC)
    quarter = np.timedelta64(15, "m")
    known = Readings.good(np.datetime64("2026-01-14T00:00", "us") + np.arange(4) * quarter, np.array([0.1, 0.2, -0.1, 0.0]))
    prices = energy_prices(tariff, Steps.even(start, timedelta(hours=1), 3), "Europe/Madrid", {}, known)
    # The last price (00:45) holds for an hour at most: 01:00, 01:15, 01:30 still have it, 01:45 has nothing published.
    assert prices.per_kwh == pytest.approx([0.06, (3 * 0.01 + 0.31) / 4, 0.31])
    assert prices.assumed == (False, True, True)


@pytest.mark.parametrize(
    ("instant", "day", "begun"),
    [
        ("2026-05-31T22:59", 1, "2026-04-30T23:00"),  # 23:59 on 31 May in Lisbon: still May's
        ("2026-05-31T23:00", 1, "2026-05-31T23:00"),
        ("2026-01-10T12:00", 15, "2025-12-15T00:00"),
        ("2026-03-30T12:00", 28, "2026-03-28T00:00"),
        ("2026-04-03T12:00", 1, "2026-03-31T23:00"),  # begun in summer time, two days after the clock changed
        ("2026-11-02T12:00", 26, "2026-10-26T00:00"),
    ],
)
def test_a_billing_period_begins_at_a_local_midnight(instant: str, day: int, begun: str) -> None:
    at, expected = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (instant, begun))
    assert billing_period_start(at, "Europe/Lisbon", day) == expected
