"""The list of runs: when, why, how long, and what became of each."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, get
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from levada.store.dead_letters import dead_letters
from levada.store.releases import comparisons, get_release
from levada.store.runs import list_runs
from levada.web.access import needs
from levada.web.page import display_of, page
from levada.web.screens.run_actions import may_act, may_release
from levada.web.site import ThisSite
from levada.web.views.release import release_panel
from levada.web.views.run import dead_row, run_row

__all__ = ["runs_page"]

_PAGE = 50
_DEAD = 10
_COMPARED = 100


@get("/t/{tenant:str}/runs", guards=[needs("runs:read")], include_in_schema=False)
async def runs_page(request: Request[Any, Any, Any], tenant: FromPath[str], site: ThisSite, before: FromQuery[UUID | None] = None) -> Template:
    """Fifty runs, the newest first; `before` gives the older ones. Above them what failed for good, to be tried again."""
    now = site.clock.now()
    async with site.database.tenant(tenant) as db:
        utility, d = await display_of(db)
        found = await list_runs(db, _PAGE, before)
        dead = [] if before else await dead_letters(db, _DEAD)
        release = None if before else await get_release(db)
        compared = [] if release is None or release.candidate is None else await comparisons(db, release.candidate, _COMPARED)
    older = str(found[-1].run_id) if len(found) == _PAGE else ""
    return page(
        request, "runs", display=d, utility=utility, tenant=tenant, runs=[run_row(run, now, d) for run in found], live=not before and any(run.state.is_open for run in found), older=older, dead=[dead_row(letter, now, d) for letter in dead],
        may_act=may_act(request, tenant), may_release=may_release(request, tenant), release=None if release is None else release_panel(release, compared, d),
    )  # fmt: skip
