"""verify: true steps against the bound's models; what fails is widened, once."""

from __future__ import annotations

import numpy as np
import pytest
from tests.schedule.relaxed import LITTLE, random_costs, relaxed
from tests.schedule.small_networks import Small

from levada.schedule.ahead import Forecast
from levada.schedule.assignment import Fits
from levada.schedule.broad import learn
from levada.schedule.models import Models
from levada.schedule.plant import Plant
from levada.schedule.reach import Zone
from levada.schedule.surface import Sampler
from levada.schedule.verify import simulated, verify
from levada.schedule.whole import Whole


@pytest.fixture(scope="module")
def checked() -> tuple[Plant, Forecast]:
    plant = Plant(Small(pumps=2, upper=True, demand_l_per_s=14).problem(n=6, min_speed=np.full(3, 0.9)))
    rng = np.random.default_rng(2)
    surfaces, _ = learn(plant, Sampler(plant, rng), LITTLE)
    random_costs(plant, 150)
    return plant, Forecast(plant, surfaces, Whole(plant, Fits(plant)))


def _fresh(plant: Plant) -> tuple[list[Models], list[Zone]]:
    _, models, zones, _ = relaxed(plant.problem)
    return models, zones


def test_few_true_steps_fail_and_none_after_they_were_widened(checked: tuple[Plant, Forecast]) -> None:
    plant, forecast = checked
    models, zones = _fresh(plant)
    steps, failed = verify(plant, models, zones, forecast, [], simulated(plant))
    assert steps > 300
    assert failed < 0.1 * steps
    assert verify(plant, models, zones, forecast, [], simulated(plant)) == (steps, 0)


def test_margins_that_are_too_small_are_found_and_widened(checked: tuple[Plant, Forecast]) -> None:
    plant, forecast = checked
    models, zones = _fresh(plant)
    for m in models:
        for patches in m.patches:
            for patch in patches:
                patch.low, patch.high = 0 * patch.low - 1.0, 0 * patch.high - 1.0
    steps, failed = verify(plant, models, zones, forecast, [], simulated(plant))
    # The first that fails in a step widens the others of its configuration.
    assert failed > 0.3 * steps
    assert verify(plant, models, zones, forecast, [], simulated(plant))[1] == 0


def test_a_configuration_thought_impossible_that_ran_refutes_the_models(checked: tuple[Plant, Forecast]) -> None:
    plant, forecast = checked
    models, zones = _fresh(plant)
    models[0].patches[0].clear()
    verify(plant, models, zones, forecast, [], simulated(plant))
    assert models[0].is_refuted


def test_a_state_outside_the_zone_widens_it(checked: tuple[Plant, Forecast]) -> None:
    plant, forecast = checked
    models, zones = _fresh(plant)
    narrow = Zone(np.zeros_like(zones[3].d))
    zones[3] = narrow
    models[0].pieces[3][:] = [narrow]
    for m in models:
        m.patches[3] = [p for p in m.patches[3] if p.piece == 0]
    _, failed = verify(plant, models, zones, forecast, [], simulated(plant))
    assert failed > 0
    assert (zones[3].d > narrow.d).any()
