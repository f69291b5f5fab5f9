"""Forecasts of a case folder: a row per issue time, series and instant; only what was known counts; scores as computed by hand."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.cases.forecasting.forecast_folder import HOURS, flow_l_per_s, flows, write_case

from levada.cases import forecasting
from levada.cli import main
from levada.domain.errors import DocumentError

ONE = "[forecast]\nissue_times = [2026-03-16T00:00:00]\nhorizon = '24h'\nquantiles = [0.025, 0.5, 0.975]\n"
KNOWN = 14 * 24
"""Hours before that issue time."""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_issue_time_series_and_instant(tmp_path: Path) -> None:
    more = ONE.replace("[2026-03-16T00:00:00]", "[2026-03-15T00:00:00, 2026-03-16T00:00:00]")
    forecasting.run(forecasting.load(write_case(tmp_path, more))).write(tmp_path / "out")
    found = rows(tmp_path / "out" / "forecast.csv")
    assert len(found) == 2 * 2 * 24
    assert list(found[0]) == ["issue_time", "series", "time", "unit", "q2.5", "q50", "q97.5"]
    assert len({(r["issue_time"], r["series"], r["time"]) for r in found}) == len(found)
    assert found[0]["issue_time"] == "2026-03-14T23:00:00Z"
    for r in found:
        assert 0 <= float(r["q2.5"]) <= float(r["q50"]) <= float(r["q97.5"])
        assert r["unit"] == "L/s"


def test_a_wave_without_noise_is_forecast_as_it_comes(tmp_path: Path) -> None:
    forecasting.run(forecasting.load(write_case(tmp_path, ONE))).write(tmp_path / "out")
    for r in rows(tmp_path / "out" / "forecast.csv"):
        hour = int(r["time"][11:13]) + 1
        assert float(r["q50"]) == pytest.approx(flow_l_per_s(r["series"], hour), rel=0.02)


def test_what_is_measured_after_the_issue_time_changes_nothing(tmp_path: Path) -> None:
    lines = flows()
    later = [lines[0], *lines[1 : KNOWN + 1], *(line.split(",")[0] + ",7777,8888" for line in lines[KNOWN + 1 :])]
    made = [forecasting.run(forecasting.load(write_case(tmp_path / name, ONE, lines=own))) for name, own in (("a", lines), ("b", later), ("c", lines[: KNOWN + 1]))]
    assert made[0].forecasts[0].to_bytes() == made[1].forecasts[0].to_bytes() == made[2].forecasts[0].to_bytes()


def test_a_series_without_readings_is_named_and_the_others_are_forecast(tmp_path: Path) -> None:
    lines = [lines if i == 0 or i > HOURS - 8 else lines.rsplit(",", 1)[0] + "," for i, lines in enumerate(flows())]
    found = forecasting.run(forecasting.load(write_case(tmp_path, ONE, lines=lines)))
    assert [z.zone for z in found.forecasts[0].zones] == ["north"]
    assert [name for name, _ in found.gaps] == ["south"]
    assert "not forecast: south" in str(found)
    with_pattern = ONE.replace("[forecast]", "[patterns]\nsouth = [" + "5.0, " * 24 + "]\n[forecast]")
    found = forecasting.run(forecasting.load(write_case(tmp_path, with_pattern, lines=lines)))
    assert [z.rung.value for z in found.forecasts[0].zones] == ["seasonal", "network pattern"]
    assert not found.gaps


def test_scores_are_those_computed_by_hand(tmp_path: Path) -> None:
    lines = flows()
    day = slice(KNOWN + 1, KNOWN + 25)
    lines[day] = [f"{line.split(',')[0]},{float(line.split(',')[1]) + (2.0 if i < 3 else 0.0)},{line.split(',')[2]}" for i, line in enumerate(lines[day])]
    case = forecasting.load(write_case(tmp_path, ONE.replace("0.025, 0.5, 0.975", "0.05, 0.5, 0.95"), lines=lines))
    found = forecasting.backtest(case)
    found.write(tmp_path / "out")
    ours, naive = found.of("north")
    median = np.array([float(r["q50"]) for r in rows(tmp_path / "out" / "forecast.csv") if r["series"] == "north"])
    truth = np.array([float(line.split(",")[1]) for line in lines[day]])
    last_week = np.array([flow_l_per_s("north", h) for h in range(24)])
    assert ours.pi1 * 1000 == pytest.approx(np.abs(truth - median).mean(), rel=1e-4)
    assert ours.pi2 * 1000 == pytest.approx(np.abs(truth - median).max(), rel=1e-4)
    assert naive.mae * 1000 == pytest.approx(np.abs(truth - last_week).mean(), rel=1e-6)
    assert naive.cumulated_m3 == pytest.approx(np.abs(np.cumsum(truth - last_week)).max() * 3.6, rel=1e-6)
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert [s["series"] for s in scores["series"]] == ["north", "south"]
    assert scores["series"][0]["last_week"]["mae"] == pytest.approx(0.25)
    assert len(rows(tmp_path / "out" / "scores.csv")) == 4


def test_a_backtest_without_a_measured_week_is_refused(tmp_path: Path) -> None:
    case = forecasting.load(write_case(tmp_path, lines=flows(60)))
    with pytest.raises(DocumentError, match="no whole week is measured"):
        forecasting.backtest(case)


def test_stopping_gives_what_is_made(tmp_path: Path) -> None:
    more = ONE.replace("[2026-03-16T00:00:00]", "[2026-03-14T00:00:00, 2026-03-15T00:00:00, 2026-03-16T00:00:00]")
    found = forecasting.run(forecasting.load(write_case(tmp_path, more)), lambda done, of, now: done < 1)
    assert found.stopped
    assert len(found.forecasts) == 1


def test_scenarios_are_written_with_a_column_per_series(tmp_path: Path) -> None:
    forecasting.run(forecasting.load(write_case(tmp_path, ONE + "scenarios = 3\n"))).write(tmp_path / "out")
    found = rows(tmp_path / "out" / "scenarios.csv")
    assert len(found) == 3 * 24
    assert list(found[0]) == ["issue_time", "path", "time", "north", "south"]


def test_the_command_writes_says_and_exits_as_it_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_case(tmp_path / "case", ONE)
    assert main(["forecast", "run", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert {"forecast.csv", "explanation.json", "north.svg", "south.svg"} <= {p.name for p in (tmp_path / "out").iterdir()}
    assert "seasonal" in capsys.readouterr().out
    assert main(["forecast", "backtest", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["series"][0]["levada"]["mae"] is not None
    (folder / "case.toml").write_text("name = 3\n")
    assert main(["forecast", "run", str(folder)]) == 2
    assert "case.toml, line 1, name: found 3" in capsys.readouterr().err


def test_file_names_are_safe_whatever_a_series_is_called(tmp_path: Path) -> None:
    lines = flows(24 * 14)
    lines[0] = "time,../../north,south/est"
    paths = forecasting.run(forecasting.load(write_case(tmp_path, ONE, lines=lines))).write(tmp_path / "out")
    assert {p.parent for p in paths} == {tmp_path / "out"}
    assert len({p.name for p in paths}) == 4
