from __future__ import annotations

from datetime import UTC, date, datetime

from tests.web import samples

from levada.domain.plan import Change, ForecastReport, LeftOut, SpecialDay
from levada.forecast.ensemble import MEMBERS
from levada.forecast.output import Rung
from levada.web.views.display import Display
from levada.web.views.forecast import zone_rows
from levada.web.views.language import WORDS

MADRID = Display("es", "Europe/Madrid", "EUR", "L/s")


def told(**changes: object) -> ForecastReport:
    report = samples.forecast()
    return report.model_copy(update={"zones": [report.zones[0].model_copy(update=changes)]})


def test_a_zone_s_row_tells_what_is_expected_over_the_coming_day_in_the_utility_s_units() -> None:
    report = samples.forecast()
    row = zone_rows(report, Display("en", "Europe/Madrid", "EUR", "m3/h"))[0]
    mean = sum(report.zones[0].q50_m3_per_s[:24]) / 24 * 3600
    assert row.mean == f"{mean:.1f}\u00a0m³/h"
    assert row.band.count("m³/h") == 2
    assert row.made_by == "ensemble"
    assert row.noticed == []


def test_members_and_whatever_was_noticed_are_told_in_the_reader_s_language_and_hours() -> None:
    at = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    (row,) = zone_rows(
        told(
            members={"seasonal": 0.2, "trees of all zones": 0.77, "like days": 0.03},
            changes=[Change(since=at, ratio=1.2)],
            special_days=[SpecialDay(day=date(2026, 3, 19), sort="holiday", name="San José"), SpecialDay(day=date(2026, 3, 29), sort="clock change", name="23 hours")],
            left_out=[LeftOut(what="spikes", count=3, first=at, last=at)],
            notes=["no readings of the last 5 days"],
        ),
        MADRID,
    )
    assert row.made_by == "conjunto: árboles de todas las zonas 77\u00a0%, semana habitual 20\u00a0%"
    assert row.noticed == [
        "desde mar 3 mar 00:30 1,20 veces lo que era",
        "jue 19 mar: festivo (San José)",
        "dom 29 mar: cambio de hora",
        "excluidas: 3 picos aislados, la última a las mar 3 mar 00:30",
        "no readings of the last 5 days",
    ]


def test_each_word_that_a_forecast_uses_can_be_said() -> None:
    assert all(f"rung.{rung}" in WORDS for rung in Rung)
    assert all(f"member.{name}" in WORDS for name in (*MEMBERS, "network pattern"))
    assert all(f"day.{sort}" in WORDS for sort in ("holiday", "bridge day", "local day", "clock change"))
    assert all(f"left_out.{what}" in WORDS for what in ("readings below zero", "readings of a frozen sensor", "spikes"))
