"""Series and their readings, as known now or as they were known at an earlier instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import numpy as np
from litestar import get
from litestar.params import PathParameter, QueryParameter
from pydantic import AwareDatetime, BaseModel, Field

from levada.domain.errors import NotFound
from levada.domain.series import SeriesSpec
from levada.domain.units import si_unit
from levada.store.series import LatestReading, latest, list_series, readings_known_at
from levada.web.access import needs
from levada.web.api.answers import Tenant, answers, window_of
from levada.web.problems import BadRequest
from levada.web.site import ThisSite

__all__ = ["list_all_series", "show_readings"]

_DAY = timedelta(days=1)


class SeriesDocument(BaseModel):
    """What a series measures, and its newest reading."""

    series_id: str
    quantity: str
    unit: Annotated[str, Field(description="UCUM code of the unit in which readings are given")]
    cell_method: Annotated[str, Field(description="`point` at the instant; `mean`, `sum`, `maximum` over the step that begins then")]
    step_s: int
    description: str
    latest_time: AwareDatetime | None
    latest_value: float | None


class SeriesList(BaseModel):
    series: list[SeriesDocument]


class ReadingsDocument(BaseModel):
    """Readings of one series in [start, end), the newest version known at `known_at` of each; gaps are simply absent.

    `quality` is a sum of flags: 1 suspect, 2 filled, 4 late, 8 corrected; 0 is good.
    """

    series_id: str
    quantity: str
    unit: str
    cell_method: str
    step_s: int
    start: AwareDatetime
    end: AwareDatetime
    known_at: AwareDatetime
    times: list[str]
    values: list[float]
    quality: list[int]


@get("/tenants/{tenant:str}/series", guards=[needs("readings:read")], responses=answers(401, 403, 404), tags=["readings"], summary="What is measured")
async def list_all_series(tenant: Tenant, site: ThisSite) -> SeriesList:
    """All series of the utility, by id, each with its newest reading."""
    async with site.database.tenant(tenant) as db:
        specs, newest = await list_series(db), await latest(db, site.clock.now())
    return SeriesList(series=[_series(spec, newest.get(spec.series_id)) for spec in specs])


def _series(spec: SeriesSpec, last: LatestReading | None) -> SeriesDocument:
    return SeriesDocument(
        series_id=spec.series_id, quantity=spec.quantity.value, unit=si_unit(spec.quantity), cell_method=spec.cell_method.value, step_s=spec.step_s,
        description=spec.description, latest_time=last.time if last else None, latest_value=last.value if last else None,
    )  # fmt: skip


@get(
    "/tenants/{tenant:str}/series/{series_id:str}/readings",
    guards=[needs("readings:read")], responses=answers(401, 403, 404), tags=["readings"], summary="Readings of a series",
)  # fmt: skip
async def show_readings(
    tenant: Tenant,
    series_id: Annotated[str, PathParameter(description="Such as `tank.T1.level`", max_length=120)],
    site: ThisSite,
    start: Annotated[datetime | None, QueryParameter(description="ISO 8601 with a zone; a day before `end` where left out")] = None,
    end: Annotated[datetime | None, QueryParameter(description="ISO 8601 with a zone; now where left out")] = None,
    known_at: Annotated[datetime | None, QueryParameter(description="What was known by then; now where left out")] = None,
) -> ReadingsDocument:
    """Readings in [start, end) as they were known at `known_at`, at most 400 days at once."""
    now = site.clock.now()
    if known_at is not None and known_at.tzinfo is None:
        raise BadRequest("known_at", f"{known_at.isoformat()} has no time zone; write it as 2026-03-01T00:00:00Z")
    window, known = window_of(start, end, now, _DAY), known_at or now
    async with site.database.tenant(tenant) as db:
        spec = next((s for s in await list_series(db) if s.series_id == series_id), None)
        if spec is None:
            raise NotFound("series", series_id)
        found = await readings_known_at(db, series_id, window, known)
    return ReadingsDocument(
        series_id=series_id, quantity=spec.quantity.value, unit=si_unit(spec.quantity), cell_method=spec.cell_method.value, step_s=spec.step_s,
        start=window.start, end=window.end, known_at=known,
        times=np.datetime_as_string(found.times.astype("datetime64[ms]"), timezone="UTC").tolist(), values=found.values.tolist(), quality=found.quality.tolist(),
    )  # fmt: skip
