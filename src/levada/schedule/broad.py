"""The search for any plant: response surfaces, a linear relaxation over hydraulic components, a beam of states, local search."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from levada.domain.pumping import PumpSchedule
from levada.domain.series import Floats
from levada.schedule.ahead import Forecast
from levada.schedule.anneal import can_be_annealed
from levada.schedule.assignment import Fits
from levada.schedule.bound import Relaxation, relax, why_unbounded
from levada.schedule.candidate import SEVERITY, Candidate, Runner, Trial
from levada.schedule.certificate import Bound
from levada.schedule.first import first_schedule, full_cost
from levada.schedule.improve import improve
from levada.schedule.kicks import kicked
from levada.schedule.mend import mend, usual_speeds
from levada.schedule.models import fit_models
from levada.schedule.near import Lever, levers_of
from levada.schedule.near_search import are_states_lost, search_near
from levada.schedule.outlook import Outlook, outlook_by_levels, outlook_by_water
from levada.schedule.plant import Ints, Plant
from levada.schedule.problem import Work
from levada.schedule.progress import Stopped, Teller
from levada.schedule.race import race
from levada.schedule.reach import Zone, reach
from levada.schedule.reach import whole as all_levels
from levada.schedule.rules import set_valves
from levada.schedule.search import Actions, Lean, actions_of, beam
from levada.schedule.settle import settled
from levada.schedule.speeds import tune_speeds
from levada.schedule.surface import Sampler, Surface, fit_surfaces, joined
from levada.schedule.verify import ROUNDS, simulated, steps_of, verify_in_rounds

__all__ = ["OPEN", "Broad", "search", "water_values"]

_METHOD = (
    "linear relaxation over tank levels, hydraulic components and pump configurations (convex hull of linear models with margins measured in EPANET)"
)

_PEAKS = (0.75, 0.5, 0.25, 0.0)
"""Where there are demand charges, peaks are tried at these shares of the way from the peak already reached to the one found."""

_PRICES = (0.3, 3.0, 30.0)
"""Where a total is beyond its limit, it is priced so that the limit would cost so many times running everything throughout."""

_BEST = 3
"""Schedules of the beam, improved, that programmes begin from."""

OPEN = 0.02
"""Where a bound leaves no more than this share of the cost open, neither more valleys nor better bounds are looked for: whoever runs the pumps waits for the plan."""

_FAR = 0.05
"""An earlier plan is far from the best schedule where its cost differs by so great a share, or it breaks limits so much."""

_SPARSE = 10
"""Of the simulated steps one in so many is checked where the search was told to stop."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Broad:
    """The best schedule found, the bound, and the worth of a full tank's content by instant and tank, (n + 1, tanks); where levels can be at each instant,
    none where that is not known; others to fall back on where the audit refuses the best."""

    schedule: PumpSchedule
    bound: Bound
    water: Floats
    zones: list[Zone]
    spare: list[Trial]


def search(plant: Plant, rng: np.random.Generator, fits: Fits, work: Work, known: Trial | None, teller: Teller) -> Broad:
    """Search and bound. `known`: a schedule to begin from as well. Sets the plant's first choice of valves."""
    if known is not None and work.is_again:
        # As they stand for longest in the earlier plan.
        plant.first_choice = np.array([[np.bincount(of).argmax() for of in known[2].T]], np.int64)
    elif plant.problem.valves:
        set_valves(plant)
    runner = Runner(plant, fits)
    started = [] if known is None else [known]
    if known is None or not work.is_again:
        started.append(first_schedule(runner, teller, programmes=known is None and work.quick_programmes > 0))
    if are_states_lost(plant):
        return _near(runner, started, work, teller, why_unbounded(plant) or "")
    sampler = Sampler(plant, rng, teller.pause)
    try:
        surfaces, zones = learn(plant, sampler, work)
        models = fit_models(plant, surfaces, zones, sampler, work)
        forecast = Forecast(plant, surfaces, runner.whole)
        # What has been simulated so far is checked before a bound is told.
        verify_in_rounds(plant, models, zones, forecast, [], simulated(plant), ROUNDS, teller.pause)
    except Stopped:
        return _near(runner, started, work, teller, "stopped before it was computed")
    relaxation = relax(plant, models, zones)
    teller("relaxation", bound=relaxation.value)
    price = SEVERITY * _full_cost(plant, surfaces)
    hunt = _Hunt(plant, runner, forecast, actions_of(plant, models, relaxation), relaxation, price, work, rng, teller)
    schedule = hunt.best(started)
    judged = plant.simulator.run(schedule)
    own = [] if judged.violations else steps_of(plant, np.arange(plant.n), judged.level_m[:-1], schedule)
    # Whoever stops the search waits for the end: fewer steps are checked then, and widened for as often.
    others = simulated(plant)[:: _SPARSE if teller.is_stopped else 1]
    checked, failed, is_widened = verify_in_rounds(plant, models, zones, forecast, own, others, ROUNDS)
    if is_widened:
        relaxation = relax(plant, models, zones)
    value = relaxation.value
    why = "the relaxation has no solution: no schedule can hold all limits" if relaxation.infeasible else "the relaxation was not solved"
    if reason := why_unbounded(plant):
        value, why = None, reason
    elif failed or any(m.is_refuted for m in models):
        value, why = None, "withdrawn, since steps that EPANET simulated contradict its models"
    bound = Bound(
        value=value, method=_METHOD, cost=np.inf if judged.violations else judged.cost, why=why, samples=models[0].samples if models else 0,
        work={"bound_checks": checked, **{f"bound_{k}": v for k, v in relaxation.work.items()}},
    )  # fmt: skip
    teller("search", None if judged.violations else judged.cost, value)
    return Broad(schedule=schedule, bound=bound, water=relaxation.water, zones=zones, spare=_spare(hunt.ranked()))


