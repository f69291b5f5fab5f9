"""Valves that the plan sets: EPANET holds what was chosen, in every unit a file may be written in, as it does by its own controls."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from epanet import toolkit
from tests.hydraulics.networks import problem_for, schedule_of, small_inp, valve_inp, violations_of

from levada.domain.errors import ProblemError
from levada.domain.pumping import Audit, PumpingProblem, PumpSchedule
from levada.domain.pumping_terms import ControllableValve, ValveSetting
from levada.hydraulics.audit import audit
from levada.hydraulics.inp import read_network

FOOT_M, GPM_M3_PER_S = 0.3048, 3.785411784e-3 / 60


def judged(text: str, choices: tuple[ValveSetting, ...], choice: str, **changes: Any) -> Audit:
    """The pump runs all the time and V takes the choices by their digits, hour by hour."""
    network = read_network(text.encode(), "valve.inp")
    problem = problem_for(network, hours=len(choice), valves=(ControllableValve(link="V", choices=choices),), max_level_m=np.array([90.0]), **changes)
    return audit(problem, with_choices(problem, choice))


def with_choices(problem: PumpingProblem, choice: str) -> PumpSchedule:
    on = schedule_of("1" * len(choice))
    return PumpSchedule(on=on.on, speed=on.speed, valve_choice=np.array([[int(c)] for c in choice]))


def plain_run(text: str, settings: list[str], folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """EPANET with V set by a time control each hour: flow through V and the head of K above ground at the n solves, tank level at all n + 1;
    in the file's units."""
    controls = "\n".join(f" LINK V {s} AT TIME {hour}" for hour, s in enumerate(settings))
    (folder / "plain.inp").write_text(text.replace("[END]", f"[CONTROLS]\n{controls}\n[END]").replace(" 1 5 12 0", " 1 90 12 0"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # EPANET's own
        ph = toolkit.createproject()
        toolkit.open(ph, str(folder / "plain.inp"), str(folder / "plain.rpt"), "")
        toolkit.settimeparam(ph, toolkit.DURATION, 3600 * len(settings))
        toolkit.settimeparam(ph, toolkit.HYDSTEP, 3600)
        toolkit.openH(ph)
        toolkit.initH(ph, toolkit.NOSAVE)
        flow: list[float] = []
        above: list[float] = []
        level: list[float] = []
        link, nodes = toolkit.getlinkindex(ph, "V"), [toolkit.getnodeindex(ph, name) for name in ("K", "T")]
        while True:
            toolkit.runH(ph)
            flow.append(toolkit.getlinkvalue(ph, link, toolkit.FLOW))
            for node, values in zip(nodes, (above, level), strict=True):
                values.append(toolkit.getnodevalue(ph, node, toolkit.HEAD) - toolkit.getnodevalue(ph, node, toolkit.ELEVATION))
            if toolkit.nextH(ph) <= 0:
                break
        toolkit.close(ph)
        toolkit.deleteproject(ph)
    return np.array(flow[:-1]), np.array(above[:-1]), np.array(level)


PSI_M = FOOT_M / 0.4333
"""Metres of water in a psi, as EPANET has it."""

CASES: list[tuple[str, str, str, tuple[ValveSetting, ...], tuple[str, ...]]] = [
    ("PRV", "LPS", "", ("closed", "open", 8.0, 14.0), ("CLOSED", "OPEN", "8", "14")),
    ("PRV", "CMH", " Pressure KPA", ("closed", "open", 8.0, 14.0), ("CLOSED", "OPEN", *(str(x / PSI_M * 6.895) for x in (8.0, 14.0)))),
    ("PRV", "GPM", "", ("closed", "open", 7.0, 8.5), ("CLOSED", "OPEN", *(str(x / PSI_M) for x in (7.0, 8.5)))),
    ("PSV", "LPS", "", ("closed", "open", 28.0, 32.0), ("CLOSED", "OPEN", "28", "32")),
    ("PBV", "LPS", "", ("closed", "open", 2.0, 6.0), ("CLOSED", "OPEN", "2", "6")),
    ("FCV", "LPS", "", ("closed", "open", 0.001, 0.003), ("CLOSED", "OPEN", "1", "3")),
    ("FCV", "GPM", "", ("closed", "open", 2 * GPM_M3_PER_S, 4 * GPM_M3_PER_S), ("CLOSED", "OPEN", "2", "4")),
    ("TCV", "LPS", "", ("closed", "open", 5000.0, 50000.0), ("CLOSED", "OPEN", "5000", "50000")),
    ("pipe", "LPS", "", ("closed", "open"), ("CLOSED", "OPEN")),
]


@pytest.mark.parametrize(("kind", "units", "options", "choices", "words"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_epanet_with_the_same_settings_by_time_controls_gives_the_same_pressures_and_levels(
    kind: str, units: str, options: str, choices: tuple[ValveSetting, ...], words: tuple[str, ...], tmp_path: Path
) -> None:
    """From every choice to every other, and beginning with each; the file's own setting is one that is never chosen."""
    order = "01021312032301" if len(choices) == 4 else "01101"
    text = valve_inp(kind, "Open" if kind == "pipe" else "7", units=units, options=options)
    for sequence in (order, order[::-1], order[2:] + order[:2]):
        result = judged(text, choices, sequence, hydraulic_step_s=3600, pressure_floors_m={"K": 0.0})
        flow, above, level = plain_run(text, [words[int(c)] for c in sequence], tmp_path)
        unit_m = FOOT_M if units == "GPM" else 1.0
        assert result.trajectory.level_m[:, 0] == pytest.approx(level * unit_m, abs=2e-5)
        assert result.trajectory.pressure_m[:, 0] == pytest.approx(above * unit_m, abs=1e-3)
        means = sorted(np.mean([q for q, c in zip(flow, sequence, strict=True) if int(c) == i]) for i in range(len(choices)))
        assert (np.diff(means) > 0.02 * means[-1]).all()  # each choice makes a difference


@pytest.mark.parametrize(("units", "options"), [("LPS", ""), ("LPS", " Pressure KPA"), ("LPS", " Pressure BAR"), ("GPM", ""), ("GPM", " Specific Gravity 1.2"), ("CMH", "")])
@pytest.mark.parametrize("setting_m", [7.0, 8.0])
def test_a_pressure_reducing_valve_holds_so_many_metres_behind_it_whatever_the_files_units(units: str, options: str, setting_m: float) -> None:
    """A ceiling and a floor at that pressure hold, each a millimetre closer fails."""
    text = valve_inp("PRV", "1", units=units, options=options)
    for floor, ceiling, count in ((-2e-3, 2e-3, 0), (1e-3, 2e-3, 1), (-2e-3, -1e-3, 1)):
        result = judged(
            text, ("open", setting_m), "1111", pressure_floors_m={"K": setting_m + floor}, pressure_ceilings_m={"K": setting_m + ceiling}
        )  # fmt: skip
        assert len(violations_of(result, "pressure")) == count
        assert result.trajectory.pressure_m[:, 0] == pytest.approx(np.full(4, setting_m), abs=1e-4)


def test_a_valve_takes_its_choice_step_by_step() -> None:
    result = judged(valve_inp("FCV", "1"), ("open", "closed", 0.002, 0.003), "2310", flow_limits_m3_per_s={"V": (0.002, 0.003)})
    low, high = violations_of(result, "flow")
    assert (low.at_s, high.at_s) == (7200, 10800)  # closed, then fully open
    assert low.amount == pytest.approx(0.002, abs=1e-6)
    assert high.text.startswith("flow through valve V, counted from J3 to K, is 3.8 L/s, 0.8 L/s above the 3.0 L/s that it may be at most")
    assert not violations_of(judged(valve_inp("FCV", "1"), (0.002, 0.003), "0110", flow_limits_m3_per_s={"V": (0.002, 0.003)}), "flow")


def test_a_throttle_valve_loses_its_coefficient_times_the_velocity_head() -> None:
    """h = K v2 / 2g, with EPANET's g of 32.2 ft/s2; its flow is read from the pressures before and behind."""
    result = judged(valve_inp("TCV", "1"), ("open", 2000.0), "11", pressure_floors_m={"J3": 0.0, "K": 0.0}, flow_limits_m3_per_s={"V": (1.0, 1.0)})
    (flow,) = violations_of(result, "flow")
    q = 1.0 - flow.amount  # of the last solves, the worst
    velocity = q / (np.pi / 4 * 0.150**2)
    before, behind = result.trajectory.pressure_m.min(axis=0)
    assert before - behind == pytest.approx(2000 * velocity**2 / (2 * 32.2 * FOOT_M), rel=1e-2)


def test_a_pipe_is_opened_and_closed_whatever_the_file_has_it_to_be() -> None:
    for status in ("Open", "Closed"):
        result = judged(valve_inp("pipe", status), ("open", "closed"), "0110", flow_limits_m3_per_s={"V": (0.001, 1)})
        (violation,) = violations_of(result, "flow")
        assert violation.at_s == 3600
        assert violation.text.startswith("flow through pipe V, counted from J3 to K, is 0.0")
        assert violation.text.endswith("from 2026-03-02 01:00 to 03:00 UTC")


@pytest.mark.parametrize(("kind", "choices"), [("PRV", (8.0, "open")), ("FCV", (0.002, "open")), ("PBV", (6.0, "open")), ("TCV", (50000.0, "open")), ("PSV", (32.0, "open"))])
def test_the_files_own_status_and_setting_of_a_valve_do_not_count(kind: str, choices: tuple[ValveSetting, ...]) -> None:
    plain = judged(valve_inp(kind, "7"), choices, "0010", pressure_floors_m={"K": 0.0, "J3": 0.0}).trajectory
    for status in ("Closed", "Open", "3"):
        text = valve_inp(kind, "9").replace("[END]", f"[STATUS]\n V {status}\n[END]")
        ruled = judged(text, choices, "0010", pressure_floors_m={"K": 0.0, "J3": 0.0}).trajectory
        assert ruled.pressure_m == pytest.approx(plain.pressure_m, abs=1e-4)
        assert ruled.level_m == pytest.approx(plain.level_m, abs=1e-6)


def test_a_valve_that_cannot_deliver_the_flow_it_is_set_to_is_a_fault_of_supply() -> None:
    result = judged(valve_inp("FCV", "1"), (0.003, 0.009), "0100")
    (violation,) = violations_of(result, "supply")
    assert violation.at_s == 3600
    assert "cannot deliver flow" in violation.text


def test_choices_that_do_not_fit_are_a_fault_of_the_caller() -> None:
    network = read_network(valve_inp("PRV", "7").encode(), "v.inp")
    problem = problem_for(network, valves=(ControllableValve(link="V", choices=("open", 8.0)),))
    on = schedule_of("1111")
    for choice, message in (
        (np.array([[0], [1], [2], [0]]), "valve V, step 2: choice 2 is none of its 2, 0 to 1"),
        (np.array([[0], [1], [-1], [0]]), "choice -1"),
        (np.zeros((3, 1), np.int64), "shape"),
        (np.zeros((4, 2), np.int64), "shape"),
        (np.zeros((4, 1)), "whole numbers"),
        (np.zeros((0, 0), np.int64), "shape"),
    ):
        with pytest.raises(ValueError, match=message):
            audit(problem, PumpSchedule(on=on.on, speed=on.speed, valve_choice=choice))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        audit(problem_for(network), PumpSchedule(on=on.on, speed=on.speed, valve_choice=np.zeros((4, 1), np.int64)))


@pytest.mark.parametrize(("kind", "setting", "choice"), [("PRV", "7", -1.0), ("FCV", "7", float("nan")), ("GPV", "1", 5.0), ("PRV", "7", "shut")])
def test_a_setting_that_a_valve_cannot_take_is_a_fault_of_the_problem(kind: str, setting: str, choice: ValveSetting) -> None:
    network = read_network(valve_inp(kind, setting).encode(), "v.inp")
    problem = problem_for(network, valves=(ControllableValve(link="V", choices=("open", choice)),))
    with pytest.raises(ProblemError, match="V"):
        audit(problem, with_choices(problem, "0000"))


def test_a_pipe_to_a_tank_that_stands_full_is_shut_and_opened_by_the_plan_alone() -> None:
    """EPANET shuts the inlet of a full tank for itself; closed by the plan the tank keeps its level, opened again it fills up and stands full."""
    network = read_network(small_inp(demand=8).encode(), "small.inp")
    problem = problem_for(
        network, hours=6, may_stand_full=np.array([True]), initial_level_m=np.array([4.5]), valves=(ControllableValve(link="b", choices=("closed", "open")),),
        hydraulic_step_s=3600, flow_limits_m3_per_s={"b": (0.0, 1.0)},
    )  # fmt: skip
    result = audit(problem, with_choices(problem, "011011"))
    level = result.trajectory.level_m[:, 0]
    assert level[:2] == pytest.approx([4.5, 4.5], abs=1e-6)
    assert level[2] > 4.6
    assert level[3:] == pytest.approx(np.full(4, 5.0), abs=1e-6)
    assert not [v.text for v in result.trajectory.violations if v.limit != "supply"]
