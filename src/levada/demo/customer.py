"""A customer of Levada: loads its history, sends what its plant measured each quarter-hour, and obeys the plan it finds.

It speaks only SFTP, with its own key, and a little HTTP. It survives: its plant's state and what is still to be sent lie in its own
folder; a server that is away is waited for; after a pause it lives through the missed time under its rules (or a plan that still held)
and delivers the missed files. Read `run_customer`, then `_Customer.live`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np

from levada.clock import Clock
from levada.demo.mailbox import Mailbox, Say
from levada.demo.memory import Memory, Remembered
from levada.demo.orders import Plans, read_set_points
from levada.demo.plant import Measurements, Plant
from levada.demo.prices import day_prices, published_until
from levada.demo.render import Reading, file_name, render
from levada.demo.utilities import DemoUtility
from levada.domain.errors import FileError
from levada.domain.settings import DayAheadTariff, FileContracts, Tariff, Utility, read_document
from levada.domain.time import floor_to, from_np, local_midnight, zone
from levada.domain.units import Quantity

__all__ = ["run_customer"]

_QUARTER = timedelta(minutes=15)
_CHUNK_QUARTERS = 96
_LATE = 0.006
"""Chance that a quarter-hour's file is held up on its way."""
_LATE_QUARTERS = (2, 5)
_RECEIPT_WITHIN_S = 90.0
"""Real seconds after which a file without a receipt is sent again: sending twice changes nothing."""


async def run_customer(
    utility: DemoUtility,
    *,
    clock: Clock,
    sftp_host: str,
    sftp_port: int,
    key_path: Path,
    host_key: str,
    http_url: str | None,
    state_dir: Path,
    say: Say,
    history_days: int = 60,
    token: str | None = None,
    loaded: asyncio.Event | None = None,
) -> None:
    """Be this customer until cancelled.

    `host_key` is the SFTP server's public key (OpenSSH's one-line form): no other server is spoken to. `key_path` is the utility's private
    key; it signs in under its tenant's name. `state_dir` is for this utility alone. With `http_url` and an API `token` it also asks
    for the current plan's cost there. `loaded` is set once the history has its receipts.
    Raises SetupError: keys or folder cannot be used, or the server shows another host key.
    """
    mailbox = Mailbox(host=sftp_host, port=sftp_port, user=utility.tenant_id, key_path=key_path, host_key=host_key, say=say)
    try:
        customer = _Customer(utility, clock, mailbox, Memory(state_dir), say, _Api(http_url, token, utility.tenant_id))
        await customer.load_history(history_days)
        if loaded is not None:
            loaded.set()
        await customer.live()
    finally:
        await mailbox.close()


@dataclass(slots=True)
class _Pending:
    """A file sent, whose receipt has not been seen."""

    content: bytes
    sent_at_s: float


@dataclass(slots=True)
class _Receipts:
    """What became of the files sent."""

    pending: dict[str, _Pending] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)


