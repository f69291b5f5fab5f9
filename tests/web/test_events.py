"""Pages hear that something of their utility changed, and nothing of another's."""

from __future__ import annotations

import asyncio

from tests.web.conftest import World

from levada.store.database import Database
from levada.web.events import Audience, event_stream, keep_listening


def test_what_is_committed_reaches_the_pages_of_its_utility_alone(world: World) -> None:
    async def listen(database: Database) -> tuple[list[str], int]:
        audience = Audience()
        task = asyncio.create_task(keep_listening(database, audience))
        with audience.joined(world.own) as own, audience.joined(world.other) as other:
            assert await asyncio.wait_for(own.get(), 10) == "connected"
            assert await asyncio.wait_for(other.get(), 10) == "connected"
            async with database.tenant(world.own) as db:
                await db.notify("plan", {"plan_id": "x"})
            heard = [await asyncio.wait_for(own.get(), 10)]
            async with database.tenant(world.other) as db:
                await db.notify("run", {})
            assert await asyncio.wait_for(other.get(), 10) == "run"
            left = own.qsize()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return heard, left

    assert world.run(listen) == (["plan"], 0)


def test_a_page_that_does_not_read_costs_no_memory_and_holds_up_nobody() -> None:
    async def flood() -> int:
        audience = Audience()
        with audience.joined("a") as slow:
            for _ in range(10_000):
                audience.tell("a", "readings")
            return slow.qsize()

    assert asyncio.run(flood()) == 16


def test_streams_end_when_the_process_stops_and_leave_nothing_behind() -> None:
    async def stop() -> tuple[str, int, int]:
        audience = Audience()
        received: list[bytes] = []

        async def read() -> None:
            received.extend([bytes(part) async for part in event_stream(audience, "a").iterator])

        reading = asyncio.create_task(read())
        while audience.size == 0:
            await asyncio.sleep(0.01)
        open_pages = audience.size
        audience.tell("a", "plan")
        await asyncio.sleep(0.05)
        audience.close()
        await asyncio.wait_for(reading, 20)
        return b"".join(received).decode(), open_pages, audience.size

    text, open_pages, left = asyncio.run(stop())
    assert "event: hello" in text
    assert "event: changed\r\ndata: plan" in text
    assert (open_pages, left) == (1, 0)
