"""Training runs: what is frozen, what is made of it, how it is stored, replayed and used by plans."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.conftest import Installation
from tests.runs import tiny

from levada.clock import Clock
from levada.domain.bundle import Bundle, BundleError, canonical_json
from levada.domain.run import Cause, RunKind, RunState
from levada.domain.series import Readings
from levada.domain.settings import Utility
from levada.domain.time import to_np
from levada.domain.training import TrainInput, TrainResult
from levada.forecast import address
from levada.runs import by_kind
from levada.runs.freeze import freeze, freeze_training
from levada.runs.replay import replay
from levada.runs.steps import MODEL_HISTORY_DAYS
from levada.runs.training import compute
from levada.runs.worker import work
from levada.store.database import Database
from levada.store.jobs import TASK_PUBLISH
from levada.store.runs import get_result, get_run, request_run


def train_input(**changes: Any) -> TrainInput:
    utility = tiny.document("utility")
    assert isinstance(utility, Utility)
    flow = tiny.readings()["zone.village.flow"]
    fields: dict[str, Any] = {"tenant_id": "tiny", "issue_time": tiny.NOW, "utility": utility, "step_s": 3600, "count": 49, "zones": {"village": flow, "young": Readings.good(flow.times[-200:], flow.values[-200:])}}
    return TrainInput(**fields | changes)


@pytest.fixture(scope="module")
def computed() -> bytes:
    return compute(train_input().to_bundle())


def test_a_training_input_goes_through_a_bundle_unchanged() -> None:
    bundle = train_input().to_bundle()
    assert bundle.kind == "train"
    assert TrainInput.of(Bundle.from_file(bundle.to_file())).to_bundle().bundle_id == bundle.bundle_id
    with pytest.raises(BundleError, match="not for a training"):
        TrainInput.of(tiny.plan_input().to_bundle())
    with pytest.raises(BundleError, match="lacks the part 'utility.json'"):
        TrainInput.of(Bundle("train", {name: part for name, part in bundle.parts.items() if name != "utility.json"}))


def test_the_result_names_models_by_content_and_says_which_zone_has_none(computed: bytes) -> None:
    result = TrainResult.model_validate_json(computed)
    village, young = result.zones
    assert (village.zone, village.days, village.notes) == ("village", 31, [])
    assert village.address is not None
    assert address(result.models()["village"]) == village.address
    assert (young.zone, young.address) == ("young", None)
    assert "21 full days" in young.notes[0]
    assert list(result.models()) == ["village"]
    assert canonical_json(json.loads(computed)) == computed
    assert result.report().texts == {}
    assert result.report().zones == result.zones


def test_a_bundle_is_computed_by_its_kind_with_the_same_bytes_each_time(computed: bytes) -> None:
    assert by_kind.compute(train_input().to_bundle()) == computed
    with pytest.raises(BundleError, match="'other'; this version computes plan and train"):
        by_kind.compute(Bundle("other", {}))


def test_a_training_freezes_the_zones_and_only_what_was_known(in_database: Any, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant, days=120)
        async with database.tenant(tenant) as db:
            frozen = await freeze_training(db, tiny.NOW)
            before = await freeze_training(db, tiny.NOW - timedelta(days=121))
        assert set(frozen.zones) == {"village"}
        assert frozen.zones["village"].times[0] == to_np(tiny.NOW - timedelta(days=120))
        assert frozen.zones["village"].times[-1] == to_np(tiny.NOW)
        assert len(before.zones["village"]) == 0

    in_database(check)


def test_a_training_run_is_stored_replayed_identical_and_frozen_into_the_next_plan(in_database: Any, installation: Installation, tenant: str) -> None:
    other = installation.new_tenant()

    async def nothing(database: Database, args: dict[str, Any], now: datetime) -> None:
        return None

    async def check(database: Database) -> None:
        for name in (tenant, other):
            await tiny.put_in(database, name, days=110)
        async with database.tenant(tenant) as db:
            made = await request_run(db, kind=RunKind.TRAIN, cause=Cause.OPERATOR, issue_time=tiny.NOW, at=tiny.NOW)
        await work(database, installation.worker_url, Clock(datetime.now(UTC), tiny.NOW, 1.0), drain=True, handlers={TASK_PUBLISH: nothing})
        async with database.tenant(tenant) as db:
            run = await get_run(db, made.run_id)
            assert (run.state, run.error) == (RunState.DONE, None)
            report = TrainResult.model_validate_json(await get_result(db, made.run_id))
            frozen = await freeze(db, tiny.NOW)
        assert report.texts == {}
        assert frozen.models is not None
        assert frozen.models.trained_at == tiny.NOW
        assert {z.zone: z.address for z in report.zones} == {zone: address(text) for zone, text in frozen.models.texts.items()}
        assert frozen.readings["zone.village.flow"].times[0] == to_np(tiny.NOW - timedelta(days=MODEL_HISTORY_DAYS))
        async with database.tenant(other) as db:
            assert (await freeze(db, tiny.NOW)).models is None
        replayed = await replay(database, tenant, made.run_id)
        assert replayed.differences == ()
        assert replayed.identical

    in_database(check)
