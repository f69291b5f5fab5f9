"""The search for any plant: response surfaces, a linear relaxation over hydraulic components, a beam of states, local search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.domain.pumping import PumpSchedule
from levada.domain.series import Floats
from levada.schedule.assignment import Fits, to_pumps
from levada.schedule.bound import Relaxation, relax
from levada.schedule.certificate import Bound
from levada.schedule.improve import improve
from levada.schedule.models import Models, fit_models
from levada.schedule.plant import Ints, Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Teller
from levada.schedule.reach import Zone, reach, whole
from levada.schedule.rules import follow_rules
from levada.schedule.search import Candidate, Forecast, actions_of, beam, simulate
from levada.schedule.surface import Sampler, Surface, fit_surfaces
from levada.schedule.verify import verify

__all__ = ["Broad", "rules_within_starts", "search", "water_values"]

_METHOD = (
    "linear relaxation over tank levels, hydraulic components and pump configurations (convex hull of linear models with margins measured in EPANET)"
)

_SEVERITY = 20.0
"""A unit of severity (a whole tank beyond its limit) costs so many times running all pumps throughout."""

_VERIFICATIONS = 4
"""Rounds of checking the bound's models against simulated steps, and of widening what fails."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Broad:
    """The best schedule found, the bound, and the worth of a full tank's content by instant and tank, (n + 1, tanks)."""

    schedule: PumpSchedule
    bound: Bound
    water: Floats


def search(plant: Plant, rng: np.random.Generator, fits: Fits, work: Work, known: tuple[Ints, Floats] | None, teller: Teller) -> Broad:
    """Search and bound. `known`: counts and speeds by class of a schedule to begin from as well."""
    sampler = Sampler(plant, rng)
    surfaces, zones = learn(plant, sampler, work, rng)
    models = fit_models(plant, surfaces, zones, sampler, work.audit_samples)
    relaxation = relax(plant, models, zones)
    teller("relaxation", bound=relaxation.value)
    price = _SEVERITY * _full_cost(plant, surfaces)
    forecast = Forecast(plant, surfaces)
    best = _search(plant, forecast, models, relaxation, price, work, rng, fits, known, teller)
    checked, failed = 0, 0
    for _ in range(_VERIFICATIONS):
        checked, failed = verify(plant, models, zones, forecast)
        if not failed:
            break
        relaxation = relax(plant, models, zones)
    value = relaxation.value
    why = "the relaxation has no solution: no schedule can hold all limits" if relaxation.infeasible else "the relaxation was not solved"
    if not all(c.is_complete for c in plant.components):
        value, why = None, "there are more configurations of pumps than can be modelled; a part of them was searched"
    elif failed or any(m.is_refuted for m in models):
        value, why = None, "withdrawn, since steps that EPANET simulated contradict its models"
    bound = Bound(
        value=value, method=_METHOD, cost=best.cost if best.severity == 0 else np.inf, why=why, samples=models[0].samples if models else 0,
        work={"bound_checks": checked, **{f"bound_{k}": v for k, v in relaxation.work.items()}},
    )  # fmt: skip
    schedule = to_pumps(plant, best.counts, best.speeds)
    teller("search", best.cost if best.severity == 0 else None, value)
    return Broad(schedule=schedule, bound=bound, water=relaxation.water)


def water_values(plant: Plant, rng: np.random.Generator, work: Work) -> Floats:
    """Worth of a full tank's content by instant and tank, (n + 1, tanks), from the relaxation alone."""
    sampler = Sampler(plant, rng)
    surfaces, zones = learn(plant, sampler, work, rng)
    return relax(plant, fit_models(plant, surfaces, zones, sampler, work.audit_samples), zones).water


def learn(plant: Plant, sampler: Sampler, work: Work, rng: np.random.Generator) -> tuple[list[Surface], list[Zone]]:
    """Surfaces over all levels, the zones that can be reached by them, and surfaces once more over these zones."""
    everywhere = (whole(plant).draw(200, rng) - plant.floor_m) / plant.rise_m
    surfaces = fit_surfaces(plant, sampler, [everywhere] * plant.n, work.fit_samples)
    zones = reach(plant, surfaces, rng, 80)
    cloud = [(z.draw(60, rng) - plant.floor_m) / plant.rise_m for z in zones]
    surfaces = fit_surfaces(plant, sampler, cloud, work.fit_samples)
    return surfaces, reach(plant, surfaces, rng, 80)


