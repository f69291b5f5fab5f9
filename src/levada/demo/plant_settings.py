"""What is true of a simulated plant, as `plant.toml` says it. Levada is never shown this."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from levada.domain.errors import DocumentError

__all__ = ["LevelRule", "PlantSettings", "Protection", "TrueZone", "read_plant_settings"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrueZone(_Part):
    """What a zone's customers draw: a real series, scaled so that its mean over a year is `mean_m3_per_h`."""

    series: str
    mean_m3_per_h: Annotated[float, Field(gt=0)]
    shift_days: Annotated[int, Field(multiple_of=7, description="So that two zones on one series differ; whole weeks")] = 0


class LevelRule(_Part):
    """A pump switched by a tank's level (m above the tank's elevation), where no valid plan says otherwise."""

    tank: str
    on_below_m: float
    off_above_m: float
    speed: Annotated[float, Field(gt=0)] = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.on_below_m < self.off_above_m:
            raise ValueError(f"on_below_m {self.on_below_m} is not below off_above_m {self.off_above_m}")
        return self


class Protection(_Part):
    """Level switches of a tank in the plant itself: they override plan and rules.

    At `low_m` the pumps that fill the tank are switched on, at `high_m` off; at `dry_m` those that draw from it are switched
    off. Each lets go when the level is back by `back_m`.
    """

    tank: str
    filled_by: tuple[str, ...] = ()
    low_m: float
    high_m: float
    drained_by: tuple[str, ...] = ()
    dry_m: float = 0.0
    back_m: Annotated[float, Field(gt=0)] = 0.25


class PlantSettings(_Part):
    """All of `plant.toml`."""

    seed: int
    price_seed: Annotated[int | None, Field(description="Of the invented market, where prices are delivered")] = None
    levels_start_at: Annotated[float, Field(gt=0, lt=1, description="Where in the range of their limits the tanks stand at first")] = 0.6
    zones: Annotated[Mapping[str, TrueZone], Field(min_length=1)]
    rules: Annotated[Mapping[str, LevelRule], Field(min_length=1)]
    protection: tuple[Protection, ...] = ()


def read_plant_settings(folder: Path) -> PlantSettings:
    """Read a utility's `plant.toml`. Raises DocumentError saying where in it what is wrong."""
    path = folder / "plant.toml"
    try:
        return PlantSettings.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as e:
        raise DocumentError(str(path), "(file)", f"cannot be read: {e}") from e
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        raise DocumentError(str(path), ".".join(str(p) for p in first["loc"]) or "(whole document)", first["msg"]) from e
