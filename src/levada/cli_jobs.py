"""`levada jobs ...`: what failed for good, and trying it again; how many jobs wait for a worker."""

from __future__ import annotations

import click

from levada.cli_installation import print_json, run_async, settings_now

__all__ = ["jobs"]


@click.group("jobs")
def jobs() -> None:
    """What failed for good: list, try again. How many jobs are due."""


@jobs.command("dead")
@click.argument("tenant_id", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="The newest of each utility.")
@click.option("--json", "as_json", is_flag=True, help="As data.")
@run_async
async def jobs_dead(tenant_id: str | None, limit: int, as_json: bool) -> None:
    """Runs that failed and jobs that were given up, with the reason: of one utility, or of all.

    \b
    Example:
      levada jobs dead
      levada jobs dead serra --json
    """
    from levada.serve import opened
    from levada.store.dead_letters import dead_letters
    from levada.store.tenants import list_tenants

    found = []
    async with opened(settings_now()) as (_, database):
        if tenant_id is None:
            async with database.registry() as registry:
                tenants = [row.tenant_id for row in await list_tenants(registry)]
        else:
            tenants = [tenant_id]
        for tenant in tenants:
            async with database.tenant(tenant) as db:
                found += [(tenant, letter) for letter in await dead_letters(db, limit)]
    if as_json:
        print_json([{"tenant": t, "id": d.letter_id, "run": d.is_run, "what": d.what, "at": d.at, "attempts": d.attempts, "error": d.error} for t, d in found])
        return
    for tenant, letter in found:
        click.echo(f"{letter.at:%Y-%m-%d %H:%M}Z  {tenant:16} {letter.letter_id:36}  {letter.what:8} {letter.attempts:2} attempts  {letter.error.get('message', '')}")
    click.echo(f"try one again with: levada jobs retry {found[0][0]} {found[0][1].letter_id}" if found else "nothing has failed for good")


@jobs.command("retry")
@click.argument("tenant_id")
@click.argument("letter_id", metavar="ID")
@run_async
async def jobs_retry(tenant_id: str, letter_id: str) -> None:
    """Try again what failed for good: ID is that of a run or of a job, as `levada jobs dead` lists them. A cancelled run may be tried again as well.

    A run uses the input that it froze when it was first begun. Who had it tried again is in the audit log.

    \b
    Example:
      levada jobs retry serra 0b9e...
    """
    from levada.serve import opened
    from levada.store.dead_letters import retry_letter

    settings = settings_now()
    async with opened(settings) as (_, database), database.tenant(tenant_id) as db:
        await retry_letter(db, letter_id, "command line", settings.clock.now())
    click.echo(f"{letter_id} queued")


@jobs.command("due")
@click.option("--queue-url", is_flag=True, help="Print instead the address under which an autoscaler may ask the database itself; it holds a password.")
@run_async
async def jobs_due(queue_url: bool) -> None:
    """How many jobs a worker could begin at this moment: for whatever starts workers when there is work.

    \b
    In SQL, under the address that --queue-url prints:
      SELECT registry.jobs_due(16, 10)
    16 is LEVADA_BACKGROUND_JOBS, and 10 the seconds after which a silent worker is taken for dead.

    \b
    Example:
      levada jobs due
    """
    from levada.serve import opened
    from levada.store.jobs import jobs_due as due

    settings = settings_now()
    async with opened(settings) as (installation, database):
        if queue_url:
            click.echo(installation.worker_url)
            return
        async with database.registry() as registry:
            click.echo(str(await due(registry, background=settings.background_jobs)))
