"""What a benchmark case is, and where its data are."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from levada.domain.pumping import Audit, PumpingProblem, PumpSchedule
from levada.domain.time import Steps
from levada.hydraulics.audit import audit
from levada.hydraulics.engine import Engine
from levada.hydraulics.simulate import Simulator

__all__ = ["Case", "DataMissing", "Posed", "networks_folder", "required", "shortened"]


class DataMissing(Exception):
    """The data of a case are not on this machine; the message says where they were looked for and what to do."""


def networks_folder() -> Path:
    """Folder of the public networks: LEVADA_BENCH_DATA/networks, by default ../shared/data beside the repository. It may not exist."""
    root = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("LEVADA_BENCH_DATA", root / ".." / "shared" / "data")) / "networks"


def required(*parts: str) -> Path:
    """A file or folder of the public networks. Raises DataMissing where it is not there."""
    path = networks_folder().joinpath(*parts)
    if not path.exists():
        raise DataMissing(f"no data at {path}: set LEVADA_BENCH_DATA to the folder that holds networks/{'/'.join(parts)}")
    return path


@dataclass(frozen=True, kw_only=True, eq=False)
class Posed:
    """A case as it is solved: the problem, the engine that simulates it, and the judge of what comes out."""

    problem: PumpingProblem
    engine: Callable[[PumpingProblem], Engine] = Simulator
    judge: Callable[[PumpingProblem, PumpSchedule], Audit] = audit


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A row of the table. `pose` reads the data and may raise DataMissing."""

    name: str
    pose: Callable[[], Posed]
    published: float | None = None
    """Cost as published, in the problem's currency; None where none is comparable."""
    what: str = ""
    """What the published figure is: `optimum` (proved), `best` (best known), or `gap 0.9%` (within it)."""
    peer: str = ""
    """Whose figure it is, and how long that took where it is known."""
    is_quick: bool = False
    """One of the few that --quick runs."""


def shortened(problem: PumpingProblem, count: int) -> PumpingProblem:
    """The problem's first `count` steps; what is asked of the end is asked then."""
    n = len(problem.steps)
    by_step = (
        "demand_m3_per_s", "price_per_kwh", "available", "reserve_level_m", "ceiling_level_m", "co2_kg_per_kwh", "day", "forced_on", "previous_on",
        "deviation_cost_per_h",
    )  # fmt: skip
    if problem.meters or problem.sources or problem.scenarios is not None:
        raise ValueError("a problem with meters, sources or scenarios is not shortened here")
    cut: dict[str, Any] = {name: value[:count] for name in by_step if (value := getattr(problem, name)) is not None and len(value) == n}
    return replace(problem, steps=Steps(problem.steps.start, problem.steps.durations_s[:count]), **cut)
