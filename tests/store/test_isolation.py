"""Isolation is the database's job: tried with the roles themselves and SQL that forgets every filter."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from levada.domain.errors import NotFound
from levada.domain.run import Cause, RunKind
from levada.store.audit_log import note
from levada.store.runs import request_run
from levada.store.tenants import create_sql_reader

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NOT_TENANTS = {"account", "installation", "migration"}
"""Tables that are the installation's; nobody but the registry's functions (the owner, for `migration`) sees their rows."""


def rows(url: str, statement: str, before: str = "SELECT 1") -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        connection.execute(before.encode())
        return connection.execute(statement.encode()).fetchall()


@pytest.fixture
def two_tenants(installation, in_database) -> tuple[str, str]:
    """Two tenants, each with a run, a job and an audit entry."""
    tenants = installation.new_tenant(), installation.new_tenant()

    async def fill(database) -> None:
        for tenant_id in tenants:
            async with database.tenant(tenant_id) as db:
                await request_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=NOW, at=NOW)
                await note(db, "somebody", "did", {}, NOW)

    in_database(fill)
    return tenants


def tables(url: str, schema: str) -> list[str]:
    return [str(r[0]) for r in rows(url, f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1")]


def test_every_table_has_row_level_security_enabled_and_forced(installation) -> None:
    lax = rows(
        installation.admin_url,
        "SELECT oid::regclass FROM pg_class WHERE relnamespace IN ('levada'::regnamespace, 'queue'::regnamespace) AND relkind IN ('r', 'p')"
        " AND NOT (relrowsecurity AND relforcerowsecurity)",
    )
    assert lax == []


def test_the_tenant_leads_every_key(installation) -> None:
    keys = rows(
        installation.admin_url,
        "SELECT i.indrelid::regclass::text, a.attname FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
        " JOIN pg_class AS c ON c.oid = i.indrelid WHERE c.relnamespace = 'levada'::regnamespace AND (i.indisunique OR i.indisprimary)",
    )
    assert {table for table, first in keys if first != "tenant_id"} == {f"levada.{name}" for name in NOT_TENANTS}


def test_the_applications_roles_own_nothing_and_can_pass_nothing(installation) -> None:
    powers = rows(
        installation.admin_url,
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'levada\\_%' AND rolname <> 'levada_admin' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)",
    )
    assert powers == []
    owned = rows(installation.admin_url, "SELECT relname FROM pg_class WHERE pg_get_userbyid(relowner) IN ('levada_app', 'levada_worker', 'levada_reader') AND relpersistence <> 't'")
    assert owned == []
    members = rows(installation.admin_url, "SELECT roleid::regrole::text FROM pg_auth_members WHERE member IN ('levada_app'::regrole, 'levada_worker'::regrole)")
    assert members == []


def test_a_connection_without_a_tenant_sees_nothing(installation, two_tenants) -> None:
    for table in tables(installation.admin_url, "levada"):
        try:
            assert rows(installation.app_url, f'SELECT * FROM levada."{table}"') == [], table
        except psycopg.errors.InsufficientPrivilege:
            continue
    assert rows(installation.app_url, "SELECT * FROM queue.procrastinate_jobs") == []
    assert rows(installation.app_url, "SELECT * FROM queue.procrastinate_events") == []


@pytest.mark.parametrize("table", ["levada.tenant", "levada.run", "levada.audit_entry", "queue.procrastinate_jobs"])
def test_a_forgotten_filter_shows_the_tenants_own_rows_only(installation, two_tenants, table) -> None:
    for tenant_id in two_tenants:
        found = rows(installation.app_url, f"SELECT DISTINCT tenant_id FROM {table}", f"SELECT set_config('app.tenant', '{tenant_id}', true)")
        assert found == [(tenant_id,)]


def test_a_transactions_tenant_does_not_leak_to_the_next_user_of_its_connection(installation, two_tenants) -> None:
    with psycopg.connect(installation.app_url) as connection:
        connection.execute("SELECT set_config('app.tenant', %s, true)", [two_tenants[0]])
        assert connection.execute("SELECT count(*) FROM levada.run").fetchone() == (1,)
        connection.commit()
        assert connection.execute("SELECT count(*) FROM levada.run").fetchone() == (0,)


def test_rows_of_another_tenant_can_be_neither_written_nor_taken_over(installation, two_tenants) -> None:
    mine, theirs = two_tenants
    become = f"SELECT set_config('app.tenant', '{mine}', true)"
    for statement in (
        f"INSERT INTO levada.audit_entry (tenant_id, at, actor, action, detail) VALUES ('{theirs}', now(), 'x', 'x', '{{}}') RETURNING 1",
        f"UPDATE levada.run SET tenant_id = '{theirs}' RETURNING 1",
        f"INSERT INTO queue.procrastinate_jobs (queue_name, task_name, args) VALUES ('levada', 'run', '{{\"tenant_id\": \"{theirs}\"}}') RETURNING 1",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rows(installation.app_url, statement, become)
    assert rows(installation.app_url, f"UPDATE levada.run SET state = 'running' WHERE tenant_id = '{theirs}' RETURNING 1", become) == []


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE levada.run DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE levada.run NO FORCE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON levada.run USING (true)",
        "SET ROLE levada_owner",
        "SET ROLE levada_registry",
        "SET SESSION AUTHORIZATION levada_admin",
        "ALTER ROLE levada_app BYPASSRLS",
        "SELECT * FROM levada.account",
        "SELECT * FROM levada.installation",
        "SELECT * FROM levada.api_token",
        "DELETE FROM levada.audit_entry",
        "UPDATE levada.audit_entry SET actor = 'nobody'",
        "DELETE FROM levada.reading",
        "UPDATE levada.reading SET value = 0",
        "TRUNCATE levada.run",
        "CREATE TABLE levada.mine (x int)",
        "SET row_security = off; SELECT * FROM levada.run",
        "CALL levada.isolate('levada.run', 'SELECT')",
    ],
)
def test_the_application_cannot_lift_or_pass_what_holds_it(installation, two_tenants, statement) -> None:
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue)):
        rows(installation.app_url, statement, f"SELECT set_config('app.tenant', '{two_tenants[0]}', true)")


def test_a_tenants_sql_reader_sees_its_rows_only_whatever_it_sets(installation, two_tenants) -> None:
    mine, theirs = two_tenants
    role = asyncio.run(create_sql_reader(installation.admin_url, mine))
    assert asyncio.run(create_sql_reader(installation.admin_url, mine)) == role == f"levada_read_{mine}"
    url = installation.admin_url.replace("levada_admin@", f"{role}@")
    for before in ("SELECT 1", f"SELECT set_config('app.tenant', '{theirs}', false)", "SET ROLE levada_reader", f"SET search_path = public; SET \"app.tenant\" = '{theirs}'"):
        assert rows(url, "SELECT DISTINCT tenant_id FROM levada.run", before) == [(mine,)]
        assert rows(url, "SELECT tenant_id FROM levada.tenant", before) == [(mine,)]
    for statement in (
        "SELECT * FROM levada.account",
        "SELECT * FROM levada.api_token",
        "SELECT * FROM levada.sftp_key",
        "SELECT * FROM levada.installation",
        "SELECT * FROM queue.procrastinate_jobs",
        "SELECT * FROM registry.list_tenants()",
        "SELECT * FROM registry.notification_channel()",
        "SET ROLE levada_app",
        "SET default_transaction_read_only = off; COMMIT; UPDATE levada.run SET state = 'failed'",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rows(url, statement)


def test_a_sql_reader_is_made_for_tenants_only(installation) -> None:
    with pytest.raises(NotFound):
        asyncio.run(create_sql_reader(installation.admin_url, "nobody-here"))


def test_the_workers_role_handles_jobs_and_sees_no_tenants_data(installation, two_tenants) -> None:
    assert {t for (t,) in rows(installation.worker_url, "SELECT tenant_id FROM procrastinate_jobs")} >= set(two_tenants)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(installation.worker_url, "SELECT * FROM levada.run")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(installation.worker_url, "SELECT * FROM registry.list_tenants()")


def test_a_job_without_a_tenant_cannot_be(installation) -> None:
    with pytest.raises(psycopg.errors.NotNullViolation):
        rows(installation.worker_url, "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('levada', 'run') RETURNING 1")
