"""Bitemporal readings, judged by a dictionary that does what the words say, one value at a time."""

import asyncio
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levada.domain.errors import NotFound
from levada.domain.series import CellMethod, Quality, SeriesSpec
from levada.domain.time import Window, from_np, to_np
from levada.domain.units import Quantity
from levada.store.database import Database
from levada.store.series import (
    Added,
    Delivery,
    add_readings,
    data_age,
    ensure_series,
    latest,
    list_series,
    oldest,
    readings_known_at,
    readings_many,
)

T0 = datetime(2026, 3, 1, tzinfo=UTC)
STEP = timedelta(minutes=15)
DAY = Window(T0, T0 + timedelta(days=1))
NAMES = ("tank.T1.level", "zone.north.flow")


def spec(series_id: str, quantity: Quantity = Quantity.LEVEL) -> SeriesSpec:
    return SeriesSpec(series_id=series_id, quantity=quantity, cell_method=CellMethod.POINT, step_s=900)


def delivery(series_id: str, values: dict[int, float], quality: int = 0) -> Delivery:
    times = np.array([to_np(T0 + i * STEP) for i in values], "datetime64[us]")
    return Delivery(series_id, times, np.array(list(values.values()), float), np.full(len(values), quality, np.uint8))


# What arrives: which series, which instant, which value, judged suspect or not; several readings make a delivery.
reading = st.tuples(st.sampled_from(NAMES), st.integers(0, 5), st.sampled_from([0.0, -0.0, 1.5, 2.25, 1e300]), st.sampled_from([0, 1, 4]))
deliveries = st.lists(st.tuples(st.integers(0, 3), st.lists(reading, max_size=8)), max_size=6)


@settings(max_examples=40, deadline=None)
@given(deliveries, st.integers(0, 20))
def test_what_was_known_at_an_instant_is_what_a_plain_model_says(installation, arrivals, asked_minutes) -> None:
    tenant = installation.new_tenant()
    # The model: (series, time) -> list of (available_at, value, judged suspect), the newest last.
    model: dict[tuple[str, datetime], list[tuple[datetime, float, int]]] = {}
    asked = T0 + timedelta(minutes=asked_minutes)

    async def work() -> None:
        database = await Database.open(installation.app_url, max_size=1)
        now = T0
        async with database.tenant(tenant) as db:
            await ensure_series(db, [spec(name) for name in NAMES])
        for minutes, readings in arrivals:
            now += timedelta(minutes=minutes)  # 0: two deliveries at the same instant
            by_series: dict[str, list[tuple[int, float, int]]] = {}
            for name, i, value, quality in readings:
                by_series.setdefault(name, []).append((i, value, quality))
            expected = Added(0, 0, 0)
            for name, rows in by_series.items():
                for i, (value, quality) in {i: (v, q) for i, v, q in rows}.items():
                    versions = model.setdefault((name, T0 + i * STEP), [])
                    if not versions:
                        versions.append((now, value, quality & 1))
                        expected = Added(expected.new + 1, expected.corrected, expected.unchanged)
                    elif (versions[-1][1], versions[-1][2]) == (value, quality & 1):
                        expected = Added(expected.new, expected.corrected, expected.unchanged + 1)
                    else:
                        versions.append((max(now, versions[-1][0] + timedelta(microseconds=1)), value, quality & 1))
                        expected = Added(expected.new, expected.corrected + 1, expected.unchanged)
            async with database.tenant(tenant) as db:
                got = await add_readings(
                    db,
                    [
                        Delivery(
                            name, np.array([to_np(T0 + i * STEP) for i, _, _ in rows], "datetime64[us]"), np.array([v for _, v, _ in rows]), np.array([q for _, _, q in rows], np.uint8)
                        )
                        for name, rows in by_series.items()
                    ],
                    now,
                )
            assert got == expected
        async with database.tenant(tenant) as db:
            for known_at in (asked, now + timedelta(days=1)):
                found = await readings_many(db, NAMES, DAY, known_at)
                newest = await latest(db, known_at)
                for name in NAMES:
                    known = {time: [v for v in versions if v[0] <= known_at] for (n, time), versions in sorted(model.items()) if n == name}
                    wanted = {time: versions[-1] for time, versions in known.items() if versions}
                    got_rows = {from_np(t): (v, int(q) & 1) for t, v, q in zip(found[name].times, found[name].values, found[name].quality, strict=True)}
                    assert got_rows == {time: (value, suspect) for time, (_, value, suspect) in wanted.items()}
                    assert (name in newest) == bool(wanted)
                    if wanted:
                        assert newest[name].time == max(wanted)
                        assert newest[name].value == wanted[max(wanted)][1]
        await database.close()

    asyncio.run(work())


