"""The three commands on the examples: what they print, write and return; stopping; a case that cannot be met."""

import csv
import json
import os
import signal
import xml.etree.ElementTree as ET
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from tests.cases.case_folder import EXAMPLES, load_case, write_case

from levada import cases
from levada.cases import planning
from levada.cases.summary import summary
from levada.cli_schedule import audit, explain, schedule
from levada.domain.errors import DocumentError, FileError
from levada.schedule import Progress, Work, solve


def run(command: click.Command, *args: object) -> Result:
    result = CliRunner().invoke(command, [str(a) for a in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module", params=["hill-town", "two-zones"])
def planned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Result]:
    """An example, the folder its plan was written to, and what `levada schedule` said."""
    example, out = EXAMPLES / request.param, tmp_path_factory.mktemp("plan") / "out"
    return example, out, run(schedule, example, "--out", out)


def test_a_plan_is_printed_with_its_bill_certificate_and_verdict(planned: tuple[Path, Path, Result]) -> None:
    example, out, result = planned
    assert result.exit_code == 0, result.output
    case = cases.load(example)
    for pump in case.problem.network.pumps:
        assert f"\n{pump.name}" in result.output
    for word in ("Bill, EUR", "total", "no schedule costs less than", "Accepted: audit by EPANET", f"written: {out / 'schedule.csv'}"):
        assert word in result.output
    ruler = next(line.strip() for line in result.output.split("\n") if line.strip().startswith("00 03"))
    assert len(ruler) <= 26  # the ruler of 24 hours, one character a step


def test_where_the_audit_solves_more_roughly_it_is_said_why_the_bill_differs(planned: tuple[Path, Path, Result]) -> None:
    example, out, result = planned
    document = cases.PlanDocument.model_validate_json((out / "plan.json").read_text())
    assert "The bill, " not in result.output
    cost = document.audit.cost * 1.001
    rougher = document.model_copy(update={"certificate": document.certificate.model_copy(update={"cost": cost})})
    told = summary(cases.load(example), rougher)
    assert f"The bill, {document.audit.cost:.2f}, is by the audit" in told
    assert f"Cost {cost:.2f}" in told


def test_the_files_hold_the_plan(planned: tuple[Path, Path, Result]) -> None:
    example, out, _ = planned
    case = cases.load(example)
    document = cases.PlanDocument.model_validate_json((out / "plan.json").read_text())
    assert document.audit.accepted
    assert document.relaxations == []
    bill = document.bill
    parts = bill.energy + bill.demand_charge + bill.water + bill.wear + bill.co2 + bill.deviation + bill.stored_water
    assert bill.total == pytest.approx(parts) == pytest.approx(document.audit.cost)
    _, read = cases.read_schedule(out / "schedule.csv", case.problem, case.timeline)
    assert read.on.T.tolist() == [p.on for p in document.pumps]
    assert read.speed.T.tolist() == [p.speed for p in document.pumps]
    rows = list(csv.DictReader((out / "trajectory.csv").read_text().splitlines()))
    assert len(rows) == 25
    tank = document.tanks[0]
    assert [float(r[f"{tank.name}.level_m"]) for r in rows] == tank.level_m


def test_the_plot_is_svg_that_names_every_pump_and_tank(planned: tuple[Path, Path, Result]) -> None:
    example, out, _ = planned
    network = cases.load(example).problem.network
    root = ET.fromstring((out / "plot.svg").read_text())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = " ".join(t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text"))
    for name in (*(p.name for p in network.pumps), *(f"{t.name}, m" for t in network.tanks), "06:00"):
        assert name in texts


def test_audit_accepts_the_plan_and_rejects_one_that_breaks_limits(planned: tuple[Path, Path, Result], tmp_path: Path) -> None:
    example, out, _ = planned
    good = run(audit, example, out / "schedule.csv")
    assert good.exit_code == 0
    assert "Accepted" in good.output
    idle = tmp_path / "idle.csv"
    rows = list(csv.reader((out / "schedule.csv").read_text().splitlines()))
    idle.write_text("\n".join(",".join([*row[:2], *(row[2:] if i == 0 else ["0"] * (len(row) - 2))]) for i, row in enumerate(rows)) + "\n")
    bad = run(audit, example, idle)
    assert bad.exit_code == 3
    assert "Rejected" in bad.output
    assert "\n  level, " in bad.output
    as_data = run(audit, example, idle, "--json")
    assert as_data.exit_code == 3
    report = json.loads(as_data.output)
    assert report["accepted"] is False
    assert "level" in {v["limit"] for v in report["violations"]}


def test_explain_prints_the_stored_reasons_with_their_figures(planned: tuple[Path, Path, Result]) -> None:
    example, out, _ = planned
    document = cases.PlanDocument.model_validate_json((out / "plan.json").read_text())
    told = run(explain, example, out / "plan.json")
    assert told.exit_code == 0
    assert document.reasons
    for reason in document.reasons:
        assert reason.text in told.output
    assert "price " in told.output
    assert [r["text"] for r in json.loads(run(explain, example, out / "plan.json", "--json").output)] == [r.text for r in document.reasons]


def test_explain_computes_the_reasons_of_a_csv(planned: tuple[Path, Path, Result]) -> None:
    example, out, _ = planned
    told = run(explain, example, out / "schedule.csv")
    assert told.exit_code == 0
    assert "price " in told.output


def test_a_plan_of_another_case_is_not_explained(planned: tuple[Path, Path, Result], tmp_path: Path) -> None:
    _, out, _ = planned
    write_case(tmp_path)
    with pytest.raises(FileError, match=r"is of another network or horizon"):
        run(explain, tmp_path, out / "plan.json")
    broken = tmp_path / "broken.json"
    broken.write_text('{"format": "levada-plan/1"}')
    with pytest.raises(FileError, match=r"broken.json: is no plan: "):
        run(explain, tmp_path, broken)


def test_json_and_quiet_print_data_and_nothing() -> None:
    data = run(schedule, EXAMPLES / "hill-town", "--json")
    document = cases.PlanDocument.model_validate_json(data.stdout)
    assert document.case == "hill-town"
    quiet = run(schedule, EXAMPLES / "hill-town", "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_a_plan_is_drawn_in_a_notebook_and_printed_in_a_terminal() -> None:
    plan = cases.plan(cases.load(EXAMPLES / "hill-town"))
    assert plan.accepted
    assert plan._repr_svg_().startswith("<svg")
    assert str(plan).startswith("hill-town: 2026-03-02 00:00 to 2026-03-03 00:00 (Europe/Lisbon), 24 steps")


def test_a_case_that_cannot_be_met_exits_3_with_each_limit_that_gives_way(tmp_path: Path) -> None:
    write_case(tmp_path, "[demand]\nmultiplier = 6\n")
    result = run(schedule, tmp_path)
    assert result.exit_code == 3
    assert "Rejected: audit by EPANET" in result.output
    assert "No schedule was found that holds all limits. In this one:\n  " in result.output


def slow_solve(problem: Any, *, work: Work, progress: Any, start: Any) -> Any:
    """A search that reports three times, and is interrupted by Ctrl-C after its first report."""
    assert progress(Progress(stage="search", cost=None, bound=9.0, solves=10))
    os.kill(os.getpid(), signal.SIGINT)
    assert not progress(Progress(stage="search", cost=12.0, bound=9.0, solves=20))
    assert not progress(Progress(stage="search", cost=11.0, bound=9.0, solves=30))
    return solve(problem, work=work)


def test_the_first_interrupt_gives_the_best_plan_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "solve", slow_solve)
    before = signal.getsignal(signal.SIGINT)
    result = run(schedule, EXAMPLES / "hill-town")
    assert result.exit_code == 0
    assert "search: no schedule holds all limits yet, bound 9.00 (10 solves)" in result.stderr
    assert "stopped: this is the best plan found so far" in result.stderr
    assert "(stopped early)" in result.stdout
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_interrupt_aborts(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(problem: Any, **rest: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not reached")

    monkeypatch.setattr(planning, "solve", twice)
    result = CliRunner().invoke(schedule, [str(EXAMPLES / "hill-town")])
    assert result.exit_code == 1
    assert "Abort" in result.output


def test_the_previous_plan_is_handed_to_the_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = "time,step_s,P.on,Q.on\n2026-03-02T00:00:00Z,14400,1,0\n"
    case = load_case(tmp_path, '[previous]\nfile = "plan.csv"\n', plan_csv=rows)
    seen: list[Any] = []

    def noting(problem: Any, *, work: Work, progress: Any, start: Any) -> Any:
        seen.append(start)
        return solve(problem, work=work)

    monkeypatch.setattr(planning, "solve", noting)
    cases.plan(case)
    assert seen[0].on.tolist() == [[True, False]] * 4


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"file.*: cannot be written"):
        cases.plan(cases.load(EXAMPLES / "hill-town")).write(tmp_path / "file" / "out")


def test_long_horizons_are_printed_in_bands(planned: tuple[Path, Path, Result]) -> None:
    example, out, _ = planned
    document = cases.PlanDocument.model_validate_json((out / "plan.json").read_text())
    week = document.model_copy(update={
        "step_seconds": document.step_seconds * 7,
        "step_starts": [t + timedelta(days=d) for d in range(7) for t in document.step_starts],
        "pumps": [p.model_copy(update={"on": p.on * 7, "speed": p.speed * 7}) for p in document.pumps],
        "tanks": [t.model_copy(update={"level_m": [*t.level_m, *t.level_m[1:] * 6]}) for t in document.tanks],
        "price_per_kwh": {name: prices * 7 for name, prices in document.price_per_kwh.items()},
    })  # fmt: skip
    lines = summary(cases.load(example), week).split("\n")
    pump = document.pumps[0].name
    rows = [line for line in lines if line.startswith(f"{pump} ")]
    assert [len(row.split()[1]) for row in rows] == [96, 72]


def test_wrong_input_is_a_levada_error(tmp_path: Path) -> None:
    write_case(tmp_path, "nonsense = 1\n")
    with pytest.raises(DocumentError, match=r"case.toml, line 6, nonsense: is unknown"):
        run(schedule, tmp_path)
