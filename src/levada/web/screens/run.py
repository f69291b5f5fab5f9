"""One run: what it was for, what became of it, what it took, and how to compute it again."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Template

from levada.store.bundles import dropped_at
from levada.store.runs import get_run
from levada.web.access import needs
from levada.web.page import display_of, page
from levada.web.screens.run_actions import may_act
from levada.web.site import ThisSite
from levada.web.views.run import run_row

__all__ = ["run_page"]


@get("/t/{tenant:str}/runs/{run_id:uuid}", guards=[needs("runs:read")], include_in_schema=False)
async def run_page(request: Request[Any, Any, Any], tenant: FromPath[str], run_id: FromPath[UUID], site: ThisSite) -> Template:
    async with site.database.tenant(tenant) as db:
        utility, d = await display_of(db)
        run = await get_run(db, run_id)
        gone = None if run.bundle_id is None else await dropped_at(db, run.bundle_id)
    error = json.dumps(run.error, indent=2, ensure_ascii=False, default=str) if run.error else ""
    return page(request, "run", display=d, utility=utility, tenant=tenant, run=run_row(run, site.clock.now(), d), error=error, gone="" if gone is None else d.local.near(gone, site.clock.now()), may_act=may_act(request, tenant))
