"""Doing a run again from its stored input, or from the file that it was exported to: identical to the byte, or what differs.

On the same code, libraries and kind of machine a difference is a defect: something besides the bundle went into the result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from levada.domain.bundle import Bundle, RecordedRun
from levada.domain.errors import InputGap
from levada.domain.run import RunKind
from levada.domain.training import TrainResult
from levada.runs.child import ComputeChild
from levada.runs.limits import RunLimits
from levada.runs.manifest import Manifest, manifest
from levada.store.bundles import get_bundle
from levada.store.database import Database
from levada.store.runs import get_result, get_run

__all__ = ["MOST_DIFFERENCES", "Difference", "ReplayReport", "differences", "replay", "replay_file"]

MOST_DIFFERENCES = 20
_UNHURRIED = RunLimits(timeout_s=86_400.0, cpu_s=86_400.0, memory_bytes=RunLimits().larger_memory_bytes)
"""Whatever a worker was allowed: somebody waits for the answer."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in the result, as a JSON path such as `$.plan.pumps[0].on[3]`, and its value then and now (as JSON text)."""

    path: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.path}: was {self.then}, is {self.now}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What doing it again gave. `differences` are the first `MOST_DIFFERENCES` of `count`; `identical` is of the bytes."""

    identical: bool
    differences: tuple[Difference, ...]
    count: int
    result: bytes
    with_manifest: Manifest
    """With what it was computed now."""
    other_versions: tuple[Difference, ...] = ()
    """Where that differs from what the run was computed with, `path` being the manifest's field; empty also when that is not known."""


def differences(then: Any, now: Any, path: str = "$") -> Iterator[Difference]:
    """Where two JSON values differ, in the order of the first. Numbers differ when they are not equal: there is no tolerance."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in [*then, *(k for k in now if k not in then)]:
            if key not in then or key not in now:
                yield Difference(f"{path}.{key}", _text(then[key]) if key in then else "absent", _text(now[key]) if key in now else "absent")
            else:
                yield from differences(then[key], now[key], f"{path}.{key}")
    elif isinstance(then, list) and isinstance(now, list):
        if len(then) != len(now):
            yield Difference(path, f"{len(then)} items", f"{len(now)} items")
        for i, (a, b) in enumerate(zip(then, now, strict=False)):
            yield from differences(a, b, f"{path}[{i}]")
    elif then != now or type(then) is not type(now):
        yield Difference(path, _text(then), _text(now))


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _compared(then: bytes, now: bytes, made_with: Mapping[str, object] | None) -> ReplayReport:
    found: list[Difference] = []
    if then != now:
        found = list(differences(json.loads(then), json.loads(now))) or [Difference("$", f"{len(then)} bytes", f"{len(now)} bytes of equal content, written differently")]
    versions = [Difference(d.path.removeprefix("$."), d.then, d.now) for d in differences(dict(made_with), manifest().as_document())] if made_with else []
    return ReplayReport(
        identical=then == now, differences=tuple(found[:MOST_DIFFERENCES]), count=len(found), result=now, with_manifest=manifest(), other_versions=tuple(versions)
    )


async def replay_file(recorded: RecordedRun) -> ReplayReport:
    """Compute an exported run and compare; needs no database. Raises ComputeFailed when it cannot be computed."""
    return _compared(recorded.result, await _again(recorded.bundle), recorded.made_with)


async def replay(database: Database, tenant_id: str, run_id: UUID) -> ReplayReport:
    """Compute a stored run again, in a process of its own, and compare; changes nothing.

    Raises NotFound for an unknown run, InputGap for one that has no result to compare with, ComputeFailed when it cannot be computed now.
    """
    async with database.tenant(tenant_id) as db:
        run = await get_run(db, run_id)
        if run.bundle_id is None or run.result_sha256 is None:
            raise InputGap(f"run {run_id} is {run.state.value}: it has no result to compare with", "replay one that is done; `levada runs list` shows them")
        bundle, then = await get_bundle(db, run.bundle_id), await get_result(db, run_id)
    now = await _again(bundle)
    if run.kind is RunKind.TRAIN:
        now = TrainResult.model_validate_json(now).report().to_bytes()  # as it was stored: models by their addresses
    return _compared(then, now, run.manifest)


async def _again(bundle: Bundle) -> bytes:
    child = ComputeChild()
    try:
        return (await child.compute(bundle, _UNHURRIED)).result
    finally:
        await child.close()
