"""`levada release ...` and `levada usage`: versions side by side, and what computing has taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from levada.cli_installation import print_json, run_async, settings_now

if TYPE_CHECKING:
    from levada.domain.release import Release
    from levada.store.database import Database, TenantConnection

__all__ = ["release", "usage"]

_BY = "command line"
_tenants_argument = click.argument("tenants", nargs=-1)
_all = click.option("--all", "is_all", is_flag=True, help="All utilities.")


@click.group("release")
def release() -> None:
    """Which version of the algorithms computes the plans of which utility.

    \b
    levada release candidate /opt/levada-next --all    name it, by where it is installed or by its name
    levada release shadow --all                        it computes each input as well; nothing of it is published
    levada release canary serra                        its plans are published; it goes back by itself when it is worse
    levada release promote --all                       it becomes stable
    levada release rollback --all                      the version before becomes stable again
    """


@release.command("show")
@click.option("--json", "as_json", is_flag=True)
@run_async
async def show(as_json: bool) -> None:
    """Versions that workers serve, each utility's channels, and how the candidate compares so far.

    \b
    Example:
      levada release show
    """
    from levada.domain.release import worse_than_allowed
    from levada.serve import opened
    from levada.store.releases import comparisons, get_release, served_versions

    async with opened(settings_now()) as (_, database):
        async with database.registry() as registry:
            served = await served_versions(registry)
        found: dict[str, dict[str, Any]] = {}
        for tenant_id in await _known(database):
            async with database.tenant(tenant_id) as db:
                channels = await get_release(db)
                if channels is None:
                    continue
                made = [] if channels.candidate is None else await comparisons(db, channels.candidate, 100)
            costs = [(c.by_stable.cost, c.by_candidate.cost) for c in made if c.by_stable.cost is not None and c.by_candidate.cost is not None]
            stable = sum(s for s, _ in costs)
            found[tenant_id] = {
                **asdict(channels), "mode": channels.mode.value, "compared": len(made), "failed": sum(c.by_candidate.failure is not None for c in made),
                "cost_share": (sum(c for _, c in costs) - stable) / abs(stable) if stable else None, "worse": worse_than_allowed(made, channels.max_worse),
            }  # fmt: skip
    if as_json:
        print_json({"served": [{**asdict(v), "is_served": v.is_served} for v in served], "tenants": found})
        return
    for v in served:
        click.echo(f"{v.version:24} {'served' if v.is_served else f'not served for {timedelta(seconds=round(v.age_s))}'}")
    if not found:
        click.echo("no utility has a candidate: whichever worker takes a run computes it")
    for tenant_id, told in found.items():
        compared = f"{told['compared']} inputs compared" + (f", {told['failed']} failed" if told["failed"] else "") + ("" if told["cost_share"] is None else f", cost {told['cost_share']:+.2%}")
        click.echo(f"{tenant_id:16} {told['mode']:7} stable {told['stable']}, candidate {told['candidate'] or 'none'}; {compared}")
        click.echo(f"{'':16} {told['reason']} ({told['changed_at']:%Y-%m-%d %H:%M} UTC)")
        if told["worse"]:
            click.echo(f"{'':16} {told['worse']}")


@release.command("candidate")
@click.argument("version")
@_tenants_argument
@_all
@click.option("--max-worse", type=click.FloatRange(0, 100), help="By how many % a canary's plans may cost more (2).")
@run_async
async def candidate(version: str, tenants: tuple[str, ...], is_all: bool, max_worse: float | None) -> None:
    """Name the candidate: by its name as `levada release show` has it, or by the virtual environment it is installed in.

    Nothing is computed with it before `levada release shadow` or `canary`.

    \b
    Example:
      levada release candidate /opt/levada-next --all
    """
    from levada.domain.release import ReleaseMode
    from levada.runs.contender import contender_at

    name = (await contender_at(Path(version))).name if Path(version).exists() else version
    await _set(tenants, is_all, ReleaseMode.STABLE, name, None if max_worse is None else max_worse / 100)


def _mode_command(mode: str, summary: str) -> None:
    @release.command(mode, help=f"{summary}\n\n\b\nExample:\n  levada release {mode} serra")
    @_tenants_argument
    @_all
    @run_async
    async def command(tenants: tuple[str, ...], is_all: bool) -> None:
        from levada.domain.release import ReleaseMode

        await _set(tenants, is_all, ReleaseMode(mode), None, None)


_mode_command("shadow", "The candidate computes each input as well; its results are compared and never published.")
_mode_command("canary", "The candidate's plans are published; stable computes the same inputs. It goes back by itself when it fails, breaks a limit or costs too much.")
_mode_command("stable", "The candidate computes nothing; it stays named.")


async def _set(tenants: Sequence[str], is_all: bool, mode: Any, name: str | None, max_worse: float | None) -> None:
    from levada.runs.contender import this_version
    from levada.store.releases import set_channels

    async def change(db: TenantConnection, at: datetime) -> Release:
        return await set_channels(db, mode, stable=this_version().name, candidate=name, max_worse=max_worse, by=_BY, at=at)

    await _each(tenants, is_all, change)


@release.command("promote")
@_tenants_argument
@_all
@run_async
async def promote(tenants: tuple[str, ...], is_all: bool) -> None:
    """The candidate becomes stable, from the next run on.

    \b
    Example:
      levada release promote --all
    """
    from levada.store import releases

    await _each(tenants, is_all, lambda db, at: releases.promote(db, _BY, at))


@release.command("rollback")
@_tenants_argument
@_all
@run_async
async def rollback(tenants: tuple[str, ...], is_all: bool) -> None:
    """The version before becomes stable again, from the next run on.

    \b
    Example:
      levada release rollback --all
    """
    from levada.store import releases

    await _each(tenants, is_all, lambda db, at: releases.roll_back(db, _BY, at))


async def _known(database: Database) -> list[str]:
    from levada.store.tenants import list_tenants

    async with database.registry() as registry:
        return [row.tenant_id for row in await list_tenants(registry)]


async def _chosen(database: Database, tenants: Sequence[str], is_all: bool) -> list[str]:
    there = await _known(database)
    if is_all == bool(tenants):
        raise click.UsageError("name utilities, or say --all")
    for tenant_id in tenants:
        if tenant_id not in there:
            raise click.BadParameter(f"there is no utility {tenant_id!r}; there are: {', '.join(there) or 'none'}")
    return there if is_all else list(dict.fromkeys(tenants))


async def _each(tenants: Sequence[str], is_all: bool, change: Callable[[TenantConnection, datetime], Awaitable[Release]]) -> None:
    """One utility after another; the first for which it cannot be done ends it, and what was changed before is told."""
    from levada.domain.errors import StateError
    from levada.serve import opened
    from levada.store.releases import served_versions

    settings = settings_now()
    async with opened(settings) as (_, database):
        chosen = await _chosen(database, tenants, is_all)
        done: list[tuple[str, Release]] = []
        for tenant_id in chosen:
            async with database.tenant(tenant_id) as db:
                try:
                    done.append((tenant_id, await change(db, settings.clock.now())))
                except StateError as e:
                    told = f"; changed before it: {', '.join(t for t, _ in done)}" if done else ""
                    raise StateError(f"{tenant_id}: {e.what}{told}", e.remedy) from e
        async with database.registry() as registry:
            served = {v.version for v in await served_versions(registry) if v.is_served}
    for tenant_id, now in done:
        click.echo(f"{tenant_id}: {now.mode.value}, stable {now.stable}, candidate {now.candidate or 'none'}")
    for version in sorted({v for _, now in done for v in (now.publishing, now.comparing) if v is not None} - served):
        click.echo(f"no worker serves {version} at present: a plan waits a minute for it, then another version computes it; see LEVADA_CANDIDATES", err=True)


@click.command("usage")
@click.option("--tenant", "tenants", multiple=True, help="Only this utility; may be repeated (all of them).")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First UTC day (30 days ago).")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last UTC day (today).")
@click.option("--prices", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A price table (TOML): what computing costs is then told in money.")
@click.option("--by-day", is_flag=True, help="A line for each day.")
@click.option("--csv", "as_csv", is_flag=True, help="Rows by day, kind and cause.")
@click.option("--json", "as_json", is_flag=True)
@run_async
async def usage(
    tenants: tuple[str, ...], first: datetime | None, last: datetime | None, prices: Path | None, by_day: bool, as_csv: bool, as_json: bool
) -> None:
    """What runs have taken, by utility: processor time, memory over time, bytes, time in the queue; in money by a price table.

    \b
    A price table:
      currency = "EUR"
      cpu_hour = 0.04          # per hour of processor time
      memory_gb_hour = 0.005   # per GB held for an hour
      gb = 0.02                # per GB of input read and result written
      run = 0.0                # per run

    \b
    Example:
      levada usage --from 2026-11-01 --prices prices.toml
    """
    from levada.domain.usage import PriceTable, rows_as_csv, summed
    from levada.serve import opened
    from levada.store.usage import list_usage

    table = None if prices is None else PriceTable.read(prices.read_text(encoding="utf-8"), prices.name)
    settings = settings_now()
    today = settings.clock.now().astimezone(UTC).date()
    begin, end = first.date() if first else today - timedelta(days=30), last.date() if last else today
    if begin > end:
        raise click.UsageError(f"--from {begin} is after --to {end}")
    rows = []
    async with opened(settings) as (_, database):
        for tenant_id in await _chosen(database, tenants, not tenants):
            async with database.tenant(tenant_id) as db:
                rows += await list_usage(db, begin, end)
    if as_csv:
        click.echo(rows_as_csv(rows, table), nl=False)
        return
    groups = summed(rows, by_day=by_day)
    if as_json:
        print_json({"currency": table.currency if table else None, "rows": [{**asdict(u), "money": table.money(u) if table else None} for u in groups]})
        return
    money = f" {table.currency:>10}" if table else ""
    click.echo(f"{'utility':16} {'day' if by_day else '':10} {'runs':>6} {'failed':>6} {'cpu h':>9} {'GB h':>9} {'GB':>9} {'wait s':>7} {'peak MB':>7}{money}")
    for u in groups:
        cost = f" {table.money(u):10.2f}" if table else ""
        click.echo(
            f"{u.tenant_id:16} {u.day.isoformat() if by_day else '':10} {u.runs:6} {u.failed:6} {u.cpu_s / 3600:9.3f} {u.memory_byte_s / 3.6e12:9.3f} {(u.bytes_read + u.bytes_written) / 1e9:9.3f} "
            f"{u.queue_wait_s / max(u.runs, 1):7.1f} {u.peak_memory_bytes / 1e6:7.0f}{cost}"
        )
    if not groups:
        click.echo(f"no run has ended from {begin} to {end}")
