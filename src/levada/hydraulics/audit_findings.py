"""What the audit finds wrong: one violation per fault, worded for operators, with the worst amount and the first time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from levada.domain.pumping import Violation
from levada.domain.time import Steps

__all__ = ["Findings", "metres"]


class Findings:
    """Collects what does not hold: one violation per limit, element and kind, however many solves show it."""

    @dataclass(slots=True)
    class _Fault:
        first_s: int | None
        until_s: int | None
        last: int
        amount: float
        unit: str
        text: str
        has_breaks: bool = False

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._faults: dict[tuple[str, str, str], Findings._Fault] = {}

    def observe(
        self, limit: str, element: str, text: str, *, amount: float = 0.0, unit: str = "1", kind: str = "",
        at_s: int | None = None, until_s: int | None = None, index: int = 0,
    ) -> None:  # fmt: skip
        """Note a fault at observation number `index`; `text` says it without the time. The worst observation's text is kept."""
        fault = self._faults.get((limit, element, kind))
        if fault is None:
            self._faults[limit, element, kind] = self._Fault(at_s, until_s, index, amount, unit, text)
            return
        fault.has_breaks |= index > fault.last + 1
        fault.last, fault.until_s = index, until_s
        if amount > fault.amount:
            fault.amount, fault.text = amount, text

    def violations(self) -> tuple[Violation, ...]:
        """All faults, in the order of time; those of the whole horizon first."""
        found = [
            Violation(limit=limit, element=element, at_s=f.first_s, amount=float(f.amount), unit=f.unit, text=f.text + self._when(f))
            for (limit, element, _), f in self._faults.items()
        ]
        return tuple(sorted(found, key=lambda v: -1 if v.at_s is None else v.at_s))

    def _when(self, fault: Findings._Fault) -> str:
        if fault.first_s is None:
            return ""
        first = self._steps.start + timedelta(seconds=fault.first_s)
        if fault.until_s is None or fault.until_s - fault.first_s < 60:
            return f" at {first:%Y-%m-%d %H:%M} UTC"
        until = self._steps.start + timedelta(seconds=fault.until_s)
        end = f"{until:%H:%M}" if until.date() == first.date() else f"{until:%Y-%m-%d %H:%M}"
        return f" from {first:%Y-%m-%d %H:%M} to {end} UTC{' with breaks' if fault.has_breaks else ''}"


def metres(length_m: float) -> str:
    """Two decimals, or millimetres where that would show nothing."""
    return f"{length_m:.2f} m" if length_m >= 0.01 else f"{length_m * 1000:.1f} mm"
