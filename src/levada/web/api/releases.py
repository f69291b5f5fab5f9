"""Versions: which one computes a utility's plans, how they compare on the same inputs; and what computing has taken."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from litestar import get
from litestar.params import QueryParameter
from pydantic import AwareDatetime, BaseModel, Field

from levada.domain.release import Compared, Comparison, Release
from levada.domain.usage import Usage
from levada.store.releases import comparisons, get_release
from levada.store.usage import list_usage
from levada.web.access import needs
from levada.web.api.answers import Limit, Tenant, answers
from levada.web.problems import BadRequest
from levada.web.site import ThisSite

__all__ = ["show_comparisons", "show_release", "show_usage"]

_USUAL_DAYS, _MOST_DAYS = 30, 800


class ReleaseDocument(BaseModel):
    """A utility's versions. `publishing`: whose plans are published; `comparing`: which version computes the same inputs besides. All null where versions
    are not told apart: plans are then of whichever worker takes them."""

    mode: Annotated[str | None, Field(description="stable, shadow (candidate compared, never published) or canary (candidate published)")] = None
    stable: str | None = None
    candidate: str | None = None
    publishing: str | None = None
    comparing: str | None = None
    previous_stable: Annotated[str | None, Field(description="What a rollback returns to")] = None
    max_worse: Annotated[float | None, Field(description="Share by which a canary's plans may cost more before it is withdrawn")] = None
    withdrawn: Annotated[bool, Field(description="A canary went back to stable by itself; `reason` says why")] = False
    reason: str = ""
    changed_at: AwareDatetime | None = None
    changed_by: str = ""


class ComparedDocument(BaseModel):
    """What one version made of an input; `failure` says why there is no plan."""

    cost: Annotated[float | None, Field(description="EPANET's cost of the plan, in the utility's currency")]
    ladder: str | None
    violations: int
    cpu_s: float | None
    peak_memory_bytes: int | None
    failure: str | None


class ComparisonDocument(BaseModel):
    """Both versions on one input."""

    at: AwareDatetime
    candidate: str
    by_stable: ComparedDocument
    by_candidate: ComparedDocument


class ComparisonList(BaseModel):
    comparisons: list[ComparisonDocument]


class UsageDocument(BaseModel):
    """Runs of a kind and cause that ended on a UTC day, attempts that failed included. Sums; `peak_memory_bytes` is the greatest."""

    day: date
    kind: str
    cause: str
    runs: int
    failed: int
    wall_s: float
    cpu_s: float
    memory_byte_s: Annotated[float, Field(description="Peak memory times wall time")]
    queue_wait_s: float
    bytes_read: float
    bytes_written: float
    peak_memory_bytes: int


class UsageList(BaseModel):
    usage: list[UsageDocument]


def _release(release: Release | None) -> ReleaseDocument:
    if release is None:
        return ReleaseDocument()
    return ReleaseDocument(
        mode=release.mode.value, stable=release.stable, candidate=release.candidate, publishing=release.publishing, comparing=release.comparing,
        previous_stable=release.previous_stable, max_worse=release.max_worse, withdrawn=release.is_withdrawn, reason=release.reason,
        changed_at=release.changed_at, changed_by=release.changed_by,
    )  # fmt: skip


def _compared(c: Compared) -> ComparedDocument:
    return ComparedDocument(**{name: getattr(c, name) for name in ComparedDocument.model_fields})


def _comparison(c: Comparison) -> ComparisonDocument:
    return ComparisonDocument(at=c.at, candidate=c.candidate, by_stable=_compared(c.by_stable), by_candidate=_compared(c.by_candidate))


def _usage(u: Usage) -> UsageDocument:
    return UsageDocument(**{name: getattr(u, name) for name in UsageDocument.model_fields})


@get("/tenants/{tenant:str}/release", guards=[needs("runs:read")], responses=answers(401, 403, 404), tags=["versions"], summary="Versions")
async def show_release(tenant: Tenant, site: ThisSite) -> ReleaseDocument:
    """Which version computes the plans, and why it stands so. `levada release` and the runs page change it."""
    async with site.database.tenant(tenant) as db:
        return _release(await get_release(db))


@get("/tenants/{tenant:str}/release/comparisons", guards=[needs("runs:read")], responses=answers(401, 403, 404), tags=["versions"], summary="Comparisons")
async def show_comparisons(tenant: Tenant, site: ThisSite, limit: Limit = 50) -> ComparisonList:
    """Stable and the present candidate on the same inputs, the newest first; none where there is no candidate."""
    async with site.database.tenant(tenant) as db:
        release = await get_release(db)
        found = [] if release is None or release.candidate is None else await comparisons(db, release.candidate, limit)
    return ComparisonList(comparisons=[_comparison(c) for c in found])


@get("/tenants/{tenant:str}/usage", guards=[needs("runs:read")], responses=answers(401, 403, 404), tags=["versions"], summary="What computing took")
async def show_usage(
    tenant: Tenant,
    site: ThisSite,
    first: Annotated[date | None, QueryParameter(description="First UTC day; 30 days with today unless told")] = None,
    last: Annotated[date | None, QueryParameter(description="Last UTC day; today unless told")] = None,
) -> UsageList:
    """By UTC day, kind and cause. `levada usage --prices TABLE` turns it into money."""
    end = last or site.clock.now().date()
    begin = first or end - timedelta(days=_USUAL_DAYS - 1)
    if end < begin:
        raise BadRequest("last", "is before first")
    if (end - begin).days >= _MOST_DAYS:
        raise BadRequest("first", f"asks for more than {_MOST_DAYS} days; ask for them in parts")
    async with site.database.tenant(tenant) as db:
        return UsageList(usage=[_usage(u) for u in await list_usage(db, begin, end)])
