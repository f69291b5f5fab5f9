"""What a simulation found amiss, instant by instant, and the same as violations in words: one for each limit and unbroken time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from levada.domain.pumping import PumpingProblem, Violation

__all__ = ["ERRORS", "SUPPLY", "Finding", "clock", "describe"]

SUPPLY = {
    1: "the network is not brought into balance",
    2: "the network has no stable solution, links open and shut by turns",
    3: "nodes that draw water are cut off",
    5: "a valve cannot hold its setting",
    6: "water is drawn at a pressure below zero",
}
"""What EPANET's warnings of a supply that fails mean, by their number."""

ERRORS = 100
"""EPANET's codes from here on are errors."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A limit that does not hold at one instant: by how much, above (`is_above`) or below it. `limit_value` is the limit then."""

    limit: str
    element: str
    at_s: int
    amount: float
    unit: str
    is_above: bool = False
    limit_value: float = 0.0


def clock(problem: PumpingProblem, seconds: int) -> str:
    """The time so many seconds after the start, in UTC: hh:mm on the first day, else with its date."""
    start = problem.steps.start
    at = start + timedelta(seconds=seconds)
    return f"{at:%H:%M}" if at.date() == start.date() else f"{at:%Y-%m-%d %H:%M}"


def describe(findings: Iterable[Finding], problem: PumpingProblem, gap_s: int) -> tuple[Violation, ...]:
    """Violations by limit, element and unbroken time (instants at most `gap_s` apart), each with the worst amount in it; in order of time."""
    groups: dict[tuple[str, str, bool], list[list[Finding]]] = {}
    for f in sorted(findings, key=lambda f: (f.limit, f.element, f.at_s)):
        runs = groups.setdefault((f.limit, f.element, f.is_above), [])
        if runs and f.at_s - runs[-1][-1].at_s <= gap_s:
            runs[-1].append(f)
        else:
            runs.append([f])
    found = [_violation(run, problem) for runs in groups.values() for run in runs]
    return tuple(sorted(found, key=lambda v: (v.at_s if v.at_s is not None else -1, v.limit, v.element)))


def _violation(run: list[Finding], problem: PumpingProblem) -> Violation:
    worst, first = max(run, key=lambda f: f.amount), run[0]
    amount, element = worst.amount, worst.element
    when = f"from {clock(problem, first.at_s)} to {clock(problem, run[-1].at_s)} UTC" if len(run) > 1 else f"at {clock(problem, first.at_s)} UTC"
    side = "above" if worst.is_above else "below"
    match worst.limit:
        case "level":
            text = f"tank {element} is up to {amount:.3f} m {side} its {'maximum' if worst.is_above else 'minimum'} of {worst.limit_value:.3f} m {when}"
        case "reserve":
            text = f"tank {element} is up to {amount:.3f} m {side} its {'ceiling' if worst.is_above else 'reserve'} of {worst.limit_value:.3f} m {when}"
        case "saturation":
            text = f"tank {element} is at its limit and still {'fills' if worst.is_above else 'drains'} with up to {amount * 1000:.2f} L/s {when}"
        case "pressure":
            text = f"pressure at {element} is up to {amount:.2f} m {side} the {worst.limit_value:.2f} m asked for {when}"
        case "power":
            text = f"{element} draw up to {amount:.1f} kW more than the {worst.limit_value:.1f} kW allowed {when}"
        case "flow":
            text = f"flow through {element} is up to {amount * 1000:.2f} L/s {side} the {worst.limit_value * 1000:.2f} L/s allowed {when}"
        case "source":
            text = f"source {element} gives up to {amount * 1000:.2f} L/s more than the {worst.limit_value * 1000:.2f} L/s allowed {when}"
        case _ if element == "pumps":
            text = f"a pump that is on delivers nothing, or runs beyond the end of its curve, {when}"
        case _:
            text = f"{SUPPLY.get(int(amount), 'the network has no solution')} (EPANET's {'warning' if amount < ERRORS else 'error'} {int(amount)}) {when}"
    return Violation(limit=worst.limit, element=element, at_s=first.at_s, amount=amount, unit=worst.unit, text=text)
