"""The API's documents, as a program of a utility meets them."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from litestar.testing import TestClient
from tests.web.conftest import World, bearer
from tests.web.samples import NOW, PUMPS

from levada.store.database import DATABASE_TROUBLE, Database
from levada.store.files import QuarantineRow, add_quarantine, record_file
from levada.store.runs import get_run


def test_the_current_plan_has_all_that_a_control_system_needs(client: TestClient[Any], world: World) -> None:
    plan = client.get(f"/v1/tenants/{world.own}/plans/current", headers=bearer(world.token)).json()
    assert plan["tenant_id"] == world.own
    assert plan["expired"] is False
    assert plan["ladder"] == "new"
    assert plan["lower_bound"] <= plan["cost"]
    assert plan["audited_cost"] == pytest.approx(plan["cost"], rel=1e-3)
    assert datetime.fromisoformat(plan["published_at"]) == NOW
    assert datetime.fromisoformat(plan["expires_at"]) > NOW
    assert plan["reasons"][0]["text"]
    assert plan["audit"]["engine"].startswith("EPANET")


def test_steps_and_pumps_tell_the_same_schedule(client: TestClient[Any], world: World) -> None:
    plan = client.get(f"/v1/tenants/{world.own}/plans/current", headers=bearer(world.token)).json()
    assert len(plan["steps"]) == len(plan["step_starts"]) == 24
    for i, step in enumerate(plan["steps"]):
        assert [p["name"] for p in step["pumps"]] == list(PUMPS)
        assert [p["on"] for p in step["pumps"]] == [p["on"][i] for p in plan["pumps"]]
        assert datetime.fromisoformat(step["end"]) - datetime.fromisoformat(step["start"]) == timedelta(seconds=plan["step_seconds"][i])
    assert sum(step["cost"] for step in plan["steps"]) == pytest.approx(plan["cost"])
    edges = [(step["start"], step["end"]) for step in plan["steps"]]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))


def test_a_utility_without_a_plan_says_so_in_a_problem_document(client: TestClient[Any], world: World) -> None:
    from levada.store.accounts import create_token

    async def token(database: Database) -> str:
        async with database.registry() as registry:
            return await create_token(registry, world.empty, "scada", {"plans:read"}, None)

    answer = client.get(f"/v1/tenants/{world.empty}/plans/current", headers=bearer(world.run(token)))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() | {"code": "not-found", "kind": "plan", "name": "current", "status": 404} == answer.json()


def test_plans_are_listed_the_newest_first_and_each_can_be_had(client: TestClient[Any], world: World) -> None:
    heads = client.get(f"/v1/tenants/{world.own}/plans?limit=2", headers=bearer(world.token)).json()["plans"]
    assert [h["published_at"] for h in heads] == sorted((h["published_at"] for h in heads), reverse=True)
    assert len(heads) == 2
    one = client.get(f"/v1/tenants/{world.own}/plans/{heads[1]['plan_id']}", headers=bearer(world.token)).json()
    assert (one["plan_id"], one["cost"]) == (heads[1]["plan_id"], heads[1]["cost"])


def test_the_forecast_is_of_the_current_plan_and_its_quantiles_are_in_order(client: TestClient[Any], world: World) -> None:
    found = client.get(f"/v1/tenants/{world.own}/forecast/current", headers=bearer(world.token)).json()
    plan = client.get(f"/v1/tenants/{world.own}/plans/current", headers=bearer(world.token)).json()
    assert found["plan_id"] == plan["plan_id"]
    for zone in found["zones"]:
        assert all(0 <= a <= b <= c for a, b, c in zip(zone["q10_m3_per_s"], zone["q50_m3_per_s"], zone["q90_m3_per_s"], strict=True))


def test_readings_are_those_of_the_window_and_of_what_was_known(client: TestClient[Any], world: World) -> None:
    path = f"/v1/tenants/{world.own}/series/tank.T1.level/readings"
    window = {"start": "2026-03-17T00:00:00Z", "end": "2026-03-17T02:00:00+00:00"}
    found = client.get(path, params=window, headers=bearer(world.token)).json()
    assert (found["unit"], found["quantity"], found["cell_method"]) == ("m", "level", "point")
    assert [t[11:16] for t in found["times"]] == [f"{h:02d}:{m:02d}" for h in (0, 1) for m in (0, 15, 30, 45)]
    assert len(found["values"]) == len(found["quality"]) == 8
    before = client.get(path, params={**window, "known_at": "2026-03-16T00:00:00Z"}, headers=bearer(world.token)).json()
    assert before["times"] == []


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"start": "2026-03-17T00:00:00"}, "start"),
        ({"known_at": "2026-03-17T00:00:00"}, "known_at"),
        ({"start": "2026-03-17T00:00:00Z", "end": "2026-03-16T00:00:00Z"}, "end"),
        ({"start": "2020-01-01T00:00:00Z", "end": "2026-03-16T00:00:00Z"}, "start"),
    ],
)
def test_a_parameter_that_does_not_hold_is_named(client: TestClient[Any], world: World, params: dict[str, str], parameter: str) -> None:
    answer = client.get(f"/v1/tenants/{world.own}/series/tank.T1.level/readings", params=params, headers=bearer(world.token))
    assert (answer.status_code, answer.json()["code"], answer.json()["parameter"]) == (400, "bad-request", parameter)


def test_an_unknown_series_run_file_or_plan_is_not_found(client: TestClient[Any], world: World) -> None:
    for path in ("series/no.such/readings", f"runs/{uuid4()}", "files/999999", f"plans/{uuid4()}", "runs/no-uuid", "nothing"):
        answer = client.get(f"/v1/tenants/{world.own}/{path}", headers=bearer(world.token))
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), path
        assert answer.headers["content-type"] == "application/problem+json"


def test_every_series_comes_with_its_newest_reading(client: TestClient[Any], world: World) -> None:
    found = client.get(f"/v1/tenants/{world.own}/series", headers=bearer(world.token)).json()["series"]
    level = next(s for s in found if s["series_id"] == "tank.T1.level")
    assert datetime.fromisoformat(level["latest_time"]) == NOW.replace(minute=0)
    assert 0 < level["latest_value"] < 5


def test_asking_for_a_plan_makes_one_run_that_waits_in_the_callers_name(client: TestClient[Any], world: World) -> None:
    first = client.post(f"/v1/tenants/{world.other}/runs", headers=bearer(world.other_token))
    assert first.status_code == 202
    assert first.json()["created"] is True
    again = client.post(f"/v1/tenants/{world.other}/runs", headers=bearer(world.other_token)).json()
    assert again == {"run_id": first.json()["run_id"], "created": False}
    run = client.get(first.headers["location"], headers=bearer(world.other_token)).json()
    assert (run["state"], run["cause"], run["started_by"], run["kind"]) == ("queued", "operator", "scada", "plan")

    async def stored(database: Database) -> str:
        from uuid import UUID

        async with database.tenant(world.other) as db:
            return (await get_run(db, UUID(run["run_id"]))).state.value

    assert world.run(stored) == "queued"


def test_a_run_that_waits_is_cancelled_and_tried_again_in_the_callers_name(client: TestClient[Any], world: World) -> None:
    run_id = client.post(f"/v1/tenants/{world.other}/runs", headers=bearer(world.other_token)).json()["run_id"]
    path = f"/v1/tenants/{world.other}/runs/{run_id}"
    assert client.post(f"{path}/retry", headers=bearer(world.other_token)).json()["code"] == "state"
    cancelled = client.post(f"{path}/cancel", headers=bearer(world.other_token))
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert cancelled.json()["history"][0]["message"] == "cancelled by scada"
    again = client.post(f"{path}/cancel", headers=bearer(world.other_token))
    assert (again.status_code, again.json()["code"]) == (409, "state")
    assert client.post(f"{path}/retry", headers=bearer(world.other_token)).json()["state"] == "queued"
    assert client.post(f"{path}/cancel", headers=bearer(world.token)).status_code == 404, "another utility's"


def test_a_training_is_asked_for_by_its_kind_and_another_kind_is_refused(client: TestClient[Any], world: World) -> None:
    asked = client.post(f"/v1/tenants/{world.other}/runs", params={"kind": "train"}, headers=bearer(world.other_token))
    assert asked.status_code == 202
    assert client.get(asked.headers["location"], headers=bearer(world.other_token)).json()["kind"] == "train"
    assert client.post(f"/v1/tenants/{world.other}/runs", params={"kind": "nap"}, headers=bearer(world.other_token)).status_code == 400


def test_runs_say_what_they_took_and_go_back_page_by_page(client: TestClient[Any], world: World) -> None:
    runs = client.get(f"/v1/tenants/{world.own}/runs", headers=bearer(world.token)).json()["runs"]
    done = next(r for r in runs if r["state"] == "done")
    assert done["accounting"]["wall_s"] == 3.2
    assert done["result_sha256"]
    older = client.get(f"/v1/tenants/{world.own}/runs", params={"before": runs[0]["run_id"]}, headers=bearer(world.token)).json()["runs"]
    assert [r["run_id"] for r in older] == [r["run_id"] for r in runs[1:]]


def test_a_partly_taken_file_shows_its_refused_rows(client: TestClient[Any], world: World) -> None:
    async def record(database: Database) -> int:
        async with database.tenant(world.own) as db:
            file_id = await record_file(
                db, name="scada_1.csv", sha256="b" * 64, size=100, received_at=NOW, state="partly", rows_ok=3, rows_bad=1, contract="scada", problem="1 row refused", original=b"x"
            )
            await add_quarantine(db, file_id, [QuarantineRow(4, "T1", "4,x", "expected a number", "03:00;4,x")])
            return file_id

    file_id = world.run(record)
    listed = client.get(f"/v1/tenants/{world.own}/files", headers=bearer(world.token)).json()["files"]
    assert listed[0]["name"] == "scada_1.csv"
    detail = client.get(f"/v1/tenants/{world.own}/files/{file_id}", headers=bearer(world.token)).json()
    assert detail["rows"] == [{"line": 4, "column": "T1", "found": "4,x", "problem": "expected a number", "raw": "03:00;4,x"}]
    assert (detail["state"], detail["rows_ok"], detail["rows_bad"]) == ("partly", 3, 1)


def test_a_caller_sees_its_own_utilities_and_rights(client: TestClient[Any], world: World) -> None:
    found = client.get("/v1/tenants", headers=bearer(world.token)).json()["tenants"]
    assert [t["id"] for t in found] == [world.own]
    assert found[0]["name"] == "Águas da Serra"
    assert "runs:start" in found[0]["rights"]


def test_a_wrong_method_is_answered_as_a_problem(client: TestClient[Any], world: World) -> None:
    answer = client.delete(f"/v1/tenants/{world.own}/plans/current", headers=bearer(world.token))
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")


def test_the_description_is_sound_openapi_and_names_every_route_with_its_errors(client: TestClient[Any]) -> None:
    description = client.get("/v1/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    ids = set()
    for path, item in description["paths"].items():
        assert path.startswith("/v1/")
        for method, operation in item.items():
            assert operation["summary"], (method, path)
            assert operation["operationId"] not in ids
            ids.add(operation["operationId"])
            assert "401" in operation["responses"], (method, path)
            wanted = {p[1:-1] for p in path.split("/") if p.startswith("{")}
            assert {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"} == wanted
    schemas = description["components"]["schemas"]
    for ref in _refs(description):
        assert ref.removeprefix("#/components/schemas/") in schemas, ref
    assert "reasons" in schemas["PlanDocument"]["properties"]
    assert len(ids) == 17


def _refs(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in _refs(value)]
    return [ref for value in node for ref in _refs(value)] if isinstance(node, list) else []


def test_the_description_is_also_a_page_that_loads_nothing_from_elsewhere(client: TestClient[Any]) -> None:
    page = client.get("/v1/docs")
    assert page.status_code == 200
    assert "/v1/tenants/{tenant}/plans/current" in page.text
    assert "<script" not in page.text
    assert 'src="http' not in page.text


@pytest.mark.parametrize("trouble", DATABASE_TROUBLE)
def test_a_request_that_meets_the_database_s_death_is_told_to_come_again(client: TestClient[Any], world: World, monkeypatch: pytest.MonkeyPatch, trouble: type[Exception]) -> None:
    async def gone(*_: Any) -> None:
        raise trouble("terminating connection")

    monkeypatch.setattr("levada.web.api.runs.list_runs", gone)
    answer = client.get(f"/v1/tenants/{world.own}/runs", headers=bearer(world.token))
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["code"]) == (503, "3", "database-away")
    assert "terminating" not in answer.text
