"""What whole schedules cost and break: a candidate's cost is the bill of the schedule it becomes, and each limit beyond the steps counts."""

from typing import Any

import numpy as np
import pytest
from tests.schedule.small_networks import Small

from levada.domain.pumping_terms import Meter, Source
from levada.schedule.assignment import Fits, to_pumps
from levada.schedule.candidate import Candidate, Runner
from levada.schedule.plant import Plant

N = 6


def _candidate(counts: list[int], **changes: Any) -> tuple[Candidate, Runner]:
    problem = Small().problem(n=N, **changes)
    plant = Plant(problem)
    runner = Runner(plant, Fits(plant))
    column = np.array(counts, np.int64)[:, None]
    return runner.simulate((column, np.where(column > 0, 1.0, 0.0), runner.first_choices)), runner


def test_the_cost_of_a_candidate_is_the_bill_of_its_schedule() -> None:
    rng = np.random.default_rng(3)
    found, runner = _candidate(
        [1, 2, 1, 0, 1, 1], meters=(Meter(name="M", pumps=("P0", "P1"), demand_charge_per_kw=0.7, peak_so_far_kw=5.0, own_power_kw=rng.uniform(0, 20, N), export_price_per_kwh=np.full(N, 0.04)),),
        wear_cost_per_start=np.array([0.5, 0.9]), previous_on=rng.random((N, 2)) < 0.5, deviation_cost_per_h=rng.uniform(0, 0.3, (N, 2)), stored_value_per_m3=np.array([0.03]),
        co2_kg_per_kwh=rng.uniform(0.1, 0.4, N), co2_price_per_kg=0.08, sources=(Source(reservoir="R", cost_per_m3=rng.uniform(0, 0.02, N)),),
    )  # fmt: skip
    trajectory = runner.plant.simulator.run(to_pumps(runner.plant, found.counts, found.speeds))
    assert found.cost == pytest.approx(trajectory.cost, rel=1e-6)
    assert min(trajectory.bill.demand_charge.sum(), trajectory.bill.starts.sum(), trajectory.bill.deviation, trajectory.bill.co2, trajectory.bill.water.sum()) > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"end_level_m": np.array([4.4])}, {"end_level_max_m": np.array([2.01]), "end_level_m": np.array([2.0])}, {"co2_kg_per_kwh": np.full(N, 0.3), "max_co2_kg": 1.0},
        {"sources": (Source(reservoir="R", max_volume_m3_per_day=10.0),)}, {"max_starts": np.zeros(2, np.int64)}, {"min_on_s": np.full(2, 9e4)},
        {"max_simultaneous_starts": 1},
    ],
    ids=["end level", "end band", "co2", "source", "starts", "on time", "together"],
)  # fmt: skip
def test_each_limit_of_the_whole_counts_where_it_fails_and_only_there(changes: dict[str, Any]) -> None:
    counts = [2, 1, 2, 0, 1, 0]
    free, _ = _candidate(counts, end_level_m=np.array([0.5]))
    bound, runner = _candidate(counts, **{"end_level_m": np.array([0.5]), **changes})
    assert free.severity == pytest.approx(free.step_severity.sum())
    assert bound.severity > free.severity
    assert any(v.limit not in {"level", "saturation"} for v in runner.plant.simulator.run(to_pumps(runner.plant, bound.counts, bound.speeds)).violations)


def test_schedules_side_by_side_and_from_where_they_leave_another_are_as_alone() -> None:
    base, runner = _candidate([1, 1, 1, 1, 1, 1])
    others = [[1, 1, 2, 0, 1, 1], [0, 2, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 2]]
    trials = [(np.array(c, np.int64)[:, None], np.where(np.array(c)[:, None] > 0, 1.0, 0.0), runner.first_choices) for c in others]
    together = runner.simulate_all(trials, base)
    for trial, found in zip(trials, together, strict=True):
        alone = Runner(Plant(runner.plant.problem), runner.fits).simulate(trial)
        assert found is not None
        assert (found.cost, found.severity) == (alone.cost, alone.severity)
        assert (found.volume == alone.volume).all()


def test_limits_that_give_way_first_count_least() -> None:
    counts = [1, 1, 1, 1, 1, 1]
    ends = {"end_level_m": np.array([4.4])}
    first, _ = _candidate(counts, **ends, relax_order=("end level", "level"))
    last, _ = _candidate(counts, **ends, relax_order=("level", "end level"))
    assert 0 < first.severity - first.step_severity.sum() < last.severity - last.step_severity.sum()


def test_identical_pumps_at_two_meters_are_not_swapped() -> None:
    meters = tuple(Meter(name=f"M{i}", pumps=(f"P{i}",), demand_charge_per_kw=1.0) for i in range(2))
    assert len(Plant(Small().problem(meters=meters)).classes) == 2
    assert len(Plant(Small().problem()).classes) == 1
