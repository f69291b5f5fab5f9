"""Files are written by code that knows nothing of the reader (datetime, strftime, format), then read: what was written must come back."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levada.domain.errors import FileError
from levada.domain.settings import Column, FileContract
from levada.intake.contracts.parsed import KEPT_PROBLEMS, ParsedFile
from levada.intake.contracts.read import read_file

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FLOW = Column(series="zone.north.flow", quantity="flow", unit="m3/h", cell_method="mean")
LEVEL = Column(series="tank.T1.level", quantity="level", unit="cm", cell_method="point")


def contract(**changes: Any) -> FileContract:
    return FileContract(**{"name": "SCADA", "file_name": "*.csv", "delimiter": ";", "columns": {"Q": FLOW, "H": LEVEL}, **changes})


def read(text: str | bytes, **changes: Any) -> ParsedFile:
    return read_file(contract(**changes), "f.csv", text if isinstance(text, bytes) else text.encode(), now=NOW)


def values_of(parsed: ParsedFile, tag: str) -> dict[datetime, float]:
    one = next(s for s in parsed.series if s.tag == tag)
    return {t.astype(object).replace(tzinfo=UTC): float(v) for t, v in zip(one.times, one.values, strict=True)}


def told(parsed: ParsedFile) -> list[tuple[int, str, str]]:
    return [(p.line, p.column, p.found) for p in parsed.problems.first()]


FORMATS = ["iso", "%Y-%m-%dT%H:%M:%S", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M", "%d-%b-%Y %H:%M", "%m/%d/%Y %I:%M %p"]


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[FileContract, bytes, dict[str, dict[datetime, float]]]:
    """A contract, a file that follows it over a day or more (often one on which clocks change), and what the file says."""
    zone_name = draw(st.sampled_from(["UTC", "Europe/Lisbon", "Europe/Madrid", "America/Sao_Paulo", "Australia/Lord_Howe", "America/New_York", "Asia/Kathmandu"]))
    tz = ZoneInfo(zone_name)
    decimal = draw(st.sampled_from([".", ","]))
    delimiter = draw(st.sampled_from([d for d in (",", ";", "\t", "|") if d != decimal]))
    step = draw(st.sampled_from([300, 900, 1800, 3600]))
    stamp_format = draw(st.sampled_from(FORMATS))
    marks = draw(st.sampled_from(["start", "end"]))
    layout = draw(st.sampled_from(["wide", "long"]))
    day = draw(
        st.sampled_from([datetime(2025, 10, 26), datetime(2026, 3, 29), datetime(2025, 11, 2), datetime(2026, 3, 8), datetime(2026, 4, 5), datetime(2025, 10, 5), datetime(2026, 6, 10)])
    )
    start = (day - timedelta(days=draw(st.integers(0, 1)))).replace(tzinfo=tz).astimezone(UTC)
    count = draw(st.integers(31 * 3600 // step, 50 * 3600 // step))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    newest_first = draw(st.booleans())
    made = FileContract(
        name="x", file_name="*", layout=layout, delimiter=delimiter, decimal_mark=decimal, stamp_format=stamp_format, time_zone=zone_name,
        stamp_marks=marks, step_s=step, columns={"Q": FLOW, "H": LEVEL}, encoding=draw(st.sampled_from(["utf-8", "utf-8-sig", "latin-1"])),
    )  # fmt: skip

    def stamp(at: datetime) -> str:
        local = at.astimezone(tz)
        return local.replace(tzinfo=None).isoformat() if stamp_format == "iso" else local.strftime(stamp_format)

    truth: dict[str, dict[datetime, float]] = {"Q": {}, "H": {}}
    rows = []
    # In a wide file that marks ends, a row has one stamp: its flow is of the interval before, its level of that instant.
    for i in range(count):
        at = start + timedelta(seconds=step * i)
        cells = {}
        for tag, factor in (("Q", 1 / 3600), ("H", 0.01)):
            text = "" if rng.random() < 0.1 else f"{rng.normal(0, 300):.3f}".replace(".", decimal)
            cells[tag] = text
            if text:
                shift = timedelta(seconds=step) if marks == "end" and tag == "Q" else timedelta()
                truth[tag][at - shift] = float(text.replace(",", ".")) * factor
        if layout == "wide":
            rows.append(delimiter.join([cells["H"], stamp(at), cells["Q"]]))
        else:
            rows += [delimiter.join([tag, cells[tag], stamp(at)]) for tag in ("Q", "H")]
    if newest_first:
        rows.reverse()
    header = ["H", "time", "Q"] if layout == "wide" else ["tag", "value", "time"]
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    text = newline.join([delimiter.join(header), *rows]) + draw(st.sampled_from(["", newline]))
    return made, text.encode(made.encoding), truth


@given(deliveries())
@settings(max_examples=120, deadline=None)
def test_what_was_written_comes_back_whatever_layout_marks_and_clock(delivery: tuple[FileContract, bytes, dict[str, dict[datetime, float]]]) -> None:
    made, content, truth = delivery
    parsed = read_file(made, "f.csv", content, now=NOW)
    assert told(parsed) == []
    for tag, expected in truth.items():
        found = values_of(parsed, tag)
        assert found.keys() == expected.keys()
        for at, value in expected.items():
            assert found[at] == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_a_stamp_with_an_offset_or_z_means_itself_in_any_zone() -> None:
    parsed = read("time;Q;H\n2026-10-25T01:30:00+01:00;36;1\n2026-10-25T01:30:00Z;72;2\n2026-10-25T03:30:00;108;3\n", time_zone="Europe/Madrid")
    assert values_of(parsed, "Q") == {
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC): pytest.approx(0.01),
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC): pytest.approx(0.02),
        datetime(2026, 10, 25, 2, 30, tzinfo=UTC): pytest.approx(0.03),
    }


def test_the_hour_that_occurs_twice_is_said_to_have_been_read_so() -> None:
    text = "time;Q;H\n" + "".join(f"2025-10-26 0{h}:00;1;1\n" for h in (0, 1, 2, 2, 3))
    parsed = read(text, time_zone="Europe/Madrid")
    assert [t.hour for t in values_of(parsed, "H")] == [22, 23, 0, 1, 2]
    assert "2 local times" in parsed.notes[0]
    assert "occurs twice" in parsed.notes[0]


@pytest.mark.parametrize(("received", "hour"), [("00:05", 0), ("00:50", 0), ("01:05", 1), ("01:55", 1), ("09:00", 0)])
def test_a_single_stamp_of_that_hour_is_the_pass_that_its_receipt_fits(received: str, hour: int) -> None:
    # 02:00 in Madrid occurs at 00:00 and at 01:00 UTC; files of a quarter of an hour come soon after.
    now = datetime.fromisoformat(f"2025-10-26T{received}:00+00:00")
    parsed = read_file(contract(time_zone="Europe/Madrid"), "f.csv", b"time;Q;H\n2025-10-26 02:00;1;1\n", now=now)
    assert [t.hour for t in values_of(parsed, "H")] == [hour]


def test_an_hourly_file_of_the_first_pass_stays_in_the_first_pass() -> None:
    text = b"time;Q;H\n" + b"".join(b"2025-10-26 02:%02d;1;1\n" % m for m in (0, 15, 30, 45))
    parsed = read_file(contract(time_zone="Europe/Madrid"), "f.csv", text, now=datetime(2025, 10, 26, 1, 0, 30, tzinfo=UTC))
    assert [t.hour for t in values_of(parsed, "H")] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("zone", "step_s", "stamps", "expected"),
    [
        ("Australia/Lord_Howe", 3600, ("2026-04-05 01:00", "2026-04-05 01:30", "2026-04-05 02:30"), ("14:00", "15:00", "16:00")),
        ("Australia/Lord_Howe", 1800, ("2026-04-05 01:00", "2026-04-05 01:30", "2026-04-05 02:30"), ("14:00", "14:30", "16:00")),
        ("Europe/Madrid", 7200, ("2025-10-26 01:00", "2025-10-26 02:00", "2025-10-26 04:00"), ("23:00", "01:00", "03:00")),
        ("Europe/Madrid", 7200, ("2025-10-26 00:00", "2025-10-26 02:00", "2025-10-26 03:00"), ("22:00", "00:00", "02:00")),
    ],
)
def test_a_single_stamp_of_that_hour_is_the_pass_that_lies_whole_steps_after_the_one_before(zone: str, step_s: int, stamps: tuple[str, ...], expected: tuple[str, ...]) -> None:
    parsed = read("time;Q;H\n" + "".join(f"{stamp};1;1\n" for stamp in stamps), time_zone=zone, step_s=step_s)
    assert [f"{t:%H:%M}" for t in values_of(parsed, "H")] == list(expected)


def test_a_local_time_that_does_not_exist_is_refused_and_the_others_taken() -> None:
    parsed = read("time;Q;H\n2026-03-29 01:00;1;1\n2026-03-29 02:30;1;1\n2026-03-29 03:00;1;1\n", time_zone="Europe/Madrid")
    assert told(parsed) == [(3, "time", "2026-03-29 02:30")]
    assert [t.hour for t in values_of(parsed, "H")] == [0, 1]


def test_what_cannot_be_read_is_told_with_line_column_and_text_and_costs_only_itself() -> None:
    text = (
        "time;Q;H\n"
        "2026-03-01T00:00:00;1;1\n"  # 2
        "yesterday;1;1\n"  # 3
        "2026-03-01T00:30:00;eleven;1\n"  # 4
        "2026-03-01T00:45:00;1\n"  # 5
        "\n"
        "2026-02-30T01:00:00;1;1\n"  # 7
        "2026-03-01T01:15:00;1,234.5;-\n"  # 8
        "2026-03-01T01:30:00;inf;1;9\n"  # 9
        "2026-03-01T01:45:00;1e999;NaN\n"  # 10
        "2026-03-01T02:00:00;1_0;nan\n"  # 11
        '2026-03-01T02:15:00;"1;1\n'  # 12
        '2026-03-01T02:30:00;"2";0x10\n'  # 13
        "2026-03-01T02:45:00; 3 ;\x00\n"  # 14
        "2026-03-01T03:00:00;١;1"  # 15
    )
    parsed = read(text)
    assert [(line, column) for line, column, _ in told(parsed)] == [
        (3, "time"), (4, "Q"), (5, "(row)"), (7, "time"), (8, "Q"), (9, "(row)"), (10, "Q"), (11, "Q"), (11, "H"), (12, "(row)"), (13, "H"), (14, "H"), (15, "Q"),
    ]  # fmt: skip
    found = {(line, column): text for line, column, text in told(parsed)}
    assert found[4, "Q"] == "eleven"
    assert found[5, "(row)"] == "2 cells"
    assert found[14, "H"] == "\\x00"
    assert parsed.rows_total == 13
    assert parsed.problems.rows_refused == 12
    assert [t.hour * 60 + t.minute for t in values_of(parsed, "Q")] == [0, 150, 165]
    assert [t.hour * 60 + t.minute for t in values_of(parsed, "H")] == [0, 30, 180]
    assert "f.csv, line 4, column 'Q': found 'eleven', expected a number such as 12.5" in str(parsed.problems.first()[1].error("f.csv"))


def test_a_cut_off_last_line_is_refused_as_such() -> None:
    (problem,) = read("time;Q;H\n2026-03-01T00:00:00;1;1\n2026-03-01T00:15").problems.first()
    assert (problem.line, problem.found) == (3, "1 cell")
    assert "cut off" in problem.expected


def test_decimal_commas_refuse_points() -> None:
    parsed = read("time;Q;H\n2026-03-01T00:00:00;1,5;1.234,5\n2026-03-01T00:15:00;1,5;,5\n", decimal_mark=",")
    assert told(parsed) == [(2, "H", "1.234,5")]
    assert list(values_of(parsed, "H").values()) == [pytest.approx(0.005)]


def test_bytes_of_another_encoding_spoil_their_cell_and_are_shown() -> None:
    parsed = read(b"time;Q;H\n2026-03-01T00:00:00;1;\xe9\n2026-03-01T00:15:00;1;2\n", encoding="utf-8")
    assert told(parsed) == [(2, "H", "\\xe9")]
    assert len(values_of(parsed, "H")) == 1


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    for encoding in ("utf-8", "utf-8-sig"):
        assert len(values_of(read(b"\xef\xbb\xbftime;Q;H\r\n2026-03-01T00:00:00;1;1\r\n", encoding=encoding), "Q")) == 1


def test_a_delimiter_at_the_end_of_each_line_does_no_harm() -> None:
    parsed = read("time;Q;H;\n2026-03-01T00:00:00;1;1;\n2026-03-01T00:15:00;1;1;\n")
    assert (told(parsed), parsed.unknown_tags, len(values_of(parsed, "H"))) == ([], (), 2)


def test_tags_that_nobody_knows_and_tags_that_are_absent_are_told() -> None:
    wide = read("time;Q;TEMP;NOISE\n2026-03-01T00:00:00;1;20;1\n", ignored=("NOISE",))
    assert (wide.unknown_tags, wide.absent_tags) == (("TEMP",), ("H",))
    long = read("time;tag;value\n2026-03-01T00:00:00;Q;1\n2026-03-01T00:00:00;TEMP;x\n2026-03-01T00:00:00;NOISE;1\n", layout="long", ignored=("NOISE",))
    assert (long.unknown_tags, long.absent_tags, told(long)) == (("TEMP",), ("H",), [])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"2026-03-01;1;2\n", "has no column 'time'"),
        (b"time,Q,H\n", "parted by a comma"),
        (b"time;Q;Q\n", "'Q' more than once"),
        (b"time;A;B\n2026-03-01T00:00:00;1;1\n", "known tags are 'Q', 'H'"),
        ("time;Q;H\n".encode("utf-16"), "NUL bytes"),
        ("time;Q;H\n".encode("utf-16-le") * 5, "NUL bytes"),
        (b"tim\xe9;Q;H\n", "not utf-8"),
        (b'"time;Q;H\n', "quotation marks"),
        (b"time;Q;H\n" + b"x" * 100, "more than the 100"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_says_why_and_what_to_do(content: bytes, says: str) -> None:
    with pytest.raises(FileError, match=says):
        read(content, encoding="utf-8", max_bytes=100)


def test_a_header_alone_is_a_file_without_rows() -> None:
    parsed = read("time;Q;H\n")
    assert (parsed.rows_total, sum(len(s.times) for s in parsed.series), told(parsed)) == (0, 0, [])


def test_a_file_of_nothing_but_bad_rows_is_counted_in_full_and_told_in_part() -> None:
    n = 20 * KEPT_PROBLEMS
    parsed = read("time;Q;H\n" + "never;1;1\n" * n)
    assert parsed.problems.rows_refused == parsed.rows_total == n
    assert [p.line for p in parsed.problems.first()] == list(range(2, KEPT_PROBLEMS + 2))


@given(st.binary(max_size=400))
def test_no_bytes_whatever_raise_anything_but_a_file_error(junk: bytes) -> None:
    for head in (b"", b"time;Q;H\n", b"time;tag;value\n"):
        for layout in ("wide", "long"):
            try:
                parsed = read(head + junk, layout=layout, decimal_mark=",")
            except FileError:
                continue
            parsed.problems.first()
