"""Doing a run again from its stored input: identical to the byte, or what differs.

On the same code, libraries and kind of machine a difference is a defect: something besides the bundle went into the result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from levada.domain.bundle import Bundle
from levada.domain.errors import InputGap
from levada.runs.child import ComputeChild
from levada.runs.manifest import Manifest, manifest
from levada.store.bundles import get_bundle
from levada.store.database import Database
from levada.store.runs import get_result, get_run

__all__ = ["MOST_DIFFERENCES", "Difference", "ReplayReport", "differences", "replay", "replay_file"]

MOST_DIFFERENCES = 20


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
    """What doing it again gave. `differences` are the first `MOST_DIFFERENCES`; `identical` is of the bytes."""

    identical: bool
    differences: tuple[Difference, ...]
    result: bytes
    with_manifest: Manifest
    """With what it was computed now."""
    other_versions: tuple[Difference, ...] = ()
    """Where that differs from what the run was computed with; empty also when the run is of a file."""


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


def _compared(then: bytes, now: bytes, made_with: dict[str, object] | None = None) -> ReplayReport:
    found: list[Difference] = []
    if then != now:
        for difference in differences(json.loads(then), json.loads(now)):
            found.append(difference)
            if len(found) == MOST_DIFFERENCES:
                break
        if not found:
            found.append(Difference("$", f"{len(then)} bytes", f"{len(now)} bytes of equal content, written differently"))
    return ReplayReport(identical=then == now, differences=tuple(found), result=now, with_manifest=manifest(), other_versions=tuple(differences(made_with, manifest().as_document(), "")) if made_with else ())


async def replay_file(bundle_file: bytes, expected: bytes) -> ReplayReport:
    """Compute a bundle file and compare with a result. Raises BundleError for a damaged file, ComputeFailed when it cannot be computed."""
    return _compared(expected, await _again(Bundle.from_file(bundle_file)))


async def replay(database: Database, tenant_id: str, run_id: UUID) -> ReplayReport:
    """Compute a stored run again, in a process of its own, and compare; changes nothing.

    Raises NotFound for an unknown run, InputGap for one that has no result to compare with, ComputeFailed when it cannot be computed now.
    """
    async with database.tenant(tenant_id) as db:
        run = await get_run(db, run_id)
        if run.bundle_id is None or run.result_sha256 is None:
            raise InputGap(f"run {run_id} is {run.state.value}: it has no result to compare with", "replay one that is done; `levada run list` shows them")
        bundle, then = await get_bundle(db, run.bundle_id), await get_result(db, run_id)
    return _compared(then, await _again(bundle), run.manifest)


async def _again(bundle: Bundle) -> bytes:
    child = ComputeChild()
    try:
        return (await child.compute(bundle)).result
    finally:
        await child.close()
