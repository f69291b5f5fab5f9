"""The rungs below a new plan: the last valid plan, re-checked from the current levels; else what rule-based control will do.

A new plan's schedule comes from the scheduler and stands when EPANET accepts it. Where there is none:

1. The rest of the previous plan, where that has not expired and was itself no more than computed or re-checked, is simulated from the
   current levels with the demand expected now. It stands when every limit holds, save the level at its end: that is a promise to the day
   after and no matter of safety, and it is what a plan has missed a little when its levels came out otherwise.
2. Rule-based control: tank levels switch pumps. It is what will happen without a plan, so it is shown whatever the audit finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from levada.domain.plan import Certificate, Ladder, Plan
from levada.domain.pumping import Audit, PumpingProblem, PumpSchedule, Violation
from levada.hydraulics.audit import audit
from levada.runs.rest import carried_on, first_steps, plan_over_steps
from levada.schedule import Progress, SwitchReason, follow_rules, solve

__all__ = ["Rung", "best_rung", "rest_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rung:
    """A schedule, the problem that it answers (on the lower rungs the limits that were let go are open in it) and how it came to be."""

    ladder: Ladder
    reason: str
    problem: PumpingProblem
    schedule: PumpSchedule
    audit: Audit
    certificate: Certificate
    reasons: tuple[SwitchReason, ...] = ()
    flags: tuple[str, ...] = ()
    expires_at: datetime | None = None
    """Set where the plan keeps the expiry of an earlier one."""


def best_rung(problem: PumpingProblem, previous: Plan | None, issue_time: datetime, tell: Callable[[Progress], None] | None = None) -> Rung:
    """The highest rung of the ladder that can be had; never fails for what the network or the levels are like. `tell` hears how the search gets on."""
    rung, why = _new(problem, previous, tell)
    if rung is not None:
        return rung
    rung, why_not_previous = _previous(problem, previous, issue_time)
    if rung is not None:
        return replace(rung, reason=f"{why}. {rung.reason}")
    return _rules(problem, f"{why}. {why_not_previous}.")


def _new(problem: PumpingProblem, previous: Plan | None, tell: Callable[[Progress], None] | None) -> tuple[Rung | None, str]:
    def go_on(progress: Progress) -> bool:
        if tell is not None:
            tell(progress)
        return True

    # From what rules would do the search would begin anyway, and with a start it spends less.
    optimised = None if previous is None or previous.ladder is Ladder.RULES else previous
    start = None if optimised is None else carried_on(optimised, problem.network, problem.valves, problem.steps)
    solution = solve(problem, start=start, progress=go_on)
    if not solution.feasible:
        return None, f"no schedule keeps all limits: {_told(solution.relaxations) or 'none was found'}"
    verdict = audit(problem, solution.schedule)
    if not verdict.accepted:
        return None, f"EPANET does not confirm the schedule that was found: {_told(verdict.trajectory.violations)}"
    return (
        Rung(
            ladder=Ladder.NEW,
            reason="",
            problem=problem,
            schedule=solution.schedule,
            audit=verdict,
            certificate=solution.certificate,
            reasons=solution.reasons,
            flags=tuple(v.text for v in solution.relaxations),
        ),
        "",
    )


def _previous(problem: PumpingProblem, previous: Plan | None, issue_time: datetime) -> tuple[Rung | None, str]:
    if previous is None:
        return None, "There is no earlier plan"
    if previous.ladder is Ladder.RULES:
        return None, "The plan before this one is rule-based control as well"
    if issue_time >= previous.expires_at:
        return None, f"The plan before this one expired {previous.expires_at:%Y-%m-%d %H:%M} UTC"
    rest = rest_of(problem, previous)
    if rest is None:
        return None, "The plan before this one is of other pumps or valves or does not reach the present"
    rest_problem, schedule = rest
    verdict = audit(rest_problem, schedule)
    if not verdict.accepted:
        return None, f"The plan before this one no longer holds: {_told(verdict.trajectory.violations)}"
    certificate = _not_optimised(verdict, "the previous plan, simulated again")
    reason = f"The plan issued {previous.issue_time:%Y-%m-%d %H:%M} UTC was simulated again from the current levels and holds"
    return (
        Rung(
            ladder=Ladder.PREVIOUS,
            reason=reason,
            problem=rest_problem,
            schedule=schedule,
            audit=verdict,
            certificate=certificate,
            expires_at=previous.expires_at,
        ),
        "",
    )


def _rules(problem: PumpingProblem, why: str) -> Rung:
    schedule = follow_rules(problem)
    verdict = audit(problem, schedule)
    certificate = _not_optimised(verdict, "rule-based control: tank levels switch pumps")
    broken = _told(verdict.trajectory.violations)
    reason = f"{why} Shown is what rule-based control will do{f'; it does not keep: {broken}' if broken else ''}."
    return Rung(ladder=Ladder.RULES, reason=reason, problem=problem, schedule=schedule, audit=verdict, certificate=certificate)


def _not_optimised(verdict: Audit, method: str) -> Certificate:
    return Certificate(cost=verdict.trajectory.cost, lower_bound=None, gap=None, kind="none", method=method)


def _told(violations: Iterable[Violation], most: int = 3) -> str:
    """The first few violations in words, the gravest kinds being told first by whoever listed them."""
    texts = list(dict.fromkeys(v.text for v in violations))
    more = f" (and {len(texts) - most} more)" if len(texts) > most else ""
    return "; ".join(texts[:most]) + more


def rest_of(problem: PumpingProblem, previous: Plan) -> tuple[PumpingProblem, PumpSchedule] | None:
    """What is left of a plan, as a problem from the current start to that plan's end and its schedule on the new steps.

    Each new step does what the plan says for its beginning. The level at the end is let go. None where the plan does not cover the first
    step or is of other pumps or valves.
    """
    given = plan_over_steps(previous, problem.network, problem.valves, problem.steps)
    if given is None or not given.is_covered[0]:
        return None
    n = int(given.is_covered.sum())
    cut = first_steps(problem, n)
    rest = replace(cut, end_level_m=cut.min_level_m.copy(), end_level_max_m=None)
    return rest, PumpSchedule(on=given.schedule.on[:n], speed=given.schedule.speed[:n], valve_choice=given.schedule.valve_choice[:n])
