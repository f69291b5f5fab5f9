"""What was known at an instant, read once and frozen: the input of a planning run.

| read | how far back |
|---|---|
| zone flows | 70 days: the forecast learns from them |
| tank levels, pump states, speeds and energy counters | 2 days |
| published energy prices | from 2 days back to the end of the horizon |
| the current plan | for the ladder, where no new plan can be made |
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np

from levada.domain.errors import InputGap, NotFound
from levada.domain.plan_input import PlanInput
from levada.domain.series import Readings
from levada.domain.settings import DayAheadTariff, Document, Operation, Tariff, Utility
from levada.domain.time import Window, from_np, to_np
from levada.runs.steps import HISTORY_DAYS
from levada.store.database import TenantConnection
from levada.store.documents import find_document
from levada.store.networks import get_network
from levada.store.plans import current_plan
from levada.store.series import list_series, readings_many

__all__ = ["freeze", "require_fresh_levels"]

_STATE_DAYS = 2
_D = TypeVar("_D", bound=Document)


async def _document(db: TenantConnection, kind: str, model: type[_D]) -> _D:
    document = await find_document(db, kind)
    if not isinstance(document, model):
        raise InputGap(f"there is no {kind} document", f"put {kind}.json into the tenant's folder and call `levada tenant apply FOLDER`")
    return document


async def freeze(db: TenantConnection, issue_time: datetime) -> PlanInput:
    """Read all that a plan at `issue_time` may use: readings that had reached us by then, and the current documents.

    Raises InputGap, saying what to do, when a document, the network, or a tank's level that is recent enough is missing;
    DocumentError when a document does not hold under this code.
    """
    utility = await _document(db, "utility", Utility)
    tariff = await _document(db, "tariff", Tariff)
    operation = await _document(db, "operation", Operation)
    try:
        inp = await get_network(db, operation.network)
    except NotFound:
        raise InputGap(f"the network {operation.network[:12]}... named by the operation document is not here", "put its INP file into the tenant's folder and call `levada tenant apply FOLDER`") from None

    known = {spec.series_id for spec in await list_series(db)}
    # A reading for the issue time itself counts: the half-open window ends just after it.
    until = issue_time + timedelta(microseconds=1)

    async def read(wanted: set[str], days: int, end: datetime) -> dict[str, Readings]:
        window = Window(issue_time - timedelta(days=days), end)
        found = await readings_many(db, sorted(wanted & known), window, issue_time)
        return {name: found.get(name, Readings.empty()) for name in wanted}

    readings = await read({z.flow_series for z in operation.zones.values()}, HISTORY_DAYS, until)
    readings |= await read(_state_series(operation), _STATE_DAYS, until)
    if isinstance(tariff.tariff, DayAheadTariff):
        # The day that the horizon ends in, whole: a step's price is the mean over its quarter-hours.
        readings |= await read({tariff.tariff.price_series}, _STATE_DAYS, issue_time + timedelta(hours=operation.horizon_hours + 24))
    require_fresh_levels(operation, readings, issue_time)
    previous = await current_plan(db, issue_time)
    return PlanInput(
        tenant_id=db.tenant_id,
        issue_time=issue_time,
        utility=utility,
        tariff=tariff,
        operation=operation,
        inp=inp,
        readings=readings,
        previous_plan=None if previous is None else previous.plan,
    )


def _state_series(operation: Operation) -> set[str]:
    pumps = {name for pump in operation.pumps.values() for name in (pump.status_series, pump.speed_series, pump.energy_series) if name is not None}
    return pumps | {tank.level_series for tank in operation.tanks.values()}


def require_fresh_levels(operation: Operation, readings: Mapping[str, Readings], issue_time: datetime) -> None:
    """Raises InputGap naming each tank whose newest usable level is missing or older than `max_data_age_minutes`."""
    oldest = to_np(issue_time) - np.timedelta64(operation.max_data_age_minutes, "m")
    gaps = []
    for name, tank in operation.tanks.items():
        usable = readings.get(tank.level_series, Readings.empty()).usable()
        if not len(usable):
            gaps.append(f"tank {name} has no level of the last {_STATE_DAYS} days (series {tank.level_series})")
        elif usable.times[-1] < oldest:
            gaps.append(f"the newest level of tank {name} is of {from_np(usable.times[-1]):%Y-%m-%d %H:%M} UTC (series {tank.level_series})")
    if gaps:
        raise InputGap(
            f"levels must be at most {operation.max_data_age_minutes} minutes old at {issue_time:%Y-%m-%d %H:%M} UTC, but {'; '.join(gaps)}",
            "deliver newer readings, or look at the receipts of the files delivered last",
        )
