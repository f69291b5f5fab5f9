"""Why pumps are switched: the reasons stored in a plan.json, or those computed for a schedule.csv."""

from __future__ import annotations

from pathlib import Path

from levada.cases.load import Case
from levada.cases.plan_document import read_plan
from levada.cases.schedule_csv import read_schedule
from levada.domain.plan import Reason
from levada.domain.time import from_np
from levada.schedule import explain_schedule

__all__ = ["reasons_of"]


def reasons_of(case: Case, path: Path) -> list[Reason]:
    """In the order of time. Raises FileError and RowError for a file that is neither, or of another case."""
    if path.suffix.lower() == ".json":
        return read_plan(case, path).reasons
    problem, schedule = read_schedule(path, case.problem, case.timeline)
    times = problem.steps.times
    return [Reason(pump=r.pump, time=from_np(times[r.step]), action=r.action, text=r.text, figures=r.figures) for r in explain_schedule(problem, schedule)]
