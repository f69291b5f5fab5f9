"""What computing took, as rows of a table: a day each, and the month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from levada.domain.usage import Usage, summed
from levada.web.views.display import Display

__all__ = ["UsageRow", "day_rows", "month_row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """Sums in words. `waited` is the mean of the runs that ended, `peak` the greatest of all."""

    day: str
    runs: str
    failed: str
    cpu: str
    memory: str
    data: str
    waited: str
    peak: str


def day_rows(rows: Sequence[Usage], d: Display) -> list[UsageRow]:
    """By UTC day, the newest first."""
    return [_row(u, u.day.isoformat(), d) for u in sorted(summed(rows, by_day=True), key=lambda u: u.day, reverse=True)]


def month_row(rows: Sequence[Usage], d: Display) -> UsageRow | None:
    """All days together; None where nothing ran."""
    whole = summed(rows, by_day=False)
    return _row(whole[0], "", d) if whole else None


def _row(u: Usage, day: str, d: Display) -> UsageRow:
    return UsageRow(
        day=day,
        runs=d.number(u.runs, 0),
        failed=d.number(u.failed, 0) if u.failed else "–",
        cpu=d.duration(timedelta(seconds=u.cpu_s)),
        memory=f"{d.number(u.memory_byte_s / 3.6e12, 2)}\u00a0GB\u00a0h",
        data=f"{d.number((u.bytes_read + u.bytes_written) / 1e6, 1)}\u00a0MB",
        waited=f"{d.number(u.queue_wait_s / u.runs, 1)}\u00a0s" if u.runs else "–",
        peak=d.memory(u.peak_memory_bytes),
    )
