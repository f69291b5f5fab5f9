"""Runs as rows of a list and as a page: state, cause, times, what they took, and what went wrong; and what failed for good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from levada.domain.run import Run, RunState
from levada.domain.time import parse_instant
from levada.store.dead_letters import DeadLetter
from levada.web.views.display import Display

__all__ = ["DeadRow", "RunRow", "dead_row", "run_row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run in words; `state` is the stable name for colours, `state_word` the language's."""

    run_id: str
    state: str
    state_word: str
    is_open: bool
    cause: str
    kind: str
    issue: str
    created: str
    started: str
    finished: str
    took: str
    waited: str
    cpu: str
    memory: str
    attempts: int
    by: str
    problem: str
    bundle_id: str
    result_sha256: str
    history: tuple[str, ...]
    """Earlier attempts and who intervened, each in a sentence with its time."""
    progress: str = ""
    """While it is computed: the best cost so far and how far above the least possible that is at most."""
    why_not: str = ""
    """Why it was cancelled."""


def run_row(run: Run, now: datetime, d: Display) -> RunRow:
    """The run as shown at `now`."""
    spent = run.accounting
    if spent is not None:
        took = f"{d.number(spent.wall_s, 1)}\u00a0s"
    elif run.started_at is not None and run.state is RunState.RUNNING:
        took = d.duration(now - run.started_at)
    else:
        took = "–"
    return RunRow(
        run_id=str(run.run_id),
        state=run.state.value,
        is_open=run.state.is_open,
        state_word=d.t(f"run.{run.state.value}"),
        cause=d.t(f"cause.{run.cause.value}"),
        kind=d.t(f"kind.{run.kind.value}"),
        issue=d.local.near(run.issue_time, now),
        created=d.local.near(run.created_at, now),
        started=d.local.near(run.started_at, now) if run.started_at else "–",
        finished=d.local.near(run.finished_at, now) if run.finished_at else "–",
        took=took,
        waited=f"{d.number(spent.queue_wait_s, 1)}\u00a0s" if spent else "–",
        cpu=f"{d.number(spent.cpu_s, 1)}\u00a0s" if spent else "–",
        memory=d.memory(spent.peak_memory_bytes) if spent else "–",
        attempts=run.attempts,
        by=run.started_by,
        problem=str((run.error or {}).get("message", "")),
        bundle_id=run.bundle_id or "",
        result_sha256=run.result_sha256 or "",
        progress=_progress(run, d),
        why_not=run.why_cancelled,
        history=tuple(f"{d.local.near(parse_instant(str(entry['at'])), now)}: {entry['message']}" for entry in run.history),
    )


def _progress(run: Run, d: Display) -> str:
    if run.state is not RunState.RUNNING or run.progress is None:
        return ""
    cost, bound = (run.progress.get(name) for name in ("cost", "bound"))
    if not isinstance(cost, int | float):
        return d.t("run.progress.none")
    if not isinstance(bound, int | float) or cost == 0:
        return d.t("run.progress.cost", cost=d.money(cost))
    return d.t("run.progress.bound", cost=d.money(cost), gap=d.percent((cost - bound) / abs(cost)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadRow:
    """A run that failed or a job that was given up."""

    letter_id: str
    at: str
    what: str
    attempts: int
    problem: str


def dead_row(letter: DeadLetter, now: datetime, d: Display) -> DeadRow:
    """The letter as shown at `now`: a run by its kind, a job by its task's name."""
    return DeadRow(
        letter_id=letter.letter_id,
        at=d.local.near(letter.at, now),
        what=d.t(f"kind.{letter.what}") if letter.is_run else letter.what,
        attempts=letter.attempts,
        problem=str(letter.error.get("message", "")),
    )
