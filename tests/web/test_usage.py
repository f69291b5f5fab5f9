"""The page of what computing took: sums by day and for the month, empty months, wrong ones, and whose they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from litestar.testing import TestClient
from tests.conftest import Installation
from tests.web.conftest import World, sign_in
from tests.web.samples import NOW

from levada.domain.run import Accounting, Cause, RunKind
from levada.domain.tenant import Role
from levada.store.accounts import set_membership
from levada.store.database import Database
from levada.store.runs import create_run, finish_run, start_run


def a_utility(installation: Installation, world: World) -> str:
    """With two runs today and one the day before."""
    name = installation.new_tenant()

    async def make(database: Database) -> None:
        async with database.registry() as registry:
            await set_membership(registry, "viewer@own.example", name, Role.VIEWER)
        for at, cpu_s in ((NOW, 30.0), (NOW, 15.0), (NOW - timedelta(days=1), 7.0)):
            async with database.tenant(name) as db:
                run = await create_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=at, created_at=at)
                await start_run(db, run.run_id, "worker", at)
                spent = Accounting(wall_s=10, cpu_s=cpu_s, peak_memory_bytes=250_000_000, queue_wait_s=2.0, bytes_read=1_000_000, bytes_written=500_000)
                await finish_run(db, run.run_id, result=b"{}", accounting=spent, manifest={}, at=at)

    world.run(make)
    return name


def test_sums_are_shown_by_day_the_newest_first_and_for_the_month(installation: Installation, world: World, client: TestClient[Any]) -> None:
    tenant = a_utility(installation, world)
    sign_in(client, "viewer@own.example")
    text = client.get(f"/t/{tenant}/usage?month={NOW:%Y-%m}").text
    today, before = f"{NOW:%Y-%m-%d}", f"{NOW - timedelta(days=1):%Y-%m-%d}"
    assert text.index(today) < text.index(before) < text.index("<tfoot>")
    assert "45\u00a0s" in text[text.index(today) : text.index(before)]
    assert "52\u00a0s" in text[text.index("<tfoot>") :]
    assert "2.0\u00a0s" in text
    assert f'href="/t/{tenant}/usage"' in client.get(f"/t/{tenant}/runs").text


def test_a_month_without_runs_says_so_and_leads_on(world: World, client: TestClient[Any]) -> None:
    sign_in(client, "viewer@own.example")
    text = client.get(f"/t/{world.own}/usage?month=2020-01").text
    assert "Nothing was computed" in text or "Nada foi calculado" in text
    assert "month=2019-12" in text
    assert "month=2020-02" in text


def test_what_is_no_month_is_refused(world: World, client: TestClient[Any]) -> None:
    sign_in(client, "viewer@own.example")
    for wrong in ("2026", "2026-13", "x", "2026-11-01"):
        answer = client.get(f"/t/{world.own}/usage?month={wrong}", headers={"Accept": "text/html"})
        assert answer.status_code == 400
        assert "month" in answer.text


def test_another_utilitys_sums_are_not_shown(world: World, client: TestClient[Any]) -> None:
    sign_in(client, "viewer@own.example")
    assert client.get(f"/t/{world.other}/usage").status_code in {403, 404}
