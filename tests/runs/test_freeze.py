from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from tests.runs import tiny

from levada.domain.errors import InputGap
from levada.domain.plan_input import PlanInput
from levada.domain.series import Quality
from levada.domain.time import Window, to_np
from levada.runs.freeze import _windows, freeze
from levada.runs.steps import HISTORY_DAYS
from levada.store.database import Database
from levada.store.series import Delivery, add_readings


async def add(database: Database, tenant: str, series: str, at: Any, value: float, known_at: Any, quality: Quality = Quality.GOOD) -> None:
    async with database.tenant(tenant) as db:
        await add_readings(db, [Delivery(series, np.array([to_np(at)]), np.array([value]), np.array([quality], np.uint8))], known_at, None)


def test_frozen_input_holds_what_was_known_and_goes_through_a_bundle_unchanged(in_database: Any, tenant: str) -> None:
    async def work(database: Database) -> None:
        await tiny.put_in(database, tenant, days=HISTORY_DAYS + 5)
        async with database.tenant(tenant) as db:
            frozen = await freeze(db, tiny.NOW)
        expected = tiny.readings(days=HISTORY_DAYS + 5)
        flow, level = frozen.readings["zone.village.flow"], frozen.readings["tank.TNK.level"]
        assert flow.times[0] == to_np(tiny.NOW - timedelta(days=HISTORY_DAYS))
        assert level.times[0] == to_np(tiny.NOW - timedelta(days=2))
        assert level.times[-1] == to_np(tiny.NOW)
        np.testing.assert_array_equal(level.values, expected["tank.TNK.level"].values[-len(level) :])
        bundle = frozen.to_bundle()
        assert PlanInput.of(bundle).to_bundle().bundle_id == bundle.bundle_id

    in_database(work)


def test_what_arrives_or_is_corrected_later_does_not_change_what_an_earlier_instant_knew(in_database: Any, tenant: str) -> None:
    async def work(database: Database) -> None:
        await tiny.put_in(database, tenant)
        async with database.tenant(tenant) as db:
            before = (await freeze(db, tiny.NOW)).to_bundle()
        later = tiny.NOW + timedelta(minutes=1)
        await add(database, tenant, "tank.TNK.level", tiny.NOW, 4.0, later)
        await add(database, tenant, "tank.TNK.level", tiny.NOW + timedelta(minutes=15), 3.9, later)
        async with database.tenant(tenant) as db:
            assert (await freeze(db, tiny.NOW)).to_bundle().bundle_id == before.bundle_id
            now_known = await freeze(db, later)
        assert now_known.readings["tank.TNK.level"].values[-1] == 4.0

    in_database(work)


def test_levels_that_are_too_old_are_named_with_their_tank_and_series(in_database: Any, tenant: str) -> None:
    async def work(database: Database) -> None:
        await tiny.put_in(database, tenant)
        late = tiny.NOW + timedelta(minutes=181)
        # A suspect reading is no level to plan from.
        await add(database, tenant, "tank.TNK.level", late, 2.0, late, Quality.SUSPECT)
        async with database.tenant(tenant) as db:
            with pytest.raises(InputGap, match=r"at most 180 minutes old .* newest level of tank TNK is of 2026-06-03 06:00 UTC \(series tank.TNK.level\)"):
                await freeze(db, late)

    in_database(work)


def test_a_tenant_without_documents_network_or_levels_hears_what_to_do(in_database: Any, tenant: str) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            with pytest.raises(InputGap, match="no utility document; put utility.json into the tenant's folder"):
                await freeze(db, tiny.NOW)
        await tiny.put_in(database, tenant, days=0, operation={"network": "0" * 64})
        async with database.tenant(tenant) as db:
            with pytest.raises(InputGap, match=r"network 000000000000\.\.\. named by the operation document is not here"):
                await freeze(db, tiny.NOW)

    in_database(work)


def test_published_prices_are_frozen_to_the_end_of_the_horizon(in_database: Any, tenant: str) -> None:
    day_ahead = {"tariff": {"kind": "day-ahead", "price_series": "market.energy.price", "typical_day_per_kwh": [0.1] * 24}}
    files: dict[str, Any] = tiny.document("files").model_dump(mode="json")
    files["contracts"][0]["columns"]["PRICE"] = {"series": "market.energy.price", "quantity": "price", "unit": "{currency}/MW.h", "cell_method": "mean"}

    async def work(database: Database) -> None:
        await tiny.put_in(database, tenant, tariff=day_ahead, files=files)
        async with database.tenant(tenant) as db:
            from levada.ops.provision import series_of
            from levada.store.series import ensure_series

            await ensure_series(db, series_of(tiny.document("files", **files)))  # type: ignore[arg-type]
        times = to_np(tiny.NOW) + np.arange(-300, 300) * np.timedelta64(900, "s")
        async with database.tenant(tenant) as db:
            await add_readings(db, [Delivery("market.energy.price", times, np.linspace(0.05, 0.2, 600), np.zeros(600, np.uint8))], tiny.NOW, None)
            prices = (await freeze(db, tiny.NOW)).readings["market.energy.price"]
        assert prices.times[0] == to_np(tiny.NOW - timedelta(days=2))
        assert prices.times[-1] >= to_np(tiny.NOW + timedelta(hours=24) - timedelta(minutes=15))

    in_database(work)


def test_each_series_is_frozen_as_far_as_a_plan_wants_to_know_it() -> None:
    operation, utility = tiny.document("operation"), tiny.document("utility")
    meter: dict[str, Any] = {"pumps": ["PU1"], "demand_charge_per_kw": 5, "power_series": "meter.power", "own_power_kw": {"constant": 0, "series": "site.pv"}}
    tariff = tiny.document("tariff", meters={"well": meter}, co2={"kg_per_kwh": {"constant": 0, "series": "site.pv"}})
    windows = _windows(operation, tariff, utility, tiny.NOW)  # type: ignore[arg-type]
    instant = timedelta(microseconds=1)
    assert windows == {
        "tank.TNK.level": Window(tiny.NOW - timedelta(days=2), tiny.NOW + instant),
        "pump.PU1.status": Window(tiny.NOW - timedelta(days=2), tiny.NOW + instant),
        "pump.PU2.status": Window(tiny.NOW - timedelta(days=2), tiny.NOW + instant),
        "zone.village.flow": Window(tiny.NOW - timedelta(days=HISTORY_DAYS), tiny.NOW + instant),
        # The billing period began at midnight of 1 June in Lisbon.
        "meter.power": Window(datetime(2026, 5, 31, 23, tzinfo=UTC), tiny.NOW + instant),
        "site.pv": Window(tiny.NOW - timedelta(days=2), tiny.NOW + timedelta(hours=48)),
    }
