"""How the installation stands, across tenants: for `levada status` and /metrics, and nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from levada.domain.plan import Ladder
from levada.domain.tenant import TenantId
from levada.store.database import RegistryConnection
from levada.store.jobs import QueueRow, WorkerRow, queue_rows, workers
from levada.store.plans import PlanHead

__all__ = ["InstallationStatus", "RunTotals", "TenantStatus", "installation_status"]

_ALIVE_S = 30.0  # after which procrastinate, too, takes a worker for dead


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTotals:
    """What the ended runs of a kind took together; the memory is the largest of any."""

    runs: int
    wall_s: float
    cpu_s: float
    queue_wait_s: float
    peak_memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStatus:
    """How one tenant stands. `data_age_s` is None before the first measurement; `files` and `runs` count by state, ever."""

    tenant_id: TenantId
    name: str
    data_age_s: float | None
    last_file_at: datetime | None
    files: Mapping[str, int]
    rows_ok: int
    rows_bad: int
    plan: PlanHead | None
    runs: Mapping[str, int]
    run_totals: Mapping[str, RunTotals]
    failed_runs_24h: int
    last_error: Mapping[str, Any] | None
    last_error_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationStatus:
    """All tenants, the queue, the workers that are alive, and how much room the database takes."""

    tenants: tuple[TenantStatus, ...]
    queue: tuple[QueueRow, ...]
    workers: tuple[WorkerRow, ...]
    database_bytes: int


async def installation_status(registry: RegistryConnection, now: datetime) -> InstallationStatus:
    """How it stands at `now`. Waiting times and heartbeats are by the database's own clock."""
    tenants: list[TenantStatus] = []
    for row in await registry.fetch("tenant_status", at=now):
        plan = None
        if row["plan_id"] is not None:
            plan = PlanHead(
                plan_id=row["plan_id"], run_id=row["run_id"], issue_time=row["issue_time"], starts_at=row["starts_at"], expires_at=row["expires_at"],
                ladder=Ladder(row["ladder"]), cost=row["cost"], lower_bound=row["lower_bound"], audited_cost=row["audited_cost"], published_at=row["published_at"],
            )  # fmt: skip
        tenants.append(
            TenantStatus(
                tenant_id=row["tenant_id"],
                name=row["name"],
                data_age_s=None if row["newest_reading"] is None else (now - row["newest_reading"]).total_seconds(),
                last_file_at=row["last_file_at"],
                files=row["files"],
                rows_ok=row["rows_ok"],
                rows_bad=row["rows_bad"],
                plan=plan,
                runs=row["runs"],
                run_totals={t["kind"]: RunTotals(**{k: v for k, v in t.items() if k != "kind"}) for t in row["run_totals"]},
                failed_runs_24h=row["failed_runs_24h"],
                last_error=row["last_error"],
                last_error_at=row["last_error_at"],
            )
        )
    size = await registry.one("database_size")
    return InstallationStatus(
        tenants=tuple(tenants),
        queue=tuple(await queue_rows(registry)),
        workers=tuple(w for w in await workers(registry) if w.heartbeat_age_s <= _ALIVE_S),
        database_bytes=int(size["bytes"]) if size else 0,
    )
