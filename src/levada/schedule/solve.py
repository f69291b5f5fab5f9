"""From a problem to a schedule, its certificate and its reasons: the order of the work."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from levada.domain.plan import Certificate
from levada.domain.pumping import PumpingProblem, PumpSchedule, Trajectory, Violation
from levada.domain.series import Floats
from levada.hydraulics.audit import audit
from levada.hydraulics.engine import Engine
from levada.hydraulics.simulate import Simulator
from levada.schedule import broad
from levada.schedule.assignment import Fits, to_pumps
from levada.schedule.candidate import SEVERITY, Runner, Trial
from levada.schedule.causes import with_causes
from levada.schedule.certificate import Bound, certify
from levada.schedule.exact import applies, search_exactly
from levada.schedule.first import full_cost, rules_within_starts
from levada.schedule.hull_bound import bound_by_hull
from levada.schedule.hull_fit import fitted
from levada.schedule.instants import free_instants
from levada.schedule.instants_bound import bound_within_steps
from levada.schedule.level_search import search_by_level
from levada.schedule.near_search import are_states_lost, water_near_schedule
from levada.schedule.plant import Plant
from levada.schedule.problem import Work, check
from levada.schedule.progress import Progress, Teller
from levada.schedule.reasons import SwitchReason, explain
from levada.schedule.room import SEARCHES, SHIFTS, with_room
from levada.schedule.scenarios import scenario_violations, solve_with_scenarios
from levada.schedule.steady import steadied
from levada.schedule.switches import Switches
from levada.schedule.tank_beam import search_by_tanks
from levada.schedule.tank_bound import ByTanks, bound_by_tanks

__all__ = ["Solution", "explain_schedule", "solve"]


_LITTLE = 0.02
"""Where values of the level of one tank leave no more than this, the gap is their checks': on random plants the broad search then found nothing cheaper."""

_MUCH = 0.05
"""What values by tank may leave for the relaxation by columns to be left out, which was behind them on ky4, C-Town and grown networks."""

