"""The versions that compute a utility's plans, in words: who publishes, who is compared, how that went, why it stands so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from levada.domain.release import Comparison, Release
from levada.web.views.display import Display

__all__ = ["ReleasePanel", "release_panel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePanel:
    """`is_withdrawn`: a canary went back by itself, which people should see."""

    mode: str
    stable: str
    candidate: str
    compared: str
    reason: str
    changed: str
    is_withdrawn: bool
    may_promote: bool
    may_roll_back: bool


def release_panel(release: Release, comparisons: Sequence[Comparison], d: Display) -> ReleasePanel:
    """As it stands; `comparisons` are of its candidate, the newest first."""
    pairs = [(c.by_stable.cost, c.by_candidate.cost) for c in comparisons if c.by_stable.cost is not None and c.by_candidate.cost is not None]
    stable = sum(s for s, _ in pairs)
    share = (sum(c for _, c in pairs) - stable) / abs(stable) if stable else None
    failed = sum(c.by_candidate.failure is not None for c in comparisons)
    return ReleasePanel(
        mode=d.t(f"release.{release.mode.value}"),
        stable=release.stable,
        candidate=release.candidate or "–",
        compared=d.t("release.compared", count=len(comparisons), failed=failed, share="–" if share is None else f"{'+' if share > 0 else ''}{d.percent(share, 2)}") if comparisons else "–",
        reason=release.reason,
        changed=d.local.stamp(release.changed_at),
        is_withdrawn=release.is_withdrawn,
        may_promote=release.candidate is not None,
        may_roll_back=release.previous_stable is not None,
    )
