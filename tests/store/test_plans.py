"""Plans, forecasts and indicators come back exactly as they were published."""

from datetime import timedelta
from uuid import uuid4

import pytest
from tests.store.conftest import NOW, a_forecast, a_plan

from levada.domain.errors import NotFound
from levada.domain.plan import Indicator
from levada.domain.run import Cause, RunKind
from levada.domain.time import Window
from levada.store.database import Database
from levada.store.indicators import latest_indicators, put_indicators
from levada.store.plans import current_plan, forecast_of, get_plan, list_plans, plans_covering, publish_plan
from levada.store.runs import create_run

HOUR = timedelta(hours=1)


async def a_run(db, i: int = 0):
    return (await create_run(db, kind=RunKind.PLAN, cause=Cause.TIMETABLE, issue_time=NOW, due_at=NOW + i * HOUR, created_at=NOW)).run_id


def test_a_plan_and_its_forecast_come_back_to_the_last_bit(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            assert await current_plan(db, NOW) is None
            run_id = await a_run(db)
            plan_id = await publish_plan(db, run_id, a_plan(tenant), a_forecast(), NOW)
            assert await publish_plan(db, run_id, a_plan(tenant, cost=99.0), a_forecast(), NOW) == plan_id  # the same run again
        async with database.tenant(tenant) as db:
            stored = await get_plan(db, plan_id)
            assert stored.plan.model_dump_json() == a_plan(tenant).model_dump_json()
            assert (await forecast_of(db, plan_id)).model_dump_json() == a_forecast().model_dump_json()
            (head,) = await list_plans(db, 10)
            assert (head.plan_id, head.run_id, head.cost, head.lower_bound, head.audited_cost) == (plan_id, run_id, 12.5, 12.0, 12.51)
            with pytest.raises(NotFound):
                await get_plan(db, uuid4())
            with pytest.raises(ValueError, match="cannot be published"):
                await publish_plan(db, run_id, a_plan("another"), a_forecast(), NOW)
            with pytest.raises(ValueError, match="JSON"):
                await publish_plan(db, run_id, a_plan(tenant, cost=float("nan")), a_forecast(), NOW)
            with pytest.raises(ValueError, match="specific energy"):
                await put_indicators(db, run_id, NOW, [Indicator(name="specific energy", value=float("inf"), unit="kW.h/m3")])

    in_database(work)


def test_the_current_plan_is_the_one_that_knows_most_not_the_one_that_came_last(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            newer = await publish_plan(db, await a_run(db, 1), a_plan(tenant, NOW + HOUR), a_forecast(), NOW + HOUR)
            await publish_plan(db, await a_run(db, 0), a_plan(tenant, NOW), a_forecast(), NOW + 2 * HOUR)  # a slow run of before
            current = await current_plan(db, NOW + 3 * HOUR)
            assert current is not None
            assert current.plan_id == newer
            assert not current.expired(NOW + 7 * HOUR - timedelta(seconds=1))
            assert current.expired(NOW + 7 * HOUR)
            assert await current_plan(db, NOW) is None
            assert [h.issue_time for h in await list_plans(db, 10)] == [NOW + HOUR, NOW]

    in_database(work)


def test_plans_that_held_in_a_window_are_found(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            for i in range(4):
                await publish_plan(db, await a_run(db, i), a_plan(tenant, NOW + i * HOUR, valid=HOUR), a_forecast(), NOW + i * HOUR)
            held = await plans_covering(db, Window(NOW + HOUR, NOW + 2 * HOUR + timedelta(minutes=1)))
            assert [p.plan.issue_time for p in held] == [NOW + HOUR, NOW + 2 * HOUR]

    in_database(work)


def test_indicators_are_those_of_the_latest_run(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            assert await latest_indicators(db) == []
            for i in range(2):
                run_id = await a_run(db, i)
                for _ in range(2):
                    await put_indicators(db, run_id, NOW + i * HOUR, [Indicator(name="specific energy", value=0.5 + i, unit="kW.h/m3"), Indicator(name="cost", value=0.1, unit="EUR")])
            assert [(x.name, x.value) for x in await latest_indicators(db)] == [("cost", 0.1), ("specific energy", 1.5)]

    in_database(work)