class _Customer:
    def __init__(self, utility: DemoUtility, clock: Clock, mailbox: Mailbox, memory: Memory, say: Say, api: _Api) -> None:
        self._utility, self._clock, self._mailbox, self._memory, self._say, self._api = utility, clock, mailbox, memory, say, api
        documents = {kind: read_document(kind, body) for kind, body in utility.documents.items()}
        self._who = cast(Utility, documents["utility"])
        self._tariff = cast(Tariff, documents["tariff"]).tariff
        contracts = cast(FileContracts, documents["files"]).contracts
        self._measured = [c for c in contracts if any(column.quantity is not Quantity.PRICE for column in c.columns.values())]
        self._priced = [c for c in contracts if c not in self._measured]
        self._plans = Plans()
        self._receipts = _Receipts()
        self._refused_plan: bytes | None = None

    # -- at first -------------------------------------------------------------------------------------------------

    async def load_history(self, days: int) -> None:
        """At the first start, live through the days before now and deliver them; later, go on where it stopped. Returns when all has its receipt."""
        now = floor_to(self._clock.now(), _QUARTER)
        remembered = self._memory.load()
        if remembered is None:
            tz = zone(self._who.time_zone)
            start = local_midnight((now - timedelta(days=days)).astimezone(tz).date(), tz)
            self._plant = Plant(self._utility, start=start)
            self._prices_through: date | None = None
            self._say(f"its meters go back to {start.astimezone(tz):%d %b %Y}: delivering {(now - start).days} days of history")
        else:
            self._plant = Plant(self._utility, state=remembered.plant)
            self._prices_through = remembered.prices_through
            self._say(f"goes on where it stopped, {_ago(now - remembered.plant.time)} ago")
            await self._look_for_plan()  # it may still have held for some of the pause
        begun = self._plant.state.time
        shown = 0
        while True:
            now = self._clock.now()
            await self._prices(min(published_until(self._who, now), self._local_day(self._plant.state.time + timedelta(days=1))))
            if floor_to(now, _QUARTER) <= self._plant.state.time:
                break
            self._step(self._chunk_end(now), now, late=False)
            await self._send(now)
            await self._see_receipts()
            part = (self._plant.state.time - begun) / max(now - begun, _QUARTER)
            if now - begun > timedelta(days=2) and part >= (shown + 1) / 10:
                shown = int(10 * part)
                self._say(f"history: {shown * 10} % sent")
        await self._prices(published_until(self._who, self._clock.now()))
        await self._send(self._clock.now())
        await self._all_receipts()

    def _chunk_end(self, now: datetime) -> datetime:
        """History comes a local day a file; the last file ends now."""
        tz = zone(self._who.time_zone)
        following = local_midnight(self._local_day(self._plant.state.time) + timedelta(days=1), tz)
        return min(following, now)

    def _local_day(self, time: datetime) -> date:
        return time.astimezone(zone(self._who.time_zone)).date()

    # -- day by day -----------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """From quarter-hour to quarter-hour, for ever."""
        self._say("live: a file each quarter of an hour")
        while True:
            # What lies in the outbox now governs the quarter-hour that begins now; a plan that comes later waits for the next one.
            await self._look_for_plan()
            due = self._plant.state.time + _QUARTER
            wait = self._clock.real_seconds(due - self._clock.now())
            if wait > 0:
                await asyncio.sleep(wait)
            now = self._clock.now()
            await self._prices(published_until(self._who, now))
            self._step(min(now, self._plant.state.time + _CHUNK_QUARTERS * _QUARTER), now, late=True)
            await self._send(now)
            await self._see_receipts()

    def _step(self, until: datetime, now: datetime, *, late: bool) -> None:
        """Live until then; keep the files of it to be sent, then the state."""
        before = self._plant.state
        measured = self._plant.advance(until, self._plans.at)
        if not measured:
            return
        end = measured[-1].time
        due = now + self._delay(end) if late and len(measured) == 1 else now
        for contract in self._measured:
            repeated = before.last_points if contract.layout == "wide" and contract.stamp_marks == "start" else {}
            self._memory.keep(file_name(contract, end), render(contract, _readings(measured, before.time, repeated)), due)
        self._remember()

    def _delay(self, end: datetime) -> timedelta:
        """How long a file is held up: none, but for a few."""
        rng = np.random.default_rng([self._plant.settings.seed, 6, int(end.timestamp())])
        return _QUARTER * int(rng.integers(*_LATE_QUARTERS)) if rng.random() < _LATE else timedelta(0)

    def _remember(self) -> None:
        self._memory.save(Remembered(plant=self._plant.state, prices_through=self._prices_through))

    async def _prices(self, through: date) -> None:
        """Keep files with the prices of each day up to `through` that has not been written yet."""
        if not isinstance(self._tariff, DayAheadTariff) or self._plant.settings.price_seed is None:
            return
        day = self._local_day(self._plant.state.time) if self._prices_through is None else self._prices_through + timedelta(days=1)
        while day <= through:
            times, prices = day_prices(self._who, day, self._plant.settings.price_seed)
            readings = [(self._tariff.price_series, from_np(t), float(p)) for t, p in zip(times, prices, strict=True)]
            for contract in self._priced:
                self._memory.keep(file_name(contract, day), render(contract, readings), self._clock.now())
            self._prices_through = day
            self._remember()
            day += timedelta(days=1)

    # -- the line -------------------------------------------------------------------------------------------------

    async def _send(self, now: datetime) -> None:
        """Send what is due."""
        for file in self._memory.outgoing():
            if file.due <= now:
                content = file.path.read_bytes()
                await self._mailbox.put(file.name, content)
                self._receipts.pending[file.name] = _Pending(content, self._real_s())
                self._memory.sent(file)

    async def _see_receipts(self) -> None:
        """Look for receipts of what was sent; say what was refused; send again what got none for long."""
        if not self._receipts.pending:
            return
        present = await self._mailbox.names("outbox")
        for name, pending in list(self._receipts.pending.items()):
            receipt = f"receipt_{name}.json"
            if receipt in present:
                content = await self._mailbox.read(f"outbox/{receipt}")
                del self._receipts.pending[name]
                if content is not None:
                    self._judge(content)
            elif self._real_s() - pending.sent_at_s > _RECEIPT_WITHIN_S:
                self._say(f"{name}: no receipt yet, sending it again")
                await self._mailbox.put(name, pending.content)
                pending.sent_at_s = self._real_s()

    def _judge(self, content: bytes) -> None:
        try:
            receipt: dict[str, Any] = json.loads(content)
        except ValueError:
            self._say("a receipt cannot be read")
            return
        state = str(receipt.get("state", "?"))
        self._receipts.states[state] = self._receipts.states.get(state, 0) + 1
        if state in ("partly", "refused"):
            self._say(str(receipt.get("summary") or receipt.get("problem") or receipt))

    async def _all_receipts(self) -> None:
        total = len(self._receipts.pending)
        shown = 0.0
        while self._receipts.pending:
            await self._see_receipts()
            left = len(self._receipts.pending)
            if left and self._real_s() - shown > 5:
                shown = self._real_s()
                self._say(f"waiting for receipts: {total - left} of {total}")
            await asyncio.sleep(0.2 if left else 0)
        states = ", ".join(f"{count} {state}" for state, count in sorted(self._receipts.states.items()))
        if states:
            self._say(f"all delivered: {states}")

    async def _look_for_plan(self) -> None:
        content = await self._mailbox.read("outbox/plan_current.csv")
        if content is None or content == self._refused_plan:
            return
        try:
            plan = read_set_points(content)
        except FileError as e:
            self._refused_plan = content
            self._say(str(e))
            return
        if not self._plans.add(plan):
            return
        said = f"obeys the plan of {plan.issue_time.astimezone(zone(self._who.time_zone)):%H:%M} ({plan.ladder or 'no rung named'})"
        if plan.cost:
            said += f", cost {plan.cost}" + ("" if plan.lower_bound == "none" else f", bound {plan.lower_bound}")
        self._say(said + await self._api.says_of(plan.plan_id))

    @staticmethod
    def _real_s() -> float:
        return asyncio.get_running_loop().time()


