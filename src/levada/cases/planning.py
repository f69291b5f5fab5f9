"""Plan a case: search, audit in EPANET, and write what came of it as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from levada.cases.load import Case
from levada.cases.output import write_files
from levada.cases.plan_document import PlanDocument, plan_document
from levada.cases.plot import plot
from levada.cases.schedule_csv import write_schedule
from levada.cases.summary import summary
from levada.domain.pumping import Audit, PumpingProblem
from levada.domain.time import from_np, isoformat_z
from levada.hydraulics.audit import audit
from levada.schedule import Solution, solve

if TYPE_CHECKING:
    from levada.schedule import Progress

__all__ = ["CasePlan", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CasePlan:
    """A case's plan: what the search found, what the audit says, and all of it as one document. Printed it is the summary of the
    terminal; in a notebook it is drawn."""

    case: Case
    solution: Solution
    audit: Audit
    document: PlanDocument

    @property
    def accepted(self) -> bool:
        """Whether EPANET's audit found that every limit holds."""
        return self.audit.accepted

    def __str__(self) -> str:
        return summary(self.case, self.document)

    def svg(self) -> str:
        """Prices, pumps and tank levels drawn as SVG."""
        return plot(self.case, self.document)

    def _repr_svg_(self) -> str:
        return self.svg()

    def files(self) -> dict[str, str]:
        """schedule.csv, plan.json, trajectory.csv and plot.svg: name -> text."""
        return {
            "schedule.csv": write_schedule(self.solution.problem, self.solution.schedule),
            "plan.json": self.document.model_dump_json(indent=1) + "\n",
            "trajectory.csv": _trajectory_csv(self.solution.problem, self.document),
            "plot.svg": self.svg(),
        }

    def write(self, folder: str | Path) -> tuple[Path, ...]:
        """Write the files into a folder, which is made where it is missing. Raises FileError where that cannot be done."""
        return write_files(folder, self.files())


def plan(case: Case, *, progress: Callable[[Progress], bool] | None = None) -> CasePlan:
    """Schedule a case and audit the schedule.

    `progress` is called as cost and bound close in; where it returns False the search stops and the best schedule so far is the plan.
    Raises ProblemError and NetworkError for what cannot be planned.
    """
    stopped = False

    def watched(now: Progress) -> bool:
        nonlocal stopped
        stopped = stopped or (progress is not None and not progress(now))
        return not stopped

    solution = solve(case.problem, work=case.work, progress=watched, start=case.previous)
    verdict = audit(solution.problem, solution.schedule)
    return CasePlan(case=case, solution=solution, audit=verdict, document=plan_document(case, solution, verdict, stopped=stopped))


def _trajectory_csv(problem: PumpingProblem, document: PlanDocument) -> str:
    """Levels at each step's start (the last row at the horizon's end); flows, power and pressures over the step."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([
        "time", *(f"{t.name}.level_m" for t in document.tanks), *(f"{p.name}.{w}" for p in document.pumps for w in ("flow_m3_per_s", "power_w")),
        *(f"{x.node}.pressure_m" for x in document.pressures), *(f"{s.reservoir}.volume_m3" for s in document.sources), "demand_m3_per_s",
    ])  # fmt: skip
    for k, edge in enumerate(problem.steps.edges):
        row: list[object] = [isoformat_z(from_np(edge)), *(t.level_m[k] for t in document.tanks)]
        if k < len(document.step_seconds):
            row += [v for p in document.pumps for v in (p.flow_m3_per_s[k], p.power_w[k])]
            row += ["" if x.pressure_m[k] is None else x.pressure_m[k] for x in document.pressures]
            row += [*(s.volume_m3[k] for s in document.sources), document.demand_m3_per_s[k]]
        else:
            row += [""] * (2 * len(document.pumps) + len(document.pressures) + len(document.sources) + 1)
        writer.writerow(row)
    return out.getvalue()
