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
    from levada.store.content import sweep_objects
    from levada.store.tenants import list_tenants

    settings = settings_now()
    days, found = bundle_days or settings.bundle_days, []
    async with opened(settings) as (_, database):
        async with database.registry() as registry:
            tenants = [row.tenant_id for row in await list_tenants(registry)]
        for tenant in tenants:
            async with database.tenant(tenant) as db:
                dropped = await drop_bundles(db, older_than=timedelta(days=days), by="retention", at=settings.clock.now())
            found.append((tenant, dropped, await sweep_objects(database, tenant)))
    if as_json:
        print_json([{"tenant": t, "bundles": d.bundles, "contents": d.contents, "bytes": d.bytes, "objects": swept} for t, d, swept in found])
        return
    for tenant, dropped, swept in found:
        apart = f", {swept} objects deleted from the bundle store" if settings.bundle_store else ""
        click.echo(f"{tenant:16} {dropped.bundles:6} inputs older than {days} days dropped, {dropped.bytes / 1e6:.1f} MB{apart}")
