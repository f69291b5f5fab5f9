"""Instants on a utility's own clock. Days have 23, 24 or 25 hours; an hour that comes twice is told apart by its offset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from levada.domain.time import Window, local_midnight, zone
from levada.web.views.language import MONTHS, WEEKDAYS

__all__ = ["LocalTime", "epoch_ms"]


def epoch_ms(instant: datetime) -> int:
    """Milliseconds since 1970 UTC: how charts are given instants."""
    return round(instant.timestamp() * 1000)


@dataclass(frozen=True)
class LocalTime:
    """Writes instants for one zone and language."""

    time_zone: str
    language: str

    @cached_property
    def tz(self) -> ZoneInfo:
        return zone(self.time_zone)

    def clock(self, instant: datetime) -> str:
        """`14:05`; where the local hour comes twice (the clocks go back), with its offset: `01:30 +00:00`."""
        local = instant.astimezone(self.tz)
        twin = local.replace(fold=1 - local.fold)
        return f"{local:%H:%M}" if twin.utcoffset() == local.utcoffset() or not self._is_twice(local) else f"{local:%H:%M} {_offset(local)}"

    def _is_twice(self, local: datetime) -> bool:
        # In the gap of spring the two folds differ too, but such a wall time never comes from an instant.
        other = local.replace(fold=1 - local.fold).astimezone(UTC).astimezone(self.tz)
        return other.replace(tzinfo=None, fold=0) == local.replace(tzinfo=None, fold=0)

    def day(self, instant: datetime) -> str:
        """`Tue 3 Mar`."""
        local = instant.astimezone(self.tz)
        return f"{WEEKDAYS[self.language][local.weekday()]} {local.day} {MONTHS[self.language][local.month - 1]}"

    def stamp(self, instant: datetime) -> str:
        """`Tue 3 Mar 14:05`."""
        return f"{self.day(instant)} {self.clock(instant)}"

    def near(self, instant: datetime, now: datetime) -> str:
        """The clock only, where the instant lies on the same local day as `now`; else day and clock."""
        same = instant.astimezone(self.tz).date() == now.astimezone(self.tz).date()
        return self.clock(instant) if same else self.stamp(instant)

    @property
    def city(self) -> str:
        """The place that names the zone: `Lisbon`."""
        return self.time_zone.rsplit("/", 1)[-1].replace("_", " ")

    def zone_name(self, instant: datetime) -> str:
        """`Europe/Lisbon, UTC+01:00`."""
        return f"{self.time_zone}, UTC{_offset(instant.astimezone(self.tz))}"

    def today(self, now: datetime) -> Window:
        """The local day that holds `now`."""
        day: date = now.astimezone(self.tz).date()
        return Window(local_midnight(day, self.tz), local_midnight(day + timedelta(days=1), self.tz))


def _offset(local: datetime) -> str:
    text = local.strftime("%z")
    return f"{text[:3]}:{text[3:5]}"
