"""Past days decided again: from what was known, lived through with the demand that came, by one version or two; and what a gate says of them."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import Installation
from tests.runs import tiny
from tests.runs.versions import another_version

from levada.domain.errors import SetupError
from levada.runs.backtest import Asked, TriedDay, backtest, days_known
from levada.runs.backtest_report import as_csv, as_document, as_text, water_value_per_m3
from levada.runs.contender import Contender, contender_at, this_version
from levada.runs.day_kind import DayKind
from levada.runs.gate import GateLimits, judge
from levada.store.database import Database

SUNDAY = date(2026, 5, 31)
TWICE_A_DAY: dict[str, dict[str, Any]] = {"timetable": {"entries": [{"kind": "plan", "cron": "0 2,14 * * *"}], "plan_on_new_data": False}, "operation": {"plan_valid_hours": 13}}


@pytest.fixture(scope="module")
def tenant(installation: Installation) -> str:
    return a_tenant(installation)


def a_tenant(installation: Installation) -> str:
    """One with 45 days of history, that decides twice a day."""
    tenant_id = installation.new_tenant()

    async def fill() -> None:
        database = await Database.open(installation.app_url)
        try:
            await tiny.put_in(database, tenant_id, days=45, **TWICE_A_DAY)
        finally:
            await database.close()

    asyncio.run(fill())
    return tenant_id


def tried(installation: Installation, tenant_id: str, days: list[date], *versions: Contender, on_time: bool = True) -> list[TriedDay]:
    async def run() -> list[TriedDay]:
        database = await Database.open(installation.app_url)
        try:
            asked = Asked(versions=versions or (this_version(),), days=tuple(days), now=tiny.NOW, on_time=on_time, workers=2)
            return await backtest(database, tenant_id, asked)
        finally:
            await database.close()

    return asyncio.run(run())


@pytest.fixture(scope="module")
def days(installation: Installation, tenant: str) -> list[TriedDay]:
    return tried(installation, tenant, [SUNDAY - timedelta(days=1), SUNDAY])


@pytest.fixture(scope="module")
def another_installation(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, str], Path]:
    """Makes a second version: a copy of the sources with one line changed, and a Python that has it."""

    def make(file: str, line: str, changed: str) -> Path:
        return another_version(tmp_path_factory.mktemp("version"), file, line, changed)

    return make


def test_a_day_is_lived_from_its_first_decision_to_the_next_days_by_plans_that_keep_all_limits(days: list[TriedDay]) -> None:
    assert [d.day for d in days] == [SUNDAY - timedelta(days=1), SUNDAY]
    assert [d.kind for d in days] == [DayKind.SATURDAY, DayKind.SUNDAY]
    for (result,) in (d.results for d in days):
        # 02:00 and 14:00 in Lisbon, which is UTC+1 in summer.
        assert [f"{d.issue_time:%H:%M}" for d in result.decisions] == ["01:00", "13:00"]
        assert not result.failures
        assert not result.violations
        assert result.by_rules_s == 0
        assert 0 < result.forecast.size / result.forecast.drawn < 0.1
        assert result.forecast.steps == 2 * 24
        drawn = tiny.readings(days=45)["zone.village.flow"]
        inside = (drawn.times >= np.datetime64(result.decisions[0].issue_time.replace(tzinfo=None))) & (
            drawn.times < np.datetime64((result.decisions[0].issue_time + timedelta(days=1)).replace(tzinfo=None))
        )
        assert result.demand_m3 == pytest.approx(drawn.values[inside].sum() * 900, rel=1e-9)


def test_the_report_counts_each_day_once_and_water_left_in_the_tanks(days: list[TriedDay]) -> None:
    value = water_value_per_m3(days)
    cost, drawn = (sum(getattr(d.results[0], name) for d in days) for name in ("cost", "demand_m3"))
    assert value == pytest.approx(cost / drawn)
    rows = list(csv.DictReader(as_csv(days, ["this"]).splitlines()))
    assert [row["day"] for row in rows] == ["2026-05-30", "2026-05-31"]
    total = as_document(days, ["this"], "EUR")["total"]["this"]  # type: ignore[index]
    assert total["cost"] == pytest.approx(sum(float(row["cost"]) for row in rows))
    assert total["cost"] == pytest.approx(cost - value * sum(d.results[0].stored_m3 for d in days))
    text = as_text(days, ["this"], "EUR")
    assert "2026-05-31 Sunday" in text
    assert "total      2 days" in text


def test_a_decision_knows_nothing_that_had_not_reached_us_and_that_it_fails_is_told_with_the_day(installation: Installation, tenant: str) -> None:
    # All of this history was delivered in one go, days after: as recorded, nobody knew a level.
    (day,) = tried(installation, tenant, [SUNDAY], on_time=False)
    (result,) = day.results
    assert [d.ladder for d in result.decisions] == [None, None]
    assert "tank TNK has no level" in result.failures[0]
    assert result.by_rules_s == 24 * 3600
    assert result.cost > 0, "level switches have run the pumps"


def test_days_can_be_tried_after_two_weeks_of_history_and_up_to_the_last_whole_one(installation: Installation, tenant: str) -> None:
    async def run(tenant_id: str) -> list[date]:
        database = await Database.open(installation.app_url)
        try:
            return await days_known(database, tenant_id, tiny.NOW)
        finally:
            await database.close()

    known = asyncio.run(run(tenant))
    begun = (tiny.NOW - timedelta(days=45)).date()
    assert known[0] == begun + timedelta(days=15)
    assert known[-1] == tiny.NOW.date() - timedelta(days=2), "what yesterday led to is not whole yet"


@pytest.mark.parametrize(("text", "sunday_only"), [("weekday() == 6", True), ("weekday() == 9", False)], ids=["a sign error on Sundays", "no change that matters"])
def test_a_candidate_that_goes_wrong_on_sundays_only_is_stopped_by_the_gate(
    installation: Installation, tenant: str, another_installation: Callable[[str, str, str], Path], text: str, sunday_only: bool
) -> None:
    line = "            step_prices.append(price)\n"
    python = another_installation("domain/tariff.py", line, f"            step_prices.append(-price if local.{text} else price)\n")
    candidate = asyncio.run(contender_at(python))
    assert candidate.name != this_version().name
    chosen = [SUNDAY - timedelta(days=2), SUNDAY - timedelta(days=1), SUNDAY]
    found = tried(installation, tenant, chosen, this_version(), candidate)
    # Time is not at stake here.
    verdict = judge(tenant, found, GateLimits(time=50.0, memory=5.0), "EUR")
    if not sunday_only:
        assert verdict.refusals == ()
        assert found[0].results[0].cost == found[0].results[1].cost
        return
    assert any("Sundays" in refusal and "dearer" in refusal for refusal in verdict.refusals), verdict
    assert not any("weekdays" in refusal for refusal in verdict.refusals)
    assert "candidate" not in as_text(found, ["stable", "next"], "EUR")
    assert "next costs +" in as_text(found, ["stable", "next"], "EUR")


def test_what_is_no_version_is_refused_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="is no program; give the virtual environment"):
        asyncio.run(contender_at(tmp_path / "nothing"))
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such module >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(SetupError, match="said: no such module"):
        asyncio.run(contender_at(broken))


def test_a_version_that_dies_in_a_decision_fails_it_and_the_day_goes_on_by_level_switches(
    installation: Installation, tenant: str, another_installation: Callable[[str, str, str], Path]
) -> None:
    line = "    inputs = PlanInput.of(bundle)\n    network = read_network"
    python = another_installation("runs/pipeline.py", line, f"    __import__('os').kill(__import__('os').getpid(), 9)\n{line}")
    (day,) = tried(installation, tenant, [SUNDAY], asyncio.run(contender_at(python)))
    (result,) = day.results
    assert "died (SIGKILL" in result.failures[0]
    assert len(result.failures) == 2
    assert result.by_rules_s == 24 * 3600


def test_the_commands_answer_by_their_exit_codes(installation: Installation, tenant: str, tmp_path: Path) -> None:
    env = {
        **os.environ, "LEVADA_DATABASE_URL": installation.admin_url, "LEVADA_DATA_DIR": str(tmp_path / "data"),
        "LEVADA_CLOCK": f"{tiny.NOW:%Y-%m-%dT%H:%M:%SZ} x0.0001 from {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "LEVADA_LOG": "json",
    }  # fmt: skip

    def levada_(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "levada", *arguments], env=env, capture_output=True, text=True, check=False, timeout=300)

    made = levada_("backtest", "--tenant", tenant, "--days", "1", "--knowledge", "on-time", "--until", "2026-05-31", "--out", str(tmp_path / "out"), "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["days"][0]["day"] == "2026-05-31"
    assert json.loads((tmp_path / "out" / f"{tenant}.json").read_text()) == json.loads(made.stdout)
    assert f"{tenant}: 1 of 1 days done, 2026-05-31 (Sunday)" in made.stderr
    unknown = levada_("backtest", "--tenant", "nowhere")
    assert (unknown.returncode, "there is no utility 'nowhere'" in unknown.stderr) == (2, True)
    unknown = levada_("gate", sys.executable, "--tenant", "nowhere")
    assert (unknown.returncode, "there is no utility 'nowhere'" in unknown.stderr, "Traceback" in unknown.stderr) == (2, True, False)
    nothing = levada_("gate", str(tmp_path / "no-such-version"))
    assert (nothing.returncode, "is no program" in nothing.stderr) == (2, True), nothing.stderr
    empty = installation.new_tenant()
    refused = levada_("gate", sys.executable, "--tenant", empty)
    assert refused.returncode == 1
    assert f"{empty}: REFUSED" in refused.stdout
    assert "could not be tried: there is no" in refused.stdout
    # Utilities are tried side by side by the same workers; each has its own verdict, told in the order asked.
    second = a_tenant(installation)
    several = levada_(
        "gate", sys.executable, "--tenant", tenant, "--tenant", empty, "--tenant", second, "--until", "2026-05-31", "--days", "1", "--within", "1",
        "--knowledge", "on-time", "--workers", "1", "--time", "900", "--memory", "900",
    )  # fmt: skip
    assert several.returncode == 1, several.stderr
    judged = [line for line in several.stdout.splitlines() if line.startswith((tenant, empty, second))]
    assert judged == [f"{tenant}: passes", f"{empty}: REFUSED", f"{second}: passes"]
    assert several.stdout.splitlines()[-1] == "REFUSED: 2 of 3 utilities pass"
    assert {line for line in several.stderr.splitlines() if "done" in line} == {f"{t}: 1 of 1 days done, 2026-05-31 (Sunday)" for t in (tenant, second)}
