"""The words of a case file that recur in it: durations, clock times, date-times, flows with their unit, values over time."""

from __future__ import annotations

import re
from datetime import datetime, time
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from levada.domain.units import Quantity, factor_to_si

__all__ = ["ClockMinute", "Duration", "FlowUnit", "Part", "Period", "Series", "Span", "When", "flow_factor"]


class Part(BaseModel):
    """A table of a case file. Unknown fields are errors: a misspelt limit must not be ignored. Numbers are finite and never text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)min)?(?:(\d+)s)?")
_CLOCK = re.compile(r"(\d\d):(\d\d)")


def _seconds(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError('expected a duration with its unit in quotes, such as "60min", "24h" or "1h30min"')  # noqa: TRY004 pydantic takes ValueError
    match = _DURATION.fullmatch(value.replace(" ", ""))
    if match is None or not any(match.groups()):
        raise ValueError('expected a duration such as "60min", "24h", "1h30min" or "2d" (units d, h, min, s)')
    days, hours, minutes, seconds = (int(x or 0) for x in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _minute(value: object) -> int:
    if isinstance(value, time):
        value = f"{value:%H:%M}" if not (value.second or value.microsecond) else value.isoformat()
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[2]) > 59 or int(match[1]) * 60 + int(match[2]) > 1440:
        raise ValueError('expected a local clock time such as "07:30", from "00:00" to "24:00"')
    return int(match[1]) * 60 + int(match[2])


def _date_time(value: object) -> object:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("expected a date and time such as 2026-03-01T00:00:00 (on the case's clock) or 2026-03-01T00:00:00+00:00")


Duration = Annotated[
    int, BeforeValidator(_seconds), WithJsonSchema({"type": "string", "pattern": "^(\\d+d)?(\\d+h)?(\\d+min)?(\\d+s)?$", "examples": ["60min", "24h"]})
]
"""Whole seconds, written as text with units."""

ClockMinute = Annotated[int, BeforeValidator(_minute), WithJsonSchema({"type": "string", "pattern": "^\\d\\d:\\d\\d$", "examples": ["07:30", "24:00"]})]
"""Minutes since midnight on the case's clock."""

When = Annotated[datetime, BeforeValidator(_date_time), WithJsonSchema({"type": "string", "format": "date-time"})]
"""An instant; without an offset it is on the case's clock."""

FlowUnit = Literal["m3/s", "l/s", "m3/h", "m3/d"]


def flow_factor(unit: FlowUnit) -> float:
    """m3/s in one `unit`."""
    return factor_to_si(Quantity.FLOW, "L/s" if unit == "l/s" else unit)


class Span(Part):
    """A span of time. `from` and `to` are both date-times, or both clock times, which then hold every day."""

    start: Annotated[When | ClockMinute, Field(alias="from", description="Date-time, or clock time such as `08:00`")]
    end: Annotated[When | ClockMinute, Field(alias="to", description="Not included. Date-time, or clock time; before `from` it goes past midnight")]

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if isinstance(self.start, datetime) != isinstance(self.end, datetime):
            raise ValueError("`from` and `to` must both be date-times or both be clock times")
        if self.start == self.end:
            raise ValueError("begins and ends at the same time; a whole day goes from 00:00 to 24:00")
        return self


class Period(Part):
    """A value that holds by the local clock. Of several that hold, the first one counts."""

    value: Annotated[float, Field(description="In the unit of the field it stands under")]
    start: Annotated[ClockMinute, Field(alias="from", description="Local clock time", json_schema_extra={"default": "00:00"})] = 0
    end: Annotated[ClockMinute, Field(alias="to", description="Not included; before `from` it goes past midnight", json_schema_extra={"default": "24:00"})] = 1440
    days: Annotated[
        list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] | None,
        Field(min_length=1, description="Calendar days on which it holds; all when absent. The hours past midnight belong to the next day"),
    ] = None
    months: Annotated[list[Annotated[int, Field(ge=1, le=12)]] | None, Field(min_length=1, description="Months, 1 to 12; all when absent")] = None

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.start == self.end:
            raise ValueError("begins and ends at the same time; a whole day goes from 00:00 to 24:00")
        return self


class Series(Part):
    """A value over time: a number, a list with a value per step, or a table with one of `periods`, `file`, `per_step`, `constant`."""

    constant: Annotated[float | None, Field(description="The same throughout; the number alone says the same")] = None
    per_step: Annotated[list[float] | None, Field(max_length=5000, description="A value per step; the list alone says the same")] = None
    periods: Annotated[list[Period] | None, Field(min_length=1, max_length=500, description="By local hour, weekday and month")] = None
    otherwise: Annotated[float | None, Field(description="With `periods`: the value where none holds")] = None
    file: Annotated[str | None, Field(min_length=1, description="A CSV beside the case file, with a column `time` or `step`")] = None
    column: Annotated[str | None, Field(description="With `file`: its column; may be left out where there is only one")] = None
    factor: Annotated[float, Field(description="Values are multiplied by it, such as 0.001 for a file of prices per MWh")] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | list):
            return value
        return {"per_step": value} if isinstance(value, list) else {"constant": value}

    def _kinds(self) -> list[str]:
        return [name for name in ("constant", "per_step", "periods", "file") if getattr(self, name) is not None]

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        kinds = self._kinds()
        if len(kinds) != 1:
            raise ValueError(f"expected exactly one of constant, per_step, periods, file{self._more_kinds()}; found {' and '.join(kinds) or 'none'}")
        if self.otherwise is not None and self.periods is None:
            raise ValueError("`otherwise` goes with `periods` only")
        if self.column is not None and self.file is None:
            raise ValueError("`column` goes with `file` only")
        return self

    def _more_kinds(self) -> str:
        return ""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        return {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}, dict(schema)], "title": cls.__name__, "description": schema.get("description", "")}
