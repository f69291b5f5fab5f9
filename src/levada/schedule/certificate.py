"""What a solve proves, in the words of a certificate."""

from __future__ import annotations

from dataclasses import dataclass, field

from levada.domain.plan import Certificate

__all__ = ["Bound", "certify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A lower bound by one method: its value (None: none could be had, and `why`), the best cost that the method knew, independent samples that
    measured its margins, deterministic work."""

    value: float | None
    method: str
    cost: float = float("inf")
    why: str = ""
    samples: int = 0
    work: dict[str, int] = field(default_factory=dict)


def certify(cost: float, feasible: bool, bounds: list[Bound], work: dict[str, int]) -> Certificate:
    """The certificate of a schedule with this cost: the best of the bounds. A bound above the cost of a schedule that holds is refuted."""
    work = work | {key: value for b in bounds for key, value in b.work.items()}
    standing = [b for b in bounds if b.value is not None and not (feasible and b.value > cost + 1e-9 * abs(cost))]
    if not standing:
        why = "; ".join(dict.fromkeys(b.why or "withdrawn, since a simulated schedule undercuts it" for b in bounds)) or "the search was stopped before it had one"
        return Certificate(cost=cost, lower_bound=None, gap=None, kind="none", method=f"no bound: {why}", samples=sum(b.samples for b in bounds), work=work)
    best = max(standing, key=lambda b: b.value if b.value is not None else 0.0)
    assert best.value is not None
    gap = (cost - best.value) / abs(cost) if cost else 0.0
    return Certificate(cost=cost, lower_bound=best.value, gap=gap, kind="sampled", method=best.method, samples=best.samples, work=work)
