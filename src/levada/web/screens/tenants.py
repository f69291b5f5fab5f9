"""Which utilities the person may see, and how each stands: a card each, its colour the worst thing about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from litestar import Request, get
from litestar.response import Redirect, Template

from levada.domain.settings import Operation
from levada.store.database import TenantConnection
from levada.store.documents import find_document
from levada.store.plans import StoredPlan, current_plan
from levada.store.series import data_age
from levada.web.access import principal_of_request, signed_in
from levada.web.page import browser_language, display_of, page
from levada.web.site import ThisSite
from levada.web.views.board import age_colour, mode_of
from levada.web.views.display import Display

__all__ = ["front", "tenants_page"]

_COLOURS = {"new": "ok", "previous": "amber", "rules": "amber", "expired": "red", "none": "red"}
_WORST_FIRST = ("red", "amber", "ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One utility at a glance."""

    tenant: str
    name: str
    colour: str
    ladder: str
    mode: str
    until: str
    cost: str
    gap: str
    age: str
    age_colour: str
    clock: str


def _card(tenant: str, name: str, stored: StoredPlan | None, age: timedelta | None, limit: int, now: datetime, theirs: Display, words: Display) -> Card:
    mode, ages = mode_of(stored, now), age_colour(age, limit)
    colour = next(c for c in _WORST_FIRST if c in (_COLOURS[mode], ages))
    plan = stored.plan if stored else None
    return Card(
        tenant=tenant, name=name, colour=colour, ladder=words.t(f"ladder.{mode}"), mode=mode,
        until=theirs.local.near(plan.expires_at, now) if plan else "–", cost=theirs.money(plan.cost) if plan else "–",
        gap=theirs.percent(plan.certificate.gap) if plan else "–", age=words.t("age.none") if age is None else words.duration(age), age_colour=ages,
        clock=f"{theirs.local.clock(now)} · {theirs.time_zone}",
    )  # fmt: skip


async def _look(db: TenantConnection, now: datetime, words: Display) -> Card:
    utility, theirs = await display_of(db)
    operation = await find_document(db, "operation")
    limit = operation.max_data_age_minutes if isinstance(operation, Operation) else 180
    return _card(db.tenant_id, utility.name, await current_plan(db, now), await data_age(db, now, now), limit, now, theirs, words)


@get("/", include_in_schema=False)
async def front() -> Redirect:
    return Redirect("/tenants", status_code=303)


@get("/tenants", guards=[signed_in], include_in_schema=False)
async def tenants_page(request: Request[Any, Any, Any], site: ThisSite) -> Template:
    """Cards of the utilities, the worst first."""
    principal = principal_of_request(request)
    words, now = Display.without_utility(browser_language(request)), site.clock.now()
    cards = []
    for tenant in sorted(principal.rights) if principal else ():
        async with site.database.tenant(tenant) as db:
            cards.append(await _look(db, now, words))
    cards.sort(key=lambda c: _WORST_FIRST.index(c.colour))
    return page(request, "tenants", cards=cards)