def test_a_corrected_value_is_flagged_and_the_first_one_stays_known_as_it_was(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await ensure_series(db, [spec("tank.T1.level")])
            assert await add_readings(db, [delivery("tank.T1.level", {0: 2.0, 1: 3.0})], T0) == Added(2, 0, 0)
            assert await add_readings(db, [delivery("tank.T1.level", {0: 2.0, 1: 3.5, 2: 4.0})], T0 + STEP) == Added(1, 1, 1)
            then = await readings_known_at(db, "tank.T1.level", DAY, T0)
            now = await readings_known_at(db, "tank.T1.level", DAY, T0 + STEP)
        assert then.values.tolist() == [2.0, 3.0]
        assert then.quality.tolist() == [0, 0]
        assert now.values.tolist() == [2.0, 3.5, 4.0]
        assert now.quality.tolist() == [0, int(Quality.CORRECTED), 0]

    in_database(work)


def test_a_file_sent_again_late_changes_nothing_though_it_is_late_now(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await ensure_series(db, [spec("tank.T1.level")])
            await add_readings(db, [delivery("tank.T1.level", {0: 2.0})], T0)
            assert await add_readings(db, [delivery("tank.T1.level", {0: 2.0}, quality=Quality.LATE)], T0 + 9 * STEP) == Added(0, 0, 1)
            assert await add_readings(db, [delivery("tank.T1.level", {0: 2.0}, quality=Quality.SUSPECT)], T0 + 9 * STEP) == Added(0, 1, 0)

    in_database(work)


def test_two_writers_of_one_tenant_neither_lose_nor_double_a_value(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await ensure_series(db, [spec(name) for name in NAMES])

        async def writer(offset: int) -> list[Added]:
            added = []
            for k in range(8):
                async with database.tenant(tenant) as db:
                    # Both write the same instants, half of them with values of their own.
                    values = {i: float(i) if i % 2 else offset + i for i in range(k * 4, k * 4 + 8)}
                    added.append(await add_readings(db, [delivery(name, values) for name in NAMES], T0))
                    await asyncio.sleep(0.002)
            return added

        outcomes = [a for part in await asyncio.gather(writer(100), writer(200)) for a in part]
        async with database.tenant(tenant) as db:
            found = await readings_many(db, NAMES, DAY, T0 + timedelta(days=1))
            versions = await db.raw.execute("SELECT count(*) AS n, count(DISTINCT (series_no, time)) AS instants FROM levada.reading")
            counted = await versions.fetchone()
        assert counted is not None
        assert counted["n"] == sum(a.new + a.corrected for a in outcomes)
        assert counted["instants"] == sum(a.new for a in outcomes) == 2 * 36
        for name in NAMES:
            assert len(found[name]) == 36
            assert all(v in (i, 100 + i, 200 + i) for i, v in enumerate(found[name].values.tolist()))

    in_database(work)


def test_an_unknown_series_and_values_that_are_none_are_refused(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await ensure_series(db, [spec("tank.T1.level")])
            with pytest.raises(NotFound, match="tank.T9.level"):
                await add_readings(db, [delivery("tank.T9.level", {0: 1.0})], T0)
            with pytest.raises(ValueError, match="finite"):
                await add_readings(db, [delivery("tank.T1.level", {0: float("nan")})], T0)
            assert len((await readings_many(db, ["tank.T1.level"], DAY, T0))["tank.T1.level"]) == 0

    in_database(work)


def test_prices_of_tomorrow_do_not_hide_that_measurements_have_stopped(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            assert await data_age(db, T0, T0) is None
            await ensure_series(db, [spec("tank.T1.level"), spec("market.energy.price", Quantity.PRICE)])
            await add_readings(db, [delivery("tank.T1.level", {0: 1.0}), delivery("market.energy.price", {90: 0.1})], T0)
            assert await data_age(db, T0 + 8 * STEP, T0 + 8 * STEP) == 8 * STEP

    in_database(work)


def test_series_keep_their_readings_when_they_are_described_anew(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await ensure_series(db, [spec("b.x"), spec("a.x")])
            await add_readings(db, [delivery("b.x", {0: 1.0})], T0)
            again = SeriesSpec(series_id="b.x", quantity=Quantity.FLOW, cell_method=CellMethod.MEAN, step_s=60, description="new")
            await ensure_series(db, [again, spec("c.x")])
            assert await list_series(db) == [spec("a.x"), again, spec("c.x")]
            assert (await readings_known_at(db, "b.x", DAY, T0)).values.tolist() == [1.0]

    in_database(work)


def test_the_oldest_instant_of_each_series_is_told_and_those_without_a_value_are_left_out(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await ensure_series(db, [spec(name) for name in NAMES])
            await add_readings(db, [delivery(NAMES[0], {3: 1.0, 7: 2.0})], T0)
            await add_readings(db, [delivery(NAMES[0], {1: 1.0})], T0 + STEP)
            assert await oldest(db, [*NAMES, "no.such.series"]) == {NAMES[0]: T0 + STEP}

    in_database(work)
