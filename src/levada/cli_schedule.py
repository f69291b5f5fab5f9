"""`levada schedule`, `levada audit` and `levada explain`: plan a case folder, judge a schedule of it, say why pumps are switched.

Exit codes: 0 the schedule is accepted, 3 it breaks a limit, 2 asked wrongly.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from levada.cli_interrupt import stop_on_interrupt

if TYPE_CHECKING:
    from levada.schedule import Progress

__all__ = ["audit", "explain", "schedule"]

_BROKEN = 3
_CASE = click.argument("case_path", metavar="CASE", type=click.Path(exists=True, path_type=Path))


@click.command("schedule")
@_CASE
@click.option("--out", "out", type=click.Path(file_okay=False, path_type=Path), help="Write schedule.csv, plan.json, trajectory.csv and plot.svg into this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as data (plan.json).")
@click.option("--quiet", is_flag=True, help="No progress on stderr, no plan on stdout; the exit code tells.")
def schedule(case_path: Path, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Plan a case: which pumps to run, when, and how far from the best that can be.

    CASE is a folder with a case.toml, or a case file. Ctrl-C stops the search and gives the best plan so far; a second one aborts. Exits 0
    where EPANET accepts the plan, 3 where no schedule was found that holds all limits, 2 for wrong input.

    \b
    Example:
      levada schedule examples/hill-town --out plan
    """
    from levada import cases

    case = cases.load(case_path)
    with stop_on_interrupt("stopping: the best plan so far comes after its audit; Ctrl-C again aborts") as stop:
        line = _ProgressLine(quiet=quiet)

        def watch(now: Progress) -> bool:
            line.show(now)
            return not stop.asked

        plan = cases.plan(case, progress=watch)
        line.end()
    if plan.document.stopped:
        click.echo("stopped: this is the best plan found so far", err=True)
    if as_json:
        click.echo(plan.document.model_dump_json(indent=1))
    elif not quiet:
        click.echo(str(plan))
    if out is not None:
        for path in plan.write(out):
            if not quiet and not as_json:
                click.echo(f"written: {path}")
    if not plan.accepted:
        sys.exit(_BROKEN)


@click.command("audit")
@_CASE
@click.argument("schedule_path", metavar="SCHEDULE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As data.")
def audit(case_path: Path, schedule_path: Path, as_json: bool) -> None:
    """Judge a schedule of a case in EPANET: whether every limit holds, and what it costs.

    SCHEDULE is a CSV as `levada schedule --out` writes it, by whomever it was made. Exits 0 where it is accepted, 3 where it is rejected.

    \b
    Example:
      levada audit examples/hill-town plan/schedule.csv
    """
    from levada import cases
    from levada.cases.plan_document import audit_report
    from levada.cases.summary import verdict
    from levada.hydraulics.audit import audit as judge

    case = cases.load(case_path)
    found = judge(*cases.read_schedule(schedule_path, case.problem, case.timeline))
    report = audit_report(case, found)
    if as_json:
        click.echo(report.model_dump_json(indent=1))
    else:
        click.echo(f"Cost {report.cost:.2f} {case.currency}.")
        click.echo("\n".join(verdict(report)))
    if not report.accepted:
        sys.exit(_BROKEN)


@click.command("explain")
@_CASE
@click.argument("schedule_path", metavar="SCHEDULE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As data.")
def explain(case_path: Path, schedule_path: Path, as_json: bool) -> None:
    """Why each pump is switched when it is, with the figures behind it.

    SCHEDULE is a plan.json, whose reasons are printed as stored, or a schedule.csv, for which they are computed.

    \b
    Example:
      levada explain examples/hill-town plan/plan.json
    """
    from levada import cases
    from levada.cases.explain import reasons_of

    case = cases.load(case_path)
    reasons = reasons_of(case, schedule_path)
    if as_json:
        click.echo(json.dumps([r.model_dump(mode="json") for r in reasons], indent=1, ensure_ascii=False))
        return
    for r in reasons:
        click.echo(f"{r.time.astimezone(case.clock):%Y-%m-%d %H:%M}  {r.text}")
        click.echo("    " + ", ".join(f"{name} {value:.6g}" for name, value in r.figures.items()))
    if not reasons:
        click.echo("no pump is switched")


class _ProgressLine:
    """Cost, bound and gap on stderr: one line that is rewritten on a terminal, else a line where something came closer, seldom."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._rewrites = quiet, sys.stderr.isatty()
        self._every_s = 0.25 if self._rewrites else 2.0
        self._last = -1e9
        self._shown = ""

    def show(self, now: Progress) -> None:
        if self._quiet or time.monotonic() - self._last < self._every_s:
            return
        text = _progress_text(now)
        if text == self._shown:
            return
        self._last, self._shown = time.monotonic(), text
        click.echo(f"\r\033[K{text}" if self._rewrites else text, err=True, nl=not self._rewrites)

    def end(self) -> None:
        if self._rewrites and self._shown:
            click.echo("\r\033[K", err=True, nl=False)


def _progress_text(now: Progress) -> str:
    cost = "no schedule holds all limits yet" if now.cost is None else f"cost {now.cost:.2f}"
    bound = "" if now.bound is None else f", bound {now.bound:.2f}"
    gap = f", gap {100 * (now.cost - now.bound) / now.cost:.2f} %" if now.cost is not None and now.bound is not None and now.cost > 0 else ""
    return f"{now.stage}: {cost}{bound}{gap} ({now.solves} solves)"