def _readings(measured: Sequence[Measurements], begun: datetime, repeated: Mapping[str, float]) -> list[Reading]:
    """Readings as rows of a file: means by the start of their quarter-hour, points at its end.

    `repeated` are the points at `begun`, told once more by files whose first row is that of `begun`.
    """
    rows: list[Reading] = [(series, begun, value) for series, value in repeated.items()]
    for m in measured:
        rows += [(series, m.time - _QUARTER, value) for series, value in m.means.items()]
        rows += [(series, m.time, value) for series, value in m.points.items()]
    return rows


def _ago(span: timedelta) -> str:
    minutes = max(0, round(span.total_seconds() / 60))
    return f"{minutes} min" if minutes < 180 else f"{minutes / 60:.0f} h" if minutes < 2880 else f"{minutes / 1440:.0f} days"


class _Api:
    """The REST interface, asked now and then: does it tell of the same plan as the file? What it says never moves a pump."""

    def __init__(self, url: str | None, token: str | None, tenant: str) -> None:
        self._url = f"{url.rstrip('/')}/v1/tenants/{tenant}/plans/current" if url and token else None
        self._token = token

    async def says_of(self, plan_id: str) -> str:
        """A few words to add to what is said of a plan; empty where the interface is not asked."""
        if self._url is None:
            return ""
        try:
            async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
                answer = await client.get(self._url, headers={"Authorization": f"Bearer {self._token}"})
            if answer.status_code != 200:
                return f"; the REST interface answers {answer.status_code}"
            told = str(answer.json().get("plan_id", ""))
        except (httpx.HTTPError, ValueError) as e:
            return f"; the REST interface cannot be read ({type(e).__name__})"
        return "; the REST interface tells the same plan" if told == plan_id else ""
