"""Models of trainings: the newest training's are current, texts come back as they were, another tenant's are never seen."""

import hashlib
from datetime import timedelta

from tests.store.conftest import NOW

from levada.domain.run import Cause, RunKind
from levada.store.content import get_content
from levada.store.database import Database
from levada.store.models import current_models, put_models
from levada.store.runs import create_run

DAY = timedelta(days=1)


async def a_training(db, days: int):
    return (await create_run(db, kind=RunKind.TRAIN, cause=Cause.TIMETABLE, issue_time=NOW + days * DAY, due_at=NOW + days * DAY, created_at=NOW)).run_id


def test_the_newest_training_known_by_then_gives_the_models(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            assert await current_models(db, NOW) is None
            first, second = await a_training(db, 0), await a_training(db, 1)
            await put_models(db, first, NOW, {"a": "old ä", "b": "same"})
            await put_models(db, second, NOW + DAY, {"b": "same"})
            await put_models(db, second, NOW + DAY, {"b": "same"})  # the same run again
        async with database.tenant(tenant) as db:
            assert await current_models(db, NOW - DAY) is None
            before, after = await current_models(db, NOW), await current_models(db, NOW + 2 * DAY)
            assert before is not None
            assert after is not None
            assert (before.trained_at, dict(before.texts)) == (NOW, {"a": "old ä", "b": "same"})
            assert (after.trained_at, dict(after.texts)) == (NOW + DAY, {"b": "same"})
            assert await get_content(db, hashlib.sha256("old ä".encode()).hexdigest()) == "old ä".encode()

    in_database(work)


def test_a_training_without_a_model_leaves_the_one_before_current(in_database, tenant) -> None:
    async def work(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await put_models(db, await a_training(db, 0), NOW, {"a": "text"})
            await put_models(db, await a_training(db, 1), NOW + DAY, {})
            found = await current_models(db, NOW + DAY)
            assert found is not None
            assert found.texts == {"a": "text"}

    in_database(work)


def test_another_tenants_models_are_never_seen(in_database, installation) -> None:
    mine, theirs = installation.new_tenant(), installation.new_tenant()

    async def work(database: Database) -> None:
        async with database.tenant(theirs) as db:
            await put_models(db, await a_training(db, 0), NOW, {"a": "theirs"})
        async with database.tenant(mine) as db:
            assert await current_models(db, NOW) is None

    in_database(work)
