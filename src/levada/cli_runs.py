"""`levada run`, `levada replay` and `levada runs ...`: computing from a file alone, doing again, and the runs of an installation.

`levada run BUNDLE --out RESULT` is the whole contract of the algorithms: a file in, a file out. It starts without what the
installation needs (database, queue, web), so that a container job or a function service can begin within a second.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from levada.cli_installation import print_json, run_async, settings_now
from levada.domain.errors import LevadaError

if TYPE_CHECKING:
    from levada.runs.replay import ReplayReport

__all__ = ["replay", "run", "runs"]

_NO = 1


# --- from a file alone ------------------------------------------------------------------------------------------------


@click.command("run")
@click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Where the result goes; it is there whole or not at all.")
def run(bundle: Path, out: Path) -> None:
    """Compute a run from its file: a file in, a file out, no database, no network, no settings but the file's.

    \b
    Exit codes:
      0  the result is in RESULT, as canonical JSON: the same file and code give the same bytes
      1  the input does not hold: the error is a JSON document on stderr (code, message, ...)
      2  asked wrongly
      other  the program itself failed: a traceback, or the signal that ended it

    \b
    Example:
      levada run plan.bundle --out result.json
    """
    if not out.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {out.absolute().parent}", param_hint="--out")
    from levada.domain.bundle import Bundle

    try:
        given = Bundle.from_file(bundle.read_bytes(), bundle.name)
        from levada.runs.pipeline import compute  # takes a while: what is no bundle is told before

        result = compute(given)
    except LevadaError as e:
        click.echo(json.dumps(e.as_document(), ensure_ascii=False, default=str), err=True)
        sys.exit(_NO)
    part = out.with_name(f"{out.name}.part")
    part.write_bytes(result)
    os.replace(part, out)


@click.command("replay")
@click.argument("what", metavar="FILE|TENANT")
@click.argument("run_id", metavar="[RUN]", type=click.UUID, required=False)
@run_async
async def replay(what: str, run_id: UUID | None) -> None:
    """Compute a run again: one that was exported to FILE, or RUN of TENANT from what is stored.

    Says `identical`, or in how many places the results differ (exit 1) and where: JSON path, value then, value now. Whatever the
    code, the libraries or the kind of machine have become since is told besides. A file needs no database.

    \b
    Example:
      levada replay plan.run
      levada replay serra 0b9e...
    """
    if run_id is None:
        from levada.domain.bundle import RecordedRun
        from levada.runs.replay import replay_file

        path = Path(what)
        if not path.is_file():
            raise click.UsageError(f"there is no file {what}; give an exported run, or a tenant and the number of a run")
        report = await replay_file(RecordedRun.from_file(path.read_bytes(), path.name))
    else:
        from levada.runs.replay import replay as replay_stored
        from levada.serve import opened

        async with opened(settings_now()) as (_, database):
            report = await replay_stored(database, what, run_id)
    _tell(report)
    if not report.identical:
        sys.exit(_NO)


def _tell(report: ReplayReport) -> None:
    for version in report.other_versions:
        click.echo(f"computed with another {version}", err=True)
    if report.identical:
        click.echo("identical")
        return
    click.echo(f"different in {report.count} {'place' if report.count == 1 else 'places'}:")
    for difference in report.differences:
        click.echo(f"  {difference}")
    if report.count > len(report.differences):
        click.echo(f"  and {report.count - len(report.differences)} more")


# --- in an installation -----------------------------------------------------------------------------------------------


@click.group("runs")
def runs() -> None:
    """Runs of a utility: start, list, cancel, export."""


@runs.command("start")
@click.argument("tenant_id")
@click.option("--kind", type=click.Choice(["plan", "train"]), default="plan", show_default=True, help="A plan, or a training of the demand models.")
@run_async
async def runs_start(tenant_id: str, kind: str) -> None:
    """Ask for a plan, or a training, now.

    \b
    Example:
      levada runs start serra
      levada runs start serra --kind train
    """
    from levada.domain.run import Cause, RunKind
    from levada.serve import opened
    from levada.store.runs import request_run

    settings = settings_now()
    now = settings.clock.now()
    async with opened(settings) as (_, database), database.tenant(tenant_id) as db:
        made = await request_run(db, kind=RunKind(kind), cause=Cause.OPERATOR, issue_time=now, at=now, started_by="command line")
    click.echo(f"{made.run_id} {'queued' if made.created else 'was already queued'}")


@runs.command("list")
@click.argument("tenant_id")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As data.")
@run_async
async def runs_list(tenant_id: str, limit: int, as_json: bool) -> None:
    """The latest runs of a utility.

    \b
    Example:
      levada runs list serra --limit 5
    """
    from levada.serve import opened
    from levada.store.runs import list_runs

    async with opened(settings_now()) as (_, database), database.tenant(tenant_id) as db:
        found = await list_runs(db, limit)
    if as_json:
        print_json([{"id": r.run_id, "kind": r.kind, "state": r.state, "cause": r.cause, "issue_time": r.issue_time, "attempts": r.attempts, "error": r.error, "history": r.history} for r in found])
        return
    for r in found:
        seconds = f"{r.accounting.wall_s:6.1f} s" if r.accounting else "       -"
        click.echo(f"{r.run_id}  {r.issue_time:%Y-%m-%d %H:%M}Z  {r.kind:6} {r.state:9} {r.cause:10} {seconds}  {(r.error or {}).get('message', '')}")


@runs.command("cancel")
@click.argument("tenant_id")
@click.argument("run_id", type=click.UUID)
@run_async
async def runs_cancel(tenant_id: str, run_id: UUID) -> None:
    """End a run that is not wanted any more: one that waits is never begun, one that is being computed is stopped within seconds.

    \b
    Example:
      levada runs cancel serra 0b9e...
    """
    from levada.serve import opened
    from levada.store.runs import cancel_run

    settings = settings_now()
    async with opened(settings) as (_, database), database.tenant(tenant_id) as db:
        await cancel_run(db, run_id, "command line", settings.clock.now())
    click.echo(f"{run_id} cancelled")


@runs.command("export")
@click.argument("tenant_id")
@click.argument("run_id", type=click.UUID)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@run_async
async def runs_export(tenant_id: str, run_id: UUID, out: Path) -> None:
    """Write a run as one file: its input, its result, and with what it was computed. Whoever has Levada can compute it again.

    A run without a result is written as its input alone.

    \b
    Example:
      levada runs export serra 0b9e... --out plan.run
    """
    from levada.domain.bundle import RecordedRun
    from levada.domain.errors import InputGap
    from levada.domain.time import isoformat_z
    from levada.serve import opened
    from levada.store.bundles import get_bundle
    from levada.store.runs import get_result, get_run

    async with opened(settings_now()) as (_, database), database.tenant(tenant_id) as db:
        found = await get_run(db, run_id)
        if found.bundle_id is None:
            raise InputGap(f"run {run_id} is {found.state.value}: its input is not frozen", "export a run that was computed; `levada runs list` shows them")
        bundle = await get_bundle(db, found.bundle_id)
        result = await get_result(db, run_id) if found.result_sha256 is not None else None
    told = {"tenant": tenant_id, "run_id": str(run_id), "kind": found.kind.value, "issue_time": isoformat_z(found.issue_time)}
    content = bundle.to_file() if result is None else RecordedRun(bundle=bundle, result=result, made_with=found.manifest or {}, run=told).to_file()
    out.write_bytes(content)
    click.echo(f"{out}: {len(content)} bytes; compute it with: levada {'run' if result is None else 'replay'} {out}{' --out result.json' if result is None else ''}")
