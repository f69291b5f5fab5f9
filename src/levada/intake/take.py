"""Take one delivered file: read, check, store, quarantine, receipt and the job that follows, all in one transaction or not at all."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase

import numpy as np

from levada.domain.errors import DocumentError, FileError
from levada.domain.series import Quality, SeriesSpec
from levada.domain.settings import FileContract, FileContracts
from levada.domain.tenant import TenantId
from levada.domain.time import isoformat_z
from levada.intake.checks.checked import CheckedSeries, check_file
from levada.intake.contracts.parsed import Problem
from levada.intake.contracts.read import read_file
from levada.intake.quarantine import quarantine_rows
from levada.intake.receipt import Receipt, Values, receipt_path
from levada.store.database import Database, TenantConnection
from levada.store.documents import find_document
from levada.store.files import FileRow, add_quarantine, find_file, record_file
from levada.store.jobs import TASK_NEW_DATA, Priority, enqueue
from levada.store.outbox import put_outbox
from levada.store.series import Delivery, add_readings, ensure_series, list_series
from levada.telemetry.log import bound, get_logger
from levada.telemetry.trace import span

__all__ = ["choose_contract", "refuse_file", "take_file"]

log = get_logger("intake")

_SMALL_BYTES = 64 << 10
"""Read in a millisecond or two, so one transaction does for looking it up and for taking it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A file as read and checked, before anything is stored."""

    contract: FileContract
    series: list[CheckedSeries]
    problems: tuple[Problem, ...]
    rows_total: int
    rows_refused: int
    unknown_tags: tuple[str, ...]
    absent_tags: tuple[str, ...]
    notes: tuple[str, ...]


def choose_contract(contracts: FileContracts | None, name: str) -> FileContract:
    """The first contract whose pattern fits the name, capitals and all. Raises FileError naming the patterns there are."""
    if contracts is None:
        raise FileError(file=name, problem="this utility has no file contracts yet", remedy="put in the settings document `files`, then deliver again")
    for contract in contracts.contracts:
        if fnmatchcase(name, contract.file_name):
            return contract
    patterns = ", ".join(repr(c.file_name) for c in contracts.contracts)
    raise FileError(file=name, problem=f"its name fits none of the patterns {patterns}", remedy="rename it, or add a file contract for it")


async def take_file(database: Database, tenant_id: TenantId, *, name: str, content: bytes, now: datetime, received_at: datetime | None = None) -> Receipt:
    """Take a file; returns the receipt, which also goes into the outbox.

    `now` is the instant from which its readings are known; `received_at` when the upload ended, where that was earlier. The same content
    again (under the same contract) changes nothing; being called again for the same delivery (name and `received_at`), after a crash
    between commit and clean-up, does not even change the receipt. Nothing is raised for a bad file: it is refused in the receipt.
    Raises what the database raises when it cannot be reached; then nothing has happened.
    """
    received_at = received_at or now
    sha256 = hashlib.sha256(content).hexdigest()
    receipt = Receipt(file=name, sha256=sha256, size=len(content), received_at=received_at, state="refused")
    with bound(tenant=tenant_id, file=name), span("intake.take", tenant=tenant_id, file=name, bytes=len(content)) as current:
        try:
            async with database.tenant(tenant_id) as db:
                contract = choose_contract(await _contracts(db), name)
                key, earlier = await _earlier(db, sha256, contract)
                if earlier is not None:
                    return await _duplicate(db, receipt, key, contract, earlier)
                if len(content) <= _SMALL_BYTES:
                    receipt = await _store(db, _read(contract, name, content, received_at), receipt, key, content, now)
            if len(content) > _SMALL_BYTES:
                # Not within a transaction: a large file takes seconds, and a connection is dear. In a thread, for others to be served.
                read = await asyncio.to_thread(_read, contract, name, content, received_at)
                async with database.tenant(tenant_id) as db:
                    key, earlier = await _earlier(db, sha256, contract)  # once more: another process may have taken it meanwhile
                    if earlier is not None:
                        return await _duplicate(db, receipt, key, contract, earlier)
                    receipt = await _store(db, read, receipt, key, content, now)
        except (FileError, DocumentError) as e:
            return await refuse_file(database, tenant_id, name=name, content=content, problem=str(e), received_at=received_at)
        current.set_attribute("state", receipt.state)
        log.info("file taken", state=receipt.state, rows=receipt.rows_total, refused=receipt.rows_refused, new=receipt.values.new, corrected=receipt.values.corrected)
        return receipt


async def refuse_file(database: Database, tenant_id: TenantId, *, name: str, content: bytes, problem: str, received_at: datetime) -> Receipt:
    """Refuse a file as a whole: it is kept as it came, and the receipt says why."""
    sha256 = hashlib.sha256(content).hexdigest()
    receipt = Receipt(file=name, sha256=sha256, size=len(content), received_at=received_at, state="refused", problem=problem)
    async with database.tenant(tenant_id) as db:
        await _record(db, receipt, sha256, None, original=content)
        await put_outbox(db, receipt_path(name), receipt.as_json(), received_at)
    with bound(tenant=tenant_id, file=name):
        log.warning("file refused", problem=problem)
    return receipt


async def _contracts(db: TenantConnection) -> FileContracts | None:
    found = await find_document(db, "files")
    return found if isinstance(found, FileContracts) else None


async def _earlier(db: TenantConnection, sha256: str, contract: FileContract) -> tuple[str, FileRow | None]:
    """The key of this content, and the delivery by which it was taken before, if it was.

    Content is told by its hash. Two meters may well deliver the same bytes (a night of zeros) in files of different contracts: those
    are two deliveries, and the second goes under a key of its own.
    """
    earlier = await find_file(db, sha256)
    if earlier is not None and earlier.state != "refused" and earlier.contract != contract.name:
        sha256 = hashlib.sha256(f"{sha256} as {contract.name}".encode()).hexdigest()
        earlier = await find_file(db, sha256)
    return sha256, None if earlier is None or earlier.state == "refused" else earlier


def _read(contract: FileContract, name: str, content: bytes, received_at: datetime) -> _Read:
    parsed = read_file(contract, name, content, now=received_at)
    series = check_file(parsed, received_at)
    problems = parsed.problems
    return _Read(contract, series, problems.first(), parsed.rows_total, problems.rows_refused, parsed.unknown_tags, parsed.absent_tags, parsed.notes)


async def _store(db: TenantConnection, read: _Read, receipt: Receipt, key: str, content: bytes, now: datetime) -> Receipt:
    contract = read.contract
    receipt = replace(
        receipt, contract=contract.name, rows_total=read.rows_total, rows_refused=read.rows_refused, problems=read.problems,
        unknown_tags=read.unknown_tags, absent_tags=read.absent_tags, notes=read.notes,
    )  # fmt: skip
    delivered = [s for s in read.series if len(s.times)]
    if read.rows_refused and not delivered:
        receipt = replace(receipt, state="refused", problem=f"none of its {read.rows_total} rows could be taken")
    else:
        receipt = replace(receipt, state="partly" if read.rows_refused else "taken")
    file_id = await _record(db, receipt, key, contract.name, original=content if read.rows_refused else None)
    await add_quarantine(db, file_id, quarantine_rows(receipt.file, read.problems))
    if delivered:
        await _have_series(db, contract)
        added = await add_readings(db, [Delivery(s.column.series, s.times, s.values, s.quality) for s in delivered], now, source=file_id)
        suspect = sum(int(np.count_nonzero(s.quality & np.uint8(Quality.SUSPECT))) for s in delivered)
        receipt = replace(receipt, values=Values(added.new, added.corrected, added.unchanged, suspect))
        if added.new or added.corrected:
            # Of many files that arrive in a row the first one's job does for all, as long as nobody has begun it.
            await enqueue(db, TASK_NEW_DATA, {}, priority=Priority.SHORT, queueing_lock="new-data")
    await put_outbox(db, receipt_path(receipt.file), receipt.as_json(), receipt.received_at)
    return receipt


async def _have_series(db: TenantConnection, contract: FileContract) -> None:
    """Series are made when a utility is put in; those of a contract that was changed since are made here."""
    known = {s.series_id for s in await list_series(db)}
    new = [
        SeriesSpec(series_id=c.series, quantity=c.quantity, cell_method=c.cell_method, step_s=contract.step_s, description=f"{contract.name}: {tag}")
        for tag, c in contract.columns.items()
        if c.series not in known
    ]
    if new:
        await ensure_series(db, new)


async def _duplicate(db: TenantConnection, receipt: Receipt, key: str, contract: FileContract, earlier: FileRow) -> Receipt:
    if earlier.name == receipt.file and earlier.received_at == receipt.received_at:
        log.info("file was taken already, before a crash", file_id=earlier.file_id)
        return replace(receipt, state="duplicate", contract=contract.name, problem="this delivery was taken already")
    receipt = replace(
        receipt,
        state="duplicate",
        contract=contract.name,
        problem=f"the same content was taken as {earlier.name!r}, received {isoformat_z(earlier.received_at)}; nothing was changed. "
        "If its contract was mended since and it shall be read again, deliver it with any change, such as an empty line at its end",
    )
    await _record(db, receipt, key, contract.name, original=None)
    await put_outbox(db, receipt_path(receipt.file), receipt.as_json(), receipt.received_at)
    log.info("file taken", state="duplicate", earlier=earlier.name)
    return receipt


async def _record(db: TenantConnection, receipt: Receipt, key: str, contract: str | None, *, original: bytes | None) -> int:
    problem = receipt.problem
    if problem is None and receipt.problems:
        problem = f"{receipt.rows_refused} of {receipt.rows_total} rows refused, first: {receipt.problems[0].error(receipt.file)}"
    if receipt.unknown_tags:
        problem = f"{problem + '; ' if problem else ''}{len(receipt.unknown_tags)} unknown tags, such as {receipt.unknown_tags[0]!r}"
    return await record_file(
        db, name=receipt.file, sha256=key, size=receipt.size, received_at=receipt.received_at, state=receipt.state,
        rows_ok=receipt.rows_taken, rows_bad=receipt.rows_refused, contract=contract, problem=problem, original=original,
    )  # fmt: skip
