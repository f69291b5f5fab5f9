"""Units, zones and languages at the edges, and what the board says, judged by hand-made cases."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import levada.web
from levada.domain.plan import Ladder
from levada.domain.units import Quantity
from levada.web.views.display import Display
from levada.web.views.language import LANGUAGES, MONTHS, WEEKDAYS, WORDS, say
from levada.web.views.units import from_si, money, number
from levada.web.views.zone import LocalTime, epoch_ms

WEB = Path(levada.web.__file__).parent


def d(language: str = "en", zone: str = "Europe/Lisbon", flow_unit: str = "L/s") -> Display:
    return Display(language, zone, "EUR", flow_unit)


# --- units


@pytest.mark.parametrize(
    ("language", "text"), [("en", "−1,234,567.80"), ("pt", "−1\u202f234\u202f567,80"), ("es", "−1.234.567,80")]
)
def test_numbers_are_written_as_the_language_does(language: str, text: str) -> None:
    assert number(-1234567.8, 2, language) == text


@pytest.mark.parametrize(("language", "text"), [("en", "€12.30"), ("pt", "12,30\u00a0€"), ("es", "12,30\u00a0€")])
def test_money_has_its_sign_where_the_language_puts_it(language: str, text: str) -> None:
    assert money(12.3, "EUR", language) == text


def test_what_rounds_to_zero_has_no_minus() -> None:
    assert number(-0.001, 1, "en") == "0.0"


@given(st.floats(-1e9, 1e9), st.integers(0, 4), st.sampled_from(LANGUAGES))
def test_a_written_number_reads_back_as_the_rounded_one(value: float, decimals: int, language: str) -> None:
    text = number(value, decimals, language)
    thousands, decimal = {"en": (",", "."), "pt": ("\u202f", ","), "es": (".", ",")}[language]
    back = float(text.replace(thousands, "").replace(decimal, ".").replace("−", "-"))
    assert abs(back - value) <= 0.5 * 10**-decimals * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize(("unit", "value"), [("L/s", 20.0), ("m3/h", 72.0), ("m3/d", 1728.0)])
def test_flows_come_in_the_tenants_unit(unit: str, value: float) -> None:
    assert from_si(0.02, Quantity.FLOW, unit) == pytest.approx(value)
    assert d(flow_unit=unit).flow_value(0.02) == pytest.approx(value)


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s"), (40, "40 s"), (720, "12 min"), (3599, "1 h 00 min"), (11100, "3 h 05 min"), (187200, "2 d 4 h")]
)
def test_a_span_has_two_units_at_most(seconds: int, text: str) -> None:
    found = d().duration(timedelta(seconds=seconds)).replace("\u00a0", " ")
    assert found == text


# --- zones


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    lisbon = LocalTime("Europe/Lisbon", "en")
    # 25 October 2026: at 02:00 WEST the clocks go back to 01:00 WET.
    assert lisbon.clock(at("2026-10-25T00:30:00Z")) == "01:30 +01:00"
    assert lisbon.clock(at("2026-10-25T01:30:00Z")) == "01:30 +00:00"
    assert lisbon.clock(at("2026-10-25T02:30:00Z")) == "02:30"
    assert lisbon.clock(at("2026-10-24T23:30:00Z")) == "00:30"


def test_around_the_hour_that_is_left_out_clocks_are_plain() -> None:
    madrid = LocalTime("Europe/Madrid", "es")
    # 29 March 2026: at 02:00 CET the clocks go to 03:00 CEST.
    assert madrid.clock(at("2026-03-29T00:59:00Z")) == "01:59"
    assert madrid.clock(at("2026-03-29T01:00:00Z")) == "03:00"


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29T12:00:00Z", 23), ("2026-10-25T12:00:00Z", 25), ("2026-06-01T12:00:00Z", 24)])
def test_a_local_day_has_23_24_or_25_hours(day: str, hours: int) -> None:
    today = LocalTime("Europe/Lisbon", "en").today(at(day))
    assert today.duration == timedelta(hours=hours)
    assert today.start <= at(day) < today.end


@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)), st.sampled_from(["Europe/Lisbon", "Europe/Madrid", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe"]))
def test_two_instants_of_a_day_never_look_the_same(naive: datetime, zone: str) -> None:
    instant = naive.replace(tzinfo=UTC, second=0, microsecond=0)
    local = LocalTime(zone, "en")
    others = [instant + timedelta(minutes=30 * k) for k in (-2, -1, 1, 2)]
    assert all(local.stamp(instant) != local.stamp(other) for other in others)
    wall = instant.astimezone(ZoneInfo(zone))
    assert local.clock(instant).startswith(f"{wall:%H:%M}")


def test_near_leaves_out_todays_name() -> None:
    lisbon = LocalTime("Europe/Lisbon", "pt")
    now = at("2026-03-17T03:10:00Z")
    assert lisbon.near(at("2026-03-17T09:00:00Z"), now) == "09:00"
    assert lisbon.near(at("2026-03-18T00:00:00Z"), now) == "qua 18 mar 00:00"
    assert lisbon.zone_name(at("2026-06-01T00:00:00Z")) == "Europe/Lisbon, UTC+01:00"


def test_charts_are_given_milliseconds() -> None:
    assert epoch_ms(datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)) == 1500


# --- languages


def places(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


@pytest.mark.parametrize("key", WORDS)
def test_each_key_has_each_language_with_the_same_places(key: str) -> None:
    texts = WORDS[key]
    assert len(texts) == len(LANGUAGES)
    assert all(text.strip() for text in texts)
    assert places(texts[0]) == places(texts[1]) == places(texts[2])


def used_keys() -> set[str]:
    """Keys in templates and code; where a key is put together, all that begin like it."""
    found: set[str] = set()
    for path in (*(WEB / "screens").glob("*"), *(WEB / "views").glob("*.py")):
        if path.suffix not in (".html", ".py") or path.name == "language.py":
            continue
        text = path.read_text()
        found |= set(re.findall(r"""\bt\(f?["']([a-z_]+\.[a-z_0-9-]+)["']""", text))
        found |= set(re.findall(r"""["']((?:need|pumps|pump|headline|run|audit|sign_in|nav)\.[a-z_]+)["']""", text))
        for beginning in re.findall(r"""\bt\(["']([a-z_]+\.)["'] ~|\bt\(f["']([a-z_]+\.)\{""", text):
            found |= {key for key in WORDS if key.startswith("".join(beginning))}
        found |= {key for key in WORDS if key.startswith("spent.")} if "spent.{name}" in text else set()
    return found


def test_every_word_that_is_used_is_there_and_none_is_left_over() -> None:
    used = used_keys()
    assert not used - WORDS.keys()
    assert not WORDS.keys() - used


def test_days_and_months_are_named_in_each_language() -> None:
    assert set(WEEKDAYS) == set(MONTHS) == set(LANGUAGES)
    assert all(len(set(WEEKDAYS[x])) == 7 and len(set(MONTHS[x])) == 12 for x in LANGUAGES)


def test_a_sentence_gets_its_parts_and_a_missing_key_is_an_error() -> None:
    assert say("pt", "headline.new", until="09:00") == "Siga o plano até 09:00."
    with pytest.raises(KeyError):
        say("en", "no.such")


def test_ladder_words_exist_for_every_rung() -> None:
    assert all(f"ladder.{rung.value}" in WORDS and f"headline.{rung.value}" in WORDS for rung in Ladder)
