"""Pages: what stands on them in which language, what an operator is told in each state, and the headers they come with."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from litestar.testing import TestClient
from tests.conftest import Installation
from tests.web.conftest import World, csrf, sign_in
from tests.web.samples import NOW, fill, plan, publish

from levada.domain.plan import Ladder
from levada.store.database import Database


def own_tenant(installation: Installation, world: World, ladder: Ladder, back_hours: float) -> str:
    """A utility whose only plan stands on that rung and was made so long ago; the engineer may see it."""
    from levada.domain.tenant import Role
    from levada.store.accounts import set_membership

    tenant = installation.new_tenant()

    async def make(database: Database) -> None:
        await fill(database, tenant, with_plan=False, language="en")
        issue = NOW - timedelta(hours=back_hours)
        await publish(database, tenant, plan(tenant, issue, ladder=ladder), issue)
        async with database.registry() as registry:
            await set_membership(registry, "engineer@all.example", tenant, Role.ENGINEER)

    world.run(make)
    return tenant


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("\u00a0", " ")


def test_the_board_tells_an_operator_in_their_language_what_to_do(client: TestClient[Any], world: World) -> None:
    sign_in(client, "operator@own.example")
    page = client.get(f"/t/{world.own}")
    said = text_of(page.text)
    assert 'lang="pt"' in page.text
    assert "Plano novo" in said
    assert "Siga o plano até 09:00." in said
    assert "A seguir: 06:00 parar a bomba P2" in said
    assert "Confirmado pelo EPANET 2.3.5" in said
    assert "medido" in said
    assert re.search(r"\d+,\d\d €", said)
    assert "Planear agora" in said


@pytest.mark.parametrize(
    ("ladder", "back_hours", "mode", "words"),
    [
        (Ladder.NEW, 0, "new", "Follow the plan until 09:00."),
        (Ladder.PREVIOUS, 0, "previous", "The previous one still holds: follow it until 09:00."),
        (Ladder.RULES, 0, "rules", "what the tank-level rules will do"),
        (Ladder.NEW, 7, "expired", "Do not follow this plan"),
    ],
)
def test_each_rung_of_the_ladder_is_named(client: TestClient[Any], installation: Installation, world: World, ladder: Ladder, back_hours: float, mode: str, words: str) -> None:
    tenant = own_tenant(installation, world, ladder, back_hours)
    sign_in(client, "engineer@all.example")
    page = client.get(f"/t/{tenant}").text
    assert f'id="strip" class="panel strip mode-{mode}"' in page
    assert words in text_of(page)
    if mode in ("previous", "rules"):
        assert "the newest level of tank T1 is 4 h old" in text_of(page)
    if mode == "expired":
        assert "The plan has expired: it says nothing of now." in text_of(page)
        assert 'class="state on"' not in page


def test_a_utility_without_anything_says_what_a_plan_waits_for(client: TestClient[Any], world: World) -> None:
    sign_in(client, "engineer@all.example")
    said = text_of(client.get(f"/t/{world.empty}").text)
    assert "waiting for data" in said
    assert "An electricity tariff missing" in said
    assert "no data yet" in said


@pytest.mark.parametrize("queued_behind", [0, 7])
def test_while_the_first_plan_is_computed_the_board_says_so(client: TestClient[Any], installation: Installation, world: World, queued_behind: int) -> None:
    from levada.domain.run import Cause, RunKind
    from levada.domain.tenant import Role
    from levada.store.accounts import set_membership
    from levada.store.runs import create_run, start_run

    tenant = installation.new_tenant()

    async def make(database: Database) -> None:
        async with database.registry() as registry:
            await set_membership(registry, "engineer@all.example", tenant, Role.ENGINEER)
        async with database.tenant(tenant) as db:
            run = await create_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=NOW, created_at=NOW)
            await start_run(db, run.run_id, "worker", NOW)
            for minute in range(1, queued_behind + 1):
                later = NOW + timedelta(minutes=minute)
                await create_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=later, created_at=later)

    world.run(make)
    sign_in(client, "engineer@all.example")
    said = text_of(client.get(f"/t/{tenant}").text)
    assert "The first plan is being computed." in said
    assert "waiting for data" not in said


def test_a_utility_with_documents_but_no_readings_names_the_missing_levels(client: TestClient[Any], installation: Installation, world: World) -> None:
    from tests.web.samples import documents

    from levada.domain.tenant import Role
    from levada.store.accounts import set_membership
    from levada.store.documents import put_document

    tenant = installation.new_tenant()

    async def make(database: Database) -> None:
        async with database.tenant(tenant) as db:
            for kind, document in documents("en").items():
                await put_document(db, kind, document, "test", NOW)
        async with database.registry() as registry:
            await set_membership(registry, "engineer@all.example", tenant, Role.ENGINEER)

    world.run(make)
    sign_in(client, "engineer@all.example")
    said = text_of(client.get(f"/t/{tenant}").text)
    assert "Level of tank T1 missing" in said
    assert "Flow of zone alta missing" in said
    assert "An electricity tariff there" in said


def test_a_person_without_any_utility_is_told_who_can_help(client: TestClient[Any]) -> None:
    assert sign_in(client, "nobody@none.example").headers["location"] == "/tenants"
    assert "Whoever administers Levada" in client.get("/tenants").text


def test_cards_show_the_worst_first(client: TestClient[Any], world: World) -> None:
    sign_in(client, "engineer@all.example")
    page = client.get("/tenants").text
    order = [page.index(f"/t/{tenant}") for tenant in (world.empty, world.own)]
    assert order == sorted(order)
    assert 'class="card red"' in page
    assert 'class="card ok"' in page


def test_plan_now_shows_the_run_and_looks_again_until_it_ends(client: TestClient[Any], world: World) -> None:
    sign_in(client, "operator@own.example")
    headers = csrf(client, f"/t/{world.own}")
    assert client.post(f"/t/{world.own}/plan-now", headers=headers).headers["location"] == f"/t/{world.own}", "without scripts"
    part = client.post(f"/t/{world.own}/plan-now", headers={**headers, "hx-request": "true"}).text
    assert "em espera" in part
    again = part.split('hx-get="')[1].split('"')[0]
    assert client.get(again).status_code == 200
    assert 'hx-trigger="every' in client.get(again).text


def test_every_page_of_a_utility_opens(client: TestClient[Any], world: World) -> None:
    sign_in(client, "operator@own.example")
    run_id = client.get(f"/v1/tenants/{world.own}/runs").json()["runs"][-1]["run_id"]
    plan_id = client.get(f"/v1/tenants/{world.own}/plans").json()["plans"][0]["plan_id"]
    for path in ("", "/plan", "/runs", "/files", f"/runs/{run_id}", f"/plans/{plan_id}", "/board/parts"):
        assert client.get(f"/t/{world.own}{path}").status_code == 200, path
    assert f"levada replay {world.own} {run_id}" in client.get(f"/t/{world.own}/runs/{run_id}").text


class Outline(HTMLParser):
    """What matters to a screen reader: headings, labels, and that nothing is inline."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_pages_have_no_inline_script_or_style_and_load_only_their_own_assets(client: TestClient[Any], world: World) -> None:
    sign_in(client, "operator@own.example")
    for path in (f"/t/{world.own}", f"/t/{world.own}/plan", "/tenants", "/sign-in", "/v1/docs"):
        outline = Outline()
        outline.feed(client.get(path, follow_redirects=True).text)
        for tag, attributes in outline.tags:
            assert "style" not in attributes, (path, tag)
            assert not any(name.startswith("on") for name in attributes), (path, tag)
            assert tag != "style"
            if tag == "script":
                assert (attributes["src"] or "").startswith("/assets/")
        assert sum(tag == "h1" for tag, _ in outline.tags) >= 1
        assert any(tag == "main" for tag, _ in outline.tags)


