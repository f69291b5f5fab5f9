"""The words of a case file that recur in it: those that it shares with settings documents, and values over time from a CSV or step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic.json_schema import JsonSchemaValue

from levada.domain.terms import ClockMinute, ClockValue, Duration, FlowUnit, Part, Span, Weekday, When, flow_factor
from levada.domain.terms import Period as AnyPeriod

__all__ = ["ClockMinute", "Duration", "FlowUnit", "Part", "Period", "Series", "Span", "When", "flow_factor"]


class Period(AnyPeriod):
    """A value that holds by the local clock. Of several that hold, the first one counts."""

    days: Annotated[
        Sequence[Weekday] | None, Field(min_length=1, description="Calendar days on which it holds; all when absent. The hours past midnight belong to the next day")
    ] = None


class Series(ClockValue):
    """A value over time: a number, a list with a value per step, or a table with one of `periods`, `file`, `per_step`, `constant`."""

    periods: Annotated[Sequence[Period] | None, Field(min_length=1, max_length=500, description="By local hour, weekday and month")] = None
    per_step: Annotated[list[float] | None, Field(max_length=5000, description="A value per step; the list alone says the same")] = None
    file: Annotated[str | None, Field(min_length=1, description="A CSV beside the case file, with a column `time` or `step`")] = None
    column: Annotated[str | None, Field(description="With `file`: its column; may be left out where there is only one")] = None
    factor: Annotated[float, Field(description="Values are multiplied by it, such as 0.001 for a file of prices per MWh")] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _list_alone(cls, value: Any) -> Any:
        return {"per_step": value} if isinstance(value, list) else value

    @classmethod
    def _kinds(cls) -> tuple[str, ...]:
        return ("constant", "per_step", "periods", "file")

    @model_validator(mode="after")
    def _column_is_of_a_file(self) -> Self:
        if self.column is not None and self.file is None:
            raise ValueError("`column` goes with `file` only")
        return self

    @classmethod
    def _short_schemas(cls) -> list[JsonSchemaValue]:
        return [{"type": "number"}, {"type": "array", "items": {"type": "number"}}]
