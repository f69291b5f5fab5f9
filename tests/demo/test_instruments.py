"""The plant's instruments err as real ones do, by known amounts."""

from datetime import UTC, datetime, timedelta
from typing import cast

import numpy as np
import pytest

from levada.demo.instruments import Instruments, Stuck
from levada.demo.utilities import list_utilities
from levada.domain.settings import FileContracts, read_document

FILES = cast(FileContracts, read_document("files", list_utilities()[0].documents["files"]))
START = datetime(2026, 1, 1, tzinfo=UTC)
TRUE = {"tank.Castelo.level": 3.0, "zone.baixa.flow": 0.015, "pump.EE1-1.energy": 5e11, "pump.EE1-1.status": 1.0, "pump.EE2-1.speed": 0.923}


def a_year() -> tuple[dict[str, np.ndarray], dict[str, int], Instruments]:
    instruments = Instruments(FILES, 6)
    shown: dict[str, list[float]] = {series: [] for series in TRUE}
    stuck: dict[str, Stuck] = {}
    stuck_for = dict.fromkeys(TRUE, 0)
    for i in range(96 * 365):
        readings, stuck = instruments.read(START + i * timedelta(minutes=15), TRUE, stuck)
        for series, value in readings.items():
            shown[series].append(value)
        for series in stuck:
            stuck_for[series] += 1
    return {series: np.array(values) for series, values in shown.items()}, stuck_for, instruments


def test_a_year_of_readings_is_near_the_truth_with_the_faults_of_real_sensors() -> None:
    shown, stuck_for, _ = a_year()
    n = 96 * 365
    for values in shown.values():
        assert 0.001 < 1 - len(values) / n < 0.004, "a few are missing"
    level = shown["tank.Castelo.level"]
    nonsense = level > 50
    assert 0 < nonsense.sum() + (shown["zone.baixa.flow"] > 50).sum() < 15, "nonsense is rare"
    assert np.abs(level[~nonsense] - 3.0).max() < 0.06
    assert np.allclose(level[~nonsense] * 100, np.round(level[~nonsense] * 100)), "to the centimetre"
    flow = shown["zone.baixa.flow"]
    flow = flow[flow < 50]
    assert np.abs(flow / 0.015 - 1).max() < 0.06
    assert flow.std() > 0
    assert np.ptp(shown["pump.EE1-1.energy"]) == 0
    assert set(shown["pump.EE1-1.status"]) == {1.0}
    assert shown["pump.EE2-1.speed"] == pytest.approx(0.923)
    assert 0.002 < stuck_for["tank.Castelo.level"] / n < 0.03
    assert stuck_for["pump.EE1-1.status"] == 0


def test_a_stuck_sensor_shows_what_it_showed_until_it_comes_free() -> None:
    instruments = Instruments(FILES, 5)
    stuck = {"tank.Castelo.level": Stuck(START + timedelta(hours=1), 1.23)}
    values = []
    for i in range(8):
        shown, stuck = instruments.read(START + i * timedelta(minutes=15), TRUE, stuck)
        values.append(shown["tank.Castelo.level"])
    assert values[:4] == [1.23] * 4
    assert all(abs(v - 3.0) < 0.06 for v in values[4:])


def test_the_same_sensor_and_instant_always_show_the_same() -> None:
    once, again = Instruments(FILES, 5), Instruments(FILES, 5)
    later = START + timedelta(days=3)
    once.read(START, TRUE, {})
    assert once.read(later, TRUE, {}) == again.read(later, TRUE, {})


def test_what_no_contract_delivers_is_not_measured() -> None:
    shown, _ = Instruments(FILES, 5).read(START, {"tank.Nowhere.level": 1.0}, {})
    assert shown == {}
