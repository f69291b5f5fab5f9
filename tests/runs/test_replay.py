from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import Installation
from tests.runs import tiny
from tests.runs.test_training import train_input
from tests.runs.versions import another_version

from levada.clock import Clock
from levada.domain.bundle import RecordedRun, canonical_json
from levada.domain.errors import InputGap
from levada.domain.plan_input import PlanInput
from levada.domain.run import Cause, RunKind
from levada.domain.training import TrainInput
from levada.runs import by_kind
from levada.runs.manifest import manifest
from levada.runs.pipeline import compute
from levada.runs.replay import MOST_DIFFERENCES, differences, replay, replay_file
from levada.runs.worker import work
from levada.store.database import Database
from levada.store.jobs import TASK_PUBLISH
from levada.store.runs import create_run, get_run, request_run

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, JSON)
def test_there_is_a_difference_exactly_where_the_written_values_differ(then: Any, now: Any) -> None:
    as_written = [json.loads(json.dumps(v)) for v in (then, now)]
    assert (list(differences(*as_written)) == []) == (json.dumps(then, sort_keys=True).replace("-0.0", "0.0") == json.dumps(now, sort_keys=True).replace("-0.0", "0.0"))


def test_a_difference_names_its_place_and_both_values() -> None:
    then = {"plan": {"pumps": [{"on": [True, False]}], "cost": 1.0, "gone": 1}}
    now = {"plan": {"pumps": [{"on": [True, True]}], "cost": 1.0000000001, "new": [1]}}
    assert [str(d) for d in differences(then, now)] == [
        "$.plan.pumps[0].on[1]: was false, is true",
        "$.plan.cost: was 1.0, is 1.0000000001",
        "$.plan.gone: was 1, is absent",
        "$.plan.new: was absent, is [1]",
    ]


def test_an_exported_run_is_replayed_and_says_how_many_places_differ_and_under_which_versions() -> None:
    bundle = tiny.plan_input().to_bundle()
    result = compute(bundle)
    made_with = manifest().as_document()
    same = asyncio.run(replay_file(RecordedRun(bundle=bundle, result=result, made_with=made_with, run={})))
    assert same.identical
    assert (same.count, same.differences, same.other_versions) == (0, (), ())

    other = json.loads(result)
    on = other["plan"]["pumps"][0]["on"]
    other["plan"]["pumps"][0]["on"] = [not v for v in on]
    made_with = made_with | {"cpu": "another", "libraries": {**manifest().libraries, "numpy": "1.0"}}
    changed = asyncio.run(replay_file(RecordedRun(bundle=bundle, result=canonical_json(other), made_with=made_with, run={})))
    assert not changed.identical
    assert changed.count == len(on) > len(changed.differences) == MOST_DIFFERENCES
    assert str(changed.differences[0]) == f"$.plan.pumps[0].on[0]: was {json.dumps(not on[0])}, is {json.dumps(on[0])}"
    assert [d.path for d in changed.other_versions] == ["libraries.numpy", "cpu"]


def test_a_run_without_a_result_has_nothing_to_compare_with(in_database: Any, tenant: str) -> None:
    async def check(database: Database) -> None:
        async with database.tenant(tenant) as db:
            made = await create_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=tiny.NOW, created_at=tiny.NOW)
        with pytest.raises(InputGap, match="is queued: it has no result to compare with"):
            await replay(database, tenant, made.run_id)

    in_database(check)


def test_a_run_that_the_worker_made_is_replayed_identical_from_the_database(in_database: Any, installation: Installation, tenant: str) -> None:
    async def nothing(database: Database, args: dict[str, Any], now: datetime) -> None:
        return None

    async def work_and_replay(database: Database) -> None:
        await tiny.put_in(database, tenant)
        async with database.tenant(tenant) as db:
            made = await request_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=tiny.NOW, at=tiny.NOW)
        await work(database, installation.worker_url, Clock(datetime.now(UTC), tiny.NOW, 1.0), drain=True, handlers={TASK_PUBLISH: nothing})
        async with database.tenant(tenant) as db:
            run = await get_run(db, made.run_id)
        assert run.error is None
        assert run.accounting is not None
        assert run.accounting.peak_memory_bytes < 1.5e9
        report = await replay(database, tenant, made.run_id)
        assert report.differences == ()
        assert report.identical

    in_database(work_and_replay)


# --- upgrades ---------------------------------------------------------------------------------------------------------

INPUTS: dict[RunKind, Callable[[], PlanInput | TrainInput]] = {RunKind.PLAN: tiny.plan_input, RunKind.TRAIN: train_input}
MATTERS = {
    RunKind.PLAN: ("runs/pipeline.py", "flags=[*stated.flags, *rung.flags, *forecast_flags]", 'flags=["another"]'),
    RunKind.TRAIN: ("runs/training.py", "days=_days(inputs.zones[name])", "days=1 + _days(inputs.zones[name])"),
}


@pytest.mark.parametrize("kind", list(RunKind))
def test_a_run_of_each_kind_is_replayed_identical_after_an_upgrade_of_unrelated_code(kind: RunKind, tmp_path: Path) -> None:
    bundle = INPUTS[kind]().to_bundle()
    recorded = tmp_path / "run.levada"
    recorded.write_bytes(RecordedRun(bundle=bundle, result=by_kind.compute(bundle), made_with=manifest().as_document(), run={}).to_file())
    upgraded = another_version(tmp_path / "upgraded", "ops/status.py", "_QUEUE_TOO_SLOW = timedelta(minutes=10)", "_QUEUE_TOO_SLOW = timedelta(minutes=20)")
    found = subprocess.run([upgraded, "-m", "levada", "replay", recorded], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "identical" in found.stdout
    # After one that matters it is told where the result differs.
    changed = another_version(tmp_path / "changed", *MATTERS[kind])
    found = subprocess.run([changed, "-m", "levada", "replay", recorded], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "$." in found.stdout
