"""The beam keeps what binds by counts, and what it is pressed towards."""

import numpy as np
from tests.schedule.feature_cases import Searching
from tests.schedule.small_networks import Small

from levada.domain.pumping_terms import Meter
from levada.schedule.search import Lean


def test_leaves_of_the_beam_fit_least_times_starts_and_forced_pumps() -> None:
    forced = np.zeros((12, 2), bool)
    forced[5:7, 0] = True
    search = Searching(Small().problem(
        n=12, min_on_s=np.full(2, 7200.0), min_off_s=np.full(2, 7200.0), held_s=np.full(2, 3600.0), max_starts=np.full(2, 2), forced_on=forced, max_simultaneous_starts=1,
    ))  # fmt: skip
    leaves = search.beam()
    assert np.mean([search.runner.fits(counts) for counts, _, _ in leaves]) > 0.5


def test_a_beam_pressed_below_a_peak_keeps_below_it() -> None:
    search = Searching(Small(demand_l_per_s=12).problem(n=12, max_starts=np.full(2, 6), meters=(Meter(name="M", pumps=("P0", "P1"), demand_charge_per_kw=0.001),)))
    free, pressed = search.beam()[0], search.beam(Lean(peak_kw=np.array([20.0]), price_of_totals=np.zeros(1)))[0]
    peaks = [search.runner.whole.grid_kw(np.arange(12), search.runner.simulate(t).power).max() for t in (free, pressed)]
    assert peaks[1] < 20.0 < peaks[0]
