"""The versions' panel on the runs page: who sees it, and who may promote and roll back."""

from __future__ import annotations

from typing import Any

import pytest
from litestar.testing import TestClient
from tests.conftest import Installation
from tests.web.conftest import World, sign_in
from tests.web.samples import NOW
from tests.web.test_run_actions import press

from levada.domain.release import Compared, Comparison, Release, ReleaseMode
from levada.domain.run import Accounting, Cause, RunKind
from levada.domain.tenant import Role
from levada.ops.status import look
from levada.store.accounts import set_membership
from levada.store.audit_log import list_audit
from levada.store.database import Database
from levada.store.releases import add_comparison, get_release, set_channels, withdraw
from levada.store.runs import create_run, finish_run, start_run


@pytest.fixture
def tenant(installation: Installation, world: World) -> str:
    """A utility of its own with a canary, an engineer and an operator."""
    name = installation.new_tenant()

    async def make(database: Database) -> None:
        async with database.registry() as registry:
            await set_membership(registry, "operator@own.example", name, Role.ENGINEER)
            await set_membership(registry, "viewer@own.example", name, Role.OPERATOR)
        async with database.tenant(name) as db:
            await set_channels(db, ReleaseMode.CANARY, stable="1.0+old", candidate="1.1+new", by="ana", at=NOW)

    world.run(make)
    return name


def release(world: World, tenant: str) -> Release:
    async def look(database: Database) -> Release:
        async with database.tenant(tenant) as db:
            found = await get_release(db)
        assert found is not None
        return found

    return world.run(look)


def test_an_engineer_promotes_and_rolls_back_by_a_button_and_it_is_noted(client: TestClient[Any], world: World, tenant: str) -> None:
    sign_in(client, "operator@own.example")
    page = f"/t/{tenant}/runs"
    assert "1.1+new" in client.get(page).text
    assert press(client, page, f"/t/{tenant}/release/promote").headers["location"] == page
    assert (release(world, tenant).stable, release(world, tenant).candidate) == ("1.1+new", None)
    assert "/release/promote" not in client.get(page).text
    assert press(client, page, f"/t/{tenant}/release/rollback").status_code == 303
    assert release(world, tenant).stable == "1.0+old"

    async def audit(database: Database) -> list[tuple[str, str]]:
        async with database.tenant(tenant) as db:
            return [(e.actor, e.action) for e in await list_audit(db, 2)]

    assert world.run(audit) == [("Operator", "release rolled back"), ("Operator", "release promoted")]


def test_an_operator_sees_the_versions_and_has_no_buttons(client: TestClient[Any], world: World, tenant: str) -> None:
    sign_in(client, "viewer@own.example")
    text = client.get(f"/t/{tenant}/runs").text
    assert "1.1+new" in text
    assert "/release/" not in text
    token = text.split('name="_csrf_token" value="')[1].split('"')[0] if 'name="_csrf_token"' in text else ""
    assert client.post(f"/t/{tenant}/release/promote", data={"_csrf_token": token}).status_code == 403
    assert release(world, tenant).stable == "1.0+old"


def test_a_candidate_that_was_withdrawn_is_told_with_the_reason(client: TestClient[Any], world: World, tenant: str) -> None:
    async def go_back(database: Database) -> None:
        async with database.tenant(tenant) as db:
            assert await withdraw(db, "1.1+new", "it failed: computing died", NOW)

    world.run(go_back)
    sign_in(client, "viewer@own.example")
    text = client.get(f"/t/{tenant}/runs").text
    assert 'role="alert"' in text
    assert "withdrawn: it failed: computing died" in text
    # Whoever looks at the board or at the installation's status sees it as well.
    assert "The candidate was withdrawn" in client.get(f"/t/{tenant}").text

    async def status(database: Database) -> tuple[list[str], dict[str, Any]]:
        report = await look(database, NOW)
        (told,) = [t for t in report.as_document()["tenants"] if t["id"] == tenant]
        return [p for p in report.problems if p.startswith(tenant)], told["release"]

    problems, told = world.run(status)
    assert any("the candidate 1.1+new went back to stable by itself" in p and "computing died" in p for p in problems)
    assert (told["withdrawn"], told["mode"], told["stable"]) == (True, "stable", "1.0+old")


def test_a_utility_without_channels_has_no_panel(client: TestClient[Any], installation: Installation, world: World) -> None:
    name = installation.new_tenant()

    async def let_in(database: Database) -> None:
        async with database.registry() as registry:
            await set_membership(registry, "viewer@own.example", name, Role.OPERATOR)

    world.run(let_in)
    sign_in(client, "viewer@own.example")
    assert "release" not in client.get(f"/t/{name}/runs").text.lower().replace("levada", "")


def test_the_api_tells_versions_comparisons_and_what_computing_took(client: TestClient[Any], installation: Installation, world: World, tenant: str) -> None:
    plan = Compared(cost=100.0, ladder="new", cpu_s=2.0)

    async def compare(database: Database) -> None:
        async with database.tenant(tenant) as db:
            shadow = await create_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=NOW, created_at=NOW)
            await start_run(db, shadow.run_id, "w", NOW)
            taken = Accounting(wall_s=3.0, cpu_s=2.0, peak_memory_bytes=10, queue_wait_s=1.0, bytes_read=5, bytes_written=7)
            assert await finish_run(db, shadow.run_id, result=b"{}", accounting=taken, manifest={}, at=NOW)
            await add_comparison(db, shadow.run_id, Comparison(candidate="1.1+new", by_stable=plan, by_candidate=Compared(failure="died"), at=NOW))

    world.run(compare)
    sign_in(client, "viewer@own.example")
    told = client.get(f"/v1/tenants/{tenant}/release").json()
    assert (told["mode"], told["publishing"], told["comparing"], told["withdrawn"]) == ("canary", "1.1+new", "1.0+old", False)
    (compared,) = client.get(f"/v1/tenants/{tenant}/release/comparisons").json()["comparisons"]
    assert (compared["by_stable"]["cost"], compared["by_candidate"]["failure"]) == (100.0, "died")
    day = NOW.date().isoformat()
    (used,) = client.get(f"/v1/tenants/{tenant}/usage?first={day}&last={day}").json()["usage"]
    assert (used["day"], used["kind"], used["runs"], used["cpu_s"], used["bytes_written"]) == (day, "plan", 1, 2.0, 7.0)
    assert client.get(f"/v1/tenants/{tenant}/usage?first=2026-02-01&last=2026-01-01").status_code == 400
    assert client.get(f"/v1/tenants/{tenant}/usage?first=1990-01-01&last=2026-01-01").status_code == 400
    # Another utility's are as good as not there; where versions are not told apart all is null.
    other = installation.new_tenant()
    assert client.get(f"/v1/tenants/{other}/usage").status_code == 404

    async def let_in(database: Database) -> None:
        async with database.registry() as registry:
            await set_membership(registry, "viewer@own.example", other, Role.OPERATOR)

    world.run(let_in)
    assert client.get(f"/v1/tenants/{other}/release").json()["mode"] is None
    assert client.get(f"/v1/tenants/{other}/release/comparisons").json() == {"comparisons": []}
