"""How good a schedule provably is, and on what grounds."""

from __future__ import annotations

from levada.domain.plan import Certificate
from levada.schedule.bound import Relaxation

__all__ = ["certify"]

_METHOD = (
    "linear relaxation over tank levels, hydraulic components and pump configurations (convex hull of linear models with margins measured in EPANET)"
)


def certify(cost: float, relaxation: Relaxation | None, samples: int, work: dict[str, int], why_none: str = "") -> Certificate:
    """The certificate of a schedule of this cost. `samples` independent EPANET steps measured the margins; `why_none` says why there is no bound."""
    if relaxation is None or relaxation.value is None:
        return Certificate(cost=cost, lower_bound=None, gap=None, kind="none", method=f"no bound: {why_none}", samples=samples, work=work)
    value = relaxation.value
    gap = (cost - value) / abs(cost) if cost else 0.0
    return Certificate(cost=cost, lower_bound=value, gap=gap, kind="sampled", method=_METHOD, samples=samples, work=work)
