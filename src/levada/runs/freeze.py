"""What was known at an instant, read once and frozen: the input of a planning run, or of a training.

| read | how far back |
|---|---|
| zone flows | 70 days: the forecast learns from them; 100 where there are trained models; two years for a training |
| tank levels, pump states, speeds, counters of energy and hours run | 2 days |
| power at meters whose peak is charged for | from the start of the billing period |
| what is told ahead: published prices, forecasts of own power and of emissions | from 2 days back to the end of the horizon |
| the current plan | for the ladder, where no new plan can be made |
| the newest training's models | all: whether they can be used is the plan's to say |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np

from levada.domain.errors import InputGap, NotFound
from levada.domain.plan_input import PlanInput
from levada.domain.series import Readings
from levada.domain.settings import Document, Operation, Tariff, Utility
from levada.domain.signals import Reach, signals
from levada.domain.tariff import billing_period_start
from levada.domain.time import Window, from_np, to_np
from levada.domain.training import TrainInput
from levada.runs.steps import HISTORY_DAYS, MODEL_HISTORY_DAYS, TRAINING_DAYS, forecast_count
from levada.store.database import TenantConnection
from levada.store.documents import document_at, find_document
from levada.store.models import current_models
from levada.store.networks import get_network
from levada.store.plans import current_plan
from levada.store.series import list_series, readings_many

__all__ = ["Stated", "freeze", "freeze_training", "known_readings", "require_fresh_levels", "stated_at"]

_STATE_DAYS = 2
_D = TypeVar("_D", bound=Document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a utility has stated of itself: its documents, and its network as INP."""

    utility: Utility
    tariff: Tariff
    operation: Operation
    inp: bytes


async def _document(db: TenantConnection, kind: str, model: type[_D], at: datetime | None = None) -> _D:
    document = await find_document(db, kind) if at is None else await document_at(db, kind, at)
    if not isinstance(document, model):
        raise InputGap(f"there is no {kind} document", f"put {kind}.json into the tenant's folder and call `levada tenant apply FOLDER`")
    return document


async def stated_at(db: TenantConnection, at: datetime | None = None) -> Stated:
    """The current documents and network, or those that were current at an instant (the first ones, before there were any).

    Raises InputGap where one is missing, DocumentError where one does not hold under this code.
    """
    utility, tariff = await _document(db, "utility", Utility, at), await _document(db, "tariff", Tariff, at)
    operation = await _document(db, "operation", Operation, at)
    try:
        inp = await get_network(db, operation.network)
    except NotFound:
        raise InputGap(f"the network {operation.network[:12]}... named by the operation document is not here", "put its INP file into the tenant's folder and call `levada tenant apply FOLDER`") from None
    return Stated(utility=utility, tariff=tariff, operation=operation, inp=inp)


async def freeze(db: TenantConnection, issue_time: datetime) -> PlanInput:
    """Read all that a plan at `issue_time` may use: readings that had reached us by then, and the current documents.

    Raises InputGap, saying what to do, when a document, the network, or a tank's level that is recent enough is missing;
    DocumentError when a document does not hold under this code.
    """
    stated, models = await stated_at(db), await current_models(db, issue_time)
    readings = await known_readings(db, stated, issue_time, HISTORY_DAYS if models is None else MODEL_HISTORY_DAYS, known_at=issue_time)
    require_fresh_levels(stated.operation, readings, issue_time)
    previous = await current_plan(db, issue_time)
    return PlanInput(
        tenant_id=db.tenant_id,
        issue_time=issue_time,
        utility=stated.utility,
        tariff=stated.tariff,
        operation=stated.operation,
        inp=stated.inp,
        readings=readings,
        previous_plan=None if previous is None else previous.plan,
        models=models,
    )


async def known_readings(db: TenantConnection, stated: Stated, issue_time: datetime, history_days: int, *, known_at: datetime) -> dict[str, Readings]:
    """What a plan at `issue_time` reads of all series that the documents name, of it what had reached us by `known_at`; empty where there is nothing."""
    known = {spec.series_id for spec in await list_series(db)}
    readings: dict[str, Readings] = {}
    wanted = _windows(stated.operation, stated.tariff, stated.utility, issue_time, history_days)
    for window in sorted(set(wanted.values()), key=lambda w: (w.start, w.end)):
        names = sorted(name for name, w in wanted.items() if w == window)
        found = await readings_many(db, [name for name in names if name in known], window, known_at)
        readings |= {name: found.get(name, Readings.empty()) for name in names}
    return readings


async def freeze_training(db: TenantConnection, issue_time: datetime) -> TrainInput:
    """Read all that a training at `issue_time` may use. Raises InputGap when a document is missing; a zone without readings is no error."""
    utility, operation = await _document(db, "utility", Utility), await _document(db, "operation", Operation)
    window = Window(issue_time - timedelta(days=TRAINING_DAYS), issue_time + timedelta(microseconds=1))
    known = {spec.series_id for spec in await list_series(db)}
    # Those without a meter are left to the plans: their demand comes of the network's tanks, and reading a network is not for this process.
    flows = {name: area.flow_series for name, area in operation.zones.items() if area.flow_series is not None}
    found = await readings_many(db, sorted(set(flows.values()) & known), window, issue_time)
    return TrainInput(
        tenant_id=db.tenant_id,
        issue_time=issue_time,
        utility=utility,
        step_s=operation.step_minutes * 60,
        count=forecast_count(operation),
        zones={name: found.get(series, Readings.empty()) for name, series in flows.items()},
    )


def _windows(operation: Operation, tariff: Tariff, utility: Utility, issue_time: datetime, history_days: int = HISTORY_DAYS) -> dict[str, Window]:
    """Series -> the time over which it is read; of one that is named more than once all that is asked for."""
    windows: dict[str, Window] = {}
    for signal in signals(operation, tariff):
        # A reading for the issue time itself counts: the half-open window ends just after it.
        start, end = issue_time - timedelta(days=_STATE_DAYS), issue_time + timedelta(microseconds=1)
        if signal.reach is Reach.HISTORY:
            start = issue_time - timedelta(days=history_days)
        elif signal.reach is Reach.BILLING:
            start = billing_period_start(issue_time, utility.time_zone, signal.billing_day)
        elif signal.reach is Reach.AHEAD:
            # The day that the horizon ends in, whole: a step's value is the mean over its minutes.
            end = issue_time + timedelta(hours=operation.horizon_hours + 24)
        other = windows.get(signal.series, Window(start, end))
        windows[signal.series] = Window(min(start, other.start), max(end, other.end))
    return windows


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
