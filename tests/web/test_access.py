"""Who gets in, who sees what, and that another's utility looks like none at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient
from tests.web.conftest import PASSWORD, World, bearer, csrf, sign_in

from levada.web.access import local_target

API_PATHS = [
    "/v1/tenants/{}/plans/current", "/v1/tenants/{}/plans", "/v1/tenants/{}/forecast/current", "/v1/tenants/{}/series",
    "/v1/tenants/{}/series/tank.T1.level/readings", "/v1/tenants/{}/runs", "/v1/tenants/{}/files",
]  # fmt: skip
PAGE_PATHS = ["/t/{}", "/t/{}/board/parts", "/t/{}/board.json", "/t/{}/events", "/t/{}/plan", "/t/{}/runs", "/t/{}/files"]


def test_a_person_signs_in_and_lands_on_the_only_utility_they_have(client: TestClient[Any], world: World) -> None:
    answer = sign_in(client, "operator@own.example")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/t/{world.own}")
    assert client.get(f"/t/{world.own}").status_code == 200


def test_the_session_cookie_is_out_of_reach_of_scripts_and_of_other_sites(client: TestClient[Any]) -> None:
    cookies = [c.lower() for c in sign_in(client, "operator@own.example").headers.get_list("set-cookie")]
    session = next(c for c in cookies if c.startswith("levada_session="))
    assert "httponly" in session
    assert "samesite=lax" in session
    assert "operator" not in session


def test_a_cookie_that_was_tampered_with_opens_nothing(client: TestClient[Any], world: World) -> None:
    sign_in(client, "operator@own.example")
    value = client.cookies["levada_session"].strip('"')
    client.cookies.clear()
    client.cookies.set("levada_session", ("A" if value[0] != "A" else "B") + value[1:])
    assert client.get(f"/v1/tenants/{world.own}/plans/current").status_code == 401


def test_an_unknown_person_and_a_wrong_password_get_the_same_answer(client: TestClient[Any]) -> None:
    wrong = sign_in(client, "operator@own.example", "not it")
    unknown = sign_in(client, "who@own.example", "not it")
    assert wrong.status_code == unknown.status_code == 401

    def told(text: str) -> str:
        return text.split('role="alert">')[1].split("<")[0]

    assert told(wrong.text) == told(unknown.text)


def test_guessing_is_slowed_down(client: TestClient[Any]) -> None:
    answers = [sign_in(client, "viewer@own.example", f"guess {i}") for i in range(6)]
    assert [a.status_code for a in answers[:5]] == [401] * 5
    assert answers[5].status_code == 429
    assert int(answers[5].headers["retry-after"]) >= 1
    assert sign_in(client, "operator@own.example").status_code == 303, "another person is not shut out"


def test_a_form_without_its_csrf_token_is_refused(client: TestClient[Any]) -> None:
    client.get("/sign-in")
    answer = client.post("/sign-in", data={"email": "operator@own.example", "password": PASSWORD})
    assert answer.status_code == 403
    assert "levada_session" not in client.cookies


def test_a_session_cannot_start_a_run_without_the_csrf_header(client: TestClient[Any], world: World) -> None:
    sign_in(client, "operator@own.example")
    assert client.post(f"/t/{world.own}/plan-now").status_code == 403
    assert client.post(f"/v1/tenants/{world.own}/runs").status_code == 403
    assert client.post(f"/v1/tenants/{world.own}/runs", headers=csrf(client, f"/t/{world.own}")).status_code == 202


def test_a_made_up_bearer_header_does_not_carry_a_session_past_csrf(client: TestClient[Any], world: World) -> None:
    sign_in(client, "operator@own.example")
    assert client.post(f"/v1/tenants/{world.own}/runs", headers=bearer("made-up")).status_code == 401


def test_signing_out_ends_the_session(client: TestClient[Any], world: World) -> None:
    sign_in(client, "operator@own.example")
    headers = csrf(client, f"/t/{world.own}")
    assert client.post("/sign-out", headers=headers).status_code == 303
    answer = client.get(f"/t/{world.own}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next=/t/{world.own}")


def test_a_page_leads_to_the_sign_in_and_back(client: TestClient[Any], world: World) -> None:
    asked = client.get(f"/t/{world.own}/runs")
    assert asked.headers["location"] == f"/sign-in?next=/t/{world.own}/runs"
    assert sign_in(client, "operator@own.example", next_path=f"/t/{world.own}/runs").headers["location"] == f"/t/{world.own}/runs"


@pytest.mark.parametrize("path", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\r\nSet-Cookie: a=b", ""])
def test_signing_in_leads_to_no_other_site(client: TestClient[Any], world: World, path: str) -> None:
    assert sign_in(client, "operator@own.example", next_path=path).headers["location"] == f"/t/{world.own}"


@given(st.text(max_size=40))
def test_a_local_target_begins_with_one_slash_and_names_no_host(text: str) -> None:
    target = local_target(text)
    assert target is None or (target == text and target[0] == "/" and target[1:2] not in ("/", "\\"))


@pytest.mark.parametrize("path", API_PATHS)
def test_the_api_needs_a_caller_that_it_knows(client: TestClient[Any], world: World, path: str) -> None:
    answer = client.get(path.format(world.own))
    assert (answer.status_code, answer.json()["code"]) == (401, "not-signed-in")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert client.get(path.format(world.own), headers=bearer(world.expired_token)).status_code == 401
    assert client.get(path.format(world.own), headers=bearer(world.token)).status_code == 200


@pytest.mark.parametrize("path", API_PATHS)
def test_another_utility_answers_a_token_like_one_that_does_not_exist(client: TestClient[Any], world: World, path: str) -> None:
    theirs = client.get(path.format(world.other), headers=bearer(world.token))
    nobodys = client.get(path.format("no-such"), headers=bearer(world.token))
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.json() == {k: v.replace("no-such", world.other) if isinstance(v, str) else v for k, v in nobodys.json().items()}


@pytest.mark.parametrize("path", PAGE_PATHS)
def test_another_utility_answers_a_person_like_one_that_does_not_exist(client: TestClient[Any], world: World, path: str) -> None:
    sign_in(client, "operator@other.example")
    theirs, nobodys = client.get(path.format(world.own)), client.get(path.format("no-such"))
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.text.replace(world.own, "no-such").split("<main")[-1] == nobodys.text.split("<main")[-1]
    assert "Serra" not in theirs.text


def test_a_plan_run_or_file_of_another_utility_is_not_found_under_ones_own(client: TestClient[Any], world: World) -> None:
    for kind, key in (("plans", "plan_id"), ("runs", "run_id")):
        listed = client.get(f"/v1/tenants/{world.other}/{kind}", headers=bearer(world.other_token)).json()[kind]
        answer = client.get(f"/v1/tenants/{world.own}/{kind}/{listed[0][key]}", headers=bearer(world.token))
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_a_viewer_sees_but_may_not_start(client: TestClient[Any], world: World) -> None:
    sign_in(client, "viewer@own.example")
    page = client.get(f"/t/{world.own}")
    assert page.status_code == 200
    assert "hx-post" not in page.text
    answer = client.post(f"/v1/tenants/{world.own}/runs", headers=csrf(client, f"/t/{world.own}"))
    assert (answer.status_code, answer.json()["code"], answer.json()["right"]) == (403, "not-allowed", "runs:start")


def test_a_right_that_was_taken_away_is_gone_at_once(client: TestClient[Any], world: World) -> None:
    from levada.domain.tenant import Role
    from levada.store.accounts import create_account, set_membership
    from levada.store.database import Database

    async def hire(database: Database, role: Role) -> None:
        async with database.registry() as registry:
            await create_account(registry, "temp@own.example", "Temp", PASSWORD)
            await set_membership(registry, "temp@own.example", world.own, role)

    world.run(lambda database: hire(database, Role.OPERATOR))
    sign_in(client, "temp@own.example")
    headers = csrf(client, f"/t/{world.own}")
    assert client.post(f"/t/{world.own}/plan-now", headers=headers).status_code == 303
    world.run(lambda database: hire(database, Role.VIEWER))
    assert client.post(f"/t/{world.own}/plan-now", headers=headers).status_code == 403