def _near(runner: Runner, started: list[Trial], work: Work, teller: Teller, why: str) -> Broad:
    """What programmes near the first schedules come to, or these as they are where the search was told to stop; without a bound, and why."""
    best, schedule, water = search_near(runner, started, SEVERITY * full_cost(runner.plant), work, teller)
    bound = Bound(value=None, method=_METHOD, cost=best.cost if best.severity == 0 else np.inf, why=why)
    return Broad(schedule=schedule, bound=bound, water=water, zones=[], spare=started)


def _spare(ranked: list[Candidate]) -> list[Trial]:
    """Some of the schedules, ranked from the best on, that hold all limits: ever fewer towards the worse, and the last."""
    kept = [c for c in ranked if c.severity == 0]
    places = sorted({min(2**i, len(kept)) - 1 for i in range(1, len(kept).bit_length() + 1)}) if kept else []
    return [kept[i].trial for i in places]


def water_values(plant: Plant, rng: np.random.Generator, work: Work) -> Floats:
    """Worth of a full tank's content by instant and tank, (n + 1, tanks), from the relaxation alone."""
    sampler = Sampler(plant, rng)
    surfaces, zones = learn(plant, sampler, work)
    return relax(plant, fit_models(plant, surfaces, zones, sampler, work), zones).water


def learn(plant: Plant, sampler: Sampler, work: Work) -> tuple[list[Surface], list[Zone]]:
    """Surfaces over all levels, the zones that can be reached by them, and surfaces once more over these zones."""
    everywhere = (all_levels(plant).draw(200, sampler.rng) - plant.floor_m) / plant.rise_m
    surfaces = fit_surfaces(plant, sampler, [everywhere] * plant.n, work.fit_samples)
    zones = reach(plant, surfaces, sampler, 80, 0)
    cloud = [(z.draw(60, sampler.rng) - plant.floor_m) / plant.rise_m for z in zones]
    surfaces = fit_surfaces(plant, sampler, cloud, work.fit_samples)
    return surfaces, reach(plant, surfaces, sampler, 80, work.fit_samples)


def _full_cost(plant: Plant, surfaces: list[Surface]) -> float:
    """Cost of running everything throughout at the mean absolute price, with all that whole schedules can cost: the scale of money in this problem."""
    problem, watts = plant.problem, 0.0
    for s in surfaces:
        kinds, tanks = np.arange(len(s.counts)), len(s.component.tanks)
        out = s.evaluate(np.zeros_like(kinds), kinds, np.full((len(kinds), tanks), 0.5), s.high)
        watts += float(out[:, tanks : tanks + len(s.component.classes)].sum(axis=1).max(initial=0.0))
    kw = max(watts / 1000.0, 0.01)
    energy = kw * float((np.abs(plant.class_price).mean(axis=1) * problem.steps.hours).sum())
    if problem.co2_kg_per_kwh is not None:
        energy += kw * float(problem.co2_kg_per_kwh @ problem.steps.hours) * abs(problem.co2_price_per_kg)
    charges = kw * max((m.demand_charge_per_kw for m in problem.meters), default=0.0)
    stored = 0.0 if problem.stored_value_per_m3 is None else float(np.abs(problem.stored_value_per_m3) @ plant.span)
    wear = 0.0 if problem.wear_cost_per_start is None else float(problem.wear_cost_per_start @ np.minimum(problem.max_starts, plant.n))
    away = 0.0 if problem.deviation_cost_per_h is None else float((problem.deviation_cost_per_h * problem.steps.hours[:, None]).sum())
    return energy + charges + stored + wear + away + 1e-6


