"""Plans and receipts into the tenants' outbox folders, where they fetch them by SFTP.

In two steps: the transaction that has something to say puts it into the outbox table; `deliver_forever` lays it into the folder, whole and
then renamed, and marks it. A crash in between delivers the same bytes again.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import InterfaceError, OperationalError

from levada.clock import Clock
from levada.domain.settings import Utility
from levada.domain.tenant import TenantId
from levada.publish.plan_csv import plan_csv, plan_file_name
from levada.store.database import CONNECTED, Database
from levada.store.documents import get_document
from levada.store.outbox import OutboxItem, mark_delivered, put_outbox, undelivered
from levada.store.plans import current_plan, get_plan
from levada.telemetry.log import bound, get_logger
from levada.telemetry.trace import span

__all__ = ["CURRENT", "deliver_forever", "deliver_once", "handle_publish", "publish_plan_file"]

log = get_logger("publish")

CURRENT = "plan_current.csv"
_KEPT = timedelta(days=35)
"""Receipts and plans older than this are removed from the folders; the database keeps what they said."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0


# --- into the table -------------------------------------------------------------------------------------------------


async def publish_plan_file(database: Database, tenant_id: TenantId, plan_id: UUID, now: datetime) -> None:
    """Put a plan into the tenant's outbox: under its own name, and as plan_current.csv unless a newer plan is there. Again changes nothing.

    Raises NotFound: no such plan, or the tenant has no settings document `utility`.
    """
    with bound(tenant=tenant_id, plan=str(plan_id)), span("publish.plan_file", tenant=tenant_id, plan=str(plan_id)):
        async with database.tenant(tenant_id) as db:
            stored = await get_plan(db, plan_id)
            utility = await get_document(db, "utility")
            assert isinstance(utility, Utility)
            content = plan_csv(stored.plan, utility, plan_id=str(plan_id))
            await put_outbox(db, plan_file_name(stored.plan), content, now)
            current = await current_plan(db, max(now, stored.published_at))
            newest = current is None or current.plan_id == plan_id
            if newest:
                await put_outbox(db, CURRENT, content, now)
        log.info("plan put out", file=plan_file_name(stored.plan), current=newest)


async def handle_publish(database: Database, args: Mapping[str, Any], now: datetime) -> None:
    """The job `publish`: tenant_id, plan_id. The worker goes on with the job's trace."""
    await publish_plan_file(database, args["tenant_id"], UUID(args["plan_id"]), now)


# --- into the folders -----------------------------------------------------------------------------------------------


async def deliver_forever(database: Database, root: Path, clock: Clock) -> None:
    """Lay into root/<tenant>/outbox what waits, first what waited before, then as it comes. Runs until cancelled.

    Where the database or the disk is away it goes on trying; nothing is lost by that. Several processes may share a root: a lock lets one
    deliver at a time, so that of two files for one name the newer stays.
    """
    root.mkdir(parents=True, exist_ok=True)
    wake = asyncio.Event()

    async def hear() -> None:
        async for event in database.listen():
            if event.topic in (CONNECTED, "outbox"):
                wake.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hear())
        tidied: datetime | None = None
        while True:
            await wake.wait()
            wake.clear()
            pause_s = _FIRST_PAUSE_S
            while True:
                try:
                    await deliver_once(database, root, clock)
                    break
                except (OperationalError, InterfaceError, OSError) as e:
                    log.warning("outbox waits", because=" ".join(str(e).split()), again_in_s=pause_s)
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            if tidied is None or clock.now() - tidied >= timedelta(days=1):
                tidied = clock.now()
                await asyncio.to_thread(_tidy, root, tidied)


async def deliver_once(database: Database, root: Path, clock: Clock) -> int:
    """Lay all that waits into the folders; returns how many files. Raises what the database or the disk raises; the rest then still waits."""
    async with _alone(root):
        async with database.registry() as registry:
            waiting = await undelivered(registry)
        for item in waiting:
            now = clock.now()
            await asyncio.to_thread(_lay, root, item, now)
            async with database.tenant(item.tenant_id) as db:
                await mark_delivered(db, item.item_id, now)
            log.debug("delivered", tenant=item.tenant_id, file=item.path)
        return len(waiting)


@asynccontextmanager
async def _alone(root: Path) -> AsyncIterator[None]:
    """Waits until no other process delivers into this root."""
    fd = os.open(root / ".delivery.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.05)
        yield
    finally:
        os.close(fd)


def _lay(root: Path, item: OutboxItem, now: datetime) -> None:
    """Write whole under a hidden name in the same folder, then rename: whoever fetches sees the old file or the new one, never half of one."""
    outbox = root / item.tenant_id / "outbox"
    target = outbox / item.path
    target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    part = target.parent / f".{item.item_id}.part"
    with part.open("wb") as file:
        file.write(item.content)
        file.flush()
        os.fsync(file.fileno())
    os.utime(part, (now.timestamp(), now.timestamp()))  # the installation's clock, which may be a demonstration's
    part.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _tidy(root: Path, now: datetime) -> None:
    """Remove old receipts and plans, and parts that a crash left behind. plan_current.csv stays, however old."""
    oldest = (now - _KEPT).timestamp()
    for outbox in root.glob("*/outbox"):
        for entry in os.scandir(outbox):
            if entry.is_file(follow_symlinks=False) and entry.name != CURRENT and entry.stat(follow_symlinks=False).st_mtime < oldest:
                os.unlink(entry.path)
