"""Steps taken apart by component: together they are the simulator's own."""

from __future__ import annotations

import numpy as np
import pytest
from tests.schedule.small_networks import Small

from levada.schedule import relaxation_samples
from levada.schedule.plant import Plant
from levada.schedule.relaxation_samples import draw_speeds, pump_speeds, run_solves, run_steps


@pytest.mark.parametrize("full", [False, True], ids=["never full", "may stand full"])
def test_components_add_up_to_the_simulators_step(full: bool) -> None:
    small = Small(pumps=2, upper=True, demand_l_per_s=14)
    plant = Plant(small.problem(n=4, min_speed=np.full(3, 0.85), may_stand_full=np.full(2, full), hydraulic_step_s=1200))
    rng = np.random.default_rng(0)
    x = np.clip(rng.uniform(-0.1, 1.1, (300, 2)), 0, 1)
    counts = np.stack([rng.integers(0, len(c.pumps) + 1, 300) for c in plant.classes], axis=1)
    low, high = np.tile([c.bins[0][0] for c in plant.classes], (300, 1)), np.tile(plant.top_speed, (300, 1))
    speed = pump_speeds(plant, rng, counts, draw_speeds(rng, counts, low, high), unequal=True)
    runs = run_steps(plant, np.full(len(x), 2), x, speed, np.repeat(plant.first_choice, len(x), axis=0))
    steps = plant.simulator.steps(np.full(300, 2), plant.volume(x), speed, np.zeros((300, 0), np.int64))
    good = steps.severity == 0
    assert good.sum() > 50
    assert plant.volume(runs.after)[good] == pytest.approx(steps.volume[good], abs=1e-6)
    assert runs.inflow.sum(axis=1)[good] == pytest.approx((steps.volume - plant.volume(x))[good], abs=1e-6)
    assert runs.energy_kwh[good] == pytest.approx(steps.power[good] / 1000, abs=1e-9)
    assert runs.holds[good].all()
    assert runs.brim.any() == full


def test_unequal_speeds_keep_the_mean_and_the_range() -> None:
    plant = Plant(Small(pumps=3).problem(n=2, min_speed=np.full(3, 0.8)))
    rng = np.random.default_rng(0)
    counts, mean = np.full((50, 1), 3), rng.uniform(0.8, 1.0, (50, 1))
    speed = pump_speeds(plant, rng, counts, mean, unequal=True)
    assert speed.mean(axis=1) == pytest.approx(mean[:, 0])
    assert speed.min() >= 0.8 - 1e-9
    assert speed.max() <= 1.0 + 1e-9
    assert np.ptp(speed, axis=1).max() > 0.05


def test_steps_that_are_not_over_after_so_many_solves_are_given_up_and_the_others_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = Plant(Small(pumps=2, upper=True, demand_l_per_s=14).problem(n=4, may_stand_full=np.ones(2, bool), hydraulic_step_s=1200))
    rng = np.random.default_rng(1)
    x = np.clip(rng.uniform(-0.1, 1.1, (200, 2)), 0, 1)
    counts = np.stack([rng.integers(0, len(c.pumps) + 1, 200) for c in plant.classes], axis=1)
    speed = pump_speeds(plant, rng, counts, np.where(counts > 0, 1.0, 0.0), unequal=False)
    whole = run_steps(plant, np.full(200, 1), x, speed, np.repeat(plant.first_choice, 200, axis=0))
    monkeypatch.setattr(relaxation_samples, "_MOST_SOLVES", 3)
    cut = run_steps(plant, np.full(200, 1), x, speed, np.repeat(plant.first_choice, 200, axis=0))
    # An hour at twenty minutes a solve takes three, and more where a tank fills up or runs empty on the way.
    over = cut.holds.any(axis=1)
    assert 0 < (~over & whole.holds.any(axis=1)).sum() < 200
    assert over.sum() > 20
    np.testing.assert_allclose(cut.after[over], whole.after[over], atol=1e-6)
    np.testing.assert_array_equal(cut.holds[over], whole.holds[over])


def test_solves_of_a_step_weighed_by_their_time_add_up_to_it() -> None:
    plant = Plant(Small(pumps=2, upper=True, demand_l_per_s=14).problem(n=4, may_stand_full=np.ones(2, bool), hydraulic_step_s=1200))
    rng = np.random.default_rng(3)
    x = np.clip(rng.uniform(0.0, 1.1, (200, 2)), 0, 1)
    counts = np.stack([rng.integers(0, len(c.pumps) + 1, 200) for c in plant.classes], axis=1)
    speed = pump_speeds(plant, rng, counts, np.where(counts > 0, 1.0, 0.0), unequal=False)
    solved: list[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int, int], np.dtype[np.float64]]]] = []
    runs = run_steps(plant, np.full(200, 1), x, speed, np.repeat(plant.first_choice, 200, axis=0), solved)
    for row in np.flatnonzero(runs.holds.all(axis=1)).tolist():
        volumes = np.array([v[list(rows).index(row)] for rows, v in solved if row in rows])
        speeds, choices = np.repeat(speed[row : row + 1], len(volumes), axis=0), np.repeat(plant.first_choice, len(volumes), axis=0)
        alone = run_solves(plant, np.full(len(volumes), 1), plant.state(volumes), speeds, choices)
        # The shares of the step in which each holds are those that lead from its volumes to the next's.
        moves = np.diff(np.vstack([volumes, plant.volume(runs.after[row])]), axis=0)
        flows = alone.inflow.sum(axis=1)
        shares = (moves * flows).sum(axis=1) / np.maximum((flows**2).sum(axis=1), 1e-12)
        assert shares.sum() == pytest.approx(1.0, abs=2e-3)
        assert shares @ alone.energy_kwh == pytest.approx(runs.energy_kwh[row], abs=2e-3 * max(runs.energy_kwh[row].max(), 1.0))
