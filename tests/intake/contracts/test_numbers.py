"""Numbers: what a person would read, and nothing that only a programming language would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levada.intake.contracts.numbers import read_numbers

MISSING = frozenset({"", "NaN", "-"})


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20), st.sampled_from([".", ","]))
def test_any_finite_number_comes_back_exactly(numbers: list[float], mark: str) -> None:
    values, bad = read_numbers([repr(n).replace(".", mark) for n in numbers], mark, MISSING)  # type: ignore[arg-type]
    assert not bad.any()
    assert values.tolist() == numbers


@pytest.mark.parametrize("text", ["1_000", "infinity", "-inf", "nan", "1 000", "1,000", "0x1", "1e999", "१२", "--1", ".", "+", "1.2.3", "true", "12 l/s"])
def test_what_could_mean_something_else_is_refused_alone_and_in_company(text: str) -> None:
    values, bad = read_numbers([text], ".", MISSING)
    assert bad.tolist() == [True]
    values, bad = read_numbers(["1", text, "2"], ".", MISSING)
    assert bad.tolist() == [False, True, False]
    assert np.isnan(values[1])


def test_missing_texts_are_neither_values_nor_problems() -> None:
    values, bad = read_numbers(["", "NaN", " - ", "3"], ".", MISSING)
    assert not bad.any()
    assert np.isnan(values[:3]).all()
    assert values[3] == 3
