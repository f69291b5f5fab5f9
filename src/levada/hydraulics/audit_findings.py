"""What the audit finds wrong: one violation per fault, worded for operators, with the worst amount and the first time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from levada.domain.pumping import PumpingProblem, Violation
from levada.domain.time import Steps

__all__ = ["Findings", "Moment", "days", "litres", "metres", "span"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When something was observed: seconds from the start, the planning step, and a number that is one more than that of the moment
    before; a fault seen at numbers that follow each other has no break. `until_s` is None for an instant."""

    at_s: int
    until_s: int | None = None
    step: int = 0
    index: int = 0


class Findings:
    """Collects what does not hold: one violation per limit, element and kind, however many solves show it."""

    @dataclass(slots=True)
    class _Fault:
        first: Moment | None
        last: Moment | None
        amount: float
        unit: str
        text: str
        has_breaks: bool = False

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._faults: dict[tuple[str, str, str], Findings._Fault] = {}

    def observe(self, limit: str, element: str, text: str, moment: Moment | None = None, *, amount: float, unit: str = "1", kind: str = "") -> None:
        """Note a fault, of the whole horizon where there is no moment; `text` says it without the time. The worst observation's text is kept."""
        fault = self._faults.get((limit, element, kind))
        if fault is None:
            self._faults[limit, element, kind] = self._Fault(moment, moment, amount, unit, text)
            return
        if moment is not None and fault.last is not None:
            fault.has_breaks |= moment.index > fault.last.index + 1
        fault.last = moment
        if amount > fault.amount:
            fault.amount, fault.text = amount, text

    def violations(self) -> tuple[Violation, ...]:
        """All faults, in the order of time; those of the whole horizon first."""
        found = [
            Violation(
                limit=limit, element=element, at_s=None if f.first is None else f.first.at_s, amount=float(f.amount), unit=f.unit, text=f.text + self._when(f),
                kind=kind, until_s=None if f.last is None else f.last.until_s,
            )
            for (limit, element, kind), f in self._faults.items()
        ]
        return tuple(sorted(found, key=lambda v: -1 if v.at_s is None else v.at_s))

    def _when(self, fault: Findings._Fault) -> str:
        if fault.first is None or fault.last is None:
            return ""
        first = self._steps.start + timedelta(seconds=fault.first.at_s)
        if fault.last.until_s is None or fault.last.until_s - fault.first.at_s < 60:
            return f" at {first:%Y-%m-%d %H:%M} UTC"
        until = self._steps.start + timedelta(seconds=fault.last.until_s)
        end = f"{until:%H:%M}" if until.date() == first.date() else f"{until:%Y-%m-%d %H:%M}"
        return f" from {first:%Y-%m-%d %H:%M} to {end} UTC{' with breaks' if fault.has_breaks else ''}"


def days(problem: PumpingProblem) -> list[tuple[slice, Moment | None]]:
    """The steps of each day that the horizon touches, first day first, and its time; no time where the whole horizon is one day by default."""
    if problem.day is None:
        return [(slice(0, len(problem.steps)), None)]
    found: list[tuple[slice, Moment | None]] = []
    edges, first = problem.steps.offsets_s, 0
    for k in range(1, len(problem.day) + 1):
        if k == len(problem.day) or problem.day[k] != problem.day[first]:
            found.append((slice(first, k), Moment(at_s=int(edges[first]), until_s=int(edges[k]), step=first)))
            first = k
    return found


def metres(length_m: float) -> str:
    """Two decimals, or millimetres where that would show nothing."""
    return f"{length_m:.2f} m" if length_m >= 0.01 else f"{length_m * 1000:.1f} mm"


def litres(flow_m3_per_s: float) -> str:
    """Litres per second with one decimal, or four where that would show nothing."""
    return f"{flow_m3_per_s * 1000:.1f} L/s" if abs(flow_m3_per_s) >= 1e-4 or flow_m3_per_s == 0 else f"{flow_m3_per_s * 1000:.4f} L/s"


def span(seconds: float) -> str:
    """A length of time such as `45 min`, `1 h 30 min` or `90 s`; seconds only where it is not whole minutes."""
    whole = round(seconds)
    if whole % 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return " ".join([*([f"{hours} h"] if hours else []), *([f"{minutes} min"] if minutes or not hours else [])])
