"""What computing took, a month at a time."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

from litestar import Request, get
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from levada.store.usage import list_usage
from levada.web.access import needs
from levada.web.page import display_of, page
from levada.web.problems import BadRequest
from levada.web.site import ThisSite
from levada.web.views.usage import day_rows, month_row

__all__ = ["usage_page"]

_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


@get("/t/{tenant:str}/usage", guards=[needs("runs:read")], include_in_schema=False)
async def usage_page(request: Request[Any, Any, Any], tenant: FromPath[str], site: ThisSite, month: FromQuery[str | None] = None) -> Template:
    """By UTC day, as the sums are kept; `month` such as 2026-11, the present one unless told."""
    today = site.clock.now().date()
    first = today.replace(day=1) if month is None else _first_of(month)
    after = (first + timedelta(days=31)).replace(day=1)
    last = after - timedelta(days=1)
    async with site.database.tenant(tenant) as db:
        utility, d = await display_of(db)
        rows = await list_usage(db, first, last)
    return page(
        request, "usage", display=d, utility=utility, tenant=tenant, month=f"{first:%Y-%m}", first=first.isoformat(), last=last.isoformat(), days=day_rows(rows, d),
        whole=month_row(rows, d), earlier=f"{first - timedelta(days=1):%Y-%m}", later=f"{after:%Y-%m}" if after <= today else "",
    )  # fmt: skip


def _first_of(month: str) -> date:
    found = _MONTH.fullmatch(month)
    if found is None:
        raise BadRequest("month", "is no month; write it as 2026-11")
    return date(int(found[1]), int(found[2]), 1)
