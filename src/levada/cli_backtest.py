"""`levada backtest` and `levada gate`: past days decided again, and whether a candidate may be released."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from levada.cli_installation import print_json, run_async, settings_now
from levada.domain.errors import LevadaError

if TYPE_CHECKING:
    from levada.runs.backtest import TriedDay
    from levada.runs.contender import Contender
    from levada.runs.gate import TenantVerdict
    from levada.store.database import Database

__all__ = ["backtest", "gate"]

_NO = 1
_ON_TIME = "on-time"
_workers = click.option("--workers", type=click.IntRange(1, 256), default=2, show_default=True, help="Days computed side by side, of all utilities; each takes about 300 MB and as much for the candidate.")
_every = click.option("--every", type=click.IntRange(1, 24), metavar="HOURS", help="Decide so often, instead of when the timetable says (every 4 h where it says nothing).")
_knowledge = click.option(
    "--knowledge", type=click.Choice(["recorded", _ON_TIME]), default="recorded", show_default=True,
    help="What a decision knew: as recorded, or each reading at the instant that it is for (for history that was loaded in bulk).",
)  # fmt: skip
_until = click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day (the last one that is known whole).")
_out = click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write TENANT.json and TENANT.csv into this folder.")


@click.command("backtest")
@click.option("--tenant", "tenant_id", required=True)
@click.option("--days", type=click.IntRange(1, 3660), default=100, show_default=True, help="So many of the latest days.")
@click.option("--candidate", type=click.Path(path_type=Path), metavar="VERSION", help="Another version beside this one: the virtual environment it is installed in, or its Python.")
@_every
@_until
@_knowledge
@_workers
@_out
@click.option("--json", "as_json", is_flag=True, help="Print all of it as data.")
@run_async
async def backtest(
    tenant_id: str, days: int, candidate: Path | None, every: int | None, until: datetime | None, knowledge: str, workers: int, out: Path | None, as_json: bool
) -> None:
    """Decide past days again, with what was known at each decision, and tell what would have come of it.

    Demand and prices are those that came; EPANET simulates what the plans would have done, and tells cost and every limit that would not have held. Nothing
    is published or stored.

    \b
    Exit codes: 0 done, 1 there is no day to try, 2 asked wrongly.

    \b
    Example:
      levada backtest --tenant serra --days 28
      levada backtest --tenant serra --days 28 --candidate /opt/levada-next --out report
    """
    from levada.runs import backtest_report as report
    from levada.runs.contender import contender_at, this_version
    from levada.serve import opened

    versions = (this_version(), *((await contender_at(candidate),) if candidate else ()))
    async with opened(settings_now()) as (_, database):
        chosen = (await _days(database, tenant_id, until))[-days:]
        if not chosen:
            click.echo(f"{tenant_id}: there is no day to try: too little history has been measured", err=True)
            sys.exit(_NO)
        if len(chosen) < days:
            click.echo(f"{tenant_id}: {len(chosen)} days instead of {days}: there is no more history", err=True)
        tried, currency = await _tried(database, tenant_id, versions, chosen, every, knowledge, workers)
    names = [v.name for v in versions]
    _write(out, tenant_id, tried, names, currency)
    if as_json:
        print_json(report.as_document(tried, names, currency))
    else:
        click.echo(report.as_text(tried, names, currency))


@click.command("gate")
@click.argument("candidate", type=click.Path(path_type=Path))
@click.option("--tenant", "tenant_ids", multiple=True, help="Only this utility; may be repeated (all of them).")
@click.option("--days", type=click.IntRange(1, 3660), default=21, show_default=True, help="About so many days, some of each kind: weekdays, Saturdays, Sundays, holidays, clock changes.")
@click.option("--within", type=click.IntRange(1, 3660), default=400, show_default=True, help="Of so many latest days.")
@click.option("--cost", type=float, default=0.5, show_default=True, help="It may cost so many % more over all days, ...")
@click.option("--cost-of-a-kind", type=float, default=2.0, show_default=True, help="... and so many over the days of a kind.")
@click.option("--time", "time_", type=float, default=25.0, show_default=True, help="The median decision may take so many % more processor time.")
@click.option("--memory", type=float, default=25.0, show_default=True, help="A decision may take so many % more memory.")
@click.option("--allow-missing", is_flag=True, help="Utilities without enough history are told and passed over.")
@_every
@_until
@_knowledge
@_workers
@_out
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as data.")
@run_async
async def gate(
    candidate: Path, tenant_ids: tuple[str, ...], days: int, within: int, cost: float, cost_of_a_kind: float, time_: float, memory: float, allow_missing: bool,
    every: int | None, until: datetime | None, knowledge: str, workers: int, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Hold a candidate against this version on past days of every utility; the answer is the exit code.

    CANDIDATE is the virtual environment that the other version is installed in, or its Python. It is refused where it costs more than allowed over all days
    or over those of one kind, breaks a limit that this version keeps, fails where this one does not, or takes more time or memory than allowed.

    \b
    Exit codes: 0 it may be released, 1 it may not, 2 asked wrongly or not installed.

    \b
    Example:
      levada gate /opt/levada-next --days 21 --out gate
    """
    from levada.domain.time import zone
    from levada.runs.contender import contender_at, this_version
    from levada.runs.day_kind import days_to_try
    from levada.runs.gate import GateLimits, TenantVerdict, judge
    from levada.serve import opened

    versions = (this_version(), await contender_at(candidate))
    limits = GateLimits(cost=cost / 100, cost_of_a_kind=cost_of_a_kind / 100, time=time_ / 100, memory=memory / 100)
    seats, at_once = asyncio.Semaphore(workers), asyncio.Semaphore(workers + 1)
    async with opened(settings_now()) as (_, database):

        async def verdict_on(tenant_id: str) -> TenantVerdict:
            known = (await _days(database, tenant_id, until))[-within:]
            if not known and allow_missing:
                return TenantVerdict(tenant_id=tenant_id, refusals=(), told=("passed over: too little history has been measured",))
            holidays, time_zone = await _calendar(database, tenant_id, known)
            chosen = days_to_try(known, zone(time_zone), holidays, days)
            tried, currency = await _tried(database, tenant_id, versions, chosen, every, knowledge, workers, seats) if chosen else ([], "")
            _write(out, tenant_id, tried, [v.name for v in versions], currency)
            return judge(tenant_id, tried, limits, currency)

        async def verdict_or_why_not(tenant_id: str) -> TenantVerdict:
            # Not all of a thousand utilities open their history before the first has been tried.
            async with at_once:
                try:
                    return await verdict_on(tenant_id)
                except LevadaError as e:
                    # A utility whose documents do not hold tells nothing of the candidate: it must not let one through.
                    return TenantVerdict(tenant_id=tenant_id, refusals=(f"could not be tried: {e}",), told=())

        asked = await _tenants(database, tenant_ids)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(verdict_or_why_not(tenant_id)) for tenant_id in asked]
        verdicts = [task.result() for task in tasks]
    _tell(verdicts, versions, as_json=as_json)
    if not verdicts or any(v.refusals for v in verdicts):
        sys.exit(_NO)


