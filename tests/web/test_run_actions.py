"""Buttons of the runs' pages, pressed as a browser does: the page's own form, with its token."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient
from tests.conftest import Installation
from tests.web.conftest import World, sign_in
from tests.web.samples import NOW

from levada.domain.bundle import Bundle
from levada.domain.run import Accounting, Cause, RunKind, RunState
from levada.domain.tenant import Role
from levada.store.accounts import set_membership
from levada.store.audit_log import list_audit
from levada.store.bundles import drop_bundles, put_bundle
from levada.store.database import Database
from levada.store.dead_letters import add_dead_job
from levada.store.runs import (
    add_history,
    attach_bundle,
    cancel_run,
    fail_run,
    finish_run,
    get_run,
    put_aside,
    put_progress,
    request_run,
    start_run,
)


@pytest.fixture
def tenant(installation: Installation, world: World) -> str:
    """A utility of its own, of which one person is an operator and another may only look."""
    name = installation.new_tenant()

    async def let_in(database: Database) -> None:
        async with database.registry() as registry:
            await set_membership(registry, "operator@own.example", name, Role.OPERATOR)
            await set_membership(registry, "viewer@own.example", name, Role.VIEWER)

    world.run(let_in)
    return name


def a_run(world: World, tenant: str, state: RunState) -> UUID:
    async def make(database: Database) -> UUID:
        async with database.tenant(tenant) as db:
            run_id = (await request_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=NOW, at=NOW)).run_id
            if state is not RunState.QUEUED:
                await start_run(db, run_id, "w", NOW)
            if state is RunState.FAILED:
                await add_history(db, run_id, {"code": "run-crash", "message": "the first attempt crashed"}, NOW)
                await fail_run(db, run_id, {"code": "input-gap", "message": "tank T1 has no level"}, None, NOW)
            if state is RunState.CANCELLED:
                await cancel_run(db, run_id, "ana", NOW)
            return run_id

    return world.run(make)


def press(client: TestClient[Any], page: str, action: str) -> Any:
    """The form of that page which leads to `action`."""
    form = re.search(rf'<form method="post" action="({re.escape(action)})">.*?</form>', client.get(page).text, re.DOTALL)
    assert form, f"{page} has no button for {action}"
    token = form[0].split('name="_csrf_token" value="')[1].split('"')[0]
    return client.post(action, data={"_csrf_token": token})


def stands(world: World, tenant: str, run_id: UUID) -> tuple[RunState, list[tuple[str, str]]]:
    async def look(database: Database) -> tuple[RunState, list[tuple[str, str]]]:
        async with database.tenant(tenant) as db:
            return (await get_run(db, run_id)).state, [(e.actor, e.action) for e in await list_audit(db, 5)]

    return world.run(look)


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING])
def test_an_open_run_has_a_button_that_ends_it(client: TestClient[Any], world: World, tenant: str, state: RunState) -> None:
    run_id = a_run(world, tenant, state)
    sign_in(client, "operator@own.example")
    page = f"/t/{tenant}/runs/{run_id}"
    assert press(client, page, f"{page}/cancel").headers["location"] == page
    assert stands(world, tenant, run_id) == (RunState.CANCELLED, [("Operator", "run cancelled")])
    assert "cancelled by Operator" in client.get(page).text


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
def test_a_run_that_ended_badly_has_a_button_that_queues_it_again(client: TestClient[Any], world: World, tenant: str, state: RunState) -> None:
    run_id = a_run(world, tenant, state)
    sign_in(client, "operator@own.example")
    assert press(client, f"/t/{tenant}/runs/{run_id}", f"/t/{tenant}/dead/{run_id}/retry").status_code == 303
    assert stands(world, tenant, run_id)[0] is RunState.QUEUED
    assert stands(world, tenant, run_id)[1][0] == ("Operator", "run tried again")


def test_what_failed_for_good_is_listed_with_its_reason_and_goes_when_it_is_tried_again(client: TestClient[Any], world: World, tenant: str) -> None:
    run_id = a_run(world, tenant, RunState.FAILED)

    async def give_up(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await add_dead_job(db, job_id=77, task="publish", args={"plan_id": "p"}, priority=10, lock=f"{tenant}/publish", attempts=6, error={"code": "x", "message": "the outbox is full"}, at=NOW)

    world.run(give_up)
    sign_in(client, "operator@own.example")
    page = f"/t/{tenant}/runs"
    text = client.get(page).text
    assert "the outbox is full" in text
    assert f"/dead/{run_id}/retry" in text
    assert press(client, page, f"/t/{tenant}/dead/77/retry").headers["location"] == page
    assert "the outbox is full" not in client.get(page).text
    assert client.post(f"/t/{tenant}/dead/77/retry", data={"_csrf_token": text.split('name="_csrf_token" value="')[1].split('"')[0]}).status_code == 404, "it is no longer dead"


def test_who_may_only_look_has_no_buttons_and_a_post_without_the_token_does_nothing(client: TestClient[Any], world: World, tenant: str) -> None:
    run_id = a_run(world, tenant, RunState.FAILED)
    sign_in(client, "viewer@own.example")
    for page in (f"/t/{tenant}/runs", f"/t/{tenant}/runs/{run_id}"):
        assert "/retry" not in client.get(page).text
    client.cookies.clear()
    sign_in(client, "operator@own.example")
    assert client.post(f"/t/{tenant}/dead/{run_id}/retry").status_code == 403
    assert stands(world, tenant, run_id)[0] is RunState.FAILED


def test_a_run_whose_input_was_dropped_says_so_instead_of_how_to_repeat_it(client: TestClient[Any], world: World, tenant: str) -> None:
    run_id = a_run(world, tenant, RunState.RUNNING)

    async def freeze_and_drop(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await attach_bundle(db, run_id, await put_bundle(db, Bundle("plan", {"x": b"1"}), NOW))
            await finish_run(db, run_id, result=b"{}", accounting=Accounting(wall_s=1, cpu_s=1, peak_memory_bytes=1, queue_wait_s=0), manifest={}, at=NOW)

    async def drop(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await drop_bundles(db, older_than=timedelta(days=30), by="retention", at=NOW + timedelta(days=40))

    world.run(freeze_and_drop)
    sign_in(client, "viewer@own.example")
    page = f"/t/{tenant}/runs/{run_id}"
    assert "levada replay" in client.get(page).text
    world.run(drop)
    assert "levada replay" not in client.get(page).text
    assert "cannot be computed again" in client.get(page).text


def test_a_run_that_is_being_computed_tells_how_it_gets_on_and_its_pages_look_again(client: TestClient[Any], world: World, tenant: str) -> None:
    run_id = a_run(world, tenant, RunState.RUNNING)
    pages = f"/t/{tenant}/runs", f"/t/{tenant}/runs/{run_id}"
    sign_in(client, "viewer@own.example")

    def tell(progress: dict[str, Any]) -> None:
        async def put(database: Database) -> None:
            async with database.tenant(tenant) as db:
                await put_progress(db, run_id, progress)

        world.run(put)

    def shown(text: str) -> bool:
        return all(text in client.get(p).text.replace("\u00a0", " ") for p in pages)

    assert all("hx-trigger" in client.get(p).text for p in pages)
    tell({"stage": "relaxation", "cost": None, "bound": 190.0})
    assert shown("no schedule that keeps all limits yet")
    tell({"stage": "search", "cost": 200.0, "bound": None})
    assert shown("200")
    assert not shown("least possible")
    tell({"stage": "search", "cost": 200.0, "bound": 190.0})
    assert shown("at most 5.0 % above the least possible")
    assert client.get(f"/v1/tenants/{tenant}/runs/{run_id}").json()["progress"] == {"stage": "search", "cost": 200.0, "bound": 190.0}

    async def end(database: Database) -> None:
        async with database.tenant(tenant) as db:
            await cancel_run(db, run_id, "ana", NOW)

    world.run(end)
    assert "cancelled by ana" in client.get(pages[0]).text
    assert not any("hx-trigger" in client.get(p).text or "least possible" in client.get(p).text for p in pages)


def test_a_utility_without_a_plan_is_told_why_the_run_that_was_due_was_put_aside(client: TestClient[Any], world: World, tenant: str) -> None:
    async def aside(database: Database) -> None:
        async with database.tenant(tenant) as db:
            made = await request_run(db, kind=RunKind.PLAN, cause=Cause.TIMETABLE, issue_time=NOW, due_at=NOW, at=NOW)
            await put_aside(db, await get_run(db, made.run_id), "tank T1 has no level", NOW)

    world.run(aside)
    sign_in(client, "viewer@own.example")
    for page in (f"/t/{tenant}", f"/t/{tenant}/runs"):
        assert "tank T1 has no level" in client.get(page).text
