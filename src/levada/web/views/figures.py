"""How the installation stands, as samples for Prometheus."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime

from levada.domain.plan import Ladder
from levada.domain.tenant import TenantId
from levada.store.overview import InstallationStatus, TenantStatus
from levada.telemetry.metrics import Sample

__all__ = ["installation_samples", "tenant_samples"]


def _tenant(tenant: TenantStatus, now: datetime) -> list[Sample]:
    name = tenant.tenant_id
    samples = [Sample("levada_files", (name, state), count) for state, count in sorted(tenant.files.items())]
    samples += [Sample("levada_rows", (name, "taken"), tenant.rows_ok), Sample("levada_rows", (name, "refused"), tenant.rows_bad)]
    samples += [Sample("levada_runs", (name, state), count) for state, count in sorted(tenant.runs.items())]
    samples.append(Sample("levada_runs_failed_24h", (name,), tenant.failed_runs_24h))
    if tenant.last_file_at is not None:
        samples.append(Sample("levada_last_file_timestamp_seconds", (name,), tenant.last_file_at.timestamp()))
    if tenant.data_age_s is not None:
        samples.append(Sample("levada_data_age_seconds", (name,), tenant.data_age_s))
    for kind, totals in sorted(tenant.run_totals.items()):
        samples += [
            Sample("levada_run_seconds", (name, kind), totals.wall_s),
            Sample("levada_run_cpu_seconds", (name, kind), totals.cpu_s),
            Sample("levada_run_wait_seconds", (name, kind), totals.queue_wait_s),
            Sample("levada_run_ended", (name, kind), totals.runs),
            Sample("levada_run_peak_memory_bytes", (name, kind), totals.peak_memory_bytes),
        ]
    if (plan := tenant.plan) is not None:
        samples += [
            Sample("levada_plan_age_seconds", (name,), (now - plan.issue_time).total_seconds()),
            Sample("levada_plan_valid_seconds", (name,), (plan.expires_at - now).total_seconds()),
            Sample("levada_plan_cost", (name,), plan.cost),
            *(Sample("levada_plan_ladder", (name, rung.value), float(rung is plan.ladder)) for rung in Ladder),
        ]
        if plan.lower_bound is not None:
            samples.append(Sample("levada_plan_lower_bound", (name,), plan.lower_bound))
    return samples


def tenant_samples(status: InstallationStatus, now: datetime, only: Set[TenantId] | None) -> list[Sample]:
    """Of each tenant, or of those in `only`."""
    return [sample for tenant in status.tenants if only is None or tenant.tenant_id in only for sample in _tenant(tenant, now)]


def installation_samples(status: InstallationStatus, open_pages: int) -> list[Sample]:
    """Of the queue, the workers and the database, which all tenants share."""
    return [
        *(Sample("levada_queue_jobs", (q.task, q.state), q.jobs) for q in status.queue),
        *(Sample("levada_queue_wait_seconds", (q.task,), q.oldest_wait_s) for q in status.queue if q.state == "todo" and q.oldest_wait_s is not None),
        Sample("levada_workers", (), len(status.workers)),
        Sample("levada_database_bytes", (), status.database_bytes),
        Sample("levada_open_pages", (), open_pages),
    ]
