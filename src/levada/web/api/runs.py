"""Runs: what was computed, why, from what, and what it took; and asking for one."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath, QueryParameter
from pydantic import AwareDatetime, BaseModel, Field

from levada.domain.run import Cause, Run, RunKind
from levada.store.audit_log import note
from levada.store.dead_letters import retry_letter
from levada.store.runs import CreatedRun, cancel_run, get_run, list_runs, request_run
from levada.web.access import needs, principal_of_request
from levada.web.api.answers import Limit, Tenant, answers
from levada.web.site import Site, ThisSite

__all__ = ["ask_for_run", "cancel_one_run", "list_all_runs", "retry_one_run", "show_run", "start_a_run"]


class AccountingDocument(BaseModel):
    """What a run took."""

    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    queue_wait_s: float


class RunDocument(BaseModel):
    """One run. `issue_time` is the instant whose knowledge it uses; `levada replay TENANT RUN_ID` computes it again from its bundle."""

    run_id: UUID
    kind: str
    state: Annotated[str, Field(description="queued, running, done, failed or cancelled")]
    cause: Annotated[str, Field(description="timetable, new-data, operator or shadow (another version on the same input, never published)")]
    issue_time: AwareDatetime
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    bundle_id: Annotated[str | None, Field(description="SHA-256 of everything that went in")]
    result_sha256: str | None
    attempts: int
    error: dict[str, Any] | None
    accounting: AccountingDocument | None
    progress: Annotated[dict[str, Any] | None, Field(description="While it is computed: `stage`, and `cost` and lower `bound` so far, null while there is none")]
    started_by: str
    history: Annotated[list[dict[str, Any]], Field(description="Earlier attempts, who cancelled it, who had it tried again: code, message, at; the oldest first")]


class RunList(BaseModel):
    runs: list[RunDocument]


class StartedRun(BaseModel):
    """The run that was asked for. `created` is false where one was waiting already: it will use all that is known now."""

    run_id: UUID
    created: bool


def _document(run: Run) -> RunDocument:
    taken = run.accounting
    accounting = None
    if taken is not None:
        accounting = AccountingDocument(
            wall_s=taken.wall_s, cpu_s=taken.cpu_s, peak_memory_bytes=taken.peak_memory_bytes, queue_wait_s=taken.queue_wait_s
        )
    plain = {name: getattr(run, name) for name in RunDocument.model_fields if name not in ("accounting", "history")}
    return RunDocument(**plain, accounting=accounting, history=list(run.history))


async def ask_for_run(request: Request[Any, Any, Any], site: Site, tenant: str, kind: RunKind = RunKind.PLAN) -> CreatedRun:
    """Ask for a run from what is known now, in the name of the caller; noted in the audit log."""
    principal = principal_of_request(request)
    by, now = principal.name if principal else "", site.clock.now()
    async with site.database.tenant(tenant) as db:
        made = await request_run(db, kind=kind, cause=Cause.OPERATOR, issue_time=now, at=now, started_by=by)
        await note(db, by, "run requested", {"run_id": str(made.run_id), "kind": kind.value, "created": made.created}, now)
    return made


@get("/tenants/{tenant:str}/runs", guards=[needs("runs:read")], responses=answers(401, 403, 404), tags=["runs"], summary="Runs")
async def list_all_runs(
    tenant: Tenant, site: ThisSite, limit: Limit = 50, before: Annotated[UUID | None, QueryParameter(description="Only runs older than this one")] = None
) -> RunList:
    """Runs, the newest first."""
    async with site.database.tenant(tenant) as db:
        return RunList(runs=[_document(run) for run in await list_runs(db, limit, before)])


@get("/tenants/{tenant:str}/runs/{run_id:uuid}", guards=[needs("runs:read")], responses=answers(401, 403, 404), tags=["runs"], summary="One run")
async def show_run(tenant: Tenant, run_id: FromPath[UUID], site: ThisSite) -> RunDocument:
    """A run with its state, and its error where it failed."""
    async with site.database.tenant(tenant) as db:
        return _document(await get_run(db, run_id))


@post(
    "/tenants/{tenant:str}/runs/{run_id:uuid}/cancel", guards=[needs("runs:start")], responses=answers(401, 403, 404, 409), tags=["runs"], summary="Cancel a run",
    status_code=200,
)  # fmt: skip
async def cancel_one_run(request: Request[Any, Any, Any], tenant: Tenant, run_id: FromPath[UUID], site: ThisSite) -> RunDocument:
    """End a run that waits or is being computed; the latter stops within seconds."""
    principal = principal_of_request(request)
    async with site.database.tenant(tenant) as db:
        await cancel_run(db, run_id, principal.name if principal else "", site.clock.now())
        return _document(await get_run(db, run_id))


@post(
    "/tenants/{tenant:str}/runs/{run_id:uuid}/retry", guards=[needs("runs:start")], responses=answers(401, 403, 404, 409), tags=["runs"], summary="Try a run again",
    status_code=202,
)  # fmt: skip
async def retry_one_run(request: Request[Any, Any, Any], tenant: Tenant, run_id: FromPath[UUID], site: ThisSite) -> RunDocument:
    """Queue a run again that failed or was cancelled, from the input that it froze."""
    principal = principal_of_request(request)
    async with site.database.tenant(tenant) as db:
        await retry_letter(db, str(run_id), principal.name if principal else "", site.clock.now())
        return _document(await get_run(db, run_id))


@post(
    "/tenants/{tenant:str}/runs", guards=[needs("runs:start")], responses=answers(401, 403, 404), tags=["runs"], summary="Plan or train now", status_code=202
)
async def start_a_run(
    request: Request[Any, Any, Any],
    tenant: Tenant,
    site: ThisSite,
    kind: Annotated[RunKind, QueryParameter(description="`plan` for a new plan, `train` to train the demand models")] = RunKind.PLAN,
) -> Response[StartedRun]:
    """Ask for a new plan, or a training, from what is known now. Answers at once; look at the run (Location) for how it goes."""
    made = await ask_for_run(request, site, tenant, kind)
    return Response(
        StartedRun(run_id=made.run_id, created=made.created), status_code=202, headers={"Location": f"/v1/tenants/{tenant}/runs/{made.run_id}"}
    )
