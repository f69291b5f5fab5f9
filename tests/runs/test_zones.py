from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.runs import tiny
from tests.runs.stating import NETWORK

from levada.domain.plan import PlanResult
from levada.domain.plan_input import PlanInput
from levada.domain.series import Quality, Readings
from levada.domain.time import from_np, to_np
from levada.kpi.volumes import tank_volume_m3
from levada.runs.pipeline import compute
from levada.runs.zones import zone_demands

BALANCE = {"zones": {"village": {"balance": {"tanks": ["TNK"], "inflow_series": ["pump.PU1.flow"]}, "junctions": ["MID", "VIL"]}}}
AREA_M2 = float(tank_volume_m3(NETWORK.tanks[0], np.array([1.0]))[0] - tank_volume_m3(NETWORK.tanks[0], np.array([0.0]))[0])


def unmetered(noise_m: float, days: float = 30) -> tuple[PlanInput, Readings]:
    """The tiny utility without its flow meter: a pump's flow and the tank's level, and the demand that they follow from."""
    inputs = tiny.plan_input(operation=BALANCE)
    demand = tiny.readings(days=days)["zone.village.flow"]
    # Filled by night at a constant flow; each day takes about as much as it is given.
    daily = demand.values[:-1].sum() * 900.0 / days
    hour = (demand.times - demand.times.astype("datetime64[D]")) / np.timedelta64(3600, "s")
    inflow = np.where(hour < 8, daily / (8 * 3600.0), 0.0)
    gained_m3 = np.concatenate([[0.0], np.cumsum((inflow - demand.values)[:-1] * 900.0)])
    level = 2.5 + (gained_m3 - gained_m3[-1]) / AREA_M2 + np.random.default_rng(3).normal(0.0, noise_m, len(demand))
    readings = dict(inputs.readings) | {"tank.TNK.level": Readings.good(demand.times, level), "pump.PU1.flow": Readings.good(demand.times, inflow)}
    del readings["zone.village.flow"]
    return PlanInput(tenant_id="tiny", issue_time=inputs.issue_time, utility=inputs.utility, tariff=inputs.tariff, operation=inputs.operation, inp=tiny.INP, readings=readings), demand


def hourly(flow: Readings) -> np.ndarray[Any, np.dtype[np.float64]]:
    """By full hours, of those before the issue time."""
    return flow.values[flow.times < to_np(tiny.NOW)].reshape(-1, 4).mean(axis=1)


@pytest.mark.parametrize(("noise_m", "error"), [(0.0, 0.01), (0.01, 0.08)])
def test_a_zone_without_a_meter_draws_what_its_tank_neither_gets_nor_gains(noise_m: float, error: float) -> None:
    inputs, demand = unmetered(noise_m)
    found = zone_demands(inputs.operation, NETWORK, inputs.readings, inputs.issue_time)["village"].usable()
    truth = hourly(demand)[-len(found):]
    assert len(found) >= 29 * 24
    assert from_np(found.times[-1]).hour == 5  # the last whole hour before the issue time
    assert np.abs(found.values - truth).mean() <= error * truth.mean()


def test_a_suspect_level_is_not_taken_for_demand() -> None:
    inputs, _ = unmetered(0.0)
    level = inputs.readings["tank.TNK.level"]
    wild = np.where(np.arange(len(level)) == len(level) - 60, 40.0, level.values)
    quality = np.where(wild == 40.0, Quality.SUSPECT, level.quality)
    readings = dict(inputs.readings) | {"tank.TNK.level": Readings(times=level.times, values=wild, quality=quality.astype(level.quality.dtype))}
    found = zone_demands(inputs.operation, NETWORK, readings, inputs.issue_time)["village"].usable()
    assert found.values.max() < 0.03


def test_a_plan_is_made_for_a_utility_without_a_flow_meter() -> None:
    inputs, demand = unmetered(0.005)
    result = PlanResult.model_validate_json(compute(inputs.to_bundle()))
    (zone,) = result.forecast.zones
    assert zone.method == "ensemble"
    assert np.mean(zone.q50_m3_per_s[:24]) == pytest.approx(demand.values.mean(), rel=0.05)
    assert result.plan.ladder == "new"


def test_what_a_balance_needs_and_lacks_leaves_the_zone_without_a_past() -> None:
    inputs, _ = unmetered(0.0)
    readings = {name: found for name, found in inputs.readings.items() if name != "pump.PU1.flow"}
    assert not len(zone_demands(inputs.operation, NETWORK, readings, inputs.issue_time)["village"])
