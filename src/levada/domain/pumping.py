"""What is asked of pumps and tanks over a horizon, what is done, and what comes of it.

`PumpingProblem` is asked, `PumpSchedule` is done, `Trajectory` is what a simulation says of it, `Violation` is a limit that
does not hold. The scheduler and the audit both read these; neither shares code with the other.
Index conventions: n steps, n + 1 instants; pumps, tanks and junctions in the network's order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from levada.domain.errors import ProblemError
from levada.domain.network import Network
from levada.domain.series import Floats
from levada.domain.time import Steps

__all__ = ["Audit", "Bools", "PumpSchedule", "PumpingProblem", "Trajectory", "Violation"]

Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class PumpingProblem:
    """Which pumps to run in each step so that the limits hold and the energy costs least.

    | field | shape | meaning |
    |---|---|---|
    | demand_m3_per_s | (n, junctions) | water drawn, constant within a step |
    | price_per_kwh | (n, pumps) | price of energy at each pump's meter |
    | initial_level_m | (tanks,) | at the start |
    | min_level_m, max_level_m | (tanks,) | limits at every instant. Saturation is a violation: a tank at or above its maximum that still fills, or at or below its minimum that still drains, at any hydraulic solve |
    | may_stand_full | (tanks,) | true for a tank that may stay at its maximum with its inlet shut (EPANET's behaviour) |
    | end_level_m | (tanks,) | at the end, each level is at least this |
    | pressure_floors_m | - | node -> least pressure, m of water, at every hydraulic solve |
    | max_starts | (pumps,) | most starts within the horizon |
    | count_starts | - | `periodic`: the last step is followed by the first; `window`: the first step is preceded by initial_on |
    | initial_on | (pumps,) | running just before the start |
    | min_speed, max_speed | (pumps,) | relative speed; equal for a fixed-speed pump |
    | available | (n, pumps) | false where a pump must not run |
    | max_power_kw | - | electric power of all pumps together, or None |
    | hydraulic_step_s | - | EPANET's hydraulic time step; divides every step |
    """

    network: Network
    steps: Steps
    demand_m3_per_s: Floats
    price_per_kwh: Floats
    initial_level_m: Floats
    min_level_m: Floats
    max_level_m: Floats
    may_stand_full: Bools
    end_level_m: Floats
    pressure_floors_m: dict[str, float]
    max_starts: NDArray[np.int64]
    count_starts: Literal["periodic", "window"]
    initial_on: Bools
    min_speed: Floats
    max_speed: Floats
    available: Bools
    max_power_kw: float | None
    hydraulic_step_s: int

    def __post_init__(self) -> None:
        n, tanks, pumps = len(self.steps), len(self.network.tanks), len(self.network.pumps)
        shapes: dict[str, tuple[int, ...]] = {
            "demand_m3_per_s": (n, len(self.network.junctions)), "price_per_kwh": (n, pumps), "initial_level_m": (tanks,),
            "min_level_m": (tanks,), "max_level_m": (tanks,), "may_stand_full": (tanks,), "end_level_m": (tanks,),
            "max_starts": (pumps,), "initial_on": (pumps,), "min_speed": (pumps,), "max_speed": (pumps,), "available": (n, pumps),
        }  # fmt: skip
        for field, shape in shapes.items():
            found = getattr(self, field).shape
            if found != shape:
                raise ProblemError(field, f"has shape {found}, expected {shape}")
        for field in ("demand_m3_per_s", "price_per_kwh", "initial_level_m", "end_level_m"):
            if not np.isfinite(getattr(self, field)).all():
                raise ProblemError(field, "has values that are not finite")
        for i, tank in enumerate(self.network.tanks):
            if not self.min_level_m[i] < self.max_level_m[i]:
                raise ProblemError("min_level_m", f"tank {tank.name}: {self.min_level_m[i]} m is not below max_level_m {self.max_level_m[i]} m")
            if self.end_level_m[i] > self.max_level_m[i]:
                raise ProblemError("end_level_m", f"tank {tank.name}: {self.end_level_m[i]} m is above max_level_m {self.max_level_m[i]} m")
        if any(d % self.hydraulic_step_s for d in self.steps.durations_s):
            raise ProblemError("hydraulic_step_s", f"{self.hydraulic_step_s} s does not divide every step")
        if (self.min_speed > self.max_speed).any():
            raise ProblemError("min_speed", "is above max_speed for some pump")
        nodes = set(self.network.junction_index) | set(self.network.tank_index)
        for node in self.pressure_floors_m:
            if node not in nodes:
                raise ProblemError("pressure_floors_m", f"the network has no node {node!r}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PumpSchedule:
    """What each pump does in each step: `on` (n, pumps) and relative `speed` (n, pumps), 0 where it is off."""

    on: Bools
    speed: Floats

    def __post_init__(self) -> None:
        if self.on.shape != self.speed.shape:
            raise ValueError("on and speed differ in shape")
        if ((self.speed > 0) != self.on).any():
            raise ValueError("speed must be positive exactly where the pump is on")

    def starts(self, count: Literal["periodic", "window"], initial_on: Bools) -> NDArray[np.int64]:
        """Starts of each pump, counted as PumpingProblem.count_starts says, shape (pumps,)."""
        before = np.vstack([self.on[-1] if count == "periodic" else initial_on, self.on[:-1]])
        return np.asarray((self.on & ~before).sum(axis=0), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A limit that does not hold: which (`limit`: level, pressure, end level, starts, power, saturation, availability, supply), where,
    when (seconds from the start; None where it is of the whole horizon) and by how much in `unit`."""

    limit: str
    element: str
    at_s: int | None
    amount: float
    unit: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trajectory:
    """What a simulation of a schedule says. level_m (n + 1, tanks); flow_m3_per_s, power_w (n, pumps), means over the step."""

    level_m: Floats
    flow_m3_per_s: Floats
    power_w: Floats
    cost: float
    energy_kwh: float
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Audit:
    """EPANET's verdict on a schedule, by code that did not make it."""

    accepted: bool
    trajectory: Trajectory
    engine: str
    hydraulic_step_s: int
