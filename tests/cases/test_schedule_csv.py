"""schedule.csv gives back the same bits when it is read, and says what is wrong with one that somebody else wrote."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cases.case_folder import load_case, write_case

from levada import cases
from levada.domain.errors import FileError, RowError
from levada.domain.pumping import PumpSchedule

MORE = '[pumps.Q]\nspeed = [0.7, 1.1]\n[valves.V]\nchoices = [35.0, 40.0, "closed"]\n'


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> cases.Case:
    return load_case(tmp_path_factory.mktemp("case"), MORE)


speeds = st.one_of(st.just(0.0), st.floats(0.01, 2.0))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(speed=st.lists(st.tuples(speeds, speeds), min_size=4, max_size=4), choice=st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_what_is_written_is_read_back_to_the_bit(case: cases.Case, tmp_path: Path, speed: list[tuple[float, float]], choice: list[int]) -> None:
    values = np.array(speed)
    schedule = PumpSchedule(on=values > 0, speed=values, valve_choice=np.array(choice, np.int64)[:, None])
    path = tmp_path / "schedule.csv"
    path.write_text(cases.write_schedule(case.problem, schedule))
    problem, again = cases.read_schedule(path, case.problem, case.timeline)
    assert problem is case.problem
    assert (again.on == schedule.on).all()
    assert again.speed.tobytes() == schedule.speed.tobytes()
    assert (again.valve_choice == schedule.valve_choice).all()


HEAD = "time,P.on,Q.speed,V.choice\n"
GOOD = [f"2026-03-02T{h:02d}:00:00,1,0.9,40" for h in range(4)]


def read(case: cases.Case, folder: Path, text: str) -> PumpSchedule:
    path = folder / "schedule.csv"
    path.write_text(text)
    return cases.read_schedule(path, case.problem, case.timeline)[1]


def test_a_schedule_by_hand_needs_only_what_cannot_be_known(case: cases.Case, tmp_path: Path) -> None:
    schedule = read(case, tmp_path, HEAD + "\n".join(GOOD[:3]) + "\n2026-03-02T03:00:00Z,0,0,closed\n")
    assert schedule.on.tolist() == [[True, True]] * 3 + [[False, False]]
    assert schedule.speed[0].tolist() == [1, 0.9]
    assert schedule.valve_choice[:, 0].tolist() == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        (HEAD, None, "has 3 rows, the case has 4 steps"),
        (HEAD, "2026-03-02T02:30:00,1,0.9,40", r"line 5, column 'time': .*, expected a time after|line 5, column 'time': found '2026-03-02T02:30:00', expected 2026-03-02T03:00:00Z"),
        (HEAD, "2026-03-02T03:00:00,2,0.9,40", r"line 5, column 'P.on': found '2', expected 1 \(on\) or 0 \(off\)"),
        (HEAD, "2026-03-02T03:00:00,1,-0.9,40", r"line 5, column 'Q.speed': found '-0.9', expected a relative speed"),
        (HEAD, "2026-03-02T03:00:00,1,nan,40", r"column 'Q.speed': found 'nan', expected a finite number"),
        (HEAD, "2026-03-02T03:00:00,1,fast,40", r"column 'Q.speed': found 'fast', expected a number"),
        (HEAD, "2026-03-02T03:00:00,1,0.9,41", r"line 5, column 'V.choice': found '41', expected one of 35.0, 40.0, closed"),
        (HEAD.replace("Q.speed", "Q.on"), "2026-03-02T03:00:00,1,1,40", r"has no column 'Q.speed'; give the speeds of a pump of variable speed"),
        (HEAD.replace("V.choice", "V"), "2026-03-02T03:00:00,1,1,40", r"the column 'V' is unknown"),
        (HEAD.replace("time", "hour"), "2026-03-02T03:00:00,1,1,40", r"has no column `time`"),
        (HEAD.replace("P.on", "step_s"), "2026-03-02T03:00:00,1,1,40", r"column 'step_s': found '1', expected 3600"),
    ],
)  # fmt: skip
def test_a_schedule_that_does_not_fit_is_named_by_line_and_column(case: cases.Case, tmp_path: Path, header: str, row: str | None, said: str) -> None:
    rows = [r.replace("0.9", "1") for r in GOOD[:3]] if "Q.on" in header else GOOD[:3]
    with pytest.raises((FileError, RowError), match=said):
        read(case, tmp_path, header + "\n".join([*rows, *([row] if row else [])]) + "\n")


def test_on_and_speed_must_agree(case: cases.Case, tmp_path: Path) -> None:
    rows = [f"2026-03-02T{h:02d}:00:00,1,{0 if h == 2 else 1},0.9,40" for h in range(4)]
    with pytest.raises(RowError, match=r"line 4, column 'P.speed': found '0', expected a speed above 0, for it is on by 'P.on'"):
        read(case, tmp_path, "time,P.on,P.speed,Q.speed,V.choice\n" + "\n".join(rows) + "\n")


def test_a_pump_without_columns_is_missed(case: cases.Case, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"has no column 'P.on'"):
        read(case, tmp_path, "time,Q.speed,V.choice\n" + "\n".join(f"2026-03-02T{h:02d}:00:00,0.9,40" for h in range(4)) + "\n")


def test_a_previous_plan_needs_the_length_of_its_steps(tmp_path: Path) -> None:
    write_case(tmp_path, '[previous]\nfile = "plan.csv"\n', plan_csv="time,P.on,Q.on\n2026-03-02T00:00:00Z,1,0\n")
    with pytest.raises(FileError, match=r"plan.csv: has no column `step_s`"):
        cases.load(tmp_path)
    write_case(tmp_path, '[previous]\nfile = "plan.csv"\n', plan_csv="time,step_s,P.on,Q.on\n2026-03-02T00:00:00Z,-3,1,0\n")
    with pytest.raises(RowError, match=r"column 'step_s': found '-3', expected a whole number of seconds"):
        cases.load(tmp_path)
