"""The smallest utility that needs a plan (tests/system/tiny), with made-up weeks of readings, as values and in a database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from levada.domain.plan_input import PlanInput
from levada.domain.series import Readings
from levada.domain.settings import Document, Operation, Tariff, Utility, read_document
from levada.domain.time import to_np
from levada.ops.provision import series_of
from levada.store.database import Database
from levada.store.documents import put_document
from levada.store.networks import put_network
from levada.store.series import Delivery, add_readings, ensure_series

FOLDER = Path(__file__).parents[1] / "system" / "tiny"
NOW = datetime(2026, 6, 3, 6, 0, tzinfo=UTC)  # a Wednesday without a holiday near it
INP = (FOLDER / "network.inp").read_bytes()


def document(kind: str, **changes: Any) -> Document:
    return read_document(kind, json.loads((FOLDER / f"{kind}.json").read_text()) | changes)


def readings(until: datetime = NOW, days: float = 30, level_m: float = 2.5) -> dict[str, Readings]:
    """Quarter-hourly readings up to and including `until`: a daily rhythm of demand with seeded noise; pumps on by night."""
    count = int(days * 96) + 1
    times = to_np(until) - np.arange(count)[::-1] * np.timedelta64(900, "s")
    hour = (times - times.astype("datetime64[D]")) / np.timedelta64(3600, "s")
    noise = np.random.default_rng(7).normal(0, 0.03, count)
    flow = 0.012 * (1 + 0.45 * np.sin((hour - 7) / 24 * 2 * np.pi) + noise)
    level = level_m + 0.8 * np.sin((hour - hour[-1]) / 24 * 2 * np.pi)
    values = {"tank.TNK.level": level, "zone.village.flow": flow, "pump.PU1.status": (hour < 5).astype(float), "pump.PU2.status": np.zeros(count)}
    return {name: Readings.good(times, series) for name, series in values.items()}


def plan_input(now: datetime = NOW, *, operation: dict[str, Any] | None = None, tariff: dict[str, Any] | None = None, level_m: float = 2.5, **changes: Any) -> PlanInput:
    operation_document, tariff_document, utility = document("operation", **operation or {}), document("tariff", **tariff or {}), document("utility")
    assert isinstance(operation_document, Operation)
    assert isinstance(tariff_document, Tariff)
    assert isinstance(utility, Utility)
    made = PlanInput(
        tenant_id="tiny",
        issue_time=now,
        utility=utility,
        tariff=tariff_document,
        operation=operation_document,
        inp=INP,
        readings=readings(now, level_m=level_m),
    )
    return replace(made, **changes)


async def put_in(database: Database, tenant_id: str, now: datetime = NOW, *, days: float = 30, level_m: float = 2.5, **changed: dict[str, Any]) -> None:
    """The documents (with changes, by kind), the network, and readings that all became known at their own time or by `now`."""
    async with database.tenant(tenant_id) as db:
        await put_network(db, "network.inp", INP, "test", now - timedelta(days=days))
        await ensure_series(db, series_of(document("files")))  # type: ignore[arg-type]
        for kind in ("utility", "files", "tariff", "operation", "timetable"):
            await put_document(db, kind, document(kind, **changed.get(kind, {})), "test", now - timedelta(days=days))
        deliveries = [Delivery(name, r.times, r.values, r.quality) for name, r in readings(now, days, level_m).items()]
        await add_readings(db, deliveries, now, None)
