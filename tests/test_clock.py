from datetime import UTC, datetime, timedelta

import pytest

from levada.clock import REAL_TIME, Clock
from levada.domain.errors import SetupError


def test_real_time_is_the_machines() -> None:
    assert Clock.from_setting(None) is REAL_TIME
    assert REAL_TIME.is_real
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert REAL_TIME.at(now) == now


def test_a_fast_clock_survives_its_setting() -> None:
    clock = Clock(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, 4, tzinfo=UTC), 120.0)
    again = Clock.from_setting(clock.as_setting())
    assert again == clock
    assert again.at(datetime(2026, 1, 1, 0, 1, tzinfo=UTC)) == datetime(2026, 6, 1, 6, tzinfo=UTC)
    assert again.real_seconds(timedelta(hours=2)) == 60.0


@pytest.mark.parametrize("text", ["soon", "2026-01-01T00:00:00Z x0 from 2026-01-01T00:00:00Z", "2026-01-01 x2 from 2026-01-01"])
def test_a_setting_that_cannot_be_read_shows_how_to_write_it(text: str) -> None:
    with pytest.raises(SetupError, match=r"LEVADA_CLOCK is .*; write it as '2026-03-01T04:00:00Z x120 from"):
        Clock.from_setting(text)
