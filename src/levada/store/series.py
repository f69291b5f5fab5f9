"""Series and their readings: every value with the instant it is for and the instant it became known.

Readings are only ever added. "What did we know at T" is, for each instant, the newest value that had become known by T. Arrival decides
what is newer: a value that arrives after another for the same instant is the newer one, whatever clock its receiver had.

All of it goes by arrays: COPY in PostgreSQL's binary form into a session's own table, then set-based statements. Nothing outside this
module knows how readings are laid out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from levada.domain.errors import NotFound
from levada.domain.series import CellMethod, Floats, Quality, Readings, SeriesSpec
from levada.domain.time import Instants, Window, require_utc
from levada.domain.units import Quantity
from levada.store.database import TenantConnection
from levada.store.queries import query

__all__ = ["Added", "Delivery", "LatestReading", "add_readings", "data_age", "ensure_series", "latest", "list_series", "oldest", "readings_known_at", "readings_many"]

_POSTGRES_EPOCH = np.datetime64("2000-01-01", "us")
_COPY_HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_COPY_TAIL = b"\xff\xff"

# A row in COPY's binary form: count of fields, then each field's length and big-endian value.
_ROW_IN = np.dtype(
    [("fields", ">i2"), ("n0", ">i4"), ("series_no", ">i4"), ("n1", ">i4"), ("time", ">i8"), ("n2", ">i4"), ("value", ">f8"), ("n3", ">i4"), ("quality", ">i2")]
)
_ROW_OUT = np.dtype(
    [("fields", ">i2"), ("n0", ">i4"), ("series_no", ">i4"), ("n1", ">i4"), ("time", ">i8"), ("n2", ">i4"), ("available_at", ">i8"), ("n3", ">i4"), ("value", ">f8"), ("n4", ">i4"), ("quality", ">i2")]
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """Readings of one series as they came: values in SI, finite; times in any order. Of a repeated time the last one counts."""

    series_id: str
    times: Instants
    values: Floats
    quality: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Added:
    """What a delivery changed: instants that had no value, values that replaced another, and what was known already."""

    new: int
    corrected: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class LatestReading:
    """The newest reading of a series: the value for the latest instant."""

    time: datetime
    available_at: datetime
    value: float
    quality: Quality


# --- which series there are -----------------------------------------------------------------------------------------


async def ensure_series(db: TenantConnection, specs: Sequence[SeriesSpec]) -> None:
    """Have these series, described so. Those that are not named stay as they are."""
    await db.execute("lock_readings")
    rows = [
        {"series_id": s.series_id, "quantity": s.quantity.value, "cell_method": s.cell_method.value, "step_s": s.step_s, "description": s.description}
        for s in {s.series_id: s for s in specs}.values()
    ]
    if rows:
        await db.execute_many("ensure_series", rows)


async def list_series(db: TenantConnection) -> list[SeriesSpec]:
    """All series of the tenant, by id."""
    return [
        SeriesSpec(
            series_id=row["series_id"], quantity=Quantity(row["quantity"]), cell_method=CellMethod(row["cell_method"]), step_s=row["step_s"], description=row["description"]
        )
        for row in await db.fetch("list_series")
    ]


async def _numbers(db: TenantConnection, series_ids: Iterable[str]) -> dict[str, int]:
    wanted = sorted(set(series_ids))
    found = {row["series_id"]: int(row["series_no"]) for row in await db.fetch("series_numbers", series_ids=wanted)}
    for series_id in wanted:
        if series_id not in found:
            raise NotFound("series", series_id)
    return found


# --- in -------------------------------------------------------------------------------------------------------------


async def add_readings(db: TenantConnection, deliveries: Sequence[Delivery], available_at: datetime, source: int | None = None) -> Added:
    """Store what was delivered; `source` is the delivered file's id. Tells listeners (topic `readings`) when anything changed.

    A value equal to the newest one for its instant, with the same judgement (suspect, filled), changes nothing. One that differs is added
    and flagged CORRECTED. Deliveries of one tenant take their turns, from here to the end of the transaction.
    Raises NotFound for an unknown series, ValueError for values that are not finite (a gap is an absent reading).
    """
    available_at = require_utc(available_at, "available_at")
    numbers = await _numbers(db, (d.series_id for d in deliveries))
    rows = _rows_in([(numbers[d.series_id], d) for d in deliveries if len(d.times)])
    if not len(rows):
        return Added(0, 0, 0)
    await db.execute("lock_readings")
    await db.execute("make_incoming")
    async with db.raw.cursor() as cursor, cursor.copy(query("copy_incoming")) as copy:
        await copy.write(_COPY_HEAD + rows.tobytes() + _COPY_TAIL)
    if len(rows) > 5000:
        await db.execute("analyse_incoming")
    first, last = int(rows["time"].min()), int(rows["time"].max())
    added = await db.one(
        "add_readings",
        first=_instant(first),
        last=_instant(last),
        series_nos=sorted(set(numbers.values())),
        available_at=available_at,
        source=source,
        judged=int(Quality.SUSPECT | Quality.FILLED),
        corrected=int(Quality.CORRECTED),
    )
    await db.execute("empty_incoming")
    if added is None:
        raise LookupError("add_readings gave no counts")
    result = Added(new=added["new"], corrected=added["corrected"], unchanged=len(rows) - added["new"] - added["corrected"])
    if result.new or result.corrected:
        await db.notify("readings", {"new": result.new, "corrected": result.corrected, "series": len(numbers)})
    return result


def _rows_in(deliveries: Sequence[tuple[int, Delivery]]) -> NDArray[np.void]:
    """One row for each series and time, as COPY wants them, sorted; of repeated times the last one."""
    count = sum(len(d.times) for _, d in deliveries)
    rows = np.zeros(count, _ROW_IN)
    at = 0
    for number, d in deliveries:
        part = rows[at : at + len(d.times)]
        part["series_no"] = number
        part["time"] = (d.times.astype("datetime64[us]") - _POSTGRES_EPOCH).astype(np.int64)
        part["value"] = d.values
        part["quality"] = d.quality & ~np.uint8(Quality.CORRECTED)  # ours to say
        at += len(d.times)
    if not np.isfinite(rows["value"]).all():
        raise ValueError("values must be finite: a gap is an absent reading")
    rows["fields"], rows["n0"], rows["n1"], rows["n2"], rows["n3"] = 4, 4, 8, 8, 2
    order = np.lexsort((rows["time"], rows["series_no"]))  # stable, so the last of equal ones is the last that came
    rows = rows[order]
    is_last = np.ones(count, bool)
    is_last[:-1] = (rows["series_no"][1:] != rows["series_no"][:-1]) | (rows["time"][1:] != rows["time"][:-1])
    return rows[is_last]


def _instant(us_since_2000: int) -> datetime:
    return datetime.fromisoformat("2000-01-01T00:00:00+00:00") + timedelta(microseconds=us_since_2000)


# --- out ------------------------------------------------------------------------------------------------------------


async def readings_known_at(db: TenantConnection, series_id: str, window: Window, known_at: datetime) -> Readings:
    """For each instant in `window` the newest value that had reached us by `known_at`. Raises NotFound for an unknown series."""
    return (await readings_many(db, [series_id], window, known_at))[series_id]


async def readings_many(db: TenantConnection, series_ids: Iterable[str], window: Window, known_at: datetime) -> dict[str, Readings]:
    """The same for several series at once; those without readings in the window are there, empty."""
    numbers = await _numbers(db, series_ids)
    if not numbers:
        return {}
    parameters = {"series_nos": sorted(numbers.values()), "start": window.start, "end": window.end, "known_at": require_utc(known_at, "known_at")}
    async with db.raw.cursor() as cursor, cursor.copy(query("copy_readings"), parameters) as copy:
        data = b"".join([bytes(block) async for block in copy])
    if not data.startswith(_COPY_HEAD) or not data.endswith(_COPY_TAIL):
        raise ValueError("the server's COPY is of an unknown form")
    rows = np.frombuffer(data, _ROW_OUT, offset=len(_COPY_HEAD), count=(len(data) - len(_COPY_HEAD) - len(_COPY_TAIL)) // _ROW_OUT.itemsize)
    series_no, time = rows["series_no"].astype(np.int32), rows["time"].astype(np.int64)
    order = np.lexsort((rows["available_at"].astype(np.int64), time, series_no))
    series_no, time = series_no[order], time[order]
    newest = np.ones(len(order), bool)  # the last of the versions of each series and time
    newest[:-1] = (series_no[1:] != series_no[:-1]) | (time[1:] != time[:-1])
    kept = order[newest]
    series_no, times = series_no[newest], _POSTGRES_EPOCH + time[newest].astype("timedelta64[us]")
    values, quality = rows["value"][kept].astype(np.float64), rows["quality"][kept].astype(np.uint8)
    found: dict[str, Readings] = {}
    for series_id, number in numbers.items():
        a, b = np.searchsorted(series_no, [number, number + 1])
        found[series_id] = Readings(times=times[a:b], values=values[a:b], quality=quality[a:b])
    return found


async def latest(db: TenantConnection, known_at: datetime) -> dict[str, LatestReading]:
    """The newest reading of each series that has any, as known at that instant."""
    return {
        row["series_id"]: LatestReading(row["time"], row["available_at"], row["value"], Quality(row["quality"]))
        for row in await db.fetch("latest_readings", known_at=require_utc(known_at, "known_at"))
    }


async def oldest(db: TenantConnection, series_ids: Iterable[str]) -> dict[str, datetime]:
    """The first instant that each of these series has a value for; those without any are left out."""
    return {row["series_id"]: row["time"] for row in await db.fetch("oldest_readings", series_ids=sorted(set(series_ids)))}


async def data_age(db: TenantConnection, known_at: datetime, now: datetime) -> timedelta | None:
    """How old at `now` the newest measurement known at `known_at` is; None when there is none.

    Prices do not count: they are published ahead of their time and would hide that measurements have stopped.
    """
    row = await db.one("newest_measurement", known_at=require_utc(known_at, "known_at"))
    return None if row is None or row["newest"] is None else now - row["newest"]