class _Hunt:
    """One search: beams, what else there is to begin from, and local search from the best of it."""

    def __init__(
        self, plant: Plant, runner: Runner, forecast: Forecast, actions: list[Actions], relaxation: Relaxation, price: float, work: Work,
        rng: np.random.Generator, teller: Teller,
    ) -> None:  # fmt: skip
        self.plant, self.runner, self.forecast, self.actions, self.relaxation = plant, runner, forecast, actions, relaxation
        self.price, self.work, self.rng, self.teller = price, work, rng, teller
        self.left = work.simulations
        self.outlooks = [outlook_by_water(relaxation.water)]
        self.found: dict[bytes, Candidate] = {}

    def best(self, others: list[Trial]) -> PumpSchedule:
        """The best schedule. `others`: schedules to begin from beside those of the beam."""
        work = self.work
        if work.is_again:
            begun = self._take([self._mended(trial) for trial in [*others, *self._of_relaxation()]], 0)
            self._race(begun)
            if self._is_far_from(begun[0]):
                self._race(self._ahead())
        else:
            begun = self._ahead()
            if begun:
                self._lean()
            self._race([*self.ranked()[:_BEST], *begun, *self._take([self._mended(trial) for trial in [*others, *self._of_relaxation()]], 0)])
        for c in self.ranked()[: work.finalists]:
            if self.teller.is_stopped:
                break
            self._improve(c, work.rounds, self.left)
        self._kick()
        self._tune()
        return settled(self.runner, self.ranked()[: 1 + work.finalists], self.price, self.teller, programmes=work.quick_programmes > 0)[1]

    def ranked(self) -> list[Candidate]:
        return sorted(self.found.values(), key=lambda c: c.objective(self.price))

    def _ahead(self) -> list[Candidate]:
        """The best schedule of each beam that there is time for."""
        work, begun = self.work, list[Candidate]()
        if not work.beam or self.teller.is_stopped:
            return begun
        # By levels first; the price of water leads elsewhere, and may have the better valley.
        by_levels = outlook_by_levels(self.forecast, self.actions, self.price, work.outlook_rows)
        by_water = [] if by_levels is not None and work.is_again else self.outlooks
        self.outlooks = [*([] if by_levels is None else [by_levels]), *by_water]
        for outlook in self.outlooks:
            taken = self._begin(self._beam(outlook, work.beam, None), -(-work.candidates // len(self.outlooks)))
            begun.append(min(taken, key=lambda c: c.objective(self.price)))
        return begun

    def _is_far_from(self, earlier: Candidate) -> bool:
        """Whether the best schedule is so far from the earlier plan that other valleys may be better: prices or levels are not what it was made for."""
        best = self.ranked()[0]
        return earlier.severity > _FAR or abs(earlier.cost - best.cost) > _FAR * abs(best.cost)

    def _beam(self, outlook: Outlook, width: int, lean: Lean | None) -> list[Trial]:
        return beam(self.runner, self.forecast, self.actions, outlook, self.price, width, lean)

    def _begin(self, leaves: list[Trial], most: int) -> list[Candidate]:
        """Take the first leaves that fit, or the first of all made to fit."""
        fitting = [t for t in leaves[: 40 * most] if self.runner.fits(t[0])][:most]
        return self._take(fitting or [self._mended(leaves[0])], self.work.first_rounds)

    def _take(self, trials: list[Trial], rounds: int) -> list[Candidate]:
        """Simulate, and improve each a little."""
        taken = [c for c in self.runner.simulate_all(trials) if c is not None] if trials else []
        self.found |= {c.key: c for c in taken}
        self._tell()
        for c in taken if rounds else []:
            if not self.teller.is_stopped:
                self._improve(c, rounds, self.left // 2)
        return taken

    def _improve(self, start: Candidate, rounds: int, budget: int) -> None:
        before = self.plant.simulator.solves
        c, _ = improve(self.runner, self.forecast, start, self.price, self.rng, budget=max(budget, 0), rounds=rounds)
        self.left -= self.plant.simulator.solves - before
        self.found[c.key] = c
        self._tell()

    def _tell(self) -> None:
        kept = [c.cost for c in self.found.values() if c.severity == 0]
        self.teller("search", min(kept, default=None), self.relaxation.value)

    def _lean(self) -> None:
        """Beams once more, pressed below the peaks found, or away from totals that are beyond their limits."""
        whole, none = self.runner.whole, Lean.none(self.runner)
        best = self.ranked()[0]
        most = max(1, self.work.candidates // 4)
        leans = []
        if whole.has_charges:
            peak = whole.grid_kw(np.arange(self.plant.n), best.power).max(axis=0)
            room = np.maximum(peak - whole.peak_so_far_kw, 0.0)
            if whole.charge(peak) > 0:
                leans += [replace(none, peak_kw=np.where(whole.charge_per_kw > 0, whole.peak_so_far_kw + share * room, np.inf)) for share in _PEAKS]
        over = whole.totals_of(best.power, best.source) > whole.most
        if over.any():
            scale = self.price / SEVERITY / np.maximum(np.where(np.isfinite(whole.most), whole.most, 1.0), 1e-9)
            leans += [replace(none, price_of_totals=np.where(over, times * scale, 0.0)) for times in _PRICES]
        for lean in leans:
            if self.teller.is_stopped:
                break
            self._begin(self._beam(self.outlooks[0], max(self.work.beam // 2, 1), lean), most)

    def _race(self, starts: list[Candidate]) -> None:
        def is_over(bests: list[Candidate]) -> bool:
            self.found |= {c.key: c for c in bests}
            return self._is_proved()

        race(self.runner, starts, self._levers, self.price, self.work, self.teller, is_over)

    def _kick(self) -> None:
        """Other valleys beside the best schedule's, where the bound leaves more open than is worth waiting for."""
        if self.work.kicks and can_be_annealed(self._levers) and not self._is_proved(OPEN):
            best = kicked(self.runner, self.ranked()[0], self._levers, self.price, self.work.kicks, self.work.seed, self.teller)
            self.found[best.key] = best

    def _is_proved(self, gap: float | None = None) -> bool:
        """Whether the bound leaves no more than a share of the cost, the one at which the search is over unless told otherwise."""
        best, bound = self.ranked()[0], self.relaxation.value
        return best.severity == 0 and bound is not None and best.cost - bound <= (self.work.gap if gap is None else gap) * abs(best.cost)

    @cached_property
    def _levers(self) -> list[Lever]:
        return levers_of(self.plant)

    def _tune(self) -> None:
        """Speeds of the best, put to where they cost least."""
        if self.work.quick_programmes and not self.teller.is_stopped:
            tuned = tune_speeds(self.runner, self.ranked()[0], self.price, budget=self.work.simulations // 4)
            self.found[tuned.key] = tuned

    def _of_relaxation(self) -> list[Trial]:
        """Schedules of the relaxation: of what it uses most in each step, and, where there is time, one that gives each configuration, summed over time,
        what the relaxation gives it."""
        if not self.relaxation.weight:
            return []
        weights, hours = self.relaxation.weight, self.plant.problem.steps.hours
        most = self._trial([w.argmax(axis=1) for w in weights])
        return [most] if self.work.is_again else [most, self._trial([_in_turn(w, hours) for w in weights])]

    def _trial(self, configurations: list[Ints]) -> Trial:
        joint = joined(self.plant, self.forecast.surfaces, configurations)
        return joint.counts, np.where(joint.counts > 0, joint.high, 0.0), joint.choices

    def _mended(self, trial: Trial) -> Trial:
        counts, speeds, choices = trial
        counts = mend(self.plant, self.runner.fits, counts)
        return counts, usual_speeds(self.plant, counts, speeds), choices


def _in_turn(weight: Floats, hours: Floats) -> Ints:
    """In each step the configuration that is owed most hours by weights (n, configurations) so far, (n,)."""
    owed, chosen = np.zeros(weight.shape[1]), []
    for w, h in zip(weight, hours, strict=True):
        owed += w * h
        chosen.append(int(owed.argmax()))
        owed[chosen[-1]] -= h
    return np.array(chosen, np.int64)
