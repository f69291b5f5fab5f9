"""Bounds of small problems without a search: surfaces, models and relaxation; and true schedules at random to hold them against."""

from __future__ import annotations

import numpy as np

from levada.domain.billing import bill_of
from levada.domain.pumping import PumpingProblem, PumpSchedule
from levada.domain.series import Floats
from levada.schedule.bound import Relaxation, relax
from levada.schedule.broad import learn
from levada.schedule.models import Models, fit_models
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.reach import Zone
from levada.schedule.surface import Sampler

LITTLE = Work(fit_samples=12, audit_samples=400)


def relaxed(problem: PumpingProblem, work: Work = LITTLE) -> tuple[Plant, list[Models], list[Zone], Relaxation]:
    plant, rng = Plant(problem), np.random.default_rng(7)
    sampler = Sampler(plant, rng)
    surfaces, zones = learn(plant, sampler, work)
    models = fit_models(plant, surfaces, zones, sampler, work)
    return plant, models, zones, relax(plant, models, zones)


def random_costs(plant: Plant, tries: int, seed: int = 1) -> list[float]:
    """Costs of random schedules that hold every limit of levels, by the bill."""
    return [cost for _, cost in random_ways(plant, tries, seed)]


def random_ways(plant: Plant, tries: int, seed: int = 1) -> list[tuple[Floats, float]]:
    """States (n + 1, tanks) and costs of random schedules that hold every limit of levels, by the bill."""
    rng, problem, engine = np.random.default_rng(seed), plant.problem, plant.simulator
    found = []
    for _ in range(tries):
        volume = engine.volumes(problem.initial_level_m)
        start, states = volume, [plant.state(volume)]
        counts = np.zeros((plant.n, len(plant.classes)), np.int64)
        on, speed = np.zeros((plant.n, plant.pumps), bool), np.zeros((plant.n, plant.pumps))
        power, source, stay = np.zeros((plant.n, plant.pumps)), np.zeros((plant.n, len(problem.sources))), rng.random()
        for k in range(plant.n):
            fresh = np.array([rng.integers(0, len(c.pumps) + 1) for c in plant.classes])
            counts[k] = counts[k - 1] if k and rng.random() < stay else fresh
            mean = np.array([rng.uniform(c.bins[0][0], c.bins[-1][1]) for c in plant.classes])
            on[k], speed[k] = plant.pumps_on(k, counts[k], np.where(counts[k] > 0, mean, 0.0))
            result = plant.step(k, volume, counts[k], np.where(counts[k] > 0, mean, 0.0))
            if result.severity > 0:
                break
            volume, power[k], source[k] = result.volume, result.power, result.source
            states.append(plant.state(volume))
        else:
            if (volume >= engine.end_volume - 1e-9).all():
                schedule = PumpSchedule(on=on, speed=np.where(on, speed, 0.0))
                found.append((np.array(states), bill_of(problem, schedule, power, source, volume - start).total))
    return found
