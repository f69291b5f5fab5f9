"""Liveness, readiness, and figures for Prometheus, read with Prometheus's own parser."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families
from tests.web.conftest import World, bearer, still

from levada.telemetry.metrics import FAMILIES
from levada.web.app import make_app


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in text_string_to_metric_families(text) for s in family.samples}


def from_address(world: World, address: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """What a caller at that address gets."""

    async def ask() -> httpx.Response:
        app = make_app(database_url=world.url, clock=still(), secure_cookies=False, demo_note=None)
        async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 5)), base_url="http://levada.test") as caller:
            return await caller.get("/metrics", headers=headers)

    return asyncio.run(ask())


def test_a_process_that_lives_and_can_serve_says_so(client: TestClient[Any]) -> None:
    assert client.get("/healthz").text == "ok"
    assert (client.get("/readyz").status_code, client.get("/readyz").text) == (200, "ready")


def test_the_machine_itself_gets_all_figures(world: World) -> None:
    answer = from_address(world, "127.0.0.1")
    assert answer.status_code == 200
    found = samples(answer.text)
    for tenant in (world.own, world.other):
        assert found["levada_data_age_seconds", (("tenant", tenant),)] == 600
        assert found["levada_plan_valid_seconds", (("tenant", tenant),)] == 21_000
        assert found["levada_run_ended_total", (("kind", "plan"), ("tenant", tenant))] == 3
        assert found["levada_plan_ladder", (("ladder", "new"), ("tenant", tenant))] == 1
    assert found["levada_database_bytes", ()] > 1e6
    assert any(name == "process_resident_memory_bytes" for name, _ in found)
    assert any(name == "levada_queue_jobs" for name, _ in found)


def test_every_family_that_is_given_is_declared_with_its_labels(world: World) -> None:
    for family in text_string_to_metric_families(from_address(world, "::1").text):
        if family.name.startswith("levada_"):
            declared = FAMILIES[family.name]
            assert family.documentation == declared.help
            assert all(set(s.labels) == set(declared.labels) for s in family.samples)


def test_others_get_figures_only_with_a_token_for_them_and_only_their_own(client: TestClient[Any], world: World) -> None:
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers=bearer(world.token)).status_code == 403
    own = samples(client.get("/metrics", headers=bearer(world.metrics_token)).text)
    assert {dict(labels)["tenant"] for _, labels in own} == {world.own}


def test_who_comes_through_a_proxy_on_this_machine_is_not_this_machine(world: World) -> None:
    assert from_address(world, "127.0.0.1", {"x-forwarded-for": "203.0.113.9"}).status_code == 401
    assert from_address(world, "203.0.113.9").status_code == 401
