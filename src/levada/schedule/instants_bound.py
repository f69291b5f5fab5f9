"""A lower bound where pumps may be switched within steps: the linear relaxation (bound.py) of single solves instead of whole steps.

Levels, and with them all flows and powers, stand still from one hydraulic solve to the next, and a switch makes a solve of its own. So whatever is switched when, a step's
inflows and energies are those of its solves, each weighed by the share of the step that it holds for: a mixture of configurations at states on the step's way. The
relaxation mixes them freely, at states whose mean is as near to the step's ends as flows allow. It knows nothing of starts: within a step they are not seen.
Its models are fitted to single solves over all states on the way (models.fit_models), on one piece a step. docs/concepts/bounds.md derives it.
"""

from __future__ import annotations

import numpy as np

from levada.domain.billing import metered
from levada.domain.pumping import PumpingProblem, PumpSchedule, Trajectory
from levada.schedule.ahead import Forecast
from levada.schedule.assignment import Fits
from levada.schedule.bound import relax, why_unbounded
from levada.schedule.broad import learn
from levada.schedule.certificate import Bound
from levada.schedule.models import fit_models
from levada.schedule.plant import Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Stopped, Teller
from levada.schedule.surface import Sampler
from levada.schedule.verify import ROUNDS, steps_of, verify_in_rounds
from levada.schedule.whole import Whole

__all__ = ["bound_within_steps"]

_METHOD = (
    "linear relaxation over tank levels, hydraulic components and shares of steps in which configurations run, at states on each step's way "
    "(convex hull of linear models of single solves, with margins measured in EPANET)"
)


def bound_within_steps(plant: Plant, fits: Fits, work: Work, rng: np.random.Generator, problem: PumpingProblem, schedule: PumpSchedule, found: Trajectory, teller: Teller) -> Bound:
    """The bound of the plant's problem, whose pumps may be switched within steps. `schedule`, on the steps of `problem` (PumpingProblem.on_steps), is one that was `found`:
    the models are held against it where it keeps all limits."""
    if reason := why_unbounded(plant):
        return Bound(value=None, method=_METHOD, why=reason)
    if any(m.own_power_kw.any() for m in metered(plant.problem)):
        return Bound(value=None, method=_METHOD, why="what own power is used of is billed by the mean of a step, and the relaxation knows what runs beside it only")
    sampler = Sampler(plant, rng, teller.pause)
    try:
        surfaces, zones = learn(plant, sampler, work)
        models = fit_models(plant, surfaces, zones, sampler, work, within_steps=True)
    except Stopped:
        return Bound(value=None, method=_METHOD, why="stopped before it was computed")
    forecast = Forecast(plant, surfaces, Whole(plant, fits))
    # Where each part of a step begins, and what runs in it.
    of = np.searchsorted(plant.problem.steps.offsets_s, problem.steps.offsets_s[:-1], side="right") - 1
    steps = [] if found.violations else steps_of(plant, of, found.level_m[:-1], schedule)
    checked, failed, _ = verify_in_rounds(plant, models, zones, forecast, steps, [], ROUNDS)
    relaxation = relax(plant, models, zones, within_steps=True)
    value = relaxation.value
    why = "the relaxation has no solution: no schedule can hold all limits" if relaxation.infeasible else "the relaxation was not solved"
    if failed or any(m.is_refuted for m in models):
        value, why = None, "withdrawn, since solves of the schedules found contradict its models"
    work_done = {"bound_checks": checked, **{f"bound_{k}": v for k, v in relaxation.work.items()}}
    return Bound(value=value, method=_METHOD, cost=np.inf if found.violations else found.cost, why=why, samples=models[0].samples if models else 0, work=work_done)