def _tell(verdicts: Sequence[TenantVerdict], versions: Sequence[Contender], *, as_json: bool) -> None:
    refused = [v for v in verdicts if v.refusals]
    if as_json:
        print_json({
            "candidate": versions[1].name, "beside": versions[0].name, "passes": bool(verdicts) and not refused,
            "tenants": [{"tenant": v.tenant_id, "passes": not v.refusals, "refusals": list(v.refusals), "told": list(v.told)} for v in verdicts],
        })  # fmt: skip
        return
    click.echo(f"candidate {versions[1].name} beside {versions[0].name}")
    for v in verdicts:
        click.echo(f"{v.tenant_id}: {'REFUSED' if v.refusals else 'passes'}")
        for line in v.told:
            click.echo(f"  {line}")
        for line in v.refusals:
            click.echo(f"  NO: {line}")
    if not verdicts:
        click.echo("there is no utility to try it on: refused")
    else:
        click.echo(f"{'REFUSED' if refused else 'may be released'}: {len(verdicts) - len(refused)} of {len(verdicts)} utilities pass")


async def _tenants(database: Database, asked: Sequence[str]) -> list[str]:
    from levada.store.tenants import list_tenants

    async with database.registry() as registry:
        there = [row.tenant_id for row in await list_tenants(registry)]
    for tenant_id in asked:
        if tenant_id not in there:
            raise click.BadParameter(f"there is no utility {tenant_id!r}; there are: {', '.join(there) or 'none'}", param_hint="--tenant")
    return list(dict.fromkeys(asked)) or there


async def _days(database: Database, tenant_id: str, until: datetime | None) -> list[date]:
    from levada.runs.backtest import days_known

    await _tenants(database, [tenant_id])
    known = await days_known(database, tenant_id, _now())
    return [day for day in known if until is None or day <= until.date()]


async def _calendar(database: Database, tenant_id: str, days: Sequence[date]) -> tuple[dict[date, str], str]:
    from levada.domain.calendar import holidays_in
    from levada.domain.time import Window
    from levada.runs.freeze import stated_at

    async with database.tenant(tenant_id) as db:
        utility = (await stated_at(db)).utility
    if not days:
        return {}, utility.time_zone
    noon = [datetime(d.year, d.month, d.day, 12, tzinfo=UTC) for d in (days[0], days[-1])]
    return holidays_in(utility, Window(noon[0] - timedelta(days=1), noon[1] + timedelta(days=1))), utility.time_zone


async def _tried(
    database: Database, tenant_id: str, versions: tuple[Contender, ...], days: Sequence[date], every: int | None, knowledge: str, workers: int,
    seats: asyncio.Semaphore | None = None,
) -> tuple[list[TriedDay], str]:
    """The days, tried, and the utility's currency; each is told on stderr as it is done."""
    from levada.runs.backtest import Asked
    from levada.runs.backtest import backtest as past_days
    from levada.runs.freeze import stated_at

    done = 0

    def told(day: TriedDay) -> None:
        nonlocal done
        done += 1
        click.echo(f"{tenant_id}: {done} of {len(days)} days done, {day.day.isoformat()} ({day.kind.value})", err=True)

    async with database.tenant(tenant_id) as db:
        currency = (await stated_at(db)).utility.currency
    asked = Asked(
        versions=versions, days=tuple(days), now=_now(), every=None if every is None else timedelta(hours=every), on_time=knowledge == _ON_TIME, workers=workers
    )
    return await past_days(database, tenant_id, asked, told, seats), currency


def _now() -> datetime:
    return settings_now().clock.now()


def _write(out: Path | None, tenant_id: str, tried: Sequence[TriedDay], names: Sequence[str], currency: str) -> None:
    if out is None or not tried:
        return
    import json

    from levada.runs import backtest_report as report

    out.mkdir(parents=True, exist_ok=True)
    (out / f"{tenant_id}.json").write_text(json.dumps(report.as_document(tried, names, currency), indent=2, ensure_ascii=False), encoding="utf-8")
    (out / f"{tenant_id}.csv").write_text(report.as_csv(tried, names), encoding="utf-8")
