"""What follows from a run where two versions serve a tenant: the same input for the other one, the comparison, and a canary's way back to stable."""

from __future__ import annotations

from datetime import datetime

from levada.domain.plan import PlanResult
from levada.domain.release import COMPARED, Compared, Comparison, Release, ReleaseMode, worse_than_allowed
from levada.domain.run import Accounting, Cause, Run, RunKind
from levada.store.database import TenantConnection
from levada.store.releases import add_comparison, comparisons, get_release, give_run_to, shadow_run, withdraw
from levada.store.runs import get_result, get_run
from levada.telemetry.log import get_logger

__all__ = ["after_plan", "after_shadow", "given_to_stable", "is_on_trial"]

log = get_logger("releases")

_CODE = "candidate-failed"
_OWN_FAULT = frozenset({"defect", "run-crash", "run-memory", "run-timeout", "run-cpu", "run-lost"})
"""Errors that no input excuses. Others, such as a gap in the input, stable may have as well: it says so by computing the same."""


def is_on_trial(release: Release | None, run: Run, version: str | None) -> bool:
    """Whether a candidate computes this run for publication."""
    return release is not None and run.kind is RunKind.PLAN and run.cause is not Cause.SHADOW and version is not None and version == release.candidate != release.stable


async def after_plan(db: TenantConnection, run: Run, version: str | None, at: datetime) -> None:
    """With the transaction that publishes a run's plan."""
    release = await get_release(db)
    if release is None:
        return
    failed = next((e for e in reversed(run.history) if e["code"] == _CODE and e.get("version") == release.candidate), None)
    if failed is not None and version == release.stable and release.candidate is not None:
        await withdraw(db, release.candidate, f"it failed where stable did not: {failed['message']}", at)
        return
    if release.comparing is not None and release.comparing != version:
        await shadow_run(db, run, release.comparing, at)


async def after_shadow(db: TenantConnection, run: Run, version: str | None, result: PlanResult | None, accounting: Accounting | None, failure: str | None, at: datetime) -> None:
    """With the transaction that ends a shadow run: hold both results against each other, and withdraw a canary that is worse than allowed."""
    assert run.shadow_of is not None
    release, published = await get_release(db), await get_run(db, run.shadow_of)
    if release is None or release.candidate is None or release.candidate not in (version, published.version):
        return  # the channels were changed meanwhile
    other = PlanResult.model_validate_json(await get_result(db, published.run_id))
    theirs = Compared.of(other, published.accounting.cpu_s if published.accounting else None, published.accounting.peak_memory_bytes if published.accounting else None)
    ours = (
        Compared(failure=failure or "it failed")
        if result is None
        else Compared.of(result, accounting.cpu_s if accounting else None, accounting.peak_memory_bytes if accounting else None)
    )
    by_candidate, by_stable = (ours, theirs) if version == release.candidate else (theirs, ours)
    await add_comparison(db, run.run_id, Comparison(candidate=release.candidate, by_stable=by_stable, by_candidate=by_candidate, at=at))
    if release.mode is not ReleaseMode.CANARY:
        return
    because = worse_than_allowed(await comparisons(db, release.candidate, 2 * COMPARED), release.max_worse)
    if because is not None:
        await withdraw(db, release.candidate, because, at)


async def given_to_stable(db: TenantConnection, run: Run, version: str | None, error: dict[str, object], at: datetime) -> bool:
    """Where a candidate on trial could not compute a run: stable does it, at once, and a fault of its own ends the trial. False where it is no such run."""
    release = await get_release(db)
    if release is None or not is_on_trial(release, run, version):
        return False
    assert release.candidate is not None
    message = str(error.get("message", error.get("code")))
    if not await give_run_to(db, run, release.stable, {**error, "code": _CODE, "was": error.get("code"), "message": message, "version": version}, at):
        return False
    log.warning("the candidate failed; stable computes the run", candidate=version, problem=message)
    if error.get("code") in _OWN_FAULT:
        await withdraw(db, release.candidate, f"it failed: {message}", at)
    return True
