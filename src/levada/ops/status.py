"""How the installation stands: as data for `levada status --json`, as a table for people, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from levada.domain.release import Release
from levada.domain.time import isoformat_z
from levada.store.database import Database
from levada.store.overview import InstallationStatus, TenantStatus, installation_status
from levada.store.releases import get_release

__all__ = ["StatusReport", "as_text", "look"]

_DATA_TOO_OLD = timedelta(hours=3)
_QUEUE_TOO_SLOW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What was found, when, and what is wrong with it, each problem in a sentence."""

    at: datetime
    status: InstallationStatus
    problems: tuple[str, ...]
    releases: Mapping[str, Release]
    """By tenant, where versions are told apart."""

    def as_document(self) -> dict[str, Any]:
        """The report as JSON: `tenants` with the age of their data and their current plan, `queue`, `workers`, `problems`."""
        return {
            "at": isoformat_z(self.at),
            "ok": not self.problems,
            "problems": list(self.problems),
            "tenants": [{**_tenant_document(t, self.at), "release": _release_document(self.releases.get(t.tenant_id))} for t in self.status.tenants],
            "queue": [
                {"task": q.task, "state": q.state, "jobs": q.jobs, "oldest_wait_s": q.oldest_wait_s} for q in self.status.queue
            ],
            "workers": [{"id": w.worker_id, "heartbeat_age_s": w.heartbeat_age_s} for w in self.status.workers],
            "database": {"bytes": self.status.database_bytes},
        }


def _tenant_document(tenant: TenantStatus, at: datetime) -> dict[str, Any]:
    plan = tenant.plan
    return {
        "id": tenant.tenant_id,
        "name": tenant.name,
        "data_age_s": tenant.data_age_s,
        "plan": None
        if plan is None
        else {
            "id": str(plan.plan_id),
            "issue_time": isoformat_z(plan.issue_time),
            "expires_at": isoformat_z(plan.expires_at),
            "expired": plan.expires_at <= at,
            "ladder": plan.ladder,
            "cost": plan.cost,
            "lower_bound": plan.lower_bound,
            "audited_cost": plan.audited_cost,
        },
        "files": dict(tenant.files),
        "runs": dict(tenant.runs),
        "failed_runs_24h": tenant.failed_runs_24h,
    }


def _release_document(release: Release | None) -> dict[str, Any] | None:
    if release is None:
        return None
    return {
        "mode": release.mode.value, "stable": release.stable, "candidate": release.candidate, "withdrawn": release.is_withdrawn, "reason": release.reason,
        "changed_at": isoformat_z(release.changed_at), "changed_by": release.changed_by,
    }  # fmt: skip


def _problems(status: InstallationStatus, releases: Mapping[str, Release], at: datetime) -> tuple[str, ...]:
    found: list[str] = []
    for tenant_id, release in releases.items():
        if release.is_withdrawn:
            found.append(f"{tenant_id}: the candidate {release.candidate} went back to stable by itself at {isoformat_z(release.changed_at)}, {release.reason}: see `levada release show`")
    if not status.workers:
        found.append("no worker is alive: start one with `levada worker`")
    for waiting in status.queue:
        if waiting.state == "todo" and (waiting.oldest_wait_s or 0) > _QUEUE_TOO_SLOW.total_seconds():
            found.append(f"jobs of kind {waiting.task} have waited {waiting.oldest_wait_s:.0f} s: start more workers")
    for tenant in status.tenants:
        if tenant.data_age_s is None:
            found.append(f"{tenant.tenant_id}: no readings have arrived yet")
        elif tenant.data_age_s > _DATA_TOO_OLD.total_seconds():
            found.append(f"{tenant.tenant_id}: the newest reading is {tenant.data_age_s / 3600:.1f} h old")
        if tenant.plan is None:
            found.append(f"{tenant.tenant_id}: has no plan")
        elif tenant.plan.expires_at <= at:
            found.append(f"{tenant.tenant_id}: the plan expired {isoformat_z(tenant.plan.expires_at)}")
    return tuple(found)


async def look(database: Database, now: datetime) -> StatusReport:
    """See how the installation stands at `now`."""
    async with database.registry() as registry:
        status = await installation_status(registry, now)
    releases = {}
    for tenant in status.tenants:
        async with database.tenant(tenant.tenant_id) as db:
            release = await get_release(db)
        if release is not None:
            releases[tenant.tenant_id] = release
    return StatusReport(now, status, _problems(status, releases, now), releases)


def as_text(report: StatusReport) -> str:
    """For people: a line a tenant, the queue, the workers, and what is wrong."""
    lines = [f"{'tenant':16} {'data age':>10} {'plan until':>17} {'rung':>9} {'cost':>10} {'bound':>10} {'failed 24 h':>12}"]
    for t in report.status.tenants:
        age = "none" if t.data_age_s is None else f"{t.data_age_s / 60:.0f} min"
        plan = t.plan
        cells = ("none", "", "", "") if plan is None else (
            f"{plan.expires_at:%Y-%m-%d %H:%M}Z", plan.ladder, f"{plan.cost:.2f}", "" if plan.lower_bound is None else f"{plan.lower_bound:.2f}",
        )  # fmt: skip
        lines.append(f"{t.tenant_id:16} {age:>10} {cells[0]:>17} {cells[1]:>9} {cells[2]:>10} {cells[3]:>10} {t.failed_runs_24h:>12}")
    waiting = ", ".join(f"{q.jobs} {q.task} {q.state}" for q in report.status.queue if q.state in ("todo", "doing")) or "empty"
    lines += ["", f"queue: {waiting}", f"workers: {len(report.status.workers)}", f"database: {report.status.database_bytes / 1e6:.0f} MB"]
    lines += ["", *(f"PROBLEM {p}" for p in report.problems)] if report.problems else ["", "all is well"]
    return "\n".join(lines)
