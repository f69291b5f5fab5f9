"""The fast reading of stamps against the standard library's."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levada.intake.contracts.stamps import read_stamps

FIXED = ["%Y-%m-%dT%H:%M:%S", "%d/%m/%Y %H:%M", "%Y%m%d %H%M%S", "%Y-%m-%d"]


@given(st.sampled_from(FIXED), st.lists(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)), min_size=1, max_size=20))
def test_stamps_of_fixed_width_are_what_strptime_says(form: str, instants: list[datetime]) -> None:
    texts = [at.strftime(form) for at in instants]
    stamps = read_stamps(texts, form)
    assert stamps.ok.all()
    expected = [datetime.strptime(t, form).replace(tzinfo=UTC).timestamp() for t in texts]
    assert [us / 1e6 for us in stamps.us] == expected


@given(st.lists(st.text(alphabet="0123456789-T: Z+", max_size=22), min_size=1, max_size=10))
def test_what_fromisoformat_refuses_is_refused_and_the_rest_agrees(texts: list[str]) -> None:
    stamps = read_stamps(["2026-03-01T00:00:00", *texts], "iso")
    for text, us, ok in zip(texts, stamps.us[1:], stamps.ok[1:], strict=True):
        try:
            expected = datetime.fromisoformat(text.strip())
        except ValueError:
            assert not ok, text
        else:
            assert ok, text
            assert us / 1e6 == (expected if expected.tzinfo else expected.replace(tzinfo=UTC)).timestamp()


@pytest.mark.parametrize("text", ["2026-02-29T00:00:00", "2026-04-31T00:00:00", "2026-13-01T00:00:00", "2026-00-10T00:00:00", "2026-01-01T24:00:00", "2026-01-01T00:60:00"])
def test_days_and_hours_that_do_not_exist_are_refused(text: str) -> None:
    assert not read_stamps([text], "iso").ok.any()
