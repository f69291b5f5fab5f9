"""The water that each junction draws, from the forecast of the zones: as expected, and as it may come instead."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from levada.domain.errors import InputGap
from levada.domain.network import Network
from levada.domain.plan import ForecastReport
from levada.domain.plan_input import PlanInput
from levada.domain.pumping_terms import Scenarios
from levada.domain.series import Floats
from levada.domain.time import Steps, zone
from levada.hydraulics.inp import pattern_demands

__all__ = ["demand_scenarios", "junction_demands", "local_clock_s", "zone_shares"]


def local_clock_s(instant: datetime, time_zone: str) -> int:
    """Seconds on the tenant's clock since midnight: where demand patterns, which start at midnight, stand at `instant`."""
    local = instant.astimezone(zone(time_zone))
    return local.hour * 3600 + local.minute * 60 + local.second


def zone_shares(inputs: PlanInput, network: Network) -> dict[str, tuple[NDArray[np.int64], Floats]]:
    """Zone -> (its junctions' places in the network, the share of the zone's flow that each draws; they sum to 1).

    By base demand; even where no junction of a zone has any.
    """
    shares: dict[str, tuple[NDArray[np.int64], Floats]] = {}
    for name, area in inputs.operation.zones.items():
        places = np.array([network.junction_index[j] for j in area.junctions], np.int64)
        # A negative base demand is an inflow of the model; it takes no part in what customers draw.
        weights = np.array([max(0.0, network.junctions[p].base_demand_m3_per_s) for p in places])
        shares[name] = places, weights / weights.sum() if weights.sum() > 0 else np.full(len(places), 1 / len(places))
    return shares


def junction_demands(inputs: PlanInput, network: Network, steps: Steps, forecast: ForecastReport) -> Floats:
    """Expected demand of each junction in each step, m3/s, shape (steps, junctions)."""
    flows = {area.zone: np.array(area.q50_m3_per_s) for area in forecast.zones}
    return _over_junctions(inputs, network, steps, forecast, flows)


def demand_scenarios(inputs: PlanInput, network: Network, steps: Steps, forecast: ForecastReport, paths: Floats) -> Scenarios | None:
    """The scenarios that the operation document asks for, from the forecast's `paths` (paths, zones, its steps), m3/s; the zones as in `forecast`."""
    terms = inputs.operation.scenarios
    if terms is None:
        return None
    names = [area.zone for area in forecast.zones]
    demands = [_over_junctions(inputs, network, steps, forecast, dict(zip(names, path, strict=True))) for path in paths]
    return Scenarios(demand_m3_per_s=np.stack(demands), share=terms.share)


def _over_junctions(inputs: PlanInput, network: Network, steps: Steps, forecast: ForecastReport, flows: dict[str, Floats]) -> Floats:
    """Zone -> flow in each of the forecast's steps, split over the junctions; those of no zone follow the network's patterns."""
    demand = pattern_demands(network, steps, start_clock_s=local_clock_s(steps.start, inputs.utility.time_zone)).copy()
    forecast_steps = Steps(forecast.times[0], (forecast.step_s,) * len(forecast.times))
    shares = zone_shares(inputs, network)
    for name, flow in flows.items():
        places, share = shares[name]
        demand[:, places] = _onto(steps, forecast_steps, flow)[:, None] * share[None, :]
    return demand


def _onto(steps: Steps, given: Steps, flow: Floats) -> Floats:
    """Mean of a step-wise flow over other steps: by the volume drawn between their edges. Raises InputGap where `given` does not cover them."""
    if given.window.start > steps.window.start or given.window.end < steps.window.end:
        raise InputGap(f"the forecast covers {given.window.start} to {given.window.end}, the plan {steps.window.start} to {steps.window.end}", "ask for a forecast that is long enough")
    volume = np.concatenate([[0.0], np.cumsum(flow * np.array(given.durations_s))])
    offset_s = steps.offsets_s + (steps.start - given.start).total_seconds()
    mean: Floats = np.diff(np.interp(offset_s, given.offsets_s, volume)) / np.array(steps.durations_s)
    return mean
