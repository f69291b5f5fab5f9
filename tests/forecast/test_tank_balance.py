"""Demand from what tanks gain and lose: exact where sensors are, smooth where they are not, silent where nothing is known."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from levada.domain.series import Floats, Readings
from levada.domain.time import Instants, to_np
from levada.forecast.tank_balance import demand_by_balance, volumes_at_edges

START = datetime(2026, 3, 10, tzinfo=UTC)
DAYS = 20
MINUTES = np.arange(DAYS * 1440)
PUMPED = np.where(MINUTES % 1440 < 800, 0.054, 0.0)


def at(minutes: Floats) -> Instants:
    return (to_np(START - timedelta(days=DAYS)) + (minutes * 60).astype("timedelta64[s]")).astype("datetime64[us]")


def demand(seed: int = 1) -> Floats:
    """A daily wave with days and hours unlike others, m3/s by minute."""
    rng = np.random.default_rng(seed)
    wave = 0.03 * (1 + 0.5 * np.sin((MINUTES / 1440 - 0.3) * 2 * np.pi))
    return wave * (1 + 0.05 * np.repeat(rng.normal(size=DAYS), 1440)) + 0.001 * np.repeat(rng.normal(size=DAYS * 24), 60)


def plant(noise_m3: float, every: int = 5) -> tuple[Readings, Readings, Floats]:
    """Volume and inflow as sensors tell them every so many minutes, and the demand behind them."""
    drawn = demand()
    volume = 1000 + np.concatenate([[0.0], np.cumsum((PUMPED - drawn) * 60)])
    seen = np.arange(0, DAYS * 1440 + 1, every)
    noise = noise_m3 * np.random.default_rng(2).normal(size=len(seen))
    return Readings.good(at(seen), volume[seen] + noise), Readings.good(at(MINUTES[::every]), PUMPED.reshape(-1, every).mean(axis=1)), drawn


@pytest.mark.parametrize("step_s", [900, 3600])
def test_without_noise_it_is_the_balance(step_s: int) -> None:
    volume, inflow, drawn = plant(0.0)
    found = demand_by_balance(volume, [inflow], [], START, step_s)
    truth = drawn.reshape(-1, step_s // 60).mean(axis=1)
    assert len(found) == len(truth)
    assert np.abs(found.values - truth).mean() < 0.01 * truth.mean()


@pytest.mark.parametrize("step_s", [900, 3600])
def test_noise_is_smoothed_to_a_fraction_of_what_differences_make_of_it(step_s: int) -> None:
    volume, inflow, drawn = plant(5.0)
    found = demand_by_balance(volume, [inflow], [], START, step_s)
    truth = drawn.reshape(-1, step_s // 60).mean(axis=1)
    plain = PUMPED.reshape(-1, step_s // 60).mean(axis=1) - np.diff(volume.values[:: step_s // 300]) / step_s
    ours, differenced = (np.abs(v - truth).mean() for v in (found.values, plain))
    assert ours < 0.35 * differenced
    assert np.mean(found.values) == pytest.approx(truth.mean(), rel=0.005), "no water is lost or made"


def test_what_flows_on_to_others_is_not_drawn_here() -> None:
    volume, inflow, drawn = plant(0.0)
    onward = Readings.good(inflow.times, np.full(len(inflow), 0.004))
    more = Readings.good(inflow.times, inflow.values + 0.004)
    found, same = demand_by_balance(volume, [more], [onward], START, 3600), demand_by_balance(volume, [inflow], [], START, 3600)
    assert found.values == pytest.approx(same.values, rel=1e-6)
    assert found.values.mean() == pytest.approx(drawn.mean(), rel=0.01)


def test_nothing_after_the_start_is_used() -> None:
    volume, inflow, _ = plant(2.0)
    cut = START - timedelta(days=3)
    later = Readings.good(volume.times, np.where(volume.times > to_np(cut), 9e9, volume.values))
    known = Readings.good(volume.times[volume.times <= to_np(cut)], volume.values[volume.times <= to_np(cut)])
    a, b = demand_by_balance(later, [inflow], [], cut, 3600), demand_by_balance(known, [inflow], [], cut, 3600)
    assert a.values.tobytes() == b.values.tobytes()


def test_steps_without_a_flow_or_a_volume_are_left_out_and_do_not_spoil_others() -> None:
    volume, inflow, drawn = plant(0.0)
    gap = (inflow.times >= at(np.array([7200]))[0]) & (inflow.times < at(np.array([7500]))[0])
    silent = (volume.times > at(np.array([14400]))[0]) & (volume.times < at(np.array([15000]))[0])
    found = demand_by_balance(Readings.good(volume.times[~silent], volume.values[~silent]), [Readings.good(inflow.times[~gap], inflow.values[~gap])], [], START, 3600)
    place = ((found.times - at(np.array([0]))[0]) / np.timedelta64(3600, "s")).astype(int)
    assert set(range(120, 125)).isdisjoint(place.tolist()), "no flow"
    assert set(range(241, 249)).isdisjoint(place.tolist()), "no volume at either end"
    truth = drawn.reshape(-1, 60).mean(axis=1)[place]
    assert np.abs(found.values - truth).max() < 0.1 * truth.mean()
    assert np.abs(found.values - truth).mean() < 0.01 * truth.mean()


def test_the_order_of_flows_and_their_units_of_time_do_not_matter() -> None:
    volume, inflow, _ = plant(0.0)
    half = Readings.good(inflow.times, inflow.values / 2)
    third = Readings.good(inflow.times[::3], (inflow.values / 2).reshape(-1, 3).mean(axis=1))
    a, b = demand_by_balance(volume, [half, third], [], START, 3600), demand_by_balance(volume, [third, half], [], START, 3600)
    assert a.values == pytest.approx(b.values, rel=1e-9)


def test_without_readings_there_is_nothing() -> None:
    volume, inflow, _ = plant(0.0)
    assert len(demand_by_balance(Readings.empty(), [inflow], [], START, 3600)) == 0
    assert len(demand_by_balance(volume, [Readings.empty()], [], START, 3600)) == 0


def test_an_edge_is_the_reading_there_or_the_line_through_those_around() -> None:
    t = np.array([0.0, 5.0, 10.0, 15.0, 20.0, 120.0])
    volume = Readings.good((to_np(START) + (t * 60 - 7200).astype("timedelta64[s]")).astype("datetime64[us]"), 100 + 2 * t)
    assert volumes_at_edges(volume, START, 600, np.ones(13, bool)) == pytest.approx([100, 120, 140, *[np.nan] * 9, 340], nan_ok=True)
