"""What all settings documents share: how strict they are, and the names that they give to things and series."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Document", "Name", "SeriesName"]

Name = Annotated[str, Field(min_length=1, max_length=80)]
SeriesName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[A-Za-z0-9_\-]+)+$", max_length=120)]


class Document(BaseModel):
    """A versioned settings document. Unknown fields are errors: a misspelt setting must not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True, allow_inf_nan=False)
