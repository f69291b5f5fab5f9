"""May a plan be followed at an instant? A plan is a promise with an expiry: never after it, never beside a newer one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from levada.domain.plan import Plan

__all__ = ["Standing", "StandingState", "standing"]


class StandingState(StrEnum):
    """How a plan stands at an instant."""

    AHEAD = "ahead"
    """Its first step has not begun; what was followed before still holds."""
    VALID = "valid"
    EXPIRED = "expired"
    """Must not be followed: what it was made from is too old."""
    SUPERSEDED = "superseded"
    """Must not be followed: a newer plan is there."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a plan stands; `seconds_left` until it expires, 0 where it must not be followed."""

    state: StandingState
    seconds_left: float

    @property
    def may_be_followed(self) -> bool:
        return self.state is StandingState.VALID


def standing(plan: Plan, at: datetime, newest: Plan | None = None) -> Standing:
    """How `plan` stands at `at`; `newest` is the newest plan of the tenant, where another may have taken this one's place.

    Newer is what has the later issue time. A newer plan takes over when its first step begins; an expired one does not give the place back.
    The plan's steps may end before its expiry: then that is the end of what can be followed.
    """
    end = min(plan.expires_at, _end_of_steps(plan))
    if at >= end:
        return Standing(StandingState.EXPIRED, 0.0)
    if newest is not None and newest.issue_time > plan.issue_time and at >= newest.starts_at:
        return Standing(StandingState.SUPERSEDED, 0.0)
    left = (end - at).total_seconds()
    return Standing(StandingState.AHEAD if at < plan.starts_at else StandingState.VALID, left)


def _end_of_steps(plan: Plan) -> datetime:
    if not plan.step_starts:
        return plan.expires_at
    return plan.step_starts[-1] + timedelta(seconds=plan.step_seconds[-1])
