"""Runs: a piece of computing that happened, with what went in, what came out and what it took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from levada.domain.tenant import TenantId

__all__ = ["Accounting", "Cause", "Run", "RunKind", "RunState"]


class RunKind(StrEnum):
    """What a run makes: a plan, or the models that plans forecast demand with."""

    PLAN = "plan"
    TRAIN = "train"


class RunState(StrEnum):
    """queued -> running -> done | failed | cancelled. A run whose worker died is begun again; one that failed or was cancelled can be tried again."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        """It waits or is being computed."""
        return self in (RunState.QUEUED, RunState.RUNNING)


class Cause(StrEnum):
    """Why a run was made."""

    TIMETABLE = "timetable"
    NEW_DATA = "new-data"
    OPERATOR = "operator"
    SHADOW = "shadow"
    """To hold one version against another: it computes another run's input, and what comes of it is never published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """What a run took: seconds of wall clock and of processor, peak memory of the computing process, bytes of its input and result."""

    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    queue_wait_s: float
    bytes_read: int = 0
    bytes_written: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run as stored. `issue_time` is the instant whose knowledge it uses; `error` is set when it failed."""

    tenant_id: TenantId
    run_id: UUID
    kind: RunKind
    state: RunState
    cause: Cause
    issue_time: datetime
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    bundle_id: str | None = None
    result_sha256: str | None = None
    attempts: int = 0
    error: dict[str, object] | None = None
    accounting: Accounting | None = None
    manifest: dict[str, object] | None = None
    """With what it was computed: versions of code and libraries, kind of machine."""
    progress: dict[str, object] | None = None
    """How it got on when last heard of: `stage`, and `cost` and `bound` of what was found so far, each None while there is none."""
    started_by: str = ""
    version: str | None = None
    """The version that is to compute it, or has; None: whichever takes it."""
    shadow_of: UUID | None = None
    history: tuple[dict[str, object], ...] = ()
    """What became of earlier attempts, who cancelled it or had it tried again: entries as errors are (code, message, ...), each with `at`; the oldest first."""

    @property
    def why_cancelled(self) -> str:
        """In words; empty for a run that is not cancelled."""
        return str(self.history[-1]["message"]) if self.state is RunState.CANCELLED and self.history else ""
