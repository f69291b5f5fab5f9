"""Procrastinate with a fetch of our own: each tenant in its turn. Imported by workers only, for the library takes a while to load."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

from levada.store.queries import query

__all__ = ["fair_queue"]


class _FairJobs(JobManager):
    """Takes the job that is next by `queue.take_job`, where procrastinate's own function would take the oldest of the highest priority."""

    def __init__(self, app: App, background: int, on_drained: Callable[[], None] | None) -> None:
        super().__init__(app.connector)
        self._app, self._background, self._on_drained = app, background, on_drained

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        if queues is not None:
            raise ValueError("workers of Levada serve all queues")
        taken = await self._taken(worker_id)
        if taken is None and self._on_drained is not None:
            held = await self.connector.execute_query_one_async(query=query("holds_jobs").decode(), worker_id=worker_id)
            if not held["jobs"]:
                # A job of ours may have ended since we asked, and let go of the lock under which another waits.
                taken = await self._taken(worker_id)
                if taken is None:
                    self._on_drained()
        return taken

    async def _taken(self, worker_id: int) -> Job | None:
        known = {"worker_id": worker_id, "background": self._background, "tasks": list(self._app.tasks)}
        row = await self.connector.execute_query_one_async(query=query("take_job").decode(), **known)
        return None if row["id"] is None else Job.from_row(row)


def fair_queue(worker_url: str, background: int, on_drained: Callable[[], None] | None) -> App:
    """A procrastinate application of which each tenant gets its share; see `make_queue`."""
    app = App(connector=PsycopgConnector(conninfo=worker_url, min_size=1, max_size=4))
    app.job_manager = _FairJobs(app, background, on_drained)
    return app
