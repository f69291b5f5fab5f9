"""The `levada` command: one function a command.

A command calls one thing of the product, prints a table or `--json`, and exits 0 (yes, done), 1 (the answer is no),
2 (asked wrongly) or 3 (a limit does not hold). Errors that a person can mend go to stderr in words, without a traceback.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import click

from levada import (
    __version__,
    cli_backtest,
    cli_forecast,
    cli_jobs,
    cli_releases,
    cli_retention,
    cli_runs,
    cli_schedule,
)
from levada.cli_installation import print_json, run_async, settings_now
from levada.domain.errors import LevadaError
from levada.telemetry.log import configure_logs

__all__ = ["main"]

@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="levada")
def cli() -> None:
    """Levada: which pumps to run, when, and a proof of how good that is.

    \b
    Try it:             levada demo run
    Run all of it:      levada serve
    Put a utility in:   levada tenant apply FOLDER
    Plan one case:      levada schedule FOLDER
    Forecast demand:    levada forecast run FOLDER
    How does it stand:  levada status

    Where data lives and which ports are used is said by the environment; see `levada serve --help`.
    """


# --- parts ----------------------------------------------------------------------------------------------------------


def _part(name: str, summary: str, example: str) -> None:
    @cli.command(name, help=f"{summary}\n\n\b\nExample:\n  {example}")
    def run() -> None:
        from levada.serve import run_part

        asyncio.run(run_part(name, settings_now()))


_part("web", "Serve the pages and the API. May be started more than once, on ports of their own.", "LEVADA_HTTP_PORT=8081 levada web")
_part("sftp", "Serve SFTP: take in delivered files, put receipts and plans into outboxes.", "LEVADA_SFTP_PORT=2222 levada sftp")
_part("timetable", "Ask for the runs that are due. Several at once never ask twice.", "levada timetable")


@cli.command("worker")
@click.option("--drain", is_flag=True, help="Do what is due, then exit.")
def worker(drain: bool) -> None:
    """Compute runs: forecast, schedule, audit. May be started more than once.

    With --drain it takes what is due until nothing is left, prints what became of it, and ends.

    \b
    Exit codes of --drain:
      0  nothing is left, and all that was taken is done (also where nothing was due)
      3  some failed for good: `levada jobs dead` tells which and why
      4  nothing failed for good, but some are to be tried again later, or it was asked to stop (SIGTERM)

    \b
    Example:
      levada worker --drain
    """
    from levada import serve

    settings = settings_now()
    if drain:
        counts = asyncio.run(serve.drain(settings))
        if counts is None:
            click.echo("stopped; what had begun is done or put back into the queue")
            sys.exit(4)
        click.echo(f"{counts.done} done, {counts.failed} failed, {counts.put_off} to be tried again later")
        sys.exit(3 if counts.failed else 4 if counts.put_off else 0)
    asyncio.run(serve.run_part("worker", settings))


@cli.command("serve")
def serve_all() -> None:
    """Run all of it: pages, SFTP, timetable, workers and the embedded PostgreSQL.

    \b
    LEVADA_DATA_DIR       where files and the embedded database live (./.levada)
    LEVADA_DATABASE_URL   a PostgreSQL server of your own instead
    LEVADA_HTTP_HOST/PORT where the pages listen (127.0.0.1, 8080)
    LEVADA_SFTP_HOST/PORT where SFTP listens (127.0.0.1, 2222)
    LEVADA_WORKERS        worker processes (1)
    LEVADA_LOG            text or json
    LEVADA_SECURE_COOKIES 1 behind TLS
    OTEL_EXPORTER_OTLP_ENDPOINT  where spans go (else to the log)

    \b
    Example:
      LEVADA_HTTP_PORT=8081 levada serve
    """
    from levada.serve import serve

    asyncio.run(serve(settings_now()))


@cli.command("stop-database")
@run_async
async def stop_database() -> None:
    """Stop the embedded PostgreSQL, which goes on when single parts end.

    \b
    Example:
      levada stop-database
    """
    from levada.store import embedded

    await embedded.stop(settings_now().database_dir)


@cli.command("status")
@click.option("--json", "as_json", is_flag=True, help="As data.")
@run_async
async def status(as_json: bool) -> None:
    """How the installation stands; exits 1 where something is wrong.

    \b
    Example:
      levada status --json
    """
    from levada.ops.status import as_text, look
    from levada.serve import opened

    settings = settings_now()
    async with opened(settings) as (_, database):
        report = await look(database, settings.clock.now())
    if as_json:
        print_json(report.as_document())
    else:
        click.echo(as_text(report))
    if report.problems:
        sys.exit(1)


# --- tenants and who may see them -------------------------------------------------------------------------------------


@cli.group()
def tenant() -> None:
    """Utilities: put in, list."""


@tenant.command("apply")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@run_async
async def tenant_apply(folder: Path) -> None:
    """Put a utility in from its folder, or bring it up to date. The same folder twice changes nothing.

    \b
    Example:
      levada tenant apply ./utilities/serra
    """
    from levada.hydraulics.inp import read_network
    from levada.ops.provision import apply_tenant, read_tenant_folder
    from levada.serve import opened

    settings = settings_now()
    described = read_tenant_folder(folder)
    network = read_network(described.inp, described.network_name)
    async with opened(settings) as (_, database):
        versions = await apply_tenant(database, described, network, by="command line", at=settings.clock.now())
    click.echo(f"tenant {described.tenant_id} ({described.name}): " + ", ".join(f"{kind} version {v}" for kind, v in versions.items()))


@tenant.command("list")
@click.option("--json", "as_json", is_flag=True, help="As data.")
@run_async
async def tenant_list(as_json: bool) -> None:
    """The utilities of this installation.

    \b
    Example:
      levada tenant list
    """
    from levada.serve import opened
    from levada.store.tenants import list_tenants

    async with opened(settings_now()) as (_, database), database.registry() as registry:
        rows = await list_tenants(registry)
    if as_json:
        print_json([{"id": r.tenant_id, "name": r.name} for r in rows])
    for row in rows if not as_json else ():
        click.echo(f"{row.tenant_id:20} {row.name}")
    if not rows and not as_json:
        click.echo("no tenants yet; put one in with: levada tenant apply FOLDER")


@tenant.command("sql-reader")
@click.argument("tenant_id")
@run_async
async def tenant_sql_reader(tenant_id: str) -> None:
    """Make the database role that reads this tenant's rows and no other's, for reports and Grafana.

    \b
    Example:
      levada tenant sql-reader serra
    """
    from levada.serve import opened
    from levada.store.tenants import create_sql_reader

    async with opened(settings_now()) as (installation, _):
        role = await create_sql_reader(installation.admin_url, tenant_id)
    click.echo(role)


@cli.group()
def network() -> None:
    """EPANET networks: check."""


@network.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def network_check(file: Path) -> None:
    """Read an EPANET INP file as planning would; says what is wrong with it, else its SHA-256 and what is in it.

    \b
    Example:
      levada network check network.inp
    """
    from levada.hydraulics.inp import read_network

    found = read_network(file.read_bytes(), file.name)
    click.echo(f"{found.sha256}  {file.name}")
    click.echo(f"{len(found.junctions)} junctions, {len(found.tanks)} tanks, {len(found.reservoirs)} reservoirs, {len(found.pumps)} pumps, {len(found.links)} pipes and valves")


@cli.group()
def user() -> None:
    """People who may sign in."""


@user.command("add")
@click.argument("email")
@click.option("--tenant", "tenant_id", required=True, help="The utility that this person may see.")
@click.option("--role", type=click.Choice(["viewer", "operator", "engineer"]), default="operator", show_default=True)
@click.option("--name", default="", help="Shown on the pages.")
@click.password_option(help="Asked for when left out; or by standard input.")
@run_async
async def user_add(email: str, tenant_id: str, role: str, name: str, password: str) -> None:
    """Let a person sign in and see a utility. Again with another tenant adds that one.

    \b
    Example:
      levada user add ana@example.org --tenant serra --role operator
    """
    from levada.domain.tenant import Role
    from levada.serve import opened
    from levada.store.accounts import create_account, set_membership

    async with opened(settings_now()) as (_, database), database.registry() as registry:
        await create_account(registry, email, name or email, password)
        await set_membership(registry, email, tenant_id, Role(role))
    click.echo(f"{email} may see {tenant_id} as {role}")


@cli.group()
def key() -> None:
    """SSH public keys with which a utility's systems deliver files."""


