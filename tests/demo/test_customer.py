"""The customer, with a real SFTP server, on a fast clock: history, quarter-hours, plans, outages and restarts."""

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import asyncssh
import pytest
from tests.demo.sftp_double import Server

from levada.clock import Clock
from levada.demo.customer import run_customer
from levada.demo.memory import Memory
from levada.demo.utilities import DemoUtility, list_utilities
from levada.domain.errors import SetupError
from levada.domain.settings import FileContracts, read_document
from levada.domain.time import from_np
from levada.intake.contracts.read import read_file

SERRA, RIBERA = list_utilities()
TOLD = datetime(2026, 3, 4, 10, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def clock(rate: float = 3600.0, told: datetime = TOLD) -> Clock:
    return Clock(datetime.now(UTC), told, rate)


class Customer:
    """A customer that runs in the background, and what it said."""

    def __init__(self, utility: DemoUtility, server: Server, state_dir: Path, *, clock: Clock, days: int = 2, host_key: str | None = None,
                 http_url: str | None = None, token: str | None = None) -> None:  # fmt: skip
        self.said: list[str] = []
        self.loaded = asyncio.Event()
        self.task = asyncio.create_task(
            run_customer(
                utility, clock=clock, sftp_host="127.0.0.1", sftp_port=server.port, key_path=server.key_path, host_key=host_key or server.host_key, http_url=http_url, token=token,
                state_dir=state_dir, say=self.said.append, history_days=days, loaded=self.loaded,
            )
        )  # fmt: skip

    async def until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                if self.task.done():
                    await self.task
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


def instants(utility: DemoUtility, server: Server, series: str, names: list[str] | None = None) -> list[datetime]:
    """All instants of a series that arrived, in order, as Levada's intake reads them; no instant twice."""
    contract = cast(FileContracts, read_document("files", utility.documents["files"])).contracts[0]
    prefix = contract.file_name.partition("*")[0]
    found: set[datetime] = set()
    for name in names or server.received:
        if name.startswith(prefix):
            for parsed in read_file(contract, name, server.content(name), now=TOLD).series:
                if parsed.column.series == series:
                    found |= {from_np(t) for t in parsed.times}
    return sorted(found)


@pytest.mark.parametrize("utility", [SERRA, RIBERA], ids=lambda u: u.tenant_id)
def test_history_comes_first_then_a_file_each_quarter_of_an_hour(utility: DemoUtility, tmp_path: Path) -> None:
    async def work() -> None:
        server = Server(tmp_path / "server")
        await server.start()
        customer = Customer(utility, server, tmp_path / "state", clock=clock())
        await customer.until(customer.loaded.is_set)
        history = len(server.received)
        await customer.until(lambda: len(server.received) >= history + 5)
        await customer.stop()
        await server.stop()
        assert server.signed_in_as == {utility.tenant_id}
        assert len(set(server.received)) == len(server.received), "no file is sent twice"
        series = next(iter(utility.documents["operation"]["tanks"].values()))["level_series"]
        times = instants(utility, server, series)
        assert times[0] <= TOLD - timedelta(days=2) + QUARTER
        steps = [b - a for a, b in itertools.pairwise(times)]
        assert max(steps) <= 3 * QUARTER, "but for silent sensors, each quarter of an hour"
        assert any("days of history" in line for line in customer.said)
        assert any(line.startswith("all delivered") for line in customer.said)

    asyncio.run(work())


def test_prices_come_a_day_a_file_and_tomorrows_from_one_o_clock_on(tmp_path: Path) -> None:
    async def work() -> None:
        server = Server(tmp_path / "server")
        await server.start()
        # 10:01 UTC is 11:01 in Madrid; two hours pass in two seconds.
        customer = Customer(RIBERA, server, tmp_path / "state", clock=clock())
        await customer.until(customer.loaded.is_set)
        assert [n for n in server.received if n.startswith("precios")] == ["precios_20260302.csv", "precios_20260303.csv", "precios_20260304.csv"]
        await customer.until(lambda: "precios_20260305.csv" in server.received)
        await customer.stop()
        await server.stop()
        telemetry = [n for n in server.received if n.startswith("telemedida")]
        assert telemetry[-1] >= "telemedida_20260304T1200Z.csv"
        assert server.content("precios_20260305.csv").count(b"\r\n") == 97

    asyncio.run(work())


def plan_text(pumps: dict[str, float], start: datetime, hours: int, expires: datetime) -> str:
    lines = ["# plan_id: p1", f"# issue_time: {start.isoformat()}", f"# expires_at: {expires.isoformat()}", "# ladder: new", "# cost: 12.30"]
    lines.append("time_utc;time_local;duration_s;" + ";".join(f"{p}.on;{p}.speed" for p in pumps))
    for i in range(hours):
        at = start + timedelta(hours=i)
        lines.append(f"{at.isoformat()};{at.isoformat()};3600;" + ";".join(f"{int(s > 0)};{s}" for s in pumps.values()))
    return "\n".join(lines)


def test_the_plan_in_the_outbox_is_obeyed_until_it_expires(tmp_path: Path) -> None:
    async def work() -> None:
        server = Server(tmp_path / "server")
        await server.start()
        told = {"EE1-1": 0.0, "EE1-2": 0.0, "EE1-3": 1.0, "EE2-1": 0.0, "EE2-2": 0.91}
        expires = TOLD + timedelta(hours=3)
        (server.root / "outbox" / "plan_current.csv").write_text(plan_text(told, TOLD - timedelta(hours=1), 24, expires))
        customer = Customer(SERRA, server, tmp_path / "state", clock=clock(), days=1)

        def speeds() -> dict[str, float]:
            remembered = Memory(tmp_path / "state").load()
            assert remembered is not None
            return remembered.plant.speed

        await customer.until(customer.loaded.is_set)
        await customer.until(lambda: speeds() == told)
        await customer.until(lambda: speeds()["EE1-1"] == 1.0)  # a rule of the plant: Castelo is low enough for pump 1
        remembered = Memory(tmp_path / "state").load()
        await customer.stop()
        await server.stop()
        assert remembered is not None
        assert remembered.plant.time - QUARTER >= expires - QUARTER
        assert any("obeys the plan" in line and "12.30" in line for line in customer.said)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        ("200 OK", '{"plan_id": "p1"}', "the REST interface tells the same plan"),
        ("401 Unauthorized", "{}", "the REST interface answers 401"),
        ("200 OK", "no json", "the REST interface cannot be read"),
    ],
)
def test_the_rest_interface_is_asked_with_the_token_and_never_in_the_way(tmp_path: Path, status: str, body: str, said: str) -> None:
    async def work() -> None:
        asked: list[bytes] = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        http = await asyncio.start_server(answer, "127.0.0.1", 0)
        server = Server(tmp_path / "server")
        await server.start()
        (server.root / "outbox" / "plan_current.csv").write_text(plan_text({"EE1-1": 1.0}, TOLD, 24, TOLD + timedelta(hours=3)))
        port = http.sockets[0].getsockname()[1]
        customer = Customer(SERRA, server, tmp_path / "state", clock=clock(), days=1, http_url=f"http://127.0.0.1:{port}/", token="t0ken")
        await customer.until(lambda: any("obeys the plan" in line for line in customer.said))
        await customer.stop()
        await server.stop()
        http.close()
        await http.wait_closed()
        assert any(line.startswith("obeys the plan") and said in line for line in customer.said)
        assert asked[0].startswith(b"GET /v1/tenants/serra/plans/current HTTP/1.1\r\n")
        assert b"Authorization: Bearer t0ken\r\n" in asked[0]

    asyncio.run(work())


