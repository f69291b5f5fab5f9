"""What a utility configures: versioned documents, checked here, from which forms, docs and JSON Schema are made.

A tenant has one current version of each kind in DOCUMENT_KINDS. Units are written in the fields' names; documents use the
units that people write (l/s and m3/h appear only in file contracts, where the unit is named beside the tag).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from levada.domain.document import Document, Name, SeriesName
from levada.domain.errors import DocumentError, UnitError
from levada.domain.operation_settings import Operation, PressureFloor, PumpSettings, TankSettings, Zone
from levada.domain.series import CellMethod
from levada.domain.tariff_settings import DayAheadTariff, Tariff, TariffPeriod, TimeOfUseTariff
from levada.domain.time import zone
from levada.domain.units import Quantity, factor_to_si

__all__ = [
    "DOCUMENT_KINDS",
    "Column",
    "DayAheadTariff",
    "Document",
    "FileContract",
    "FileContracts",
    "Operation",
    "PressureFloor",
    "PumpSettings",
    "TankSettings",
    "Tariff",
    "TariffPeriod",
    "TimeOfUseTariff",
    "Timetable",
    "TimetableEntry",
    "Utility",
    "Zone",
    "read_document",
]

class Utility(Document):
    """Who the utility is and how it wants to see things."""

    name: Name
    time_zone: str = "Europe/Lisbon"
    language: Literal["en", "pt", "es"] = "en"
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166 code; its national holidays are known")] = "PT"
    subdivision: Annotated[str | None, Field(description="ISO 3166-2 code of the region, for regional holidays")] = None
    local_holidays: Annotated[dict[date, str], Field(description="Days that are like a Sunday here, with their names")] = Field(default_factory=dict)
    local_days: Annotated[
        dict[date, str], Field(description="Other days on which less or more is drawn than usual, such as a market or a feast, with their names: of one name, one sort of day")
    ] = Field(default_factory=dict)
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    flow_unit: Literal["L/s", "m3/h", "m3/d"] = "L/s"

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            zone(value)
        except DocumentError as e:
            raise ValueError(e.problem) from e
        return value


class Column(Document):
    """One tag of a delivered file: which series it feeds and in which unit it is written."""

    series: SeriesName
    quantity: Quantity
    unit: str
    cell_method: CellMethod = CellMethod.POINT
    minimum: Annotated[float | None, Field(description="Lowest plausible value, in `unit`; lower ones are refused")] = None
    maximum: Annotated[float | None, Field(description="Highest plausible value, in `unit`; higher ones are refused")] = None
    is_forecast: Annotated[bool, Field(description="Tells what is to come, such as a forecast of own power: it may be stamped as far ahead as prices are")] = False

    @model_validator(mode="after")
    def _unit_fits(self) -> Self:
        try:
            factor_to_si(self.quantity, self.unit)
        except UnitError as e:
            raise ValueError(str(e)) from e
        return self


class FileContract(Document):
    """How files of one kind are laid out. The first contract whose `file_name` matches reads the file.

    wide: a stamp column and a column per tag. long: a row per reading: stamp, tag, value.
    """

    name: Name
    file_name: Annotated[str, Field(description="Pattern such as scada_*.csv", min_length=1, max_length=200)]
    layout: Literal["wide", "long"] = "wide"
    delimiter: Literal[",", ";", "\t", "|"] = ","
    decimal_mark: Literal[".", ","] = "."
    encoding: Literal["utf-8", "utf-8-sig", "latin-1", "cp1252"] = "utf-8-sig"
    stamp_column: Name = "time"
    stamp_format: Annotated[str, Field(description="ISO 8601 as `iso`, or a strptime pattern")] = "iso"
    time_zone: Annotated[str, Field(description="Zone of stamps that carry none")] = "UTC"
    stamp_marks: Annotated[Literal["start", "end"], Field(description="Whether a stamp is the start or the end of its interval")] = "start"
    step_s: Annotated[int, Field(gt=0, le=86400, description="Distance of the rows in seconds")] = 900
    tag_column: Annotated[str, Field(description="long layout: the column with the tag")] = "tag"
    value_column: Annotated[str, Field(description="long layout: the column with the value")] = "value"
    missing: Annotated[tuple[str, ...], Field(description="Texts that mean: no reading")] = ("", "NaN", "null", "-")
    columns: Annotated[dict[str, Column], Field(description="Tag in the file -> series", min_length=1)]
    ignored: Annotated[tuple[str, ...], Field(description="Tags that are known and not wanted; others are reported")] = ()
    max_bytes: Annotated[int, Field(gt=0, le=1 << 30)] = 64 << 20

    _zone = field_validator("time_zone")(Utility._zone_exists.__func__)  # type: ignore[attr-defined]

    @model_validator(mode="after")
    def _no_series_twice(self) -> Self:
        seen: dict[str, str] = {}
        for tag, column in self.columns.items():
            if (other := seen.get(column.series)) is not None:
                raise ValueError(f"tags {other!r} and {tag!r} both feed series {column.series!r}")
            seen[column.series] = tag
        return self


class FileContracts(Document):
    """The files that this utility delivers."""

    contracts: Annotated[tuple[FileContract, ...], Field(min_length=1)]


class TimetableEntry(Document):
    """When a run is due, on the tenant's own clock: `cron` is minute hour day-of-month month day-of-week."""

    kind: Annotated[Literal["plan", "train"], Field(description="`plan` makes a plan; `train` trains the demand models that plans then forecast with")] = "plan"
    cron: str

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if not re.fullmatch(r"\S+(\s+\S+){4}", value):
            raise ValueError(f"{value!r} must have five fields: minute hour day-of-month month day-of-week")
        return value


class Timetable(Document):
    """Which runs are made when, and which events cause one."""

    entries: tuple[TimetableEntry, ...] = ()
    plan_on_new_data: Annotated[bool, Field(description="Plan again when readings arrive and the current plan is older than `plan_after_minutes`")] = False
    plan_after_minutes: Annotated[int, Field(ge=5)] = 60


DOCUMENT_KINDS: Mapping[str, type[Document]] = {
    "utility": Utility,
    "files": FileContracts,
    "tariff": Tariff,
    "operation": Operation,
    "timetable": Timetable,
}
"""Kind of settings document -> its model. Each tenant has a current version of each."""


def read_document(kind: str, body: Mapping[str, Any]) -> Document:
    """Check a settings document. Raises DocumentError naming the kind, the path inside it and what is wrong (the first problem, and how many more)."""
    model = DOCUMENT_KINDS.get(kind)
    if model is None:
        raise DocumentError("settings", "kind", f"{kind!r} is none of {', '.join(DOCUMENT_KINDS)}")
    try:
        return model.model_validate(body)
    except ValidationError as e:
        first, *others = e.errors(include_url=False)
        path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"]).lstrip(".") or "(whole document)"
        more = f" (and {len(others)} more)" if others else ""
        raise DocumentError(kind, path, f"{first['msg']}{more}") from e
