"""A delivered file on the real database: what is stored, quarantined, told and set going, and that all of it happens once or not at all."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.intake.delivering import FILES

from levada.domain.series import Quality
from levada.domain.settings import read_document
from levada.domain.time import Window
from levada.intake import take
from levada.intake.receipt import Receipt, receipt_path
from levada.intake.take import take_file
from levada.store.database import Database
from levada.store.documents import put_document
from levada.store.files import get_file, list_files
from levada.store.jobs import queue_depth
from levada.store.outbox import undelivered
from levada.store.series import readings_many

InDatabase = Callable[[Callable[[Database], Awaitable[Any]]], Any]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = Window(NOW - timedelta(days=3), NOW + timedelta(days=3))
GOOD = b"time;LEVEL;FLOW\n2026-03-01T11:30:00;2.5;10\n2026-03-01T11:45:00;2.6;20\n"


async def taken(database: Database, tenant: str, name: str, content: bytes, now: datetime = NOW, **more: Any) -> Receipt:
    return await take_file(database, tenant, name=name, content=content, now=now, **more)


async def known(database: Database, tenant: str, *series: str, known_at: datetime = NOW + timedelta(days=1)) -> dict[str, list[tuple[str, float, Quality]]]:
    async with database.tenant(tenant) as db:
        found = await readings_many(db, series, DAY, known_at)
    return {s: [(str(t)[11:16], float(v), Quality(int(q))) for t, v, q in zip(r.times, r.values, r.quality, strict=True)] for s, r in found.items()}


async def outbox(database: Database, tenant: str) -> dict[str, Any]:
    async with database.registry() as registry:
        return {i.path: json.loads(i.content) for i in await undelivered(registry) if i.tenant_id == tenant}


def test_a_good_file_is_stored_in_si_with_a_receipt_and_a_job(in_database: InDatabase, tenant: str) -> None:
    async def work(database: Database) -> None:
        receipt = await taken(database, tenant, "scada_1.csv", GOOD)
        assert (receipt.state, receipt.rows_taken, receipt.values.new) == ("taken", 2, 4)
        found = await known(database, tenant, "tank.T1.level", "zone.north.flow")
        assert found["tank.T1.level"] == [("11:30", 2.5, Quality.GOOD), ("11:45", 2.6, Quality.GOOD)]
        assert [v for _, v, _ in found["zone.north.flow"]] == [pytest.approx(0.01), pytest.approx(0.02)]
        told = (await outbox(database, tenant))["receipt_scada_1.csv.json"]
        assert (told["state"], told["rows_taken"], told["values"]["new"], told["problems"]) == ("taken", 2, 4, [])
        async with database.tenant(tenant) as db:
            assert (await queue_depth(db))["new-data", "todo"] >= 1
            (row,) = await list_files(db, 10)
            assert (row.state, row.rows_ok, row.contract, (await get_file(db, row.file_id)).original) == ("taken", 2, "SCADA", None)

    in_database(work)


def test_bad_rows_are_quarantined_with_line_column_and_reason_and_good_ones_taken(in_database: InDatabase, tenant: str) -> None:
    content = GOOD + b"yesterday;1;1\n2026-03-01T12:00:00;99;30\n2026-03-01T12:15:00;x;;\n"

    async def work(database: Database) -> None:
        receipt = await taken(database, tenant, "scada_1.csv", content)
        assert (receipt.state, receipt.rows_total, receipt.rows_refused) == ("partly", 5, 3)
        found = await known(database, tenant, "tank.T1.level", "zone.north.flow")
        assert [t for t, _, _ in found["tank.T1.level"]] == ["11:30", "11:45"]
        assert [t for t, _, _ in found["zone.north.flow"]] == ["11:30", "11:45", "12:00"]  # the good value of a row with a bad one
        async with database.tenant(tenant) as db:
            (row,) = await list_files(db, 10)
            detail = await get_file(db, row.file_id)
        assert detail.original == content
        assert [(r.line, r.column, r.found) for r in detail.rows] == [(4, "time", "yesterday"), (5, "LEVEL", "99"), (6, "LEVEL", "x")]
        assert detail.rows[1].raw == "2026-03-01T12:00:00;99;30"
        assert detail.rows[1].problem == "scada_1.csv, line 5, column 'LEVEL': found '99', expected at most 10.0 m, the most plausible LEVEL"
        told = (await outbox(database, tenant))["receipt_scada_1.csv.json"]
        assert told["problems"][0] == {"line": 4, "column": "time", "found": "yesterday", "expected": "an ISO 8601 time such as 2026-03-01T04:15:00"}
        assert "line 4" in told["summary"]

    in_database(work)


def test_the_same_content_again_changes_nothing_and_says_so(in_database: InDatabase, tenant: str) -> None:
    async def work(database: Database) -> None:
        await taken(database, tenant, "scada_1.csv", GOOD)
        before = await known(database, tenant, "tank.T1.level", "zone.north.flow")
        again = await taken(database, tenant, "scada_2.csv", GOOD, NOW + timedelta(hours=1))
        assert again.state == "duplicate"
        assert "taken as 'scada_1.csv'" in (again.problem or "")
        assert await known(database, tenant, "tank.T1.level", "zone.north.flow") == before
        assert (await outbox(database, tenant))["receipt_scada_2.csv.json"]["state"] == "duplicate"

    in_database(work)


def test_a_corrected_value_is_a_second_version_and_the_first_is_still_known_for_its_time(in_database: InDatabase, tenant: str) -> None:
    async def work(database: Database) -> None:
        await taken(database, tenant, "scada_1.csv", GOOD)
        later = await taken(database, tenant, "scada_1.csv", GOOD.replace(b"2.6", b"2.7"), NOW + timedelta(minutes=30))
        assert (later.state, later.values.new, later.values.corrected, later.values.unchanged) == ("taken", 0, 1, 3)
        assert (await known(database, tenant, "tank.T1.level", known_at=NOW))["tank.T1.level"][1][1] == 2.6
        assert (await known(database, tenant, "tank.T1.level"))["tank.T1.level"][1][1:] == (2.7, Quality.CORRECTED)

    in_database(work)


def test_equal_bytes_of_two_meters_are_two_deliveries(in_database: InDatabase, tenant: str) -> None:
    zeros = b"time;X\n2026-03-01T00:00:00;0\n"

    async def work(database: Database) -> None:
        for _ in range(2):
            states = [(await taken(database, tenant, name, zeros)).state for name in ("a_1.csv", "b_1.csv")]
        assert states == ["duplicate", "duplicate"]
        found = await known(database, tenant, "meter.a", "meter.b")
        assert len(found["meter.a"]) == len(found["meter.b"]) == 1

    in_database(work)


def test_files_that_cannot_be_read_are_kept_as_they_came_and_the_receipt_says_what_to_do(in_database: InDatabase, tenant: str) -> None:
    cases = {
        "picture.png": (GOOD, "fits none of the patterns 'scada_*.csv', 'a_*.csv', 'b_*.csv'"),
        "scada_empty.csv": (b"", "the file is empty"),
        "scada_comma.csv": (GOOD.replace(b";", b","), "parted by a comma"),
        "scada_bad.csv": (b"time;LEVEL;FLOW\nnever;1;2\n", "none of its 1 rows could be taken"),
    }

    async def work(database: Database) -> None:
        for name, (content, says) in cases.items():
            receipt = await taken(database, tenant, name, content)
            assert receipt.state == "refused"
            assert says in (receipt.problem or "")
            assert says in (await outbox(database, tenant))[receipt_path(name)]["summary"]
        async with database.tenant(tenant) as db:
            for row in await list_files(db, 10):
                assert (await get_file(db, row.file_id)).original == cases[row.name][0]

    in_database(work)


def test_a_refused_file_can_be_delivered_again_once_its_contract_is_there(in_database: InDatabase, installation: Any) -> None:
    tenant = installation.new_tenant()

    async def work(database: Database) -> None:
        first = await taken(database, tenant, "scada_1.csv", GOOD)
        assert first.state == "refused"
        assert "no file contracts yet" in (first.problem or "")
        async with database.tenant(tenant) as db:
            await put_document(db, "files", read_document("files", FILES), "test", NOW)
        assert (await taken(database, tenant, "scada_1.csv", GOOD)).state == "taken"

    in_database(work)


def test_unknown_tags_are_told_and_kept_apart_from_refusals(in_database: InDatabase, tenant: str) -> None:
    async def work(database: Database) -> None:
        receipt = await taken(database, tenant, "scada_1.csv", b"time;LEVEL;PH\n2026-03-01T11:45:00;2;7\n")
        assert (receipt.state, receipt.unknown_tags, receipt.absent_tags) == ("taken", ("PH",), ("FLOW",))
        async with database.tenant(tenant) as db:
            assert "'PH'" in ((await list_files(db, 1))[0].problem or "")

    in_database(work)


def test_taking_a_delivery_again_after_a_crash_leaves_its_first_receipt(in_database: InDatabase, tenant: str) -> None:
    async def work(database: Database) -> None:
        await taken(database, tenant, "scada_1.csv", GOOD, received_at=NOW - timedelta(seconds=3))
        await taken(database, tenant, "scada_1.csv", GOOD, NOW + timedelta(minutes=1), received_at=NOW - timedelta(seconds=3))
        assert (await outbox(database, tenant))["receipt_scada_1.csv.json"]["state"] == "taken"
        async with database.tenant(tenant) as db:
            assert len(await list_files(db, 10)) == 1

    in_database(work)


def test_the_same_content_delivered_many_times_at_once_takes_effect_once(in_database: InDatabase, tenant: str) -> None:
    async def work(database: Database) -> None:
        receipts = await asyncio.gather(*(taken(database, tenant, f"scada_{i}.csv", GOOD) for i in range(6)))
        assert sorted(r.state for r in receipts) == ["duplicate"] * 5 + ["taken"]

    in_database(work)


def test_when_the_last_step_fails_nothing_of_the_file_is_there(in_database: InDatabase, tenant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object, **__: object) -> int:
        raise RuntimeError("power cut")

    async def jobs(database: Database) -> int:
        async with database.tenant(tenant) as db:
            return (await queue_depth(db)).get(("new-data", "todo"), 0)

    async def work(database: Database) -> None:
        before = await jobs(database)
        monkeypatch.setattr(take, "put_outbox", fails)
        with pytest.raises(RuntimeError, match="power cut"):
            await taken(database, tenant, "scada_1.csv", GOOD)
        monkeypatch.undo()
        async with database.tenant(tenant) as db:
            assert await list_files(db, 10) == []
        assert await jobs(database) == before
        assert (await taken(database, tenant, "scada_1.csv", GOOD)).values.new == 4

    in_database(work)


def test_late_and_impossible_readings_carry_their_flags(in_database: InDatabase, tenant: str) -> None:
    async def work(database: Database) -> None:
        await taken(database, tenant, "scada_1.csv", b"time;LEVEL\n2026-02-28T00:00:00;1\n2026-03-01T11:45:00;2\n")
        found = await known(database, tenant, "tank.T1.level")
        assert [q for _, _, q in found["tank.T1.level"]] == [Quality.LATE, Quality.GOOD]

    in_database(work)


@pytest.mark.parametrize("name", ["../evil.csv", "a/b.csv", "\x00.csv", ".."])
def test_a_receipt_stays_in_the_outbox_whatever_the_file_is_called(in_database: InDatabase, tenant: str, name: str) -> None:
    assert "/" not in receipt_path(name)

    async def work(database: Database) -> None:
        if "\x00" not in name:
            assert (await taken(database, tenant, name, GOOD)).state == "refused"
        assert all("/" not in path for path in await outbox(database, tenant))

    in_database(work)
