"""A planning run's input as it would have been, had other plans been followed before: levels and pumps as they then came.

What zones drew is as measured, for it does not depend on plans; a zone told by a balance of its tanks keeps the demand that the measured levels tell. What
is not simulated stays as measured: counters of energy and of hours run, and the peaks of meters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from levada.domain.network import Network
from levada.domain.plan import Plan
from levada.domain.plan_input import PlanInput
from levada.domain.series import Floats, Readings
from levada.domain.time import Instants, floor_to, to_np
from levada.runs.outcome import Outcome
from levada.runs.steps import start_grid
from levada.runs.zones import zone_demands

__all__ = ["as_lived", "with_flows"]


def with_flows(inputs: PlanInput, network: Network) -> PlanInput:
    """The same with a series of its own for what each zone without a flow meter drew."""
    without = {name: f"zone_by_balance.{i}" for i, (name, area) in enumerate(inputs.operation.zones.items()) if area.balance is not None}
    if not without:
        return inputs
    drawn = zone_demands(inputs.operation, network, inputs.readings, floor_to(inputs.issue_time, start_grid(inputs.operation)))
    zones = {
        name: area.model_copy(update={"balance": None, "flow_series": without[name]}) if name in without else area for name, area in inputs.operation.zones.items()
    }
    return replace(
        inputs, operation=inputs.operation.model_copy(update={"zones": zones}), readings={**inputs.readings, **{series: drawn[name] for name, series in without.items()}}
    )


def as_lived(inputs: PlanInput, outcome: Outcome | None, previous: Plan | None) -> PlanInput:
    """The same after `outcome`, which ends when `inputs` begins, with the plan followed last. None: nothing was lived yet."""
    if outcome is None:
        return inputs
    starts = np.array([to_np(t) for t in outcome.step_starts])
    edges = np.append(starts, to_np(outcome.until))
    series: dict[str, Readings] = {}
    for name, tank in inputs.operation.tanks.items():
        _put(series, inputs.readings, tank.level_series, edges, np.array(outcome.level_m[name]))
    for name, pump in inputs.operation.pumps.items():
        for of, values in ((pump.status_series, np.array(outcome.on[name], np.float64)), (pump.speed_series, np.array(outcome.speed[name]))):
            if of is not None:
                _put(series, inputs.readings, of, starts, values)
    return replace(inputs, readings={**inputs.readings, **series}, previous_plan=previous)


def _put(into: dict[str, Readings], readings: Mapping[str, Readings], name: str, times: Instants, values: Floats) -> None:
    """In place of what was measured from the first of `times` on; as far as measurements had come in: what lived on would have come no sooner."""
    before = readings.get(name, Readings.empty())
    kept, known = before.times < times[0], times <= (before.times[-1] if len(before) else times[0] - 1)
    lived = Readings.good(times[known], values[known])
    into[name] = Readings(
        times=np.concatenate([before.times[kept], lived.times]), values=np.concatenate([before.values[kept], lived.values]), quality=np.concatenate([before.quality[kept], lived.quality])
    )
