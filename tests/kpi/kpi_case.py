"""A case small enough to work out by hand: two pumps, one tank, one town, four uneven steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from levada.domain.billing import bill_of
from levada.domain.network import Junction, Network, Pump, Tank
from levada.domain.pumping import PumpingProblem, PumpSchedule, Trajectory
from levada.domain.series import Floats
from levada.domain.time import Steps

START = datetime(2026, 3, 2, tzinfo=UTC)


def network(volume_curve: tuple[tuple[float, float], ...] = ()) -> Network:
    return Network(
        name="case",
        inp=b"",
        junctions=(Junction(name="town", elevation_m=0, base_demand_m3_per_s=0.01),),
        reservoirs=(),
        tanks=(Tank(name="hill", elevation_m=50, initial_level_m=2, min_level_m=0, max_level_m=5, diameter_m=np.sqrt(4 * 100 / np.pi), volume_curve=volume_curve),),
        pumps=(Pump(name="A", start_node="r", end_node="town"), Pump(name="B", start_node="r", end_node="town")),
    )


def problem(**changes: Any) -> PumpingProblem:
    """Steps of 1, 1, 2 and 2 hours; prices 0.10, 0.20, 0.10 and 0.30; the tank is 100 m2, limits 1 and 4 m; 36 m3/h are drawn."""
    steps = changes.pop("steps", Steps(START, (3600, 3600, 7200, 7200)))
    n = len(steps)
    fields: dict[str, Any] = {
        "network": network(),
        "steps": steps,
        "demand_m3_per_s": np.full((n, 1), 0.01),
        "price_per_kwh": np.repeat(np.array([0.10, 0.20, 0.10, 0.30])[:, None], 2, axis=1) if n == 4 else np.full((n, 2), 0.1),
        "initial_level_m": np.array([2.0]),
        "min_level_m": np.array([1.0]),
        "max_level_m": np.array([4.0]),
        "may_stand_full": np.array([False]),
        "end_level_m": np.array([2.0]),
        "pressure_floors_m": {},
        "max_starts": np.array([3, 3]),
        "count_starts": "window",
        "initial_on": np.array([False, False]),
        "min_speed": np.ones(2),
        "max_speed": np.ones(2),
        "available": np.ones((n, 2), bool),
        "max_power_kw": None,
        "hydraulic_step_s": 900,
    }
    return PumpingProblem(**(fields | changes))


def schedule() -> PumpSchedule:
    """A runs in steps 1, 3 and 4, B in step 3."""
    on = np.array([[True, False], [False, False], [True, True], [True, False]])
    return PumpSchedule(on=on, speed=on.astype(float))


def trajectory(asked: PumpingProblem, *, level_m: Floats | None = None, power_w: Floats | None = None, flow: Floats | None = None, **changes: Any) -> Trajectory:
    """What schedule() does: each running pump lifts 0.02 m3/s with 10 kW."""
    on = schedule().on.astype(float)
    power = 10_000 * on if power_w is None else power_w
    n = len(asked.steps)
    bill = bill_of(asked, schedule(), power, np.zeros((n, 0)), np.zeros(1))
    if "cost" in changes:
        bill = replace(bill, energy=np.array([[changes.pop("cost")]]))
    fields: dict[str, Any] = {
        "level_m": np.array([[2.0], [2.36], [2.0], [3.08], [2.5]]) if level_m is None else level_m,
        "flow_m3_per_s": 0.02 * on if flow is None else flow,
        "power_w": power,
        "pressure_m": np.zeros((n, 0)),
        "source_m3": np.zeros((n, 0)),
        "bill": bill,
        "energy_kwh": float((power / 1000 * asked.steps.hours[:, None]).sum()),
        "violations": (),
    }
    return Trajectory(**(fields | changes))
