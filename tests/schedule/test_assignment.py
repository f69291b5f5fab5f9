"""Counts to pumps, against trying every assignment."""

from itertools import combinations, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from levada.schedule.assignment import assign

PUMPS = 3


def _starts(on: np.ndarray, before: np.ndarray) -> np.ndarray:
    return (on & ~np.vstack([before, on[:-1]])).sum(axis=0)


def _possible(counts: list[int], available: np.ndarray, limits: np.ndarray, initial: np.ndarray, periodic: bool) -> bool:
    choices = [[c for c in combinations(range(PUMPS), n) if all(available[k, j] for j in c)] for k, n in enumerate(counts)]
    for picked in product(*choices):
        on = np.zeros((len(counts), PUMPS), bool)
        for k, c in enumerate(picked):
            on[k, list(c)] = True
        if (_starts(on, on[-1] if periodic else initial) <= limits).all():
            return True
    return False


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, PUMPS), min_size=2, max_size=6),
    st.lists(st.integers(0, 2), min_size=PUMPS, max_size=PUMPS),
    st.lists(st.booleans(), min_size=PUMPS, max_size=PUMPS),
    st.booleans(),
    st.integers(-1, 5),
)
def test_an_assignment_is_found_exactly_when_there_is_one_and_it_holds(
    counts: list[int], limits: list[int], initial: list[bool], periodic: bool, out: int
) -> None:
    n = len(counts)
    available = np.ones((n, PUMPS), bool)
    if 0 <= out < n:
        available[out, out % PUMPS] = False
        counts[out] = min(counts[out], PUMPS - 1)
    found = assign(np.array(counts), available, np.array(limits), np.array(initial), periodic=periodic)
    assert (found is not None) == _possible(counts, available, np.array(limits), np.array(initial), periodic)
    if found is not None:
        assert (found.sum(axis=1) == counts).all()
        assert not (found & ~available).any()
        assert (_starts(found, found[-1] if periodic else np.array(initial)) <= limits).all()
