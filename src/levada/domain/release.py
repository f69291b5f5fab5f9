"""Releases: which version of the algorithms computes a tenant's plans, and when a candidate has to go.

| mode | published plans come from | the other version computes the same inputs |
|---|---|---|
| stable | stable | no |
| shadow | stable | candidate, for comparison |
| canary | candidate | stable, for comparison |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from levada.domain.plan import PlanResult

__all__ = ["COMPARED", "WITHDRAWN", "Compared", "Comparison", "Release", "ReleaseMode", "worse_than_allowed"]

COMPARED = 5
"""A canary's cost is judged over so many of its last plans: one plan may be dearer by chance."""


WITHDRAWN = "withdrawn: "
"""How the reason of a release begins that returned to stable by itself."""


class ReleaseMode(StrEnum):
    STABLE = "stable"
    SHADOW = "shadow"
    CANARY = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A tenant's channels. `max_worse`: share by which a canary's plans may cost more; `reason`: why it stands so, in words."""

    stable: str
    candidate: str | None
    mode: ReleaseMode
    changed_at: datetime
    changed_by: str
    previous_stable: str | None = None
    max_worse: float = 0.02
    reason: str = ""

    @property
    def publishing(self) -> str:
        """The version whose plans are published."""
        return self.candidate if self.mode is ReleaseMode.CANARY and self.candidate is not None else self.stable

    @property
    def is_withdrawn(self) -> bool:
        """Whether a canary went back to stable by itself and nobody has set the channels since."""
        return self.mode is ReleaseMode.STABLE and self.reason.startswith(WITHDRAWN)

    @property
    def comparing(self) -> str | None:
        """The version that computes the same inputs for comparison."""
        return {ReleaseMode.STABLE: None, ReleaseMode.SHADOW: self.candidate, ReleaseMode.CANARY: self.stable}[self.mode]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What one version made of an input: a plan's audited cost, rung and violations, and what it took; or `failure`, why there is no plan."""

    cost: float | None = None
    ladder: str | None = None
    violations: int = 0
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    failure: str | None = None

    @classmethod
    def of(cls, result: PlanResult, cpu_s: float | None, peak_memory_bytes: int | None) -> Compared:
        plan = result.plan
        return cls(cost=plan.audit.cost, ladder=plan.ladder.value, violations=len(plan.audit.violations), cpu_s=cpu_s, peak_memory_bytes=peak_memory_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both versions on one input."""

    candidate: str
    by_stable: Compared
    by_candidate: Compared
    at: datetime


def worse_than_allowed(comparisons: Sequence[Comparison], max_worse: float) -> str | None:
    """Why the candidate has to go, in words; None where it may stay. `comparisons`: the newest first, of one candidate.

    It has to go when the newest shows a failure or violations that stable does not have, or when its last `COMPARED` plans together cost more than
    allowed. Plans of different rungs of the ladder are not compared by cost.
    """
    if not comparisons:
        return None
    old, new = comparisons[0].by_stable, comparisons[0].by_candidate
    if new.failure is not None and old.failure is None:
        return f"the candidate failed where stable did not: {new.failure}"
    if new.failure is None and old.failure is None and new.violations > old.violations:
        return f"the candidate's plan breaks {new.violations} limits, stable's {old.violations} on the same input"
    pairs = [
        (c.by_stable.cost, c.by_candidate.cost) for c in comparisons if c.by_stable.cost is not None and c.by_candidate.cost is not None and c.by_stable.ladder == c.by_candidate.ladder
    ][:COMPARED]
    if len(pairs) < COMPARED:
        return None
    stable, candidate = sum(p[0] for p in pairs), sum(p[1] for p in pairs)
    share = (candidate - stable) / max(abs(stable), 1e-9)
    return f"the candidate's last {COMPARED} plans cost {share:+.1%}, more than the {max_worse:.1%} allowed" if share > max_worse else None
