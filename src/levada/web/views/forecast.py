"""What a forecast expects of each zone, how it came about and what it noticed, in the words, units and hours of whoever reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time

from levada.domain.plan import ForecastReport, ZoneForecast
from levada.web.views.display import Display

__all__ = ["ZoneRow", "zone_rows"]

_SHARE_TOLD = 0.05
"""Members with a smaller share are not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneRow:
    """A zone: expected mean of the coming 24 hours, the mean of its 10-90 % band, what made the forecast, and what is special."""

    zone: str
    mean: str
    band: str
    made_by: str
    noticed: list[str]


def zone_rows(report: ForecastReport, d: Display) -> list[ZoneRow]:
    """A row a zone, in the forecast's order."""
    steps = max(1, 24 * 3600 // report.step_s)
    return [
        ZoneRow(
            zone=z.zone,
            mean=d.flow(_mean(z.q50_m3_per_s[:steps])),
            band=f"{d.flow(_mean(z.q10_m3_per_s[:steps]))} – {d.flow(_mean(z.q90_m3_per_s[:steps]))}",
            made_by=_made_by(z, d),
            noticed=list(_noticed(z, d)),
        )
        for z in report.zones
    ]


def _mean(flow: list[float]) -> float:
    return sum(flow) / len(flow)


def _made_by(zone: ZoneForecast, d: Display) -> str:
    members = sorted(((share, name) for name, share in zone.members.items() if share >= _SHARE_TOLD), reverse=True)
    if len(members) < 2:
        return d.t(f"rung.{zone.method}")
    made_of = ", ".join(f"{d.t(f'member.{name}')} {d.percent(share, 0)}" for share, name in members)
    return f"{d.t(f'rung.{zone.method}')}: {made_of}"


def _noticed(zone: ZoneForecast, d: Display) -> Iterator[str]:
    for change in zone.changes:
        yield d.t("forecast.change", since=d.local.stamp(change.since), ratio=d.number(change.ratio, 2))
    for day in zone.special_days:
        noon = datetime.combine(day.day, time(12), UTC).replace(tzinfo=d.local.tz)
        named = f" ({day.name})" if day.sort in ("holiday", "local day") else ""
        yield f"{d.local.day(noon)}: {d.t(f'day.{day.sort}')}{named}"
    for out in zone.left_out:
        yield d.t("forecast.left_out", count=d.number(out.count, 0), what=d.t(f"left_out.{out.what}"), last=d.local.stamp(out.last))
    yield from zone.notes
