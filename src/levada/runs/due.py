"""When a timetable's entries are due: cron on the tenant's own clock, exact where clocks are put forward or back.

Rules, as in Debian's cron but for each entry as a whole:
1. An entry whose hour field covers every hour (`*`, `*/1`) is due by elapsed time: on the day of the change it is due in each of the
   23 or 25 hours.
2. Any other entry names times of the local day. Each is due once: in the repeated hour at its first passing; a time that the clock
   skips is due at the first instant after the gap. Several that fall together there are one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from levada.domain.errors import DocumentError
from levada.domain.run import RunKind
from levada.domain.settings import TimetableEntry
from levada.domain.time import require_utc, zone

__all__ = ["Due", "due_between", "next_due"]


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """A run of `kind` is due at the instant `at` (UTC), by the entry at `entry` in the timetable."""

    at: datetime
    entry: int
    kind: RunKind


def _first_existing(local: datetime, tz: ZoneInfo) -> datetime:
    """The instant of a local time; where the clock skips that time, the first instant after the gap."""
    while True:
        instant = local.replace(tzinfo=tz, fold=0).astimezone(UTC)
        if instant.astimezone(tz).replace(tzinfo=None) == local:
            return instant
        local += timedelta(minutes=1)  # zones change by whole minutes


def _due(entry: TimetableEntry, path: str, tz: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Due instants of one entry later than `after`, in order, without end. Raises DocumentError when the cron text does not hold."""
    try:
        by_elapsed_time = CronSim(entry.cron, after).hours == set(range(24))
        start = after.astimezone(tz)
        times = CronSim(entry.cron, start if by_elapsed_time else start.replace(tzinfo=None))
    except CronSimError as e:
        raise DocumentError("timetable", path, f"{entry.cron!r}: {str(e).lower()}; write minute hour day-of-month month day-of-week") from e
    if by_elapsed_time:
        # CronSim has a rule of its own where neither minute nor hour starts with a star (`0 0-23`): it would skip the repeated hour.
        times.fixup_tz, times.dt = None, start.replace(microsecond=0)
    latest = after
    for found in times:
        instant = found.astimezone(UTC) if by_elapsed_time else _first_existing(found, tz)
        if instant > latest:
            latest = instant
            yield instant


def due_between(entries: Sequence[TimetableEntry], time_zone: str, after: datetime, until: datetime) -> list[Due]:
    """All that is due in (after, until], by time and then by entry. Raises DocumentError naming the entry that cannot be read."""
    tz, after, until = zone(time_zone), require_utc(after), require_utc(until)
    found: list[Due] = []
    for i, entry in enumerate(entries):
        for instant in _due(entry, f"entries[{i}].cron", tz, after):
            if instant > until:
                break
            found.append(Due(instant, i, RunKind(entry.kind)))
    return sorted(found)


def next_due(entries: Sequence[TimetableEntry], time_zone: str, after: datetime) -> datetime | None:
    """The first instant later than `after` at which something is due; None when nothing ever is."""
    tz, after = zone(time_zone), require_utc(after)
    firsts = [next(_due(entry, f"entries[{i}].cron", tz, after), None) for i, entry in enumerate(entries)]
    return min((first for first in firsts if first is not None), default=None)
