"""What the API's routes share: answers that errors can give, as OpenAPI shows them, and checked parameters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Literal

from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter
from pydantic import BaseModel, ConfigDict, Field

from levada.domain.time import Window, require_utc
from levada.web.problems import BadRequest

__all__ = ["Limit", "Problem", "Tenant", "answers", "window_of"]

Tenant = Annotated[str, PathParameter(description="The utility's id, such as `serra`", max_length=40)]
Limit = Annotated[int, QueryParameter(description="At most so many, the newest first", ge=1, le=1000)]

_LONGEST_WINDOW = timedelta(days=400)


class Problem(BaseModel):
    """An error, after RFC 9457, with Levada's `code` and whatever parts the error was built from."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(description="Stable name of the kind of error, such as `not-found`")]
    message: str


_MEANINGS = {
    400: "A parameter does not hold.",
    401: "The caller is not known: no session, no token, or one that has expired.",
    403: "The caller is known but lacks the right.",
    404: "It is not there, or the caller may not see it: the two look alike.",
    409: "What is asked for does not fit how the thing stands now, such as to cancel a run that is done.",
}


def answers(*statuses: Literal[401, 403, 404, 409]) -> Mapping[int, ResponseSpec]:
    """The error answers of a route, for its description; any may answer 400."""
    return {
        status: ResponseSpec(data_container=Problem, description=_MEANINGS[status], generate_examples=False, media_type="application/problem+json")
        for status in (400, *statuses)
    }


def window_of(start: datetime | None, end: datetime | None, now: datetime, default: timedelta) -> Window:
    """The window asked for; without `end` up to now, without `start` so long before. Raises BadRequest: no zone, reversed or too long."""
    for name, instant in (("start", start), ("end", end)):
        if instant is not None and instant.tzinfo is None:
            raise BadRequest(name, f"{instant.isoformat()} has no time zone; write it as 2026-03-01T00:00:00Z")
    last = require_utc(end) if end else now
    first = require_utc(start) if start else last - default
    if last < first:
        raise BadRequest("end", "is before start")
    if last - first > _LONGEST_WINDOW:
        raise BadRequest("start", f"the window is longer than {_LONGEST_WINDOW.days} days; ask for it in parts")
    return Window(first, last)
