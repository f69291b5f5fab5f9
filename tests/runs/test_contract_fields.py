"""What the tariff document says reaches the problem: prices and power at each meter, the peak already reached, own power, emissions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest
from tests.runs import tiny
from tests.runs.stating import at_utc, hourly, stated

from levada.domain.errors import DocumentError, InputGap
from levada.domain.series import Readings
from levada.runs.problem import StatedProblem

WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
FLAT = {"kind": "time-of-use", "periods": [{"name": "flat", "price_per_kwh": 0.15, "days": WEEK, "start": "00:00", "end": "00:00"}]}
MARKET = {"kind": "day-ahead", "price_series": "market.north.price", "typical_day_per_kwh": [0.1] * 24}


def metered(at: datetime = tiny.NOW, readings: dict[str, Readings] | None = None, **terms: Any) -> StatedProblem:
    """With PU1 at a meter of its own, of these terms."""
    return stated(at, tariff={"tariff": FLAT, "meters": {"well": {"pumps": ["PU1"], **terms}}}, readings=readings)


def test_a_meter_has_its_own_tariff_and_contracted_power_and_the_others_share_the_document_s() -> None:
    made = metered(tariff=MARKET, contracted_kw=30, readings={"market.north.price": hourly("2026-06-03T06:00", [0.3] * 20)})
    np.testing.assert_allclose(made.problem.price_per_kwh[:, 0], [0.3] * 20 + [0.1] * 4)
    assert (made.problem.price_per_kwh[:, 1] == 0.15).all()
    (meter,) = made.problem.meters
    assert (meter.name, meter.pumps, meter.max_power_kw, meter.demand_charge_per_kw, meter.peak_so_far_kw) == ("well", ("PU1",), 30, 0.0, 0.0)
    assert made.flags == ("no published energy price at meter well for 4 of 24 steps: the typical day's price stands in",)
    assert (made.prices.per_kwh == 0.15).all()


def test_without_meters_all_pumps_share_one_as_before() -> None:
    made = stated()
    assert made.problem.meters == ()
    assert made.problem.co2_kg_per_kwh is None


POWER = {"demand_charge_per_kw": 5.0, "power_series": "meter.well.power"}


def test_the_peak_already_reached_is_the_highest_reading_of_the_billing_period_under_way() -> None:
    # The period began on 1 June at 00:00 of Lisbon, 23:00 UTC on 31 May: 90 kW before that are of the last one, 80 kW after the start of none.
    power = Readings.good(
        np.array(["2026-05-31T22:45", "2026-05-31T23:00", "2026-06-02T10:00", "2026-06-03T05:45", "2026-06-03T06:00"], "datetime64[us]"), np.array([90e3, 41e3, 47e3, 30e3, 80e3])
    )
    made = metered(readings={"meter.well.power": power}, **POWER)
    assert made.problem.meters[0].peak_so_far_kw == 47.0
    assert made.flags == ()
    assert metered(readings={"meter.well.power": power}, peak_so_far_kw=60, **POWER).problem.meters[0].peak_so_far_kw == 60.0


def test_a_billing_period_may_begin_on_another_day_of_the_month() -> None:
    power = Readings.good(np.array(["2026-05-14T22:45", "2026-05-14T23:00"], "datetime64[us]"), np.array([90e3, 41e3]))
    assert metered(readings={"meter.well.power": power}, billing_day=15, **POWER).problem.meters[0].peak_so_far_kw == 41.0


def test_a_peak_that_nothing_tells_is_said() -> None:
    assert metered(demand_charge_per_kw=5.0).flags == (
        "meter well: the peak reached in this billing period is told neither by power_series nor by peak_so_far_kw; planned as if there were none",
    )
    assert metered(**POWER, peak_so_far_kw=20).flags == ("meter well: the peak reached in this billing period is not known (series meter.well.power); 20 kW stands in",)
    # In the first hour of a period there is nothing to know yet.
    assert metered(at_utc("2026-05-31T23:30"), **POWER).flags == ()


def test_a_plan_that_reaches_into_the_next_billing_period_says_so() -> None:
    assert metered(at_utc("2026-06-29T23:00"), demand_charge_per_kw=5.0, peak_so_far_kw=20).flags == ()
    (flag,) = metered(at_utc("2026-06-30T06:00"), demand_charge_per_kw=5.0, peak_so_far_kw=20).flags
    assert flag == "meter well: a new billing period begins within the plan; its peak is charged as that of the period under way"


def test_own_power_comes_from_its_forecast_in_kw_and_elsewhere_as_stated() -> None:
    sun = {"periods": [{"value": 12.0, "from": "10:00", "to": "18:00"}], "otherwise": 0.0}
    made = metered(own_power_kw={**sun, "series": "site.pv.forecast"}, export_price_per_kwh=0.03, readings={"site.pv.forecast": hourly("2026-06-03T06:00", [1000.0, 2500.0, 4000.0])})
    (meter,) = made.problem.meters
    assert meter.own_power_kw is not None
    assert meter.export_price_per_kwh is not None
    # 06:00 UTC is 07:00 in Lisbon: three hours are told, the sun of the settings shines from the fourth step on for eight.
    np.testing.assert_allclose(meter.own_power_kw, [1.0, 2.5, 4.0, *[12.0] * 8, *[0.0] * 13])
    assert (meter.export_price_per_kwh == 0.03).all()
    assert made.flags == ("meters.well.own_power_kw: series site.pv.forecast does not tell it for 21 of 24 steps; the stated value stands in",)


def test_emissions_come_from_their_series_with_price_and_limit() -> None:
    co2 = {"kg_per_kwh": {"constant": 0.25, "series": "grid.co2"}, "price_per_kg": 0.08, "max_kg": 500}
    made = stated(tariff={"tariff": FLAT, "co2": co2}, readings={"grid.co2": hourly("2026-06-03T06:00", [0.1] * 24)})
    assert made.problem.co2_kg_per_kwh is not None
    assert (made.problem.co2_kg_per_kwh == 0.1).all()
    assert (made.problem.co2_price_per_kg, made.problem.max_co2_kg) == (0.08, 500)
    assert made.flags == ()


def test_a_suspect_reading_is_not_believed() -> None:
    readings = hourly("2026-06-03T06:00", [0.1] * 24)
    suspect = Readings(times=readings.times, values=readings.values, quality=np.ones(24, np.uint8))
    made = stated(tariff={"tariff": FLAT, "co2": {"kg_per_kwh": {"constant": 0.25, "series": "grid.co2"}}}, readings={"grid.co2": suspect})
    assert made.problem.co2_kg_per_kwh is not None
    assert (made.problem.co2_kg_per_kwh == 0.25).all()


def test_in_the_night_of_25_hours_an_hour_that_is_shown_twice_costs_twice() -> None:
    night = {"kind": "time-of-use", "periods": [
        {"name": "night", "price_per_kwh": 0.08, "days": WEEK, "start": "01:00", "end": "02:00"},
        {"name": "day", "price_per_kwh": 0.19, "days": WEEK, "start": "00:00", "end": "00:00"},
    ]}  # fmt: skip
    prices = [metered(at_utc(start), tariff=night).problem.price_per_kwh[:4, 0].tolist() for start in ("2026-10-24T23:00", "2026-03-29T00:00", "2026-06-02T23:00")]
    assert prices == [[0.19, 0.08, 0.08, 0.19], [0.19, 0.19, 0.19, 0.19], [0.19, 0.08, 0.19, 0.19]]


@pytest.mark.parametrize(
    ("tariff", "error", "said"),
    [
        ({"meters": {"a": {"pumps": ["PU1"]}, "b": {"pumps": ["PU2", "PU1"]}}}, DocumentError, "meters.b.pumps: pump 'PU1' is named twice, also under meters.a; a pump has one meter"),
        ({"meters": {"a": {"pumps": ["PU1"], "tariff": {**FLAT, "contracted_power_kw": 30}}}}, DocumentError, "the power contracted at a meter is its `contracted_kw`"),
        ({"meters": {"a": {"pumps": ["PU1"], "export_price_per_kwh": 0.1}}}, DocumentError, "`export_price_per_kwh` goes with `own_power_kw` only"),
        ({"meters": {"a": {"pumps": ["PU1"], "own_power_kw": {"series": "site.pv"}}}}, DocumentError, "expected exactly one of constant, periods; found none"),
        ({"meters": {"a": {"pumps": ["PU1"], "own_power_kw": -1}}}, DocumentError, "tariff, meters.a.own_power_kw: is -1 from 2026-06-03 06:00 UTC; at least 0 is expected"),
        ({"meters": {"a": {"pumps": ["PU1"], "billing_day": 31}}}, DocumentError, "meters.a.billing_day"),
        ({"co2": {"kg_per_kwh": {"periods": [{"value": 0.1, "to": "12:00"}]}}}, DocumentError, "tariff, co2.kg_per_kwh: no period holds on Wednesday 03 June at 12:00; add a period or `otherwise`"),
        ({"meters": {"a": {"pumps": ["PU1"], "tariff": {**FLAT, "periods": [{**FLAT["periods"][0], "days": ["sun"]}]}}}}, InputGap, "the tariff has no period for Wednesday 03 June"),  # type: ignore[index]
    ],
)
def test_a_contract_that_cannot_be_meant_is_named_with_its_field(tariff: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        stated(tariff={"tariff": FLAT, **tariff})
    assert said in str(caught.value)
