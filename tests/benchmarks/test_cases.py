"""Every benchmark case can be posed, and the variants of a network are what they say."""

import numpy as np
import pytest
from benchmarks.cases import tariffs, two_pumps
from benchmarks.cases.anytown import half_hourly, tariff_cases
from benchmarks.cases.case import Case, DataMissing, networks_folder, required, shortened
from benchmarks.cases.grown import grown_network, grown_text
from benchmarks.cases.large import day_of
from benchmarks.schedule import all_cases
from tests.benchmarks.quadratic_case import small

from benchmarks import anytown_modified
from levada.domain.pumping import PumpSchedule
from levada.hydraulics.audit import audit

needs_data = pytest.mark.skipif(not networks_folder().exists(), reason=f"NO BENCHMARK DATA at {networks_folder()}: set LEVADA_BENCH_DATA to pose the cases")


def test_names_of_cases_differ() -> None:
    names = [c.name for c in all_cases()]
    assert len(set(names)) == len(names)


@needs_data
@pytest.mark.parametrize("case", all_cases(), ids=lambda c: c.name)
def test_every_case_can_be_posed(case: Case) -> None:
    try:
        posed = case.pose()
    except DataMissing as e:
        pytest.skip(f"NO DATA: {e}")
    assert len(posed.problem.steps) in {12, 24, 48, 96}


def test_where_data_are_missing_the_message_says_where_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEVADA_BENCH_DATA", "/nowhere")
    with pytest.raises(DataMissing, match=r"/nowhere/networks/net3/Net3\.inp.*LEVADA_BENCH_DATA"):
        required("net3", "Net3.inp")


@needs_data
def test_an_hourly_schedule_costs_the_same_in_half_hours() -> None:
    hourly = anytown_modified.problem(3)
    best = next(p for p in anytown_modified.published() if p.name == "costa2016_na_03").schedule
    doubled = PumpSchedule(on=np.repeat(best.on, 2, axis=0), speed=np.repeat(best.speed, 2, axis=0))
    whole, halves = audit(hourly, best), audit(half_hourly(hourly), doubled)
    assert halves.accepted
    assert halves.trajectory.cost == pytest.approx(whole.trajectory.cost, rel=1e-12)


def test_twenty_tariffs_keep_their_mean_in_any_steps_and_some_are_negative() -> None:
    found = tariffs.shapes()
    assert len(found) == 20
    assert len(tariff_cases()) == 40
    for quarters in found.values():
        assert tariffs.averaged(quarters, 24).mean() == pytest.approx(quarters.mean())
        assert tariffs.averaged(quarters, 48).mean() == pytest.approx(quarters.mean())
    assert sum(bool((q < 0).any()) for q in found.values()) >= 3
    assert not np.allclose(tariffs.averaged(found["day-ahead"], 48), np.repeat(tariffs.averaged(found["day-ahead"], 24), 2))


def test_a_seed_grows_the_same_network_and_another_another() -> None:
    assert grown_text(3, tanks=3, stations=2) == grown_text(3, tanks=3, stations=2)
    assert grown_text(3, tanks=3, stations=2) != grown_text(4, tanks=3, stations=2)


@pytest.mark.parametrize(("tanks", "stations"), [(1, 1), (3, 2), (7, 6)])
def test_grown_networks_have_the_tanks_asked_for_and_their_pumps_can_serve_them(tanks: int, stations: int) -> None:
    network = grown_network(5, tanks=tanks, stations=stations)
    assert len(network.tanks) == tanks
    assert len({p.start_node for p in network.pumps}) == stations
    problem = day_of(network)
    half = np.repeat(np.arange(24)[:, None] % 2 == 0, len(network.pumps), axis=1)
    verdict = audit(problem, PumpSchedule(on=half, speed=half.astype(float)))
    assert not {v.limit for v in verdict.trajectory.violations} & {"supply"}


@needs_data
def test_two_pumps_by_their_equations_fill_the_tank_at_full_speed_and_the_judge_agrees() -> None:
    posed = two_pumps.by_equations()
    on = np.ones((24, 2), bool)
    plan = PumpSchedule(on=on, speed=on * 0.9)
    ours, theirs = posed.engine(posed.problem).run(plan), posed.judge(posed.problem, plan).trajectory
    assert ours.level_m == pytest.approx(theirs.level_m, abs=1e-6)
    assert ours.level_m[1, 0] > 3.0


def test_a_shortened_problem_is_its_first_steps() -> None:
    problem = small(min_on_s=np.full(2, 3600.0), reserve_level_m=np.full((6, 1), 0.1)).problem
    cut = shortened(problem, 4)
    assert len(cut.steps) == 4
    assert cut.demand_m3_per_s.tolist() == problem.demand_m3_per_s[:4].tolist()
    assert cut.reserve_level_m is not None
    assert cut.reserve_level_m.shape == (4, 1)
    assert cut.end_level_m.tolist() == problem.end_level_m.tolist()
