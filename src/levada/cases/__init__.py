"""A case is a folder: a `case.toml`, an INP file, CSVs. Read into a pumping problem; its plan written beside it.

    from levada import cases
    case = cases.load("examples/hill-town")
    plan = cases.plan(case)          # in a notebook the last line of a cell draws it
    plan.write("out")

Read document.py (what a case file may say) and load.py (how it becomes a problem); terms.py, timeline.py, table.py and series.py are the words,
the clock and the files in it; tanks.py, pumps.py, demand.py and inp_terms.py its parts. Plans: planning.py (solve, audit, write), plan_document.py
(plan.json), schedule_csv.py, summary.py (the terminal), plot.py (plot.svg), explain.py; reference.py (the docs).
May import domain, hydraulics and schedule. Knows no database, environment, network or clock of the machine.
"""

from levada.cases.load import Case, load
from levada.cases.plan_document import PlanDocument
from levada.cases.planning import CasePlan, plan
from levada.cases.schedule_csv import read_schedule, write_schedule

__all__ = ["Case", "CasePlan", "PlanDocument", "load", "plan", "read_schedule", "write_schedule"]
