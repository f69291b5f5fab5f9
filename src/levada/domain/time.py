"""Time is told exactly: instants are UTC; a zone is used only to name days, tariffs and holidays.

States (level, head) are at instants: n + 1 values. Flows, power and prices hold over [time, time + step): n values,
labelled by the start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from levada.domain.errors import DocumentError

__all__ = ["Instants", "Steps", "Window", "floor_to", "from_np", "isoformat_z", "local_midnight", "parse_instant", "require_utc", "to_np", "zone"]

Instants = NDArray[np.datetime64]
"""Array of UTC instants, dtype datetime64[us]."""


def require_utc(instant: datetime, what: str = "instant") -> datetime:
    """The same instant in UTC. Raises ValueError for a datetime without a zone: that is a programming error here."""
    if instant.tzinfo is None:
        raise ValueError(f"{what} {instant.isoformat()} has no time zone")
    return instant.astimezone(UTC)


def to_np(instant: datetime) -> np.datetime64:
    """A zoned datetime as a UTC datetime64[us]."""
    return np.datetime64(require_utc(instant).replace(tzinfo=None), "us")


def from_np(instant: np.datetime64) -> datetime:
    """A UTC datetime64 as a zoned datetime."""
    value: datetime = instant.astype("datetime64[us]").item()
    return value.replace(tzinfo=UTC)


def isoformat_z(instant: datetime) -> str:
    """ISO 8601 in UTC with a Z: the one written form of an instant in files, JSON and bundles."""
    return require_utc(instant).isoformat().replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """Read ISO 8601 with a zone. Raises ValueError when the text is no instant or has no zone."""
    return require_utc(datetime.fromisoformat(text), "instant")


def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name. Raises DocumentError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as e:
        raise DocumentError("settings", "time_zone", f"{name!r} is not an IANA time zone such as Europe/Lisbon") from e


def floor_to(instant: datetime, step: timedelta) -> datetime:
    """The latest multiple of `step` since the Unix epoch that is not after `instant`. Steps divide an hour, so zones do not matter."""
    step_us = int(step.total_seconds() * 1_000_000)
    since = require_utc(instant) - datetime(1970, 1, 1, tzinfo=UTC)
    return require_utc(instant) - timedelta(microseconds=(since // timedelta(microseconds=1)) % step_us)


def local_midnight(day: date, tz: ZoneInfo) -> datetime:
    """The instant (UTC) at which a local day begins; in zones that change the clock at midnight, its first instant."""
    return datetime(day.year, day.month, day.day, tzinfo=tz).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time [start, end), UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", require_utc(self.start, "window start"))
        object.__setattr__(self, "end", require_utc(self.end, "window end"))
        if self.end < self.start:
            raise ValueError(f"window ends {self.end} before it starts {self.start}")

    @property
    def duration(self) -> timedelta:
        return self.end - self.start

    def days(self, tz: ZoneInfo) -> Iterator[tuple[date, Window]]:
        """The local days that the window touches, each with its own window of 23, 24 or 25 hours."""
        day = self.start.astimezone(tz).date()
        while (begin := local_midnight(day, tz)) < self.end:
            following = day + timedelta(days=1)
            yield day, Window(begin, local_midnight(following, tz))
            day = following


@dataclass(frozen=True)
class Steps:
    """Consecutive steps of a plan or forecast: a start and a duration in whole seconds for each; they may be uneven."""

    start: datetime
    durations_s: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", require_utc(self.start, "start of steps"))
        if not self.durations_s or any(d <= 0 for d in self.durations_s):
            raise ValueError("steps need at least one duration, each positive")

    @classmethod
    def even(cls, start: datetime, step: timedelta, count: int) -> Steps:
        return cls(start, (int(step.total_seconds()),) * count)

    def __len__(self) -> int:
        return len(self.durations_s)

    @cached_property
    def offsets_s(self) -> NDArray[np.int64]:
        """Seconds from the start to each edge, shape (n + 1,)."""
        return np.concatenate([[0], np.cumsum(self.durations_s)]).astype(np.int64)

    @cached_property
    def edges(self) -> Instants:
        """The n + 1 instants between which the steps lie."""
        edges: Instants = to_np(self.start) + (self.offsets_s * 1_000_000).astype("timedelta64[us]")
        return edges

    @property
    def times(self) -> Instants:
        """The start of each step, shape (n,)."""
        return self.edges[:-1]

    @property
    def window(self) -> Window:
        return Window(self.start, from_np(self.edges[-1]))

    @property
    def hours(self) -> NDArray[np.float64]:
        """Duration of each step in hours, shape (n,)."""
        return np.asarray(self.durations_s, dtype=np.float64) / 3600.0