def test_a_plan_that_cannot_be_read_is_said_once_and_not_obeyed(tmp_path: Path) -> None:
    async def work() -> None:
        server = Server(tmp_path / "server")
        await server.start()
        (server.root / "outbox" / "plan_current.csv").write_text("time;pumps\n1;2\n")
        customer = Customer(SERRA, server, tmp_path / "state", clock=clock(), days=1)
        await customer.until(customer.loaded.is_set)
        sent = len(server.received)
        await customer.until(lambda: len(server.received) >= sent + 3)
        await customer.stop()
        await server.stop()
        assert sum("plan_current.csv" in line for line in customer.said) == 1

    asyncio.run(work())


def test_refusals_are_said(tmp_path: Path) -> None:
    async def work() -> None:
        server = Server(tmp_path / "server")
        server.state = "partly"
        await server.start()
        customer = Customer(SERRA, server, tmp_path / "state", clock=clock(), days=1)
        await customer.until(customer.loaded.is_set)
        await customer.stop()
        await server.stop()
        assert any("scada_" in line and "partly" in line for line in customer.said)

    asyncio.run(work())


def test_an_outage_is_waited_out_and_nothing_is_missing_after_it(tmp_path: Path) -> None:
    async def work() -> None:
        server = Server(tmp_path / "server")
        await server.start()
        customer = Customer(SERRA, server, tmp_path / "state", clock=clock(), days=1)
        await customer.until(customer.loaded.is_set)
        await server.stop()
        await customer.until(lambda: any("does not answer" in line for line in customer.said))
        await asyncio.sleep(1.5)
        await server.start()
        await customer.until(lambda: any("is back" in line for line in customer.said))
        sent = len(server.received)
        await customer.until(lambda: len(server.received) >= sent + 2)
        await customer.stop()
        await server.stop()
        times = instants(SERRA, server, "pump.EE1-1.energy")
        assert max(b - a for a, b in itertools.pairwise(times)) <= 3 * QUARTER

    asyncio.run(work())


