"""The fields of a PumpingProblem that are about tanks, and those about pumps: same names, shapes and meanings."""

from __future__ import annotations

from dataclasses import dataclass

from levada.domain.pumping import Bools, Ints
from levada.domain.series import Floats

__all__ = ["PumpFields", "TankFields"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TankFields:
    """About tanks."""

    initial_level_m: Floats
    min_level_m: Floats
    max_level_m: Floats
    may_stand_full: Bools
    end_level_m: Floats
    reserve_level_m: Floats | None
    ceiling_level_m: Floats | None
    end_level_max_m: Floats | None
    stored_value_per_m3: Floats | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PumpFields:
    """About pumps."""

    max_starts: Ints
    initial_on: Bools
    min_speed: Floats
    max_speed: Floats
    available: Bools
    starts_made: Ints | None
    min_on_s: Floats | None
    min_off_s: Floats | None
    held_s: Floats | None
    forced_on: Bools | None
    wear_cost_per_start: Floats | None
    run_hours_h: Floats | None
