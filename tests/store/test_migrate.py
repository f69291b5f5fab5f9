"""Roles and schema, from nothing, again, and on a server with passwords whose keeper is no superuser."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from levada.domain.errors import SetupError
from levada.store import embedded, migrate
from levada.store.database import Database


@pytest.fixture
def empty_database(postgres_url, installation) -> Iterator[str]:
    """Another, empty database of the session's server."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE another")
    yield postgres_url.replace("/levada?", "/another?")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE another WITH (FORCE)")


def test_all_migrations_run_from_nothing_and_a_second_time_change_nothing(empty_database) -> None:
    first = asyncio.run(migrate.migrate(empty_database))
    assert [name for name in first if name[0].isdigit()] == sorted(p.name for p in (Path(migrate.__file__).parent / "migrations").glob("*.sql"))
    assert asyncio.run(migrate.migrate(empty_database)) == []

    async def opens() -> None:
        await (await Database.open(migrate.app_url(empty_database))).close()

    asyncio.run(opens())


def test_several_who_migrate_at_once_do_it_once(empty_database) -> None:
    async def at_once() -> list[list[str]]:
        return list(await asyncio.gather(*(migrate.migrate(empty_database) for _ in range(3))))

    done = asyncio.run(at_once())
    assert sorted(map(bool, done)) == [False, False, True]


def test_a_migration_changed_after_it_was_applied_is_an_error(empty_database) -> None:
    asyncio.run(migrate.migrate(empty_database))
    with psycopg.connect(empty_database) as connection:
        connection.execute("UPDATE levada.migration SET sha256 = 'other' WHERE name LIKE '0003%'")
    with pytest.raises(SetupError, match=r"0003_series.sql was changed.*new migration"):
        asyncio.run(migrate.migrate(empty_database))


def test_a_database_newer_than_the_code_is_told(empty_database) -> None:
    asyncio.run(migrate.migrate(empty_database))
    with psycopg.connect(empty_database) as connection:
        connection.execute("INSERT INTO levada.migration (name, sha256) VALUES ('9999_future.sql', 'x')")
    with pytest.raises(SetupError, match=r"newer than this code: it has had 9999_future.sql; install"):
        asyncio.run(migrate.migrate(empty_database))


def test_a_queue_migration_of_a_newer_package_is_applied(empty_database, monkeypatch) -> None:
    asyncio.run(migrate.migrate(empty_database))
    packaged = migrate._packaged
    newer = {"99.00.00_01_post_test.sql": "CREATE TABLE procrastinate_test (id int);"}
    monkeypatch.setattr(migrate, "_packaged", lambda folder, package: packaged(folder, package) | (newer if package == "procrastinate" else {}))
    assert asyncio.run(migrate.migrate(empty_database)) == ["queue/99.00.00_01_post_test.sql"]
    assert asyncio.run(migrate.migrate(empty_database)) == []
    with psycopg.connect(migrate.worker_url(empty_database)) as connection:
        assert connection.execute("SELECT * FROM procrastinate_test").fetchall() == []


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    url = "postgresql://keeper:hush@127.0.0.1:1/levada"
    with pytest.raises(SetupError, match="cannot be reached") as told:
        asyncio.run(migrate.migrate(url))
    assert "hush" not in str(told.value)
    with pytest.raises(SetupError, match="127.0.0.1:1/levada cannot be reached.*LEVADA_DATABASE_URL") as told:
        asyncio.run(Database.open(url, wait_s=0))
    assert "hush" not in str(told.value)


def test_a_database_without_schema_is_told_so(empty_database) -> None:
    with pytest.raises(SetupError, match="has no Levada schema"):
        asyncio.run(Database.open(migrate.app_url(empty_database)))


def test_a_server_of_ones_own_with_passwords_and_a_keeper_who_is_no_superuser() -> None:
    top = Path(tempfile.mkdtemp(prefix="levada-test-"))
    top.chmod(0o711)
    try:
        admin = asyncio.run(embedded.start(top / "database"))
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'first secret'")
            connection.execute("CREATE DATABASE water OWNER keeper")
            (top / "database" / "cluster" / "pg_hba.conf").write_text("local all levada_admin trust\nlocal all all scram-sha-256\n")
            connection.execute("SELECT pg_reload_conf()")
        keeper = admin.replace("levada_admin@/levada", "keeper:first%20secret@/water")

        async def works(url: str) -> None:
            database = await Database.open(migrate.app_url(url), max_size=1, wait_s=0.5)
            await database.close()
            async with await psycopg.AsyncConnection.connect(migrate.worker_url(url)) as connection:
                await connection.execute("SELECT * FROM procrastinate_jobs")

        assert asyncio.run(migrate.migrate(keeper))
        asyncio.run(works(keeper))
        assert "first" not in migrate.app_url(keeper)
        assert migrate.app_url(keeper) != migrate.worker_url(keeper).replace("levada_worker", "levada_app")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(admin.replace("levada_admin@/levada", "levada_app:guess@/water"))
        # The keeper's password changes: so do those that are derived from it, at the next migrate.
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("ALTER ROLE keeper PASSWORD 'second'")
        changed = keeper.replace("first%20secret", "second")
        with pytest.raises(SetupError):
            asyncio.run(works(changed))
        assert asyncio.run(migrate.migrate(changed)) == []
        asyncio.run(works(changed))
    finally:
        asyncio.run(embedded.forget(top / "database"))
        shutil.rmtree(top)
