"""What a simulation found amiss, instant by instant, and the same as violations in words: one for each limit and unbroken time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from levada.domain.pumping import PumpingProblem, Violation

__all__ = ["Finding", "clock", "describe"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A limit that does not hold at one instant. `amount` of a level is positive above the maximum, negative below the minimum;
    `severity` is its size without a unit, to compare and add findings of different kinds."""

    limit: str
    element: str
    at_s: int
    amount: float
    unit: str
    severity: float


def clock(seconds: int) -> str:
    """Time since the start of the horizon as +h:mm."""
    return f"+{seconds // 3600}:{seconds % 3600 // 60:02d}"


def describe(findings: Iterable[Finding], problem: PumpingProblem, gap_s: int) -> tuple[Violation, ...]:
    """Violations by limit, element and unbroken time (instants at most `gap_s` apart), each with the worst amount in it; in order of time."""
    groups: dict[tuple[str, str, bool], list[list[Finding]]] = {}
    for f in sorted(findings, key=lambda f: (f.limit, f.element, f.at_s)):
        runs = groups.setdefault((f.limit, f.element, f.amount > 0), [])
        if runs and f.at_s - runs[-1][-1].at_s <= gap_s:
            runs[-1].append(f)
        else:
            runs.append([f])
    found = [_violation(run, problem) for runs in groups.values() for run in runs]
    return tuple(sorted(found, key=lambda v: (v.at_s if v.at_s is not None else -1, v.limit, v.element)))


def _violation(run: list[Finding], problem: PumpingProblem) -> Violation:
    worst = max(run, key=lambda f: abs(f.amount))
    amount, first = abs(worst.amount), run[0]
    when = f"from {clock(first.at_s)} to {clock(run[-1].at_s)}" if len(run) > 1 else f"at {clock(first.at_s)}"
    match worst.limit:
        case "level":
            i = problem.network.tank_index[worst.element]
            above = worst.amount > 0
            limit = problem.max_level_m[i] if above else problem.min_level_m[i]
            text = f"tank {worst.element} is up to {amount:.3f} m {'above its maximum' if above else 'below its minimum'} of {limit:.3f} m {when}"
        case "saturation":
            text = f"tank {worst.element} is at its limit and still {'fills' if worst.amount > 0 else 'drains'} with up to {amount * 1000:.2f} L/s {when}"
        case "pressure":
            floor = problem.pressure_floors_m[worst.element]
            text = f"pressure at {worst.element} is up to {amount:.2f} m below the {floor:.2f} m asked for {when}"
        case "power":
            text = f"pumps draw up to {amount:.1f} kW more than the {problem.max_power_kw:.1f} kW allowed {when}"
        case _ if worst.element == "pumps":
            text = f"a pump that is on delivers nothing, or runs beyond the end of its curve, {when}"
        case _:
            text = f"demand is not served everywhere (EPANET warning {int(amount)}) {when}"
    return Violation(limit=worst.limit, element=worst.element, at_s=first.at_s, amount=amount, unit=worst.unit, text=text)
