"""Pieces and patches: they cover the reachable states, and fresh true steps lie within the margins."""

from __future__ import annotations

import numpy as np
from tests.schedule.relaxed import relaxed
from tests.schedule.small_networks import Small

from levada.domain.billing import metered
from levada.schedule.models import balances, rows_of
from levada.schedule.problem import Work
from levada.schedule.relaxation_patches import excess
from levada.schedule.relaxation_pieces import within
from levada.schedule.relaxation_samples import run_steps


def test_the_pieces_cover_the_zone_and_fresh_steps_keep_the_margins_but_for_a_few() -> None:
    plant, models, zones, _ = relaxed(Small(pumps=2, upper=True, demand_l_per_s=14).problem(n=5), Work(fit_samples=12, audit_samples=1500))
    rng = np.random.default_rng(11)
    of, meters = balances(plant), metered(plant.problem)
    missed = seen = 0
    for k in range(1, plant.n):
        y = zones[k].draw(200, rng)
        y = y[((y - plant.floor_m) / plant.rise_m <= plant.x_most[k]).all(axis=1) & ((y - plant.floor_m) / plant.rise_m >= plant.x_least[k]).all(axis=1)]
        assert len(models[0].pieces[k]) > 1
        inside = np.array([within(y, piece) for piece in models[0].pieces[k]])
        assert inside.any(axis=0).all()
        counts = np.stack([rng.integers(0, len(c.pumps) + 1, len(y)) for c in plant.classes], axis=1)
        speed = np.array([plant.pumps_on(k, c, np.ones(len(c)))[1] for c in counts])
        runs = run_steps(plant, np.full(len(y), k), (y - plant.floor_m) / plant.rise_m, speed, np.repeat(plant.first_choice, len(y), axis=0))
        for i, m in enumerate(models):
            own = list(m.surface.component.classes)
            kinds = np.array([int(np.flatnonzero((m.surface.counts == c).all(axis=1))[0]) for c in counts[:, own]])
            rows = rows_of(plant, m, i, runs, kinds, np.ones(counts.shape), of, meters)
            for patch in m.patches[k]:
                at = rows.holds & (rows.configuration == patch.configuration) & (rows.mode == patch.mode) & inside[patch.piece]
                if at.any():
                    low, high = excess(patch, rows.inputs[at], rows.outputs[at])
                    seen += int(at.sum())
                    missed += int((np.maximum(low, high) > 1e-9).any(axis=1).sum())
    assert seen > 500
    assert missed < 0.02 * seen


def test_a_pump_that_must_run_leaves_only_configurations_in_which_it_does() -> None:
    forced = np.zeros((4, 2), bool)
    forced[2, 0] = True
    _, models, _, _ = relaxed(Small().problem(n=4, forced_on=forced))
    counts = models[0].surface.counts[:, 0]
    assert not models[0].possible[2][counts == 0].any()
    assert models[0].possible[1][counts == 0].all()
