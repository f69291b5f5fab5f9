"""Computing in money: sums by utility and day, and price tables that say what is wrong with them."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date

import pytest

from levada.domain.errors import DocumentError
from levada.domain.usage import PriceTable, Usage, rows_as_csv, summed

ROW = Usage(
    tenant_id="serra", day=date(2026, 6, 3), kind="plan", cause="timetable", runs=2, failed=0, wall_s=3600.0, cpu_s=1800.0, memory_byte_s=3.6e12, queue_wait_s=4.0,
    bytes_read=5e8, bytes_written=5e8, peak_memory_bytes=300,
)  # fmt: skip
TABLE = PriceTable.read('currency = "EUR"\ncpu_hour = 0.04\nmemory_gb_hour = 0.01\ngb = 0.1\nrun = 0.5\n', "prices.toml")


def test_money_is_processor_time_memory_over_time_bytes_and_runs() -> None:
    assert TABLE.money(ROW) == pytest.approx(0.5 * 0.04 + 1 * 0.01 + 1 * 0.1 + 2 * 0.5)


def test_kinds_and_causes_are_summed_by_utility_and_by_day_where_asked() -> None:
    train = replace(ROW, kind="train", runs=1, failed=1, peak_memory_bytes=900)
    later, other = replace(ROW, day=date(2026, 6, 4)), replace(ROW, tenant_id="ribera")
    by_day = summed([ROW, train, later, other], by_day=True)
    assert [(u.tenant_id, u.day.day, u.runs, u.failed, u.peak_memory_bytes) for u in by_day] == [("serra", 3, 3, 1, 900), ("serra", 4, 2, 0, 300), ("ribera", 3, 2, 0, 300)]
    whole = summed([ROW, train, later, other], by_day=False)
    assert [(u.tenant_id, u.runs) for u in whole] == [("serra", 5), ("ribera", 2)]
    assert sum(TABLE.money(u) for u in whole) == pytest.approx(sum(TABLE.money(u) for u in [ROW, train, later, other]))


def test_rows_as_csv_have_their_money_in_the_tables_currency() -> None:
    (row,) = csv.DictReader(rows_as_csv([ROW], TABLE).splitlines())
    assert (row["tenant_id"], row["day"], row["runs"]) == ("serra", "2026-06-03", "2")
    assert float(row["money_EUR"]) == pytest.approx(TABLE.money(ROW))
    assert "money" not in rows_as_csv([ROW], None)


@pytest.mark.parametrize(
    ("text", "said"),
    [("currency = ", "prices.toml"), ('currency = "EUR"\ncpu = 1', "prices.toml, cpu: Extra inputs"), ('currency = "EUR"\ncpu_hour = -1', "cpu_hour: Input should be greater"), ("cpu_hour = 1", "currency: Field required"), ('currency = "EUR"\nrun = nan', "run: Input should be a finite number")],
)  # fmt: skip
def test_a_price_table_that_does_not_hold_says_where(text: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        PriceTable.read(text, "prices.toml")
