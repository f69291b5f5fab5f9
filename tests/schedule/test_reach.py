"""Zones of levels: their corners, and that true states stay inside."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpSchedule
from levada.schedule.broad import learn
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.reach import Zone, draw_each, reach
from levada.schedule.surface import Sampler


def _zone(bounds: list[float]) -> Zone:
    low, high, apart = np.array(bounds[:3]), np.array(bounds[:3]) + np.array(bounds[3:6]), np.array(bounds[6:12]).reshape(3, 2)
    d = np.zeros((4, 4))
    d[1:, 0], d[0, 1:] = high, -low
    d[1:, 1:] = (high[:, None] - low[None, :]) * np.array([[0, *apart[0]], [apart[1][0], 0, apart[1][1]], [*apart[2], 0]])
    return Zone.closed(d)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(0.2, 1.0), min_size=12, max_size=12), st.integers(0, 1000))
def test_random_states_of_a_zone_lie_within_its_corners(bounds: list[float], seed: int) -> None:
    zone = _zone(bounds)
    if zone.is_empty:
        return
    corners = zone.vertices((0, 1, 2))
    states = zone.draw(20, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    for direction in rng.normal(size=(20, 3)):
        assert (states @ direction).max() <= (corners @ direction).max() + 1e-6


def test_levels_drawn_for_many_zones_at_once_lie_each_in_its_own() -> None:
    wide = _zone([0.2, 0.4, 0.6, *[0.8] * 3, *[0.5] * 6])
    point = Zone(np.subtract.outer(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0, 3.0])))
    drawn = draw_each([wide, point, wide], [30, 2, 1], np.random.default_rng(0))
    assert drawn.shape == (33, 3)
    np.testing.assert_allclose(drawn[30:32], [[1.0, 2.0, 3.0]] * 2)
    for row in (*drawn[:30], drawn[32]):
        y = np.concatenate([[0.0], row])
        assert (y[:, None] - y[None, :] <= wide.d + 1e-9).all()
    # Both ends of each tank's range come up.
    np.testing.assert_allclose([drawn[:30].min(axis=0), drawn[:30].max(axis=0)], [-wide.d[0, 1:], wide.d[1:, 0]])


def test_every_state_that_a_random_schedule_reaches_within_the_limits_is_in_the_zone() -> None:
    problem = Small(upper=True, pumps=2, demand_l_per_s=14).problem(n=10)
    plant = Plant(problem)
    rng = np.random.default_rng(3)
    _, zones = learn(plant, Sampler(plant, rng), Work())
    seen = 0
    for _ in range(60):
        volume = plant.simulator.volumes(problem.initial_level_m)
        for k in range(plant.n):
            counts = np.array([rng.integers(0, len(c.pumps) + 1) for c in plant.classes])
            result = plant.step(k, volume, counts, np.ones(len(plant.classes)))
            if result.severity > 0:
                break
            volume = result.volume
            y = np.concatenate([[0.0], plant.floor_m + plant.rise_m * plant.state(volume)])
            assert (y[:, None] - y[None, :] <= zones[k + 1].d + 1e-6).all()
            seen += 1
    assert seen > 100


class _Pair(Small):
    """A second tank beside the first, which it outlives: once the small one is full and shut, all goes to the other."""

    def inp(self) -> bytes:
        return super().inp().replace(b"[PIPES]", b" W 40 2 0 5 10 0\n[PIPES]\n E J1 W 700 300 120 0 Open")


def test_zones_hold_what_a_tank_reaches_once_another_is_full_and_shut() -> None:
    problem = _Pair(pumps=3, diameter_m=4, demand_l_per_s=14).problem(
        n=10, may_stand_full=np.ones(2, bool), hydraulic_step_s=3600, max_starts=np.full(3, 9), end_level_m=np.full(2, 1.0)
    )
    plant, rng = Plant(problem), np.random.default_rng(0)
    surfaces, zones = learn(plant, Sampler(plant, rng), Work())
    by_surfaces = reach(plant, surfaces, Sampler(plant, rng), 80, 0)
    left_out, seen = 0, 0
    for _ in range(100):
        on = rng.random((10, 3)) < rng.uniform(0.4, 1.0)
        found = plant.simulator.run(PumpSchedule(on=on, speed=on * 1.0))
        if any(v.limit != "end level" for v in found.violations):
            continue
        seen += 1
        y = np.concatenate([np.zeros((11, 1)), found.level_m + 40.0], axis=1)
        beyond = [(y[:, :, None] - y[:, None, :] - np.array([z.d for z in each])).max() for each in (by_surfaces, zones)]
        left_out += beyond[0] > 0.05
        assert beyond[1] <= 1e-6
    assert seen > 50
    assert left_out > 20, "surfaces alone would do here, so the case tests nothing"