def _full_cost(plant: Plant, surfaces: list[Surface]) -> float:
    """Cost of running everything throughout at the mean absolute price: the scale of money in this problem."""
    watts = 0.0
    for s in surfaces:
        kinds, tanks = np.arange(len(s.counts)), len(s.component.tanks)
        out = s.evaluate(np.zeros_like(kinds), kinds, np.full((len(kinds), tanks), 0.5), s.high)
        watts += float(out[:, tanks : tanks + len(s.component.classes)].sum(axis=1).max(initial=0.0))
    return max(watts / 1000.0, 0.01) * float((np.abs(plant.class_price).mean(axis=1) * plant.problem.steps.hours).sum()) + 1e-6


def _search(
    plant: Plant, forecast: Forecast, models: list[Models], relaxation: Relaxation, price: float, work: Work, rng: np.random.Generator, fits: Fits,
    known: tuple[Ints, Floats] | None, teller: Teller,
) -> Candidate:  # fmt: skip
    leaves = beam(plant, forecast, actions_of(plant, models, relaxation), relaxation.water, price, work.beam)
    pool = [c for c in leaves[: 40 * work.candidates] if fits(c.counts)][: work.candidates]
    pool = pool or [_within_starts(plant, fits, leaves[0])]
    for counts, speeds in ([known] if known is not None else []) + [_by_rules(plant)]:
        if fits(counts) and (other := simulate(plant, counts, speeds)) is not None:
            pool.append(other)
    # A few rounds for all, then the most promising to the end.
    left = work.simulations
    found: list[Candidate] = []
    seen: set[bytes] = set()

    def tell() -> bool:
        kept = [c.cost for c in found if c.severity == 0]
        return teller("search", min(kept, default=None), relaxation.value)

    for start in pool:
        before = plant.simulator.solves
        c, _ = improve(plant, forecast, start, price, fits, rng, budget=max(left // 2, 0), rounds=work.first_rounds)
        left -= plant.simulator.solves - before
        if (key := c.counts.tobytes() + c.speeds.tobytes()) not in seen:
            seen.add(key)
            found.append(c)
        if not tell():
            break
    found.sort(key=lambda c: c.objective(price))
    finished = found[:1]
    for c in found[: work.finalists]:
        if teller.is_stopped:
            break
        before = plant.simulator.solves
        finished.append(improve(plant, forecast, c, price, fits, rng, budget=max(left, 0), rounds=work.rounds)[0])
        left -= plant.simulator.solves - before
        found.append(finished[-1])
        tell()
    return min(finished, key=lambda c: c.objective(price))


def _by_rules(plant: Plant) -> tuple[Ints, Floats]:
    rules = follow_rules(plant.problem, lambda _: plant.simulator)
    counts = np.stack([rules.on[:, list(c.pumps)].sum(axis=1) for c in plant.classes], axis=1).astype(np.int64)
    return counts, np.stack([rules.speed[:, list(c.pumps)].max(axis=1) for c in plant.classes], axis=1)


def rules_within_starts(plant: Plant, fits: Fits) -> PumpSchedule:
    """What level switches would do, held to the limits of starts: for a search that was stopped before it had anything."""
    counts, speeds = _by_rules(plant)
    leaf = _within_starts(plant, fits, Candidate(counts, speeds, 0.0, 0.0, np.zeros((0, plant.tanks))))
    return to_pumps(plant, leaf.counts, leaf.speeds)


def _within_starts(plant: Plant, fits: Fits, leaf: Candidate) -> Candidate:
    """The leaf with constant counts in each class whose starts do not fit, at the class's usual count: a start for local search."""
    counts, speeds = leaf.counts.copy(), leaf.speeds.copy()
    for c in range(len(plant.classes)):
        only = np.zeros_like(counts)
        only[:, c] = counts[:, c]
        if fits(only):
            continue
        for count in (round(float(counts[:, c].mean())), 0, int(plant.initial_count[c])):
            counts[:, c] = np.minimum(count, plant.available[:, c])
            only[:, c] = counts[:, c]
            if fits(only):
                break
        usual = float(leaf.speeds[:, c].max()) or plant.classes[c].bins[-1][1]
        speeds[:, c] = np.where(counts[:, c] > 0, usual, 0.0)
    return Candidate(counts, speeds, leaf.cost, leaf.severity, leaf.volume)