@key.command("add")
@click.argument("tenant_id")
@click.argument("public_key", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", help="What holds the key, such as: SCADA server 1.")
@run_async
async def key_add(tenant_id: str, public_key: Path, name: str) -> None:
    """Let the holder of a key deliver files for a utility; the SFTP user name is the tenant's id.

    \b
    Example:
      levada key add serra scada.pub --name "SCADA server 1"
    """
    from levada.serve import opened
    from levada.store.accounts import add_sftp_key

    async with opened(settings_now()) as (_, database), database.registry() as registry:
        fingerprint = await add_sftp_key(registry, tenant_id, public_key.read_text(), name or public_key.name)
    click.echo(f"{fingerprint} may deliver for {tenant_id}")


@cli.group()
def token() -> None:
    """Bearer tokens with which programs use the API."""


@token.command("add")
@click.argument("tenant_id")
@click.argument("name")
@click.option("--right", "rights", multiple=True, default=("plans:read",), show_default=True, help="May be given more than once.")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long it is valid.")
@run_async
async def token_add(tenant_id: str, name: str, rights: tuple[str, ...], days: int) -> None:
    """Make a token; it is shown this once and stored only as a hash.

    \b
    Example:
      levada token add serra scada-plan-reader --right plans:read
    """
    from levada.serve import opened
    from levada.store.accounts import create_token

    settings = settings_now()
    async with opened(settings) as (_, database), database.registry() as registry:
        secret = await create_token(registry, tenant_id, name, frozenset(rights), settings.clock.now() + timedelta(days=days))
    click.echo(secret)


# --- demo -------------------------------------------------------------------------------------------------------------


@cli.group()
def demo() -> None:
    """Two simulated utilities on real demand."""


@demo.command("run")
@click.option("--rate", type=click.FloatRange(1, 1000), default=120.0, show_default=True, help="How much faster than real time; 1 is real time.")
@click.option("--history-days", type=click.IntRange(22, 370), default=61, show_default=True)
@click.option("--dir", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(".demo"), show_default=True)
def demo_run(rate: float, history_days: int, folder: Path) -> None:
    """Run the demo until Ctrl-C; again resumes where it stopped.

    \b
    Example:
      levada demo run --rate 60
    """
    from levada.demonstration import run_demo

    sys.exit(asyncio.run(run_demo(folder, rate=rate, history_days=history_days, env=os.environ, say=click.echo)))


@demo.command("clean")
@click.option("--dir", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(".demo"), show_default=True)
@run_async
async def demo_clean(folder: Path) -> None:
    """Forget the demo: stop its database and remove its files.

    \b
    Example:
      levada demo clean
    """
    from levada.demonstration import clean_demo

    await clean_demo(folder, click.echo)
    click.echo(f"{folder} is gone")


@demo.command("customer", hidden=True)
@click.argument("tenant_id")
def demo_customer(tenant_id: str) -> None:
    """One simulated utility: started by `levada demo run`."""
    from levada.demonstration import run_demo_customer

    asyncio.run(run_demo_customer(tenant_id, os.environ))


for command in (cli_schedule.schedule, cli_schedule.audit, cli_schedule.explain, cli_forecast.forecast, cli_runs.run, cli_runs.replay, cli_runs.runs, cli_jobs.jobs, cli_retention.retention, cli_backtest.backtest, cli_backtest.gate, cli_releases.release, cli_releases.usage):
    cli.add_command(command)


def main(args: list[str] | None = None) -> int:
    """Entry of the command; returns the exit code."""
    # Commands answer on stdout; what the parts log meanwhile matters only when it is a warning. Parts set their own level.
    configure_logs(level="WARNING")
    # For the processes that compute: one thread of linear algebra each, so that sums are added in the same order wherever a run is done again.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        outcome = cli.main(args=args, standalone_mode=False)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as e:
        e.show()
        return 2
    except LevadaError as e:
        click.echo(f"levada: {e}", err=True)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except Exception as e:
        # With the database's driver: only where something went wrong.
        from levada.store.database import DATABASE_TROUBLE

        # What is done side by side ends in a group of what went wrong.
        trouble, others = (e if isinstance(e, ExceptionGroup) else ExceptionGroup("", [e])).split(DATABASE_TROUBLE)
        if trouble is None or others is not None:
            raise
        first: Exception = trouble
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        click.echo(f"levada: {' '.join(str(first).split())}; try again once it is back", err=True)
        return 2
    return outcome if isinstance(outcome, int) else 0

