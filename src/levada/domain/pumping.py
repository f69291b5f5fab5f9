"""What is asked of pumps and tanks over a horizon, what is done, and what comes of it.

`PumpingProblem` is asked, `PumpSchedule` is done, `Trajectory` is what a simulation says of it, `Violation` is a limit that
does not hold. The scheduler and the audit both read these; neither shares code with the other.
Index conventions: n steps, n + 1 instants; pumps, tanks and junctions in the network's order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from levada.domain.billing import Bill
from levada.domain.errors import ProblemError
from levada.domain.network import Network
from levada.domain.pumping_terms import LIMITS, RELAX_ORDER, ControllableValve, Meter, Scenarios, Source
from levada.domain.series import Floats
from levada.domain.time import Steps

__all__ = ["Audit", "Bools", "Ints", "PumpSchedule", "PumpingProblem", "Trajectory", "Violation"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
_T = TypeVar("_T", bound=np.generic)


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
    | hydraulic_step_s | - | EPANET's hydraulic time step: solves are at the beginning of each step and so often after it |

    What follows may be left out; None or empty means that there is none.

    | field | shape | meaning |
    |---|---|---|
    | reserve_level_m, ceiling_level_m | (n, tanks) | further limits by time: level at least, at most, at every hydraulic solve of a step; the last step's at the end too |
    | end_level_max_m | (tanks,) | at the end, each level is at most this |
    | stored_value_per_m3 | (tanks,) | worth of water in a tank at the end; the change since the start counts against the cost |
    | pressure_ceilings_m | - | node -> greatest pressure, m of water, at every hydraulic solve |
    | flow_limits_m3_per_s | - | link -> (least, greatest) flow from its start to its end node, at every hydraulic solve |
    | meters | - | see Meter; without any, all pumps share one |
    | sources | - | see Source |
    | valves | - | see ControllableValve |
    | co2_kg_per_kwh | (n,) | of energy drawn from the grid |
    | co2_price_per_kg, max_co2_kg | - | a cost, and a limit over the horizon |
    | day | (n,) | number of the day that each step belongs to, from 0 and rising; starts and sources are limited per day. Without it the horizon is one day |
    | starts_made | (pumps,) | starts already made in day 0 |
    | min_on_s, min_off_s | (pumps,) | least time that a pump stays on, off; a run or pause cut by the end of the horizon (of the period, where starts are counted periodically, it goes on at its beginning) may be short |
    | held_s | (pumps,) | how long each pump has been in its initial state; without it long enough |
    | forced_on | (n, pumps) | true where a pump must run |
    | max_starts_total | - | most starts of all pumps together, in a day |
    | max_simultaneous_starts | - | most pumps that start in one step |
    | wear_cost_per_start | (pumps,) | cost of a start |
    | run_hours_h | (pumps,) | hours run so far: pumps that can be swapped are chosen so that these come together |
    | previous_on | (n, pumps) | the plan followed until now |
    | deviation_cost_per_h | (n, pumps) | cost of an hour in which a pump is not as in previous_on; 0 where there was no plan |
    | scenarios | - | see Scenarios |
    | also_hydraulic_steps_s | - | hydraulic steps at which the limits hold too, while costs are those at hydraulic_step_s: what a long step gains by its error is no gain. The search on switch instants heeds them, those on steps do not |
    | switch_resolution_s | - | pumps may be switched within steps too, at multiples of so many seconds from the start; divides every step. None: at the steps' edges only. See `on_steps` |
    | metered | (n,) | number of the interval that each step belongs to, from 0 and rising: power is billed by its mean over an interval, which is each step where there is none. Prices, own power and emissions are the same throughout an interval |
    | relax_order | - | kinds of limits, those that give way first named first; kinds not named give way after all that are |
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
    reserve_level_m: Floats | None = None
    ceiling_level_m: Floats | None = None
    end_level_max_m: Floats | None = None
    stored_value_per_m3: Floats | None = None
    pressure_ceilings_m: dict[str, float] = field(default_factory=dict)
    flow_limits_m3_per_s: dict[str, tuple[float, float]] = field(default_factory=dict)
    meters: tuple[Meter, ...] = ()
    sources: tuple[Source, ...] = ()
    valves: tuple[ControllableValve, ...] = ()
    co2_kg_per_kwh: Floats | None = None
    co2_price_per_kg: float = 0.0
    max_co2_kg: float | None = None
    day: Ints | None = None
    starts_made: Ints | None = None
    min_on_s: Floats | None = None
    min_off_s: Floats | None = None
    held_s: Floats | None = None
    forced_on: Bools | None = None
    max_starts_total: int | None = None
    max_simultaneous_starts: int | None = None
    wear_cost_per_start: Floats | None = None
    run_hours_h: Floats | None = None
    previous_on: Bools | None = None
    deviation_cost_per_h: Floats | None = None
    scenarios: Scenarios | None = None
    also_hydraulic_steps_s: tuple[int, ...] = ()
    switch_resolution_s: int | None = None
    metered: Ints | None = None
    relax_order: tuple[str, ...] = RELAX_ORDER

    def __post_init__(self) -> None:
        n, tanks, pumps = len(self.steps), len(self.network.tanks), len(self.network.pumps)
        shapes: dict[str, tuple[int, ...]] = {
            "demand_m3_per_s": (n, len(self.network.junctions)), "price_per_kwh": (n, pumps), "initial_level_m": (tanks,),
            "min_level_m": (tanks,), "max_level_m": (tanks,), "may_stand_full": (tanks,), "end_level_m": (tanks,),
            "max_starts": (pumps,), "initial_on": (pumps,), "min_speed": (pumps,), "max_speed": (pumps,), "available": (n, pumps),
        }  # fmt: skip
        for name, shape in shapes.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ProblemError(name, f"has shape {found}, expected {shape}")
        for name in ("demand_m3_per_s", "price_per_kwh", "initial_level_m", "end_level_m"):
            if not np.isfinite(getattr(self, name)).all():
                raise ProblemError(name, "has values that are not finite")
        for i, tank in enumerate(self.network.tanks):
            if not self.min_level_m[i] < self.max_level_m[i]:
                raise ProblemError("min_level_m", f"tank {tank.name}: {self.min_level_m[i]} m is not below max_level_m {self.max_level_m[i]} m")
            if self.end_level_m[i] > self.max_level_m[i]:
                raise ProblemError("end_level_m", f"tank {tank.name}: {self.end_level_m[i]} m is above max_level_m {self.max_level_m[i]} m")
        for name, hydraulic_steps in (("hydraulic_step_s", (self.hydraulic_step_s,)), ("also_hydraulic_steps_s", self.also_hydraulic_steps_s)):
            for step_s in hydraulic_steps:
                if step_s <= 0:
                    raise ProblemError(name, f"{step_s} s is not above 0")
        if (self.min_speed > self.max_speed).any():
            raise ProblemError("min_speed", "is above max_speed for some pump")
        nodes = set(self.network.junction_index) | set(self.network.tank_index)
        for where, limits in (("pressure_floors_m", self.pressure_floors_m), ("pressure_ceilings_m", self.pressure_ceilings_m)):
            for node in limits:
                if node not in nodes:
                    raise ProblemError(where, f"the network has no node {node!r}")
        self._check_further(n, tanks, pumps)

    def _check_further(self, n: int, tanks: int, pumps: int) -> None:
        """Of the fields that may be left out: shapes, names and contradictions."""
        shapes: dict[str, tuple[int, ...]] = {
            "reserve_level_m": (n, tanks), "ceiling_level_m": (n, tanks), "end_level_max_m": (tanks,), "stored_value_per_m3": (tanks,),
            "co2_kg_per_kwh": (n,), "day": (n,), "starts_made": (pumps,), "min_on_s": (pumps,), "min_off_s": (pumps,), "held_s": (pumps,),
            "forced_on": (n, pumps), "wear_cost_per_start": (pumps,), "run_hours_h": (pumps,), "previous_on": (n, pumps),
            "deviation_cost_per_h": (n, pumps), "metered": (n,),
        }  # fmt: skip
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is None:
                continue
            if value.shape != shape:
                raise ProblemError(name, f"has shape {value.shape}, expected {shape}")
            if not np.isfinite(value).all():
                raise ProblemError(name, "has values that are not finite")
        for name in ("starts_made", "min_on_s", "min_off_s", "held_s", "wear_cost_per_start", "deviation_cost_per_h", "co2_kg_per_kwh"):
            if (value := getattr(self, name)) is not None and (value < 0).any():
                raise ProblemError(name, "has negative values")
        if self.end_level_max_m is not None and (self.end_level_max_m < self.end_level_m).any():
            raise ProblemError("end_level_max_m", "is below end_level_m for some tank")
        if self.forced_on is not None and (self.forced_on & ~self.available).any():
            raise ProblemError("forced_on", "some pump is forced on in a step in which it is not available")
        if self.day is not None and (self.day[0] != 0 or (np.diff(self.day) < 0).any()):
            raise ProblemError("day", "must begin with 0 and never fall")
        if self.day is not None and self.day[-1] > 0 and self.count_starts == "periodic":
            raise ProblemError("count_starts", "starts can be counted periodically over one day only")
        if self.deviation_cost_per_h is not None and self.previous_on is None:
            raise ProblemError("deviation_cost_per_h", "needs previous_on")
        if self.metered is not None and (self.metered[0] != 0 or not np.isin(np.diff(self.metered), (0, 1)).all()):
            raise ProblemError("metered", "must begin with 0 and rise by 1")
        if self.switch_resolution_s is not None and (self.switch_resolution_s <= 0 or any(d % self.switch_resolution_s for d in self.steps.durations_s)):
            raise ProblemError("switch_resolution_s", f"{self.switch_resolution_s} s does not divide every step")
        if self.max_starts_total is not None and self.max_starts_total < 0:
            raise ProblemError("max_starts_total", "is negative")
        if self.max_simultaneous_starts is not None and self.max_simultaneous_starts < 1:
            raise ProblemError("max_simultaneous_starts", "must be at least 1, or absent for no limit")
        if (self.co2_price_per_kg or self.max_co2_kg is not None) and self.co2_kg_per_kwh is None:
            raise ProblemError("co2_kg_per_kwh", "is needed for a price or limit of emissions")
        links = {x.name for x in self.network.links} | set(self.network.pump_index)
        for name, (least, most) in self.flow_limits_m3_per_s.items():
            if name not in links:
                raise ProblemError("flow_limits_m3_per_s", f"the network has no link {name!r}")
            if not least <= most:
                raise ProblemError("flow_limits_m3_per_s", f"link {name!r}: {least} is above {most}")
        for unknown in set(self.relax_order) - set(LIMITS):
            raise ProblemError("relax_order", f"{unknown!r} is no limit; expected some of {', '.join(LIMITS)}")
        self._check_meters(n)
        self._check_sources(n)
        self._check_valves()

    @property
    def initial_choice(self) -> Ints:
        """The choice of each valve in force before the start, (valves,)."""
        return np.array([v.initial for v in self.valves], np.int64)

    def at_other_hydraulic_steps(self) -> tuple[PumpingProblem, ...]:
        """The same problem at each of also_hydraulic_steps_s alone."""
        return tuple(replace(self, hydraulic_step_s=step_s, also_hydraulic_steps_s=()) for step_s in self.also_hydraulic_steps_s)

    def on_steps(self, instants_s: NDArray[np.int64]) -> PumpingProblem:
        """The same problem on the steps that its own edges and `instants_s` (seconds from the start, within the horizon) make together: what holds in a
        step holds in each part of it, and power is billed by its means over the steps as they were. Pumps are then switched at the edges only."""
        edges = np.union1d(self.steps.offsets_s, instants_s)
        if edges[0] < 0 or edges[-1] > self.steps.offsets_s[-1]:
            raise ValueError("instants lie outside the horizon")
        of = np.searchsorted(self.steps.offsets_s, edges[:-1], side="right") - 1

        def parts(values: NDArray[_T] | None) -> NDArray[_T] | None:
            return None if values is None else values[of]

        return replace(
            self,
            steps=Steps(self.steps.start, tuple(np.diff(edges).tolist())),
            demand_m3_per_s=self.demand_m3_per_s[of],
            price_per_kwh=self.price_per_kwh[of],
            available=self.available[of],
            reserve_level_m=parts(self.reserve_level_m),
            ceiling_level_m=parts(self.ceiling_level_m),
            meters=tuple(replace(m, own_power_kw=parts(m.own_power_kw), export_price_per_kwh=parts(m.export_price_per_kwh)) for m in self.meters),
            sources=tuple(replace(s, cost_per_m3=parts(s.cost_per_m3)) for s in self.sources),
            co2_kg_per_kwh=parts(self.co2_kg_per_kwh),
            day=parts(self.day),
            forced_on=parts(self.forced_on),
            previous_on=parts(self.previous_on),
            deviation_cost_per_h=parts(self.deviation_cost_per_h),
            scenarios=None if self.scenarios is None else replace(self.scenarios, demand_m3_per_s=self.scenarios.demand_m3_per_s[:, of]),
            metered=of if self.metered is None else self.metered[of],
            switch_resolution_s=None,
        )

    def _check_meters(self, n: int) -> None:
        metered: set[str] = set()
        for meter in self.meters:
            for name in meter.pumps:
                if name not in self.network.pump_index:
                    raise ProblemError("meters", f"meter {meter.name}: the network has no pump {name!r}")
                if name in metered:
                    raise ProblemError("meters", f"pump {name} has two meters")
                metered.add(name)
            places = [self.network.pump_index[name] for name in meter.pumps]
            if len(places) > 1 and (self.price_per_kwh[:, places] != self.price_per_kwh[:, places[:1]]).any():
                raise ProblemError("meters", f"meter {meter.name}: its pumps have different prices")
            for field_name in ("own_power_kw", "export_price_per_kwh"):
                value = getattr(meter, field_name)
                if value is not None and (value.shape != (n,) or not np.isfinite(value).all()):
                    raise ProblemError("meters", f"meter {meter.name}: {field_name} must be {n} finite values")

    def _check_sources(self, n: int) -> None:
        known = {r.name for r in self.network.reservoirs}
        for source in self.sources:
            if source.reservoir not in known:
                raise ProblemError("sources", f"the network has no reservoir {source.reservoir!r}")
            if source.cost_per_m3 is not None and (source.cost_per_m3.shape != (n,) or not np.isfinite(source.cost_per_m3).all()):
                raise ProblemError("sources", f"source {source.reservoir}: cost_per_m3 must be {n} finite values")
        if len({s.reservoir for s in self.sources}) < len(self.sources):
            raise ProblemError("sources", "a reservoir is named twice")

    def _check_valves(self) -> None:
        kinds = {x.name: x.kind for x in self.network.links}
        for valve in self.valves:
            if valve.link not in kinds:
                raise ProblemError("valves", f"the network has no pipe or valve {valve.link!r}")
            if not valve.choices or not 0 <= valve.initial < len(valve.choices):
                raise ProblemError("valves", f"valve {valve.link}: needs choices, and an initial one among them")
            if kinds[valve.link] == "cv" or (kinds[valve.link] == "pipe" and any(not isinstance(c, str) for c in valve.choices)):
                raise ProblemError("valves", f"{valve.link} is a {kinds[valve.link]}: a pipe can be open or closed only, a check valve is not set")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PumpSchedule:
    """What each pump does in each step: `on` (n, pumps) and relative `speed` (n, pumps), 0 where it is off; and which of its choices
    each controllable valve has: `valve_choice` (n, valves), empty where there are none."""

    on: Bools
    speed: Floats
    valve_choice: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))

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
    """A limit that does not hold: which (`limit`, a key of LIMITS), where,
    when (seconds from the start; None where it is of the whole horizon) and by how much in `unit`.

    The audit says of what `kind` it is, such as `above` or `below`, and until when, where it is no matter of an instant.
    """

    limit: str
    element: str
    at_s: int | None
    amount: float
    unit: str
    text: str
    kind: str = ""
    until_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trajectory:
    """What a simulation of a schedule says.

    level_m (n + 1, tanks); flow_m3_per_s, power_w (n, pumps), means over the step; pressure_m (n, nodes), the least in the step at each
    of problem.pressure_floors_m, in its order; source_m3 (n, sources), drawn in the step. `cost` is the bill's total.
    """

    level_m: Floats
    flow_m3_per_s: Floats
    power_w: Floats
    pressure_m: Floats
    source_m3: Floats
    bill: Bill
    energy_kwh: float
    violations: tuple[Violation, ...]

    @property
    def cost(self) -> float:
        return self.bill.total


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Audit:
    """EPANET's verdict on a schedule, by code that did not make it."""

    accepted: bool
    trajectory: Trajectory
    engine: str
    hydraulic_step_s: int
