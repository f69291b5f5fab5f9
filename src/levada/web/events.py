"""Tells open pages that something of their tenant changed: one database listener a process, fanned out to its readers.

What is sent is a topic, never content: a page that hears it asks for its parts again, by the routes that check rights.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from levada.domain.tenant import TenantId
from levada.store.database import CONNECTED, Database
from levada.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Audience", "event_stream", "keep_listening"]

log = get_logger("web")

# A reader that lags loses nothing: topics say only "look again", so one of each that waits is enough.
_TOPICS_WAITING = 16
_KEEP_ALIVE_S = 15.0
_LONGEST_STREAM_S = 600.0
"""After this a stream ends and the browser opens it anew, by which the caller's rights are looked at again."""


@dataclass(slots=True, eq=False)
class _Reader:
    topics: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(_TOPICS_WAITING))

    def tell(self, topic: str) -> None:
        if not self.topics.full():
            self.topics.put_nowait(topic)


@dataclass(slots=True)
class Audience:
    """The open event streams of this process, by tenant."""

    _readers: dict[TenantId, set[_Reader]] = field(default_factory=dict)
    closed: bool = False

    @contextmanager
    def joined(self, tenant: TenantId) -> Iterator[asyncio.Queue[str]]:
        """A queue of topics for as long as one stream is open."""
        reader = _Reader()
        self._readers.setdefault(tenant, set()).add(reader)
        try:
            yield reader.topics
        finally:
            readers = self._readers[tenant]
            readers.discard(reader)
            if not readers:
                del self._readers[tenant]

    @property
    def size(self) -> int:
        """How many streams are open."""
        return sum(len(readers) for readers in self._readers.values())

    def tell(self, tenant: TenantId, topic: str) -> None:
        for reader in self._readers.get(tenant, ()):
            reader.tell(topic)

    def tell_all(self, topic: str) -> None:
        for tenant in tuple(self._readers):
            self.tell(tenant, topic)

    def close(self) -> None:
        """End all streams, so that the process can stop."""
        self.closed = True
        self.tell_all("")


async def keep_listening(database: Database, audience: Audience) -> None:
    """Pass on what the database tells, until cancelled."""
    async for event in database.listen():
        if event.topic == CONNECTED:
            # Whatever happened before was not heard: have every page look.
            audience.tell_all(CONNECTED)
        else:
            audience.tell(event.tenant_id, event.topic)
    log.warning("the database's messages ended; pages fall back to polling")


async def _messages(audience: Audience, tenant: TenantId) -> AsyncIterator[ServerSentEventMessage]:
    loop = asyncio.get_running_loop()
    ends = loop.time() + _LONGEST_STREAM_S
    with audience.joined(tenant) as topics:
        yield ServerSentEventMessage(event="hello", data="")
        while not audience.closed and loop.time() < ends:
            try:
                topic = await asyncio.wait_for(topics.get(), _KEEP_ALIVE_S)
            except TimeoutError:
                # Also how a closed connection is noticed.
                yield ServerSentEventMessage(comment="still here", data=None)
                continue
            if topic:
                yield ServerSentEventMessage(event="changed", data=topic)


def event_stream(audience: Audience, tenant: TenantId) -> ServerSentEvent:
    """The stream of one page: `hello` once, then `changed` with a topic for each change."""
    return ServerSentEvent(_messages(audience, tenant), retry_duration=3000)
