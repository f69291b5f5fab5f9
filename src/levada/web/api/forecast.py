"""The demand forecast that the current plan was made for."""

from __future__ import annotations

from uuid import UUID

from litestar import get

from levada.domain.errors import NotFound
from levada.domain.plan import ForecastReport
from levada.store.plans import current_plan, forecast_of
from levada.web.access import needs
from levada.web.api.answers import Tenant, answers
from levada.web.site import ThisSite

__all__ = ["show_current_forecast"]


class ForecastDocument(ForecastReport):
    """Demand ahead per zone, as quantiles of the mean flow (m3/s) over each step, and the plan that used it."""

    plan_id: UUID


@get(
    "/tenants/{tenant:str}/forecast/current", guards=[needs("plans:read")], responses=answers(401, 403, 404), tags=["forecast"], summary="Demand that is expected"
)
async def show_current_forecast(tenant: Tenant, site: ThisSite) -> ForecastDocument:
    """The forecast of the current plan. 404 with code `not-found` before the first plan."""
    async with site.database.tenant(tenant) as db:
        stored = await current_plan(db, site.clock.now())
        if stored is None:
            raise NotFound("forecast", "current")
        report = await forecast_of(db, stored.plan_id)
    return ForecastDocument(**{name: getattr(report, name) for name in ForecastReport.model_fields}, plan_id=stored.plan_id)
