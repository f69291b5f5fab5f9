"""Takes accepted files from the spool: a tenant's in the order in which they were accepted, tenants beside each other.

An accepted file stays on disk until the transaction that takes it has committed. A crash in between repeats the taking, which then finds
that it has happened. When the database cannot be reached, files wait and are tried again with growing pauses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from psycopg import InterfaceError, OperationalError

from levada.clock import Clock
from levada.domain.errors import DocumentError
from levada.domain.tenant import tenant_id
from levada.intake.doors.spool import AcceptedFile, TenantSpool, locked
from levada.intake.take import refuse_file, take_file
from levada.store.database import Database
from levada.telemetry.log import bound, get_logger
from levada.telemetry.trace import continued

__all__ = ["Taking"]

log = get_logger("intake")

_AT_ONCE = 3
"""Files that are taken at the same time, of all tenants: each may need memory for a large file, and a connection."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0


class Taking:
    """The spools of all tenants under `root`, and a task a tenant that takes from its spool. Lives within a task group."""

    def __init__(self, database: Database, root: Path, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._database, self._root, self._clock, self._tasks = database, root, clock, tasks
        self._spools: dict[str, TenantSpool] = {}
        self._queues: dict[str, asyncio.Queue[tuple[AcceptedFile, Mapping[str, str]]]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def spool(self, tenant: str) -> TenantSpool:
        """The tenant's folders; they are made when they are not there."""
        if tenant not in self._spools:
            self._spools[tenant] = TenantSpool(self._root, tenant)
        return self._spools[tenant]

    def recover(self) -> None:
        """After a start: see to what the last process left behind."""
        for folder in sorted(self._root.iterdir()):
            try:
                tenant = tenant_id(folder.name)
            except DocumentError:
                continue
            spool = self.spool(tenant)
            removed = spool.recover(self._clock.now())
            waiting = spool.waiting()
            if removed or waiting:
                log.info("going on after a stop", tenant=tenant, files_waiting=len(waiting), half_written_removed=removed)
            for file in waiting:
                self.accepted(tenant, file, {})

    def accepted(self, tenant: str, file: AcceptedFile, trace: Mapping[str, str]) -> None:
        """A file lies in the tenant's spool: take it when its turn comes."""
        if tenant not in self._queues:
            self._queues[tenant] = asyncio.Queue()
            self._tasks.create_task(self._take_in_turn(tenant, self._queues[tenant]))
        self._queues[tenant].put_nowait((file, trace))

    async def _take_in_turn(self, tenant: str, queue: asyncio.Queue[tuple[AcceptedFile, Mapping[str, str]]]) -> None:
        while True:
            file, trace = await queue.get()
            pause_s = _FIRST_PAUSE_S
            with bound(tenant=tenant, file=file.name):
                while True:
                    try:
                        async with self._slots:
                            await self._take(tenant, file, trace)
                        break
                    except (OperationalError, InterfaceError, OSError) as e:
                        log.warning("file waits", because=" ".join(str(e).split()), again_in_s=pause_s)
                    except Exception:  # one file must not stop those behind it; it stays in the spool, and is tried at the next start
                        log.exception("file could not be taken and stays where it is", path=str(file.path))
                        break
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _take(self, tenant: str, file: AcceptedFile, trace: Mapping[str, str]) -> None:
        with ExitStack() as held:
            content = await asyncio.to_thread(held.enter_context, locked(file))
            if content is None:
                return
            with continued(trace, "intake.file"):
                try:
                    await take_file(self._database, tenant, name=file.name, content=content, now=self._clock.now(), received_at=file.received_at)
                except (OperationalError, InterfaceError, OSError):
                    raise
                except Exception as e:  # a fault of ours, not the sender's: tell both, and keep the file
                    log.exception("fault while taking a file")
                    problem = f"a fault on our side ({type(e).__name__}) kept us from reading it; its keeper has been told and the file is kept"
                    await refuse_file(self._database, tenant, name=file.name, content=content, problem=problem, received_at=file.received_at)
            file.path.unlink(missing_ok=True)