def test_after_a_pause_the_missed_time_is_lived_and_delivered(tmp_path: Path) -> None:
    async def work() -> None:
        server = Server(tmp_path / "server")
        await server.start()
        first = Customer(SERRA, server, tmp_path / "state", clock=clock(), days=1)
        await first.until(first.loaded.is_set)
        await first.stop()
        stopped = Memory(tmp_path / "state").load()
        assert stopped is not None
        already = list(server.received)
        later = stopped.plant.time + timedelta(days=2, hours=5)
        second = Customer(SERRA, server, tmp_path / "state", clock=clock(told=later), days=1)
        await second.until(second.loaded.is_set)
        await second.stop()
        await server.stop()
        assert not set(already) & set(server.received[len(already) :])
        assert any("goes on where it stopped" in line for line in second.said)
        times = instants(SERRA, server, "pump.EE1-1.energy")
        assert max(b - a for a, b in itertools.pairwise(times)) <= 3 * QUARTER
        assert times[-1] >= later - 3 * QUARTER

    asyncio.run(work())


def test_another_server_than_the_known_one_gets_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        server = Server(tmp_path / "server")
        await server.start()
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        customer = Customer(SERRA, server, tmp_path / "state", clock=clock(), days=1, host_key=other)
        with pytest.raises(SetupError, match="another host key"):
            await customer.until(lambda: False)
        await server.stop()
        assert not server.signed_in_as
        assert not server.received

    asyncio.run(work())


def test_keys_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    async def work() -> None:
        server = Server(tmp_path / "server")
        await server.start()
        server.key_path.write_text("no key")
        customer = Customer(dataclasses.replace(SERRA), server, tmp_path / "state", clock=clock())
        with pytest.raises(SetupError, match="SSH key of serra"):
            await customer.until(lambda: False)
        await server.stop()

    asyncio.run(work())


def test_stopping_is_prompt_whatever_it_is_doing(tmp_path: Path) -> None:
    async def work() -> None:
        server = Server(tmp_path / "server")
        await server.start()
        for moment in (0.0, 0.05, 0.3):
            customer = Customer(SERRA, server, tmp_path / f"state-{moment}", clock=clock(rate=1.0), days=5)
            await asyncio.sleep(moment)
            async with asyncio.timeout(10):
                await customer.stop()
        await server.stop()

    asyncio.run(work())
