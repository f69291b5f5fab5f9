"""`levada retention`: what is kept for how long."""

from __future__ import annotations

from datetime import timedelta

import click

from levada.cli_installation import print_json, run_async, settings_now

__all__ = ["retention"]


@click.command("retention")
@click.option("--bundle-days", type=click.IntRange(1, 36500), help="How long inputs of runs are kept. [default: LEVADA_BUNDLE_DAYS, else 400]")
@click.option("--json", "as_json", is_flag=True, help="As data.")
@run_async
async def retention(bundle_days: int | None, as_json: bool) -> None:
    """Drop inputs of runs that are older than the policy says, of all utilities. To be called once a day.

    Results, plans and forecasts stay, and of each input its hash and those of its parts. A run whose input is gone cannot be
    computed again; backtests need the inputs of the days that they cover.

    \b
    Example:
      levada retention --bundle-days 200
    """
    from levada.serve import opened
    from levada.store.bundles import drop_bundles
    from levada.store.tenants import list_tenants

    settings = settings_now()
    days, found = bundle_days or settings.bundle_days, []
    async with opened(settings) as (_, database):
        async with database.registry() as registry:
            tenants = [row.tenant_id for row in await list_tenants(registry)]
        for tenant in tenants:
            async with database.tenant(tenant) as db:
                found.append((tenant, await drop_bundles(db, older_than=timedelta(days=days), by="retention", at=settings.clock.now())))
    if as_json:
        print_json([{"tenant": t, "bundles": d.bundles, "contents": d.contents, "bytes": d.bytes} for t, d in found])
        return
    for tenant, dropped in found:
        click.echo(f"{tenant:16} {dropped.bundles:6} inputs older than {days} days dropped, {dropped.bytes / 1e6:.1f} MB")