@pytest.mark.parametrize("path", ["/sign-in", "/v1/tenants", "/no-such-page", "/healthz", "/assets/levada.css"])
def test_every_answer_carries_the_security_headers(client: TestClient[Any], path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert ("no-store" in headers["cache-control"]) == (not path.startswith("/assets/"))


def test_an_unknown_page_is_a_page_and_an_unknown_address_of_the_api_a_problem(client: TestClient[Any]) -> None:
    page, problem = client.get("/no-such-page"), client.get("/v1/no-such")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")


def test_what_a_sender_wrote_is_shown_as_text(client: TestClient[Any], world: World) -> None:
    from levada.store.files import QuarantineRow, add_quarantine, record_file

    async def record(database: Database) -> int:
        async with database.tenant(world.own) as db:
            file_id = await record_file(
                db, name="<script>alert(1)</script>.csv", sha256="c" * 64, size=1, received_at=NOW - timedelta(days=1), state="partly", rows_ok=0, rows_bad=1,
                contract=None, problem="<img src=x onerror=alert(1)>", original=b"x",
            )  # fmt: skip
            await add_quarantine(db, file_id, [QuarantineRow(1, "<b>", "<i>", "<u>", "<script>")])
            return file_id

    file_id = world.run(record)
    sign_in(client, "operator@own.example")
    for path in (f"/t/{world.own}/files", f"/t/{world.own}/files/{file_id}"):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_the_charts_come_as_numbers_in_the_utilitys_units(client: TestClient[Any], world: World) -> None:
    sign_in(client, "operator@own.example")
    data = client.get(f"/t/{world.own}/board.json").json()
    assert data["time_zone"] == "Europe/Lisbon"
    assert data["start"] < data["now"] < data["end"]
    assert datetime.fromtimestamp(data["now"] / 1000, UTC) == NOW
    assert data["demand"]["unit"] == "l/s"
    assert 10 < data["demand"]["q50"][0][1] < 60
    assert [t["name"] for t in data["tanks"]] == ["T1", "T2"]
    assert all(len(t["planned"]) == 25 and t["measured"] for t in data["tanks"])
    assert all(p["measured"] for p in data["pumps"])