_ROOM_SHARE = 8
"""Where pumps may be switched within steps each try takes the work by so much less than the first search."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """The best schedule found. `problem`: the one asked, on the steps that the schedule stands on: its own, or where pumps may be switched within them
    (switch_resolution_s) those and the switches' instants together. `feasible`: neither the simulator nor the audit found a violation; otherwise `relaxations` names and measures each limit that does not hold.

    `trajectory` is the search's own simulation; the audit (levada.hydraulics.audit) is the judge, by other code. `water_value_per_m3` (n + 1, tanks): what a cubic
    metre more in each tank is worth at each instant; zeros where it is not known.
    """

    problem: PumpingProblem
    schedule: PumpSchedule
    certificate: Certificate
    trajectory: Trajectory
    feasible: bool
    reasons: tuple[SwitchReason, ...]
    relaxations: tuple[Violation, ...]
    water_value_per_m3: Floats


def solve(
    problem: PumpingProblem,
    *,
    work: Work | None = None,
    engine: Callable[[PumpingProblem], Engine] = Simulator,
    progress: Callable[[Progress], bool] | None = None,
    start: PumpSchedule | None = None,
) -> Solution:
    """Schedule the pumps. The same problem, work and start give the same bytes.

    `start` is a schedule to begin from, such as the previous plan: no more than `work.again()` is spent then, unless that finds none that keeps all limits.
    `progress` is told whenever cost or bound have moved, and stops the search by returning False: the best schedule so far is returned.
    `engine` makes the hydraulics, EPANET's unless told otherwise.
    Where no schedule holds all limits, the one that breaks them least is returned, with `feasible` false.
    Raises ProblemError for a problem that contradicts itself, NetworkError for a network that EPANET refuses.
    """
    check(problem)
    work = work or Work()
    plant = Plant(problem, engine)
    teller = Teller(progress, plant)
    plan = first = _planned(plant, plant, work, teller, start, engine)
    asked = problem
    # Where pumps may be switched within steps they were given room already, and the schedule on steps stands in for what is refused all the same.
    for room in SEARCHES if problem.switch_resolution_s is None else ():
        found = plan.judged.trajectory
        roomy = with_room(asked, found.violations, found.level_m, room) if plan.judged.is_refused and not teller.is_stopped else None
        if roomy is None:
            break
        asked = roomy
        again = _planned(plant, Plant(asked, engine), work, teller, plan.judged.schedule, engine)
        plan = min(again, plan, key=lambda p: _order(p.judged.trajectory))
    # What bounds the problem asked, and what water is worth in it, is not changed by room.
    judged, bounds, water = _accepted(plan, plant, engine), first.bounds, first.water
    if plan is not first:
        # What stood beside the schedule that was refused may be cheaper than what room brought.
        judged = min(judged, _accepted(first, plant, engine), key=lambda j: _order(j.trajectory))
    trajectory, used = judged.trajectory, judged.plant
    water = np.stack([np.interp(used.problem.steps.offsets_s, problem.steps.offsets_s, w) for w in water.T], axis=1)
    return Solution(
        problem=used.problem,
        schedule=judged.schedule,
        certificate=certify(trajectory.cost, not trajectory.violations, bounds, {"hydraulic_solves": plant.simulator.solves}),
        trajectory=trajectory,
        feasible=not trajectory.violations,
        reasons=explain(used, judged.schedule, trajectory, water),
        relaxations=trajectory.violations,
        water_value_per_m3=water / plant.span,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Planned:
    """The best schedule found, judged by the problem as it was asked; others to fall back on, each made when it is asked for; bounds, and what water is worth."""

    judged: _Judged
    spare: Iterable[PumpSchedule]
    bounds: list[Bound]
    water: Floats


def _accepted(plan: _Planned, plant: Plant, engine: Callable[[PumpingProblem], Engine]) -> _Judged:
    """The best of a plan, or where the audit alone refuses that, the first of the others that it accepts: a solve that EPANET does not bring to an end is not mended by room."""
    if not plan.judged.is_refused:
        return plan.judged
    others = (_judged(plant, schedule, engine) for schedule in plan.spare)
    return next((j for j in others if not j.trajectory.violations), plan.judged)


def _planned(
    plant: Plant, roomy: Plant, work: Work, teller: Teller, start: PumpSchedule | None, engine: Callable[[PumpingProblem], Engine]
) -> _Planned:
    """Plan `roomy`, the plant of the problem with or without room to its limits, and judge what is found by `plant`, that of the problem itself."""
    problem = roomy.problem
    if problem.scenarios is None:
        found = _solve_from(start, roomy, work, teller)
        best, others, bounds, water, spare = found.schedule, found.others, found.bounds, found.water, found.spare
    else:
        # The bound of the problem without scenarios stands: they only take schedules away.
        solved: list[_Found] = []

        def once(asked: PumpingProblem) -> PumpSchedule:
            solved.append(_solve_from(solved[-1].schedule if solved else start, Plant(asked, engine), work, teller))
            return solved[-1].schedule

        best = solve_with_scenarios(problem, once, engine)
        others, bounds, water, spare = [], solved[0].bounds, solved[0].water, []
    judged = _judged(plant, best, engine)
    if problem.valves:
        calmer = _judged(plant, steadied(Runner(plant, Fits(plant)), best, _classes(plant, best)), engine)
        best, judged = (best, judged) if calmer.trajectory.violations else (calmer.schedule, calmer)
    if problem.switch_resolution_s is not None:
        judged = min(judged, _freed(plant, [best, *others], work, teller, engine), key=lambda j: _order(j.trajectory))
        bounds = [replace(b, value=None, why="pumps may be switched within steps, and it knows switches at their edges only") for b in bounds]
        bounds.append(bound_within_steps(roomy, Fits(roomy), work, _rng(problem, work), judged.plant.problem, judged.schedule, judged.trajectory, teller))
    return _Planned(judged=judged, spare=(to_pumps(roomy, *trial) for trial in spare), bounds=bounds, water=water)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judged:
    """A schedule on the plant whose steps it stands on, and its simulation with all its violations. `is_refused`: by the audit alone, whose violations
    these are then."""

    plant: Plant
    schedule: PumpSchedule
    trajectory: Trajectory
    is_refused: bool


def _judged(plant: Plant, schedule: PumpSchedule, engine: Callable[[PumpingProblem], Engine]) -> _Judged:
    trajectory = plant.simulator.run(schedule)
    faults = (*with_causes(plant, schedule, trajectory), *scenario_violations(plant.problem, schedule, engine))
    # Other engines are no EPANET: their judge is their caller's.
    refused = () if faults or engine is not Simulator else audit(plant.problem, schedule).trajectory.violations
    return _Judged(plant=plant, schedule=schedule, trajectory=replace(trajectory, violations=(*faults, *refused)), is_refused=bool(refused))


def _freed(plant: Plant, schedules: list[PumpSchedule], work: Work, teller: Teller, engine: Callable[[PumpingProblem], Engine]) -> _Judged:
    """The best schedule whose pumps switch within steps, from `schedules` on steps, the best one first; with room to what only the audit finds broken."""
    problem, rng = plant.problem, _rng(plant.problem, work)
    starts, budget = [Switches.of(problem, s) for s in schedules], work.switch_solves
    roomy, found = plant, list[_Judged]()
    for room in (*SHIFTS, None):
        asked, freed = free_instants(roomy, Fits(roomy), schedules[0], starts, rng, budget, teller, engine)
        judged = _judged(Plant(problem.on_steps(asked.steps.offsets_s), engine), freed, engine)
        found.append(judged)
        if not judged.is_refused or teller.is_stopped or room is None:
            break
        levels = np.stack([np.interp(problem.steps.offsets_s, asked.steps.offsets_s, level) for level in judged.trajectory.level_m.T], axis=1)
        roomier = with_room(roomy.problem, judged.trajectory.violations, levels, room)
        if roomier is None:
            break
        roomy = Plant(roomier, engine)
        starts, budget = [Switches.of(asked, freed)], work.switch_solves // _ROOM_SHARE
    return min(found, key=lambda j: _order(j.trajectory))


def _rng(problem: PumpingProblem, work: Work) -> np.random.Generator:
    return np.random.default_rng([work.seed, int.from_bytes(hashlib.sha256(problem.network.inp).digest()[:4], "big")])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """The best schedule, others found beside it, and such to fall back on where the audit refuses the best."""

    schedule: PumpSchedule
    others: list[PumpSchedule]
    spare: list[Trial]
    bounds: list[Bound]
    water: Floats


def _solve_from(start: PumpSchedule | None, plant: Plant, work: Work, teller: Teller) -> _Found:
    """From an earlier schedule with less work, and with all of it where that breaks a limit."""
    if start is None:
        return _solve_once(plant, work, teller, None)
    found = _solve_once(plant, work.again(), teller, start)
    if teller.is_stopped or not plant.simulator.run(found.schedule).violations:
        return found
    return _solve_once(plant, work, teller, found.schedule)


def _solve_once(plant: Plant, work: Work, teller: Teller, start: PumpSchedule | None) -> _Found:
    """Both searches, as far as they are needed. Demand scenarios are left aside."""
    rng = _rng(plant.problem, work)
    fits = Fits(plant)
    known = None if start is None else _classes(plant, start)
    bounds: list[Bound] = []
    best: PumpSchedule | None = None
    others: list[PumpSchedule] = []
    spare: list[Trial] = []
    water = np.zeros((plant.n + 1, plant.tanks))
    if applies(plant):
        exact = search_exactly(plant, rng, fits, work, known, teller)
        bounds.append(exact.bound)
        if exact.counts is not None and exact.choices is not None:
            known = exact.counts, np.where(exact.counts > 0, plant.top_speed, 0.0), exact.choices
            best = to_pumps(plant, *known)
            water = exact.water
    def is_over(gap: float, *bounds: Bound) -> bool:
        return teller.is_stopped or (best is not None and _is_proved(bounds, gap) and _is_told_by_steps(plant.problem))

    by_level = None if is_over(work.gap, *bounds) else search_by_level(plant, rng, fits, work, teller)
    if by_level is not None and by_level.best is not None and by_level.schedule is not None:
        water = by_level.water(plant)
        if best is None or by_level.best.cost < plant.simulator.run(best).cost:
            best, others, known = by_level.schedule, [] if best is None else [best], by_level.best.trial
    # Values know nothing of wear, so that it may be in what they leave.
    little = max(work.gap, _LITTLE) if plant.problem.wear_cost_per_start is None else work.gap
    level_bound = None if by_level is None else by_level.bound()
    if not (is_over(work.gap, *bounds) or (level_bound is not None and is_over(little, level_bound))):
        found = broad.search(plant, rng, fits, work, known, teller)
        bounds.append(found.bound)
        spare = found.spare
        if best is None or _order(plant.simulator.run(found.schedule)) < _order(plant.simulator.run(best)):
            best, others = found.schedule, [*others, *([] if best is None else [best])]
        else:
            others.append(found.schedule)
        if not water.any():
            water = found.water
        is_open = not is_over(max(work.gap, broad.OPEN), *bounds)
        if is_open and not (judged := plant.simulator.run(best)).violations:
            fit = fitted(plant, found.zones, rng, work, teller)
            if fit is not None:
                by_tanks = bound_by_tanks(plant, fit, found.water, best, judged.cost, rng, work, max(work.gap, broad.OPEN), teller)
                if by_tanks is not None:
                    best, others, judged = _led(plant, fits, by_tanks, best, others, judged, work, teller)
                    bounds = [*(replace(b, cost=judged.cost) for b in bounds), by_tanks.bound(judged.cost)]
                hull = None if is_over(_MUCH, *bounds) else bound_by_hull(plant, fit, best, judged.cost, rng, teller)
                bounds += [] if hull is None else [hull]
        # Values are held against what has been simulated since.
        level_bound = None if by_level is None else by_level.bound()
    bounds += [] if level_bound is None else [level_bound]
    return _Found(schedule=best if best is not None else rules_within_starts(plant, fits), others=others, spare=spare, bounds=bounds, water=water)


def _led(
    plant: Plant, fits: Fits, by_tanks: ByTanks, best: PumpSchedule, others: list[PumpSchedule], judged: Trajectory, work: Work, teller: Teller
) -> tuple[PumpSchedule, list[PumpSchedule], Trajectory]:
    """The best schedule, the others and the simulation of the best, after a search led by values by tank where these leave more open than is worth waiting for."""
    if teller.is_stopped or _is_proved([by_tanks.bound(judged.cost)], max(work.gap, broad.OPEN)):
        return best, others, judged
    schedule = search_by_tanks(Runner(plant, fits), by_tanks.lead(), judged.cost, SEVERITY * full_cost(plant), work, teller)
    led = None if schedule is None else plant.simulator.run(schedule)
    if schedule is None or led is None or _order(led) >= _order(judged):
        return best, others, judged
    return schedule, [*others, best], led


def explain_schedule(problem: PumpingProblem, schedule: PumpSchedule, engine: Callable[[PumpingProblem], Engine] = Simulator) -> tuple[SwitchReason, ...]:
    """A reason for each switch of any schedule, with its figures. What water is worth in the tanks is taken from the relaxation of the bound, or where there is none from a programme near the schedule.

    Raises ProblemError and NetworkError as `solve` does.
    """
    check(problem)
    plant = Plant(problem, engine)
    if are_states_lost(plant):
        runner = Runner(plant, Fits(plant))
        water = water_near_schedule(runner, runner.simulate(_classes(plant, schedule)), SEVERITY * full_cost(plant))
    else:
        water = broad.water_values(plant, _rng(problem, Work()), Work())
    return explain(plant, schedule, plant.simulator.run(schedule), water)


def _is_proved(bounds: Sequence[Bound], gap: float) -> bool:
    return any(b.value is not None and b.cost - b.value <= gap * abs(b.cost) for b in bounds)


def _is_told_by_steps(problem: PumpingProblem) -> bool:
    """Whether the steps tell all costs and limits, so that what the exact search has proved is the best: no demand charge, no limit over the horizon
    or a day besides starts, no deviation, which depends on which of the identical pumps run."""
    whole = (problem.max_co2_kg, problem.deviation_cost_per_h, *(s.max_volume_m3_per_day for s in problem.sources))
    return all(x is None for x in whole) and not any(m.demand_charge_per_kw > 0 for m in problem.meters)


def _order(t: Trajectory) -> tuple[int, float]:
    return len(t.violations), t.cost


def _classes(plant: Plant, schedule: PumpSchedule) -> Trial:
    """A schedule of pumps by classes, within what the problem allows."""
    counts = np.stack([schedule.on[:, list(c.pumps)].sum(axis=1) for c in plant.classes], axis=1).astype(np.int64)
    low, high = np.array([(c.bins[0][0], c.bins[-1][1]) for c in plant.classes]).T
    speeds = np.clip(np.stack([schedule.speed[:, list(c.pumps)].max(axis=1) for c in plant.classes], axis=1), low, high)
    counts = np.minimum(counts, plant.available)
    return counts, np.where(counts > 0, speeds, 0.0), schedule.valve_choice
