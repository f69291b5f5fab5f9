"""Writing a file as its contract says: the other side of what Levada's intake reads, written independently of it.

Any layout that a file contract can describe comes out: wide or long, any delimiter and decimal mark, stamps of an interval's start or
end, in UTC or on a local clock, any unit. So a utility's files differ only by its `files.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from levada.domain.series import CellMethod
from levada.domain.settings import Column, FileContract
from levada.domain.time import require_utc, zone
from levada.domain.units import Quantity, factor_to_si

__all__ = ["Reading", "file_name", "render"]

Reading = tuple[str, datetime, float]
"""Series, instant (the start of its interval for means and sums), value in SI."""

_DECIMALS = {Quantity.STATUS: 0, Quantity.SPEED: 1, Quantity.ENERGY: 1, Quantity.PRICE: 2}


def file_name(contract: FileContract, about: datetime | date) -> str:
    """A name that fits the contract's pattern: its `*` becomes the day that the file is about, or the instant (UTC) up to which it tells."""
    stamp = f"{require_utc(about):%Y%m%dT%H%M}Z" if isinstance(about, datetime) else f"{about:%Y%m%d}"
    if contract.file_name.count("*") != 1 or set("?[") & set(contract.file_name):
        raise ValueError(f"no name can be made for {contract.file_name!r}: give the pattern one * and nothing else that stands for something")
    return contract.file_name.replace("*", stamp)


def render(contract: FileContract, readings: Iterable[Reading]) -> bytes:
    """The file with those of the readings that the contract has a tag for, oldest first; a header alone where it has none of them."""
    tags = {column.series: (tag, column) for tag, column in contract.columns.items()}
    cells: dict[datetime, dict[str, str]] = {}
    for series, time, value in readings:
        if series in tags:
            tag, column = tags[series]
            cells.setdefault(_marked(contract, column, time), {})[tag] = _number(contract, column, value)
    rows = _wide(contract, cells) if contract.layout == "wide" else _long(contract, cells)
    text = "".join(contract.delimiter.join(row) + "\r\n" for row in rows)
    return text.encode(contract.encoding)


def _marked(contract: FileContract, column: Column, time: datetime) -> datetime:
    """The instant that the file's stamp stands for: a mean may be marked by the end of its interval, a point is where it is."""
    if contract.stamp_marks == "end" and column.cell_method is not CellMethod.POINT:
        return time + timedelta(seconds=contract.step_s)
    return time


def _stamp(contract: FileContract, instant: datetime) -> str:
    local = instant.astimezone(zone(contract.time_zone))
    if contract.stamp_format != "iso":
        return local.strftime(contract.stamp_format)
    return local.isoformat().replace("+00:00", "Z")


def _number(contract: FileContract, column: Column, value: float) -> str:
    written = value / factor_to_si(column.quantity, column.unit)
    decimals = _DECIMALS.get(column.quantity, 3)
    return f"{written:.{decimals}f}".replace(".", contract.decimal_mark)


def _wide(contract: FileContract, cells: Mapping[datetime, Mapping[str, str]]) -> Iterable[list[str]]:
    yield [contract.stamp_column, *contract.columns]
    for instant in sorted(cells):
        yield [_stamp(contract, instant), *(cells[instant].get(tag, contract.missing[0]) for tag in contract.columns)]


def _long(contract: FileContract, cells: Mapping[datetime, Mapping[str, str]]) -> Iterable[list[str]]:
    yield [contract.stamp_column, contract.tag_column, contract.value_column]
    for instant in sorted(cells):
        for tag in contract.columns:
            if tag in cells[instant]:
                yield [_stamp(contract, instant), tag, cells[instant][tag]]
        # What a real export also has: the state of the remote unit, which the contract knows and does not want.
        for tag in contract.ignored:
            yield [_stamp(contract, instant), tag, "1"]
