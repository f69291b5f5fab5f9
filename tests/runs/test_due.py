from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levada.domain.errors import DocumentError
from levada.domain.settings import TimetableEntry
from levada.runs.due import due_between, next_due

LISBON = "Europe/Lisbon"
SPRING, AUTUMN = date(2027, 3, 28), date(2026, 10, 25)


def _instants(cron: str, day: date, zone: str = LISBON) -> list[datetime]:
    tz = ZoneInfo(zone)
    start = datetime.combine(day, time(), tz).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time(), tz).astimezone(UTC)
    a_moment = timedelta(microseconds=1)
    return [due.at for due in due_between([TimetableEntry(cron=cron)], zone, start - a_moment, end - a_moment)]


def _local(instants: list[datetime], zone: str = LISBON) -> list[str]:
    return [f"{at.astimezone(ZoneInfo(zone)):%H:%M%z}" for at in instants]


def test_an_hourly_entry_is_due_in_each_of_the_23_hours_of_the_spring_day() -> None:
    instants = _instants("0 * * * *", SPRING)
    assert len(instants) == 23
    assert {b - a for a, b in itertools.pairwise(instants)} == {timedelta(hours=1)}


@pytest.mark.parametrize("cron", ["0 * * * *", "0 */1 * * *", "0 0-23 * * *"])
def test_an_hourly_entry_is_due_in_each_of_the_25_hours_of_the_autumn_day(cron: str) -> None:
    instants = _instants(cron, AUTUMN)
    assert len(instants) == 25
    assert {b - a for a, b in itertools.pairwise(instants)} == {timedelta(hours=1)}


@pytest.mark.parametrize(("day", "count"), [(SPRING, 92), (AUTUMN, 100)])
def test_a_quarter_hourly_entry_follows_elapsed_time(day: date, count: int) -> None:
    assert len(_instants("*/15 * * * *", day)) == count


def test_a_time_in_the_repeated_hour_is_due_once_at_its_first_passing() -> None:
    assert _local(_instants("30 1 * * *", AUTUMN)) == ["01:30+0100"]


def test_a_time_that_the_clock_skips_is_due_right_after_the_gap() -> None:
    assert _local(_instants("30 1 * * *", SPRING)) == ["02:00+0100"]


def test_skipped_times_that_fall_on_another_due_time_are_one() -> None:
    assert _local(_instants("0,20,40 1,2 * * *", SPRING)) == ["02:00+0100", "02:20+0100", "02:40+0100"]


def test_minutes_of_a_skipped_hour_are_not_lost() -> None:
    # cron would leave these out since the minute field is a star; a utility's one night run must not vanish with the hour.
    assert _local(_instants("*/30 1 * * *", SPRING)) == ["02:00+0100"]


def test_every_sixth_hour_stays_on_the_local_clock_over_both_changes() -> None:
    assert _local(_instants("0 */6 * * *", SPRING)) == ["00:00+0000", "06:00+0100", "12:00+0100", "18:00+0100"]
    assert _local(_instants("0 */6 * * *", AUTUMN)) == ["00:00+0100", "06:00+0000", "12:00+0000", "18:00+0000"]


def test_starting_between_the_two_passings_does_not_bring_the_time_back() -> None:
    after = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)  # 01:45 in summer time; 01:30 passes again at 01:30 UTC
    assert due_between([TimetableEntry(cron="30 1 * * *")], LISBON, after, after + timedelta(hours=2)) == []


def test_a_zone_that_changes_at_midnight_has_its_midnight_entry_once() -> None:
    assert _local(_instants("0 0 * * *", date(2026, 9, 6), "America/Santiago"), "America/Santiago") == ["01:00-0300"]


def test_weekdays_are_those_of_the_tenants_own_clock() -> None:
    # Monday 00:30 in Lisbon in summer is still Sunday in UTC.
    monday = date(2026, 7, 6)
    assert _instants("30 0 * * MON", monday) == [datetime(2026, 7, 5, 23, 30, tzinfo=UTC)]


def test_the_window_leaves_out_its_start_and_has_its_end() -> None:
    noon = datetime(2026, 7, 6, 11, tzinfo=UTC)
    entry = [TimetableEntry(cron="0 12 * * *")]
    assert due_between(entry, LISBON, noon, noon + timedelta(hours=1)) == []
    assert [d.at for d in due_between(entry, LISBON, noon - timedelta(seconds=1), noon)] == [noon]


def test_a_cron_text_that_does_not_hold_names_its_entry() -> None:
    entries = [TimetableEntry(cron="0 * * * *"), TimetableEntry(cron="99 * * * *")]
    with pytest.raises(DocumentError, match=r"timetable, entries\[1\]\.cron: '99 \* \* \* \*': bad minute"):
        due_between(entries, LISBON, datetime(2026, 7, 6, tzinfo=UTC), datetime(2026, 7, 7, tzinfo=UTC))


def test_next_due_is_the_first_of_all_entries() -> None:
    entries = [TimetableEntry(cron="0 6 * * *"), TimetableEntry(cron="30 5 * * *")]
    assert next_due(entries, LISBON, datetime(2026, 12, 1, tzinfo=UTC)) == datetime(2026, 12, 1, 5, 30, tzinfo=UTC)
    assert next_due([], LISBON, datetime(2026, 12, 1, tzinfo=UTC)) is None


CRONS = st.builds(
    "{} {} * * {}".format,
    st.sampled_from(["0", "30", "*/15", "5,50"]),
    st.sampled_from(["*", "1", "0-3", "*/2", "2,23"]),
    st.sampled_from(["*", "SUN", "1-5"]),
)
ZONES = st.sampled_from([LISBON, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago", "UTC"])


@given(CRONS, ZONES, st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)), st.lists(st.integers(1, 3600 * 30), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_windows_laid_end_to_end_have_each_due_time_once(cron: str, zone: str, start: datetime, lengths_s: list[int]) -> None:
    entry, begin = [TimetableEntry(cron=cron)], start.replace(tzinfo=UTC)
    edges = [begin]
    for length in lengths_s:
        edges.append(edges[-1] + timedelta(seconds=length))
    pieces = [due for a, b in itertools.pairwise(edges) for due in due_between(entry, zone, a, b)]
    assert pieces == due_between(entry, zone, edges[0], edges[-1])
    assert len({due.at for due in pieces}) == len(pieces)
    assert all(edges[0] < due.at <= edges[-1] for due in pieces)
