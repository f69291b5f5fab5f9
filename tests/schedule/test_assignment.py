"""Counts to pumps, against trying every assignment."""

from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from tests.schedule.small_networks import Small

from levada.domain.pumping import PumpSchedule
from levada.hydraulics.operation import operation_violations, short_runs
from levada.schedule.assignment import Fits, assign, to_pumps
from levada.schedule.duties import Duties
from levada.schedule.mend import mend
from levada.schedule.plant import Plant

PUMPS = 3


def _duties(n: int, **changes: Any) -> Duties:
    fields: dict[str, Any] = {
        "available": np.ones((n, PUMPS), bool), "forced": np.zeros((n, PUMPS), bool), "max_starts": np.full(PUMPS, n), "starts_made": np.zeros(PUMPS, np.int64),
        "initial_on": np.zeros(PUMPS, bool), "is_periodic": False, "day": np.zeros(n, np.int64), "durations_s": np.full(n, 1800.0), "min_on_s": np.zeros(PUMPS),
        "min_off_s": np.zeros(PUMPS), "held_s": np.full(PUMPS, np.inf), "wear": np.zeros(PUMPS),
    }  # fmt: skip
    return Duties(**{**fields, **changes})


def _started(on: np.ndarray, d: Duties) -> np.ndarray:
    return np.asarray(on & ~np.vstack([on[-1] if d.is_periodic else d.initial_on, on[:-1]]))


def _holds(on: np.ndarray, d: Duties) -> bool:
    started = _started(on, d)
    for day in range(int(d.day[-1]) + 1):
        planned = started[d.day == day].sum(axis=0)
        if ((planned + (d.starts_made if day == 0 else 0) > d.max_starts) & (planned > 0)).any():
            return False
    if d.most_started is not None and (started.sum(axis=1) > d.most_started).any():
        return False
    return not any(
        short_runs(on[:, j], d.durations_s, float(d.min_on_s[j]), float(d.min_off_s[j]), bool(d.initial_on[j]), float(d.held_s[j]), periodic=d.is_periodic)
        for j in range(PUMPS)
    )


def _price(on: np.ndarray, d: Duties) -> tuple[float, int, float]:
    starts = _started(on, d).sum(axis=0)
    money, away = float(d.wear @ starts), 0.0
    if d.previous_on is not None:
        other = on != d.previous_on
        away = float((other * d.durations_s[:, None]).sum())
        money += 0.0 if d.deviation_cost is None else float((other * d.deviation_cost).sum())
    return round(money, 9), int(starts.sum()), away


def _best(counts: np.ndarray, d: Duties) -> tuple[float, int, float] | None:
    choices = [
        [c for c in combinations(range(PUMPS), int(m)) if d.available[k, list(c)].all() and not set(np.flatnonzero(d.forced[k]).tolist()) - set(c)]
        for k, m in enumerate(counts)
    ]
    best = None
    for picked in product(*choices):
        on = np.zeros((len(counts), PUMPS), bool)
        for k, c in enumerate(picked):
            on[k, list(c)] = True
        if _holds(on, d) and (best is None or _price(on, d) < best):
            best = _price(on, d)
    return best


