"""The words that case files and settings documents share: durations, clock times, date-times, flows with their unit, values by the clock, limits.

Each is written as it is read: a document that is dumped and read again is the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from levada.domain.units import Quantity, factor_to_si

__all__ = ["ClockMinute", "ClockValue", "Duration", "FlowLimit", "FlowUnit", "Part", "Period", "SourceTerms", "Span", "ValveTerms", "Weekday", "When", "flow_factor"]


class Part(BaseModel):
    """A part of a document. Unknown fields are errors: a misspelt limit must not be ignored. Numbers are finite and never text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, serialize_by_alias=True)


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


def _duration_text(seconds: int) -> str:
    return f"{seconds // 60}min" if seconds % 60 == 0 else f"{seconds}s"


def _minute(value: object) -> int:
    if isinstance(value, time):
        value = f"{value:%H:%M}" if not (value.second or value.microsecond) else value.isoformat()
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[2]) > 59 or int(match[1]) * 60 + int(match[2]) > 1440:
        raise ValueError('expected a local clock time such as "07:30", from "00:00" to "24:00"')
    return int(match[1]) * 60 + int(match[2])


def _clock_text(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _date_time(value: object) -> object:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("expected a date and time such as 2026-03-01T00:00:00 (on the local clock) or 2026-03-01T00:00:00+00:00")


Duration = Annotated[
    int,
    BeforeValidator(_seconds),
    PlainSerializer(_duration_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^(\\d+d)?(\\d+h)?(\\d+min)?(\\d+s)?$", "examples": ["60min", "24h"]}),
]
"""Whole seconds, written as text with units."""

ClockMinute = Annotated[
    int,
    BeforeValidator(_minute),
    PlainSerializer(_clock_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^\\d\\d:\\d\\d$", "examples": ["07:30", "24:00"]}),
]
"""Minutes since midnight on the local clock."""

When = Annotated[datetime, BeforeValidator(_date_time), WithJsonSchema({"type": "string", "format": "date-time"})]
"""An instant; without an offset it is on the local clock."""

FlowUnit = Literal["m3/s", "l/s", "m3/h", "m3/d"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


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
        Sequence[Weekday | Literal["holiday"]] | None,
        Field(min_length=1, description="Calendar days on which it holds, `holiday` being those of the utility; all when absent. The hours past midnight belong to the next day"),
    ] = None
    months: Annotated[list[Annotated[int, Field(ge=1, le=12)]] | None, Field(min_length=1, description="Months, 1 to 12; all when absent")] = None

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.start == self.end:
            raise ValueError("begins and ends at the same time; a whole day goes from 00:00 to 24:00")
        return self


class ClockValue(Part):
    """A value over time: a number, or a table with `constant` or `periods`."""

    constant: Annotated[float | None, Field(description="The same throughout; the number alone says the same")] = None
    periods: Annotated[Sequence[Period] | None, Field(min_length=1, max_length=500, description="By local hour, weekday and month")] = None
    otherwise: Annotated[float | None, Field(description="With `periods`: the value where none holds")] = None

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        return {"constant": value} if isinstance(value, int | float) and not isinstance(value, bool) else value

    @classmethod
    def _kinds(cls) -> tuple[str, ...]:
        """Fields of which a value has exactly one."""
        return ("constant", "periods")

    def _has(self, kind: str) -> bool:
        return getattr(self, kind) is not None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        found = [kind for kind in self._kinds() if self._has(kind)]
        if len(found) != 1:
            raise ValueError(f"expected exactly one of {', '.join(self._kinds())}; found {' and '.join(found) or 'none'}")
        if self.otherwise is not None and self.periods is None:
            raise ValueError("`otherwise` goes with `periods` only")
        return self

    @classmethod
    def _short_schemas(cls) -> list[JsonSchemaValue]:
        return [{"type": "number"}]

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        return {"anyOf": [*cls._short_schemas(), dict(schema)], "title": cls.__name__, "description": schema.get("description", "")}


class FlowLimit(Part):
    """Flow through a link, positive from its start to its end node, at every hydraulic solve."""

    unit: Annotated[FlowUnit, Field(description="Of `min` and `max`")]
    min: Annotated[float | None, Field(description="Least flow; none when absent")] = None
    max: Annotated[float | None, Field(description="Greatest flow; none when absent")] = None


class SourceTerms(Part):
    """A reservoir that water is drawn from at a cost or within limits."""

    cost_per_m3: Annotated[ClockValue | None, Field(description="Cost of its water, per m3")] = None
    max_flow: Annotated[float | None, Field(gt=0, description="Greatest flow at every hydraulic solve, in `unit`")] = None
    unit: Annotated[FlowUnit | None, Field(description="Of `max_flow`. Required with it")] = None
    max_volume_m3_per_day: Annotated[float | None, Field(gt=0, description="Most water in a day, m3")] = None

    @model_validator(mode="after")
    def _flow_has_unit(self) -> Self:
        if (self.max_flow is None) != (self.unit is None):
            raise ValueError("`max_flow` and `unit` go together")
        return self


class ValveTerms(Part):
    """A pipe or valve that the plan sets in each step."""

    choices: Annotated[
        list[Literal["open", "closed"] | float],
        Field(min_length=2, max_length=20, description="`open`, `closed`, or settings: m of water for PRV, PSV and PBV, m3/s for FCV, loss coefficient for TCV"),
    ]
    before: Annotated[Literal["open", "closed"] | float | None, Field(description="The choice in force before the start; the first when absent")] = None
