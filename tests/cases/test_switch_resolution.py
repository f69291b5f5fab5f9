"""A case whose pumps may be switched within steps: its plan written, read, judged and explained again, and schedules by hand."""

import csv
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from tests.cases.case_folder import HEAD, load_case, write_case

from levada import cases
from levada.cli_schedule import audit, explain, schedule
from levada.domain.errors import RowError

MORE = """
switch_resolution = "10min"
max_starts_total = 2
work = { beam = 40, candidates = 3, simulations = 2000, audit_samples = 300, exact_solves = 10000, switch_solves = 6000 }
[tanks.T]
end = 2.9
"""
PRICED = HEAD.replace("tariff = 0.15", "tariff = [0.1, 0.3, 0.1, 0.3]")


def run(command: click.Command, *args: object) -> Result:
    result = CliRunner().invoke(command, [str(a) for a in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The case, its plan in `out`."""
    folder = write_case(tmp_path_factory.mktemp("case"), MORE, head=PRICED)
    assert run(schedule, folder, "--out", folder / "out", "--quiet").exit_code == 0
    return folder


def test_the_plan_stands_on_the_steps_that_its_switches_make(folder: Path) -> None:
    case = cases.load(folder)
    assert case.problem.switch_resolution_s == 600
    assert case.problem.max_starts_total == 2
    plan = cases.PlanDocument.model_validate_json((folder / "out" / "plan.json").read_text())
    assert len(plan.step_seconds) > 4
    assert sum(plan.step_seconds) == 4 * 3600
    assert all(s % 600 == 0 for s in plan.step_seconds)
    assert sum(p.starts for p in plan.pumps) <= 2
    for name in ("schedule.csv", "trajectory.csv"):
        rows = list(csv.DictReader((folder / "out" / name).read_text().splitlines()))
        assert len(rows) == len(plan.step_seconds) + (name == "trajectory.csv")


def test_what_was_written_is_judged_and_explained_as_it_was_planned(folder: Path) -> None:
    plan = cases.PlanDocument.model_validate_json((folder / "out" / "plan.json").read_text())
    judged = run(audit, folder, folder / "out" / "schedule.csv", "--json")
    assert judged.exit_code == 0
    assert json.loads(judged.output)["cost"] == plan.audit.cost
    stored = run(explain, folder, folder / "out" / "plan.json", "--json")
    computed = run(explain, folder, folder / "out" / "schedule.csv", "--json")
    assert [(r["pump"], r["time"], r["action"]) for r in json.loads(stored.output)] == [(r["pump"], r["time"], r["action"]) for r in json.loads(computed.output)]
    assert len(json.loads(stored.output)) >= 1


def test_rows_by_hand_hold_until_the_next_one(tmp_path: Path) -> None:
    case = load_case(tmp_path, MORE, head=PRICED)
    path = tmp_path / "schedule.csv"
    path.write_text("time,P.on,Q.on\n2026-03-02T00:00:00,1,0\n2026-03-02T00:50:00,1,1\n2026-03-02T02:10:00,0,0\n")
    problem, read = cases.read_schedule(path, case.problem, case.timeline)
    assert problem.steps.durations_s == (3000, 600, 3600, 600, 3000, 3600)
    assert read.on.T.tolist() == [[True, True, True, True, False, False], [False, True, True, True, False, False]]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["00:10:00,600,1,0"], r"line 2, column 'time': found '2026-03-02T00:10:00', expected 2026-03-02T00:00:00Z, the start of the case"),
        (["00:00:00,300,1,0", "00:05:00,14100,1,0"], r"line 3, column 'time': found '2026-03-02T00:05:00', expected a time .*a multiple of 600 s from its start"),
        (["00:00:00,14400,1,0", "04:00:00,600,1,0"], r"line 3, column 'time': .*before the case's end"),
        (["00:00:00,600,1,0", "00:20:00,13200,1,0"], r"line 2, column 'step_s': found '600', expected 1200, the seconds until the next row"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, rows: list[str], said: str) -> None:
    case = load_case(tmp_path, MORE, head=PRICED)
    path = tmp_path / "schedule.csv"
    path.write_text("time,step_s,P.on,Q.on\n" + "\n".join(f"2026-03-02T{r}" for r in rows) + "\n")
    with pytest.raises(RowError, match=said):
        cases.read_schedule(path, case.problem, case.timeline)
