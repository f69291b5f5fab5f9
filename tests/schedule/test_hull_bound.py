"""The bound by columns: below every schedule whatever is asked, for more tanks and configurations than patches can be written out for, and none where it is not for the plant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.cases.grown import grown_network
from benchmarks.cases.large import day_of
from tests.schedule.relaxed import relaxed
from tests.schedule.small_networks import best_by_trying_all
from tests.schedule.two_tanks import SUN, two_tanks

from levada.domain.pumping import PumpSchedule
from levada.domain.pumping_terms import Meter, Source
from levada.schedule import Work, solve
from levada.schedule.certificate import Bound
from levada.schedule.hull_bound import bound_by_hull
from levada.schedule.hull_fit import fitted
from levada.schedule.hull_models import HullModel, directions, outputs_of, parts_of, run_at
from levada.schedule.hull_states import States
from levada.schedule.plant import Plant
from levada.schedule.progress import Progress, Teller
from levada.schedule.reach import Zone

N = 5
LITTLE = Work(hull_solves=4000)


def _bound(plant: Plant, zones: list[Zone], best: tuple[float, PumpSchedule], work: Work = LITTLE, teller: Teller | None = None) -> Bound | None:
    rng, teller = np.random.default_rng(3), teller or Teller(None, plant)
    fit = fitted(plant, zones, rng, work, teller)
    return None if fit is None else bound_by_hull(plant, fit, best[1], best[0], rng, teller)


FULL = {"may_stand_full": np.ones(2, bool), "hydraulic_step_s": 3600}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"demand_l_per_s": 9.0},
        FULL,
        {**FULL, "demand_l_per_s": 8.0, "prices": [-0.1, 0.2, -0.05, -0.1, 0.2]},
        {"stored_value_per_m3": np.array([0.03, 0.01])},
        {"sources": (Source(reservoir="R", cost_per_m3=np.full(N, 0.1)),)},
        {"meters": (Meter(name="M", pumps=("P0", "P1"), own_power_kw=4 * SUN, export_price_per_kwh=np.linspace(0.0, 0.3, N)),)},
        {"meters": (Meter(name="M", pumps=("P0", "Q0"), own_power_kw=SUN, demand_charge_per_kw=0.2),)},
        {"co2_kg_per_kwh": np.linspace(0.1, 0.5, N), "co2_price_per_kg": 0.4},
        {"wear_cost_per_start": np.full(3, 0.5), "previous_on": np.ones((N, 3), bool), "deviation_cost_per_h": np.full((N, 3), 0.1)},
        {"available": np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1]], bool)},
        {"reserve_level_m": np.array([[0.6, 0.6], [1.0, 0.8], [1.6, 1.2], [1.2, 0.6], [0.6, 0.6]])},
        {"max_starts": np.array([1, 1, 1]), "count_starts": "periodic"},
    ],
    ids=[
        "energy", "little demand", "full", "full, negative prices", "stored water", "source", "export dearer than import", "meter of two zones", "emissions", "wear and deviations", "outages",
        "reserves", "starts counted periodically",
    ],
)  # fmt: skip
def test_it_is_below_the_best_of_all_schedules(changes: dict[str, object]) -> None:
    problem = two_tanks(**changes)  # type: ignore[arg-type]
    best = best_by_trying_all(problem)
    assert best is not None
    plant, _, zones, relaxation = relaxed(problem)
    # Within the zones that can be reached, and without knowing them.
    for known in (zones, []):
        found = _bound(plant, known, best)
        assert found is not None
        assert found.value is not None
        assert found.value <= best[0] + 1e-9
        # One that says nothing would be as low as one likes.
        assert relaxation.value is not None
        assert found.value > relaxation.value - 0.25 * abs(best[0])


def test_it_bounds_what_has_more_tanks_than_patches_know() -> None:
    problem = day_of(grown_network(seed=54, tanks=5, stations=4))
    solution = solve(problem, work=Work(audit_samples=300, fit_samples=12, beam=20, candidates=1, programmes=1, quick_programmes=4, simulations=2000, hull_solves=0))
    assert solution.feasible
    found = _bound(Plant(problem), [], (solution.certificate.cost, solution.schedule))
    assert found is not None
    assert found.value is not None
    assert 0.75 * solution.certificate.cost < found.value <= solution.certificate.cost


def test_planes_and_their_remainders_hold_all_solves_they_were_fitted_to() -> None:
    plant, rng = Plant(two_tanks(**FULL)), np.random.default_rng(5)
    parts = parts_of(plant, 100)
    assert parts is not None
    states = States(plant, [], of_solves=True)
    step, x = states.draw(3000, rng)
    assert states.hold(step, x).all()
    assert (x == 1.0).any(), "no tank was ever full"
    drawn = run_at(plant, parts, step, x, np.stack([rng.integers(0, len(p.counts), len(step)) for p in parts], axis=1), rng)
    for part in parts:
        model, y = HullModel.fit(plant, part, directions(plant), drawn), outputs_of(plant, part, drawn)
        own = drawn.runs.holds[:, part.place] & ~drawn.runs.barred[:, part.place].any(axis=1)
        weight = rng.normal(size=(plant.n, y.shape[1]))
        constant, slope = model.collapsed(np.arange(plant.n), weight)
        least = constant + model.least_rest(weight)
        k, c = step[own], drawn.configuration[own, part.place]
        bottom = least[k, c] + (slope[k, c] * drawn.runs.x[own][:, part.tanks]).sum(axis=1)
        assert ((weight[k] * y[own]).sum(axis=1) >= bottom - 1e-6).all()


def test_there_is_none_where_it_is_not_for_the_plant_or_not_wanted() -> None:
    problem = two_tanks()
    best = best_by_trying_all(problem)
    assert best is not None
    plant = Plant(problem)
    assert _bound(plant, [], best, replace(LITTLE, hull_solves=0)) is None
    assert _bound(Plant(replace(problem, min_speed=np.full(3, 0.8))), [], best) is None


def test_who_stops_it_gets_what_it_has() -> None:
    problem = two_tanks(**FULL)
    best = best_by_trying_all(problem)
    assert best is not None
    told: list[Progress] = []

    def stop(progress: Progress) -> bool:
        told.append(progress)
        return progress.bound is None

    plant = Plant(problem)
    found = _bound(plant, [], best, teller=Teller(stop, plant))
    assert found is not None
    assert found.value is not None
    assert found.value <= best[0]
    assert told[-1].stage == "columns"
    # Amid the first solves there is nothing to show yet.
    assert _bound(plant, [], best, teller=Teller(lambda _: False, plant)) is None
