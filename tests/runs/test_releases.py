"""Two versions side by side: shadow, canary, promotion and the way back, with real workers and a real second version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import Installation
from tests.runs import tiny
from tests.runs.versions import another_version
from tests.runs.working import CLOCK, Published, ask, run_of, until

from levada.domain.errors import StateError
from levada.domain.release import ReleaseMode
from levada.domain.run import Cause, Run, RunState
from levada.runs.contender import Contender, contender_at, this_version
from levada.runs.worker import work
from levada.store.audit_log import list_audit
from levada.store.database import Database
from levada.store.jobs import TASK_PUBLISH, Priority, enqueue, jobs_due, task_of
from levada.store.plans import list_plans
from levada.store.releases import comparisons, get_release, promote, roll_back, served_versions, set_channels
from levada.store.runs import list_runs

pytestmark = pytest.mark.usefixtures("empty_queue")

_COMPUTE = "    match bundle.kind:\n"
_AT_ONCE = "    from tests.runs.computing import plan_at_once\n    return plan_at_once(bundle)\n"


def version(top: Path, body: str) -> Contender:
    """A candidate whose plans take no computing, after it has done what `body` says."""
    top.mkdir()
    return asyncio.run(contender_at(another_version(top, "runs/by_kind.py", _COMPUTE, f"{body}{_AT_ONCE}{_COMPUTE}")))


@asynccontextmanager
async def working(database: Database, installation: Installation, published: Published, *candidates: Contender) -> AsyncIterator[None]:
    ready = asyncio.Event()
    task = asyncio.create_task(work(
        database, installation.worker_url, CLOCK, drain=False, handlers={TASK_PUBLISH: published.handle}, function="tests.runs.computing:plan_at_once", candidates=candidates,
        on_ready=ready.set,
    ))  # fmt: skip
    try:
        await ready.wait()
        await until(lambda: _served(database, candidates))
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _served(database: Database, candidates: tuple[Contender, ...]) -> bool:
    async with database.registry() as db:
        return {c.name for c in candidates} <= {v.version for v in await served_versions(db) if v.is_served}


async def planned(database: Database, tenant: str, number: int = 0) -> Run:
    """The run of a plan asked for a little later each time, once it is done."""
    run_id = await ask(database, tenant, tiny.NOW + timedelta(seconds=number))

    async def done() -> bool:
        return (await run_of(database, tenant, run_id)).state is RunState.DONE

    await until(done)
    return await run_of(database, tenant, run_id)


async def channels(database: Database, tenant: str, mode: ReleaseMode, candidate: str | None = None) -> None:
    async with database.tenant(tenant) as db:
        await set_channels(db, mode, stable=this_version().name, candidate=candidate, by="ana", at=tiny.NOW)


async def shadows(database: Database, tenant: str) -> list[Run]:
    async with database.tenant(tenant) as db:
        return [run for run in await list_runs(db, 100) if run.cause is Cause.SHADOW]


def test_in_shadow_the_candidate_computes_each_input_as_well_and_its_result_is_compared_and_never_published(
    in_database: Any, installation: Installation, tenant: str, tmp_path: Path
) -> None:
    candidate = version(tmp_path / "next", "")

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        await channels(database, tenant, ReleaseMode.SHADOW, candidate.name)
        published = Published()
        async with working(database, installation, published, candidate):
            run = await planned(database, tenant)

            async def compared() -> bool:
                async with database.tenant(tenant) as db:
                    return bool(await comparisons(db, candidate.name, 10))

            await until(compared)
        assert run.version == this_version().name
        (shadow,) = await shadows(database, tenant)
        assert (shadow.version, shadow.shadow_of, shadow.bundle_id, shadow.state) == (candidate.name, run.run_id, run.bundle_id, RunState.DONE)
        assert shadow.manifest is not None
        assert shadow.manifest["sources_sha256"] == candidate.made_with["sources_sha256"]
        async with database.tenant(tenant) as db:
            (comparison,) = await comparisons(db, candidate.name, 10)
            assert len(await list_plans(db, 10)) == 1
        assert comparison.by_stable.cost == comparison.by_candidate.cost
        assert comparison.by_candidate.cpu_s is not None
        assert len(published.of(tenant)) == 1

    in_database(check)


def test_a_candidate_that_fails_one_input_in_ten_is_withdrawn_from_canary_by_itself_and_every_plan_comes(
    in_database: Any, installation: Installation, tenant: str, tmp_path: Path
) -> None:
    candidate = version(tmp_path / "next", "    if bundle.seed % 10 == 0:\n        __import__('os')._exit(3)\n")

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        await channels(database, tenant, ReleaseMode.CANARY, candidate.name)
        published, runs = Published(), list[Run]()
        async with working(database, installation, published, candidate):
            while runs[-1].version != this_version().name if runs else True:
                runs.append(await planned(database, tenant, len(runs)))
                assert len(runs) < 120, "one in ten should have failed by now"
            after = await planned(database, tenant, len(runs))
            await until(lambda: _all_published(published, tenant, len(runs) + 1))
        assert {run.version for run in runs[:-1]} <= {candidate.name}
        assert runs[-1].history[-1]["code"] == "candidate-failed"
        assert after.version == this_version().name
        async with database.tenant(tenant) as db:
            release = await get_release(db)
            audit = [entry.action for entry in await list_audit(db, 10)]
        assert release is not None
        assert release.mode is ReleaseMode.STABLE
        assert release.reason.startswith("withdrawn: it failed: the computing process died (exit code 3")
        assert "canary withdrawn" in audit

    in_database(check)


async def _all_published(published: Published, tenant: str, count: int) -> bool:
    return len(published.of(tenant)) == count


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("    from levada.domain.errors import InputGap\n    raise InputGap('no levels', 'deliver them')\n", "withdrawn: it failed where stable did not: no levels; deliver them"),
        (
            ("    import json; from tests.runs.computing import plan_at_once; d = json.loads(plan_at_once(bundle)); d['plan']['audit']['cost'] = 5.0\n"
            "    return json.dumps(d).encode()\n"),
            "withdrawn: the candidate's last 5 plans cost",
        ),
        (
            ("    import json; from tests.runs.computing import plan_at_once; d = json.loads(plan_at_once(bundle))\n"
            "    d['plan']['audit']['violations'] = [{'limit': 'level', 'element': 'TNK', 'at': None, 'amount': 1.0, 'unit': 'm', 'text': 'TNK runs dry', 'kind': '', 'until': None}]\n"
            "    return json.dumps(d).encode()\n"),
            "withdrawn: the candidate's plan breaks 1 limits, stable's 0 on the same input",
        ),
    ],
    ids=["it refuses an input that stable can use", "its plans are dearer", "its plan breaks a limit"],
)
def test_a_canary_that_is_worse_than_stable_on_the_same_input_goes_back_with_the_reason(
    in_database: Any, installation: Installation, tenant: str, tmp_path: Path, body: str, reason: str
) -> None:
    candidate = version(tmp_path / "next", body)

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        await channels(database, tenant, ReleaseMode.CANARY, candidate.name)

        async def withdrawn() -> bool:
            async with database.tenant(tenant) as db:
                release = await get_release(db)
            return release is not None and release.mode is ReleaseMode.STABLE and release.reason.startswith(reason)

        async with working(database, installation, Published(), candidate):
            for number in range(6):
                await planned(database, tenant, number)
            await until(withdrawn)

    in_database(check)


def test_an_input_that_neither_version_can_use_withdraws_nobody(in_database: Any, installation: Installation, tenant: str, tmp_path: Path) -> None:
    candidate = version(tmp_path / "next", "")

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        await channels(database, tenant, ReleaseMode.CANARY, candidate.name)
        async with working(database, installation, Published(), candidate):
            run_id = await ask(database, tenant, tiny.NOW + timedelta(hours=5))  # its levels are too old

            async def failed() -> bool:
                return (await run_of(database, tenant, run_id)).state is RunState.FAILED

            await until(failed)
        async with database.tenant(tenant) as db:
            release = await get_release(db)
        assert release is not None
        assert release.mode is ReleaseMode.CANARY

    in_database(check)


def test_a_plan_that_waits_for_a_version_nobody_serves_is_computed_by_another(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        await channels(database, tenant, ReleaseMode.CANARY, "9.9.9+gone")
        async with working(database, installation, Published()):
            run = await planned(database, tenant)
        assert run.version == this_version().name
        assert not await shadows(database, tenant)

    in_database(check)


def test_no_worker_is_started_for_comparisons_with_a_version_that_nobody_serves(in_database: Any, installation: Installation, tenant: str) -> None:
    async def check(database: Database) -> None:
        for seconds, due in ((0, 1), (61, 0)):
            with psycopg.connect(installation.worker_url) as connection:
                connection.execute("INSERT INTO served_version VALUES ('7.7+x', now() - %s * interval '1 second') ON CONFLICT (version) DO UPDATE SET seen_at = excluded.seen_at", [seconds])
            async with database.tenant(tenant) as db:
                await enqueue(db, task_of("7.7+x"), {"run_id": "none"}, priority=Priority.BACKTEST, queueing_lock="one")
            async with database.registry() as registry:
                assert await jobs_due(registry) == due

    in_database(check)


def test_promotion_and_rolling_back_take_effect_on_the_next_run_and_are_in_the_audit_log(
    in_database: Any, installation: Installation, tenant: str, tmp_path: Path
) -> None:
    candidate = version(tmp_path / "next", "")

    async def check(database: Database) -> None:
        await tiny.put_in(database, tenant)
        stable = this_version().name
        async with database.tenant(tenant) as db:
            with pytest.raises(StateError, match="no candidate to promote"):
                await promote(db, "ana", tiny.NOW)
            with pytest.raises(StateError, match="no version to roll back to"):
                await roll_back(db, "ana", tiny.NOW)
            with pytest.raises(StateError, match="there is no candidate"):
                await set_channels(db, ReleaseMode.CANARY, stable=stable, by="ana", at=tiny.NOW)
            with pytest.raises(StateError, match="is stable already"):
                await set_channels(db, ReleaseMode.SHADOW, stable=stable, candidate=stable, by="ana", at=tiny.NOW)
        await channels(database, tenant, ReleaseMode.STABLE, candidate.name)
        async with working(database, installation, Published(), candidate):
            versions = [(await planned(database, tenant, 0)).version]
            for number, change in enumerate((promote, roll_back), start=1):
                async with database.tenant(tenant) as db:
                    await change(db, "ana", tiny.NOW)
                versions.append((await planned(database, tenant, number)).version)
        assert versions == [stable, candidate.name, stable]
        async with database.tenant(tenant) as db:
            assert [e.action for e in await list_audit(db, 10) if e.action.startswith("release")] == ["release rolled back", "release promoted", "release set to stable"]
            release = await get_release(db)
        assert release is not None
        assert release.previous_stable == candidate.name

    in_database(check)