def _case(seed: int) -> tuple[np.ndarray, Duties]:
    """Counts and a random subset of duties."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    some = rng.random(9) < 0.4
    changes: dict[str, Any] = {"initial_on": rng.random(PUMPS) < 0.5, "is_periodic": bool(rng.random() < 0.4), "max_starts": rng.integers(0, 3, PUMPS) if some[0] else np.full(PUMPS, n)}
    available, forced = np.ones((n, PUMPS), bool), np.zeros((n, PUMPS), bool)
    if some[1]:
        available[rng.integers(n), rng.integers(PUMPS)] = False
    if some[2]:
        forced[rng.integers(n), rng.integers(PUMPS)] = True
        forced &= available
    if some[3] and not changes["is_periodic"]:
        changes |= {"day": (np.arange(n) >= n // 2).astype(np.int64), "starts_made": rng.integers(0, 2, PUMPS)}
    if some[4]:
        changes |= {"min_on_s": rng.integers(0, 4, PUMPS) * 1800.0, "min_off_s": rng.integers(0, 3, PUMPS) * 1800.0, "held_s": rng.integers(0, 4, PUMPS) * 1800.0}
    if some[5]:
        changes["wear"] = rng.integers(0, 3, PUMPS).astype(float)
    if some[6]:
        changes["previous_on"] = rng.random((n, PUMPS)) < 0.5
        if some[7]:
            changes["deviation_cost"] = rng.integers(0, 3, (n, PUMPS)).astype(float)
    if some[8]:
        changes["most_started"] = rng.integers(0, 3, n)
    duties = _duties(n, available=available, forced=forced, **changes)
    if rng.random() < 0.7:
        # Counts of a day that is run slowly: otherwise hardly any case can be assigned.
        counts = np.clip(np.cumsum(rng.integers(-1, 2, n)) + rng.integers(0, PUMPS), 0, PUMPS)
    else:
        counts = rng.integers(0, PUMPS + 1, n)
    return np.clip(counts, forced.sum(axis=1), available.sum(axis=1)).astype(np.int64), duties


@pytest.mark.parametrize("block", range(6))
def test_the_cheapest_assignment_is_found_exactly_when_there_is_one_and_it_holds(block: int) -> None:
    found_some = 0
    for seed in range(50 * block, 50 * (block + 1)):
        counts, duties = _case(seed)
        found, best = assign(counts, duties), _best(counts, duties)
        assert (found is None) == (best is None), seed
        if found is not None:
            found_some += 1
            assert (found.sum(axis=1) == counts).all()
            assert not (found & ~duties.available).any()
            assert not (duties.forced & ~found).any()
            assert _holds(found, duties), seed
            wanted = best if duties.wear.any() or duties.previous_on is not None else None
            assert wanted is None or _price(found, duties) == wanted, seed
    assert found_some > 5


def test_where_nothing_holds_counts_availability_and_forced_pumps_still_do() -> None:
    for seed in range(150):
        counts, duties = _case(seed)
        found = assign(counts, duties, strict=False)
        assert found is not None
        assert (found.sum(axis=1) == counts).all()
        assert not (found & ~duties.available).any()
        assert not (duties.forced & ~found).any()


def test_a_long_horizon_of_many_pumps_is_assigned_within_limits_of_starts_and_times() -> None:
    problem = Small(pumps=4).problem(n=96, minutes=15, max_starts=np.full(4, 3), min_on_s=np.full(4, 3600.0), min_off_s=np.full(4, 1800.0), hydraulic_step_s=900)
    plant = Plant(problem)
    counts = np.repeat([0, 1, 2, 3, 2, 1, 0, 2, 3, 4, 2, 1], 8)[:, None].astype(np.int64)
    assert Fits(plant)(counts)
    schedule = to_pumps(plant, counts, np.where(counts > 0, 1.0, 0.0))
    assert not operation_violations(problem, schedule)


def test_no_more_pumps_of_all_classes_start_together_than_may() -> None:
    problem = Small(identical=False).problem(max_simultaneous_starts=1)
    fits = Fits(Plant(problem))
    together, apart = np.zeros((6, 2), np.int64), np.zeros((6, 2), np.int64)
    together[2:4] = 1
    apart[2:4, 0] = apart[3:5, 1] = 1
    assert not fits(together)
    assert fits(apart)


def test_pumps_that_have_run_less_run_more_and_the_previous_plan_is_kept_where_it_costs_no_start() -> None:
    problem = Small().problem(run_hours_h=np.array([500.0, 480.0]), max_starts=np.full(2, 3))
    counts = np.array([1, 1, 0, 1, 1, 0])[:, None]
    schedule = to_pumps(Plant(problem), counts, counts.astype(float))
    assert schedule.on[:, 1].sum() == 4
    assert schedule.on[:, 0].sum() == 0
    even = to_pumps(Plant(replace(problem, run_hours_h=np.array([500.0, 500.0]))), counts, counts.astype(float))
    assert even.on.sum(axis=0).tolist() == [2, 2]
    plan = np.zeros((6, 2), bool)
    plan[3:5, 1] = True
    kept = to_pumps(Plant(replace(problem, run_hours_h=None, previous_on=plan)), counts, counts.astype(float))
    assert kept.on[3:5, 1].all()
    assert kept.starts("window", problem.initial_on).sum() == 2


@pytest.mark.parametrize("count_starts", ["window", "periodic"])
def test_counts_fit_exactly_where_some_assignment_starts_no_more_than_all_pumps_together_may(count_starts: str) -> None:
    rng = np.random.default_rng(5)
    fitting = 0
    for _ in range(60):
        day = np.array([0, 0, 1, 1]) if count_starts == "window" and rng.random() < 0.5 else None
        problem = Small(pumps=3, identical=False).problem(
            n=4, count_starts=count_starts, max_starts=rng.integers(1, 3, 3), max_starts_total=int(rng.integers(0, 4)), day=day, initial_on=rng.random(3) < 0.5,
            starts_made=rng.integers(0, 2, 3), available=rng.random((4, 3)) < 0.9,
        )  # fmt: skip
        plant = Plant(problem)
        counts = np.minimum(rng.integers(0, 3, (4, 2)), plant.available)
        by_step = [
            [on for on in product((False, True), repeat=3) if all(sum(on[j] for j in c.pumps) == counts[k, i] for i, c in enumerate(plant.classes)) and not (np.array(on) & ~problem.available[k]).any()]
            for k in range(4)
        ]
        possible = any(not operation_violations(problem, PumpSchedule(on=np.array(on), speed=np.array(on, float))) for on in product(*by_step))
        assert Fits(plant)(counts) == possible
        fitting += possible
        schedule = to_pumps(plant, counts, np.ones((4, 2)))
        assert bool(operation_violations(problem, schedule)) != possible
    assert 5 < fitting < 55


def test_a_schedule_that_starts_too_often_in_all_is_mended() -> None:
    problem = Small(identical=False).problem(n=12, prices=[0.1, 0.3] * 6, max_starts_total=2, max_starts=np.full(2, 12))
    plant = Plant(problem)
    fits = Fits(plant)
    counts = np.stack([np.arange(12) % 2, np.arange(12) // 2 % 2], axis=1).astype(np.int64)
    assert not fits(counts)
    assert fits(mend(plant, fits, counts.copy()))
