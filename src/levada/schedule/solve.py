"""From a problem to a schedule, its certificate and its reasons: the order of the work."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from levada.domain.plan import Certificate
from levada.domain.pumping import PumpingProblem, PumpSchedule, Trajectory, Violation
from levada.domain.series import Floats
from levada.schedule.assignment import assign
from levada.schedule.bound import Relaxation, relax
from levada.schedule.certificate import certify
from levada.schedule.improve import improve
from levada.schedule.models import Models, fit_models
from levada.schedule.plant import Ints, Plant
from levada.schedule.problem import Work, check
from levada.schedule.reach import Zone, reach, whole
from levada.schedule.reasons import SwitchReason, explain
from levada.schedule.rules import follow_rules
from levada.schedule.search import Candidate, Forecast, actions_of, beam, simulate
from levada.schedule.surface import Sampler, Surface, fit_surfaces
from levada.schedule.verify import verify

__all__ = ["Solution", "solve"]

_SEVERITY = 20.0
"""A unit of severity (a whole tank beyond its limit) costs so many times running all pumps throughout."""


_VERIFICATIONS = 4
"""Rounds of checking the bound's models against simulated steps, and of widening what fails."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """The best schedule found. `feasible`: the simulator found no violation; otherwise `relaxations` names and measures each limit that does not hold.

    `trajectory` is the search's own simulation; the audit (levada.hydraulics.audit) is the judge.
    """

    schedule: PumpSchedule
    certificate: Certificate
    trajectory: Trajectory
    feasible: bool
    reasons: tuple[SwitchReason, ...]
    relaxations: tuple[Violation, ...]


def solve(problem: PumpingProblem, *, work: Work | None = None) -> Solution:
    """Schedule the pumps. The same problem and work give the same bytes.

    Where no schedule holds all limits, the one that breaks them least is returned, with `feasible` false.
    Raises ProblemError for a problem that contradicts itself, NetworkError for a network that EPANET refuses.
    """
    check(problem)
    work = work or Work()
    plant = Plant(problem)
    rng = np.random.default_rng([work.seed, int.from_bytes(hashlib.sha256(problem.network.inp).digest()[:4], "big")])
    sampler = Sampler(plant, rng)
    surfaces, zones = learn(plant, sampler, work, rng)
    models = fit_models(plant, surfaces, zones, sampler, work.audit_samples)
    relaxation = relax(plant, models, zones)
    is_complete = all(c.is_complete for c in plant.components)
    price = _SEVERITY * _full_cost(plant, surfaces)
    forecast = Forecast(plant, surfaces)
    best = _search(plant, forecast, models, relaxation, price, work, rng)
    checked, failed = 0, 0
    for _ in range(_VERIFICATIONS):
        checked, failed = verify(plant, models, zones, forecast)
        if not failed:
            break
        relaxation = relax(plant, models, zones)
    schedule = _to_pumps(plant, best)
    trajectory = plant.simulator.run(schedule)
    samples = models[0].samples if models else 0
    spent = {"epanet_solves": plant.simulator.solves, "bound_checks": checked, **{f"bound_{k}": v for k, v in relaxation.work.items()}}
    why = "the relaxation has no solution: no schedule can hold all limits" if relaxation.infeasible else "the relaxation was not solved"
    if not is_complete:
        relaxation.value, why = None, "there are more configurations of pumps than can be modelled; a part of them was searched"
    elif failed or any(m.is_refuted for m in models):
        relaxation.value, why = None, "withdrawn, since steps that EPANET simulated contradict its models"
    elif relaxation.value is not None and not trajectory.violations and trajectory.cost < relaxation.value:
        relaxation.value, why = None, "withdrawn, since a simulated schedule undercuts it: the margins do not hold"
    return Solution(
        schedule=schedule,
        certificate=certify(trajectory.cost, relaxation, samples, spent, why),
        trajectory=trajectory,
        feasible=not trajectory.violations,
        reasons=explain(plant, schedule, trajectory, relaxation.water),
        relaxations=trajectory.violations,
    )


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
    plant: Plant, forecast: Forecast, models: list[Models], relaxation: Relaxation, price: float, work: Work, rng: np.random.Generator
) -> Candidate:
    fits = _Fits(plant)
    leaves = beam(plant, forecast, actions_of(plant, models, relaxation), relaxation.water, price, work.beam)
    pool = [c for c in leaves[: 40 * work.candidates] if fits(c.counts)][: work.candidates]
    pool = pool or [_within_starts(plant, fits, leaves[0])]
    rules = follow_rules(plant.problem)
    counts = np.stack([rules.on[:, list(c.pumps)].sum(axis=1) for c in plant.classes], axis=1).astype(np.int64)
    speeds = np.stack([rules.speed[:, list(c.pumps)].max(axis=1) for c in plant.classes], axis=1)
    if fits(counts) and (by_rules := simulate(plant, counts, speeds)) is not None:
        pool.append(by_rules)
    # A few rounds for all, then the most promising to the end.
    left = work.simulations
    found: list[Candidate] = []
    seen: set[bytes] = set()
    for start in pool:
        before = plant.simulator.solves
        c, _ = improve(plant, forecast, start, price, fits, rng, budget=max(left // 2, 0), rounds=work.first_rounds)
        left -= plant.simulator.solves - before
        if (key := c.counts.tobytes() + c.speeds.tobytes()) not in seen:
            seen.add(key)
            found.append(c)
    found.sort(key=lambda c: c.objective(price))
    finished = []
    for c in found[: work.finalists]:
        before = plant.simulator.solves
        finished.append(improve(plant, forecast, c, price, fits, rng, budget=max(left, 0), rounds=work.rounds)[0])
        left -= plant.simulator.solves - before
    return min(finished, key=lambda c: c.objective(price))


class _Fits:
    """Whether counts can be assigned to pumps within their start limits; remembered by class."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self._known: dict[tuple[int, bytes], bool] = {}

    def __call__(self, counts: Ints) -> bool:
        problem, n = self.plant.problem, self.plant.n
        for c, cls in enumerate(self.plant.classes):
            own = list(cls.pumps)
            if (problem.max_starts[own] * 2 >= n).all() and problem.available[:, own].all():
                continue
            key = (c, counts[:, c].tobytes())
            if key not in self._known:
                self._known[key] = self._assign(c, counts[:, c]) is not None
            if not self._known[key]:
                return False
        return True

    def _assign(self, c: int, counts: Ints) -> object | None:
        problem, own = self.plant.problem, list(self.plant.classes[c].pumps)
        return assign(counts, problem.available[:, own], problem.max_starts[own], problem.initial_on[own], periodic=problem.count_starts == "periodic")


def _within_starts(plant: Plant, fits: _Fits, leaf: Candidate) -> Candidate:
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


def _to_pumps(plant: Plant, best: Candidate) -> PumpSchedule:
    """Choose which of the identical pumps run, within their start limits; where that cannot be, with the limits raised by as little as works."""
    problem = plant.problem
    on = np.zeros((plant.n, plant.pumps), bool)
    speed: Floats = np.zeros((plant.n, plant.pumps))
    for c, cls in enumerate(plant.classes):
        own = list(cls.pumps)
        found = None
        for more in range(plant.n + 1):
            found = assign(
                np.minimum(best.counts[:, c], plant.available[:, c]), problem.available[:, own], problem.max_starts[own] + more, problem.initial_on[own],
                periodic=problem.count_starts == "periodic",
            )  # fmt: skip
            if found is not None:
                break
        assert found is not None
        on[:, own] = found
        speed[:, own] = np.where(found, best.speeds[:, [c]], 0.0)
    return PumpSchedule(on=on, speed=speed)

