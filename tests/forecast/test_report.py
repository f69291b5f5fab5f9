from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.forecast.made_up import MEAN, NOW, ROME, ahead, asked, measured, rhythm, with_values

from levada.domain.errors import DocumentError, InputGap
from levada.domain.plan import ForecastReport, ZoneForecast
from levada.domain.series import Quality, Readings
from levada.domain.time import local_midnight, to_np
from levada.forecast import Forecast, ForecastInput, Weather
from levada.forecast import forecast as whole_forecast


def forecast(inputs: ForecastInput) -> ForecastReport:
    return whole_forecast(inputs).report()


def _only(report: ForecastReport) -> ZoneForecast:
    (zone,) = report.zones
    return zone


def _error(zone: ZoneForecast, truth: np.ndarray) -> float:
    return float(np.abs(np.array(zone.q50_m3_per_s) - truth).mean())


def test_a_regular_zone_is_forecast_within_its_noise() -> None:
    report = forecast(asked({"north": measured()}))
    zone = _only(report)
    assert zone.method == "ensemble"
    assert report.times[0] == NOW
    assert len(report.times) == len(zone.q50_m3_per_s) == 48
    assert _error(zone, rhythm(ahead(NOW, 48))) < 0.02 * MEAN


def test_a_value_known_after_the_issue_time_changes_nothing() -> None:
    past = measured(days=30, step_s=900)
    later = Readings.good(ahead(NOW, 96, 900), np.full(96, 5 * MEAN))
    both = Readings.good(np.concatenate([past.times, later.times]), np.concatenate([past.values, later.values]))
    for issue in (NOW, NOW - timedelta(hours=7, minutes=30)):
        cut = past.times + np.timedelta64(900, "s") <= to_np(issue)
        before = Readings.good(past.times[cut], past.values[cut])
        assert forecast(asked({"a": both}, issue_time=issue)) == forecast(asked({"a": before}, issue_time=issue))


def test_the_order_of_zones_changes_nothing() -> None:
    zones = {name: measured(days=30, seed=i) for i, name in enumerate("abc")}
    whole = forecast(asked(zones))
    turned = forecast(asked(dict(reversed(zones.items()))))
    assert whole.model_dump_json() == turned.model_dump_json()


def test_another_process_gives_the_same_bytes() -> None:
    code = (
        "import hashlib; from tests.forecast.made_up import asked, measured; from levada.forecast import forecast;"
        "print(hashlib.sha256(forecast(asked({'a': measured(days=30), 'b': measured(days=3)})).to_bytes()).hexdigest())"
    )
    root = Path(__file__).resolve().parents[2]
    found = {
        subprocess.run([sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONHASHSEED": str(i)}, capture_output=True, text=True, check=True).stdout
        for i in (1, 2)
    }
    assert len(found) == 1


@settings(max_examples=12, deadline=None)
@given(
    days=st.sampled_from([1, 3, 10, 16, 30]),
    step_s=st.sampled_from([900, 1800, 3600]),
    noise=st.floats(0, 2),
    missing=st.floats(0, 0.3),
    minutes=st.integers(0, 1440),
    seed=st.integers(0, 100),
)
def test_quantiles_are_ordered_and_never_negative(days: int, step_s: int, noise: float, missing: float, minutes: int, seed: int) -> None:
    issue = NOW - timedelta(minutes=minutes)
    readings = measured(days=days, step_s=900, noise=noise, seed=seed)
    kept = np.random.default_rng(seed).random(len(readings)) >= missing
    readings = Readings.good(readings.times[kept], readings.values[kept])
    count = 30 * 3600 // step_s
    report = forecast(asked({"a": readings}, issue_time=issue, step_s=step_s, count=count, fallback={"a": np.full(count, MEAN)}))
    low, mid, high = (np.array(q) for q in (_only(report).q10_m3_per_s, _only(report).q50_m3_per_s, _only(report).q90_m3_per_s))
    assert len(low) == len(mid) == len(high) == count == len(report.times)
    assert (low >= 0).all()
    assert (low <= mid).all()
    assert (mid <= high).all()
    assert report.times[0] <= issue < report.times[1]


@pytest.mark.parametrize(("days", "method"), [(0, "network pattern"), (0.5, "network pattern"), (1, "seasonal"), (10, "seasonal"), (16, "seasonal"), (60, "ensemble")])
def test_each_length_of_history_reaches_its_rung_and_says_what_is_missing(days: float, method: str) -> None:
    pattern = np.linspace(0.01, 0.03, 48)
    readings = measured(days=days) if days else Readings.empty()
    zone = _only(forecast(asked({"a": readings}, fallback={"a": pattern})))
    assert zone.method == method
    if method == "network pattern":
        assert zone.q50_m3_per_s == pytest.approx(pattern.tolist())
        assert "hours of readings" in zone.notes[-1]
    elif method == "seasonal":
        assert any("21 are needed" in note for note in zone.notes)
        # A Tuesday alone foretells a Wednesday here.
        assert _error(zone, rhythm(ahead(NOW, 48))) < 0.1 * MEAN


def test_less_history_means_a_wider_band() -> None:
    def width(days: float) -> float:
        zone = _only(forecast(asked({"a": measured(days=days)})))
        return float((np.array(zone.q90_m3_per_s) - np.array(zone.q10_m3_per_s)).mean())

    assert width(1) > width(10) > width(60)


def test_without_readings_or_pattern_there_is_no_forecast_and_the_error_says_what_to_deliver() -> None:
    with pytest.raises(InputGap, match="zone 'a' has 0 hours .* deliver at least 20 hours"):
        forecast(asked({"a": Readings.empty()}))


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(DocumentError, match="IANA"):
        forecast(asked({"a": measured(days=3)}, time_zone="Europe/Nowhere"))


@pytest.mark.parametrize("sunday", [date(2021, 10, 31), date(2022, 3, 27)])
def test_over_a_change_of_the_clock_the_forecast_keeps_to_the_wall_clock(sunday: date) -> None:
    start = local_midnight(sunday, ZoneInfo(ROME))
    zone = _only(forecast(asked({"a": measured(until=start, days=50, noise=0.01)}, issue_time=start, count=168)))
    truth = rhythm(ahead(start, 168))
    assert _error(zone, truth) < 0.05 * MEAN
    # On the working days after it, following UTC would put the morning's peak an hour off.
    moved = rhythm(ahead(start + (timedelta(hours=1) if sunday.month == 10 else -timedelta(hours=1)), 168))
    assert _error(zone, truth) < 0.2 * _error(zone, moved)


def test_a_holiday_ahead_is_forecast_like_a_free_day() -> None:
    # Thursday 21 May: a holiday, where readings have never shown one on a Thursday.
    holiday = {date(2026, 5, 21): "local feast"}
    readings = measured(noise=0.02)
    truth = rhythm(ahead(NOW, 48), holidays=holiday)[24:]
    knowing, unaware = (np.array(_only(forecast(asked({"a": readings}, holidays=h))).q50_m3_per_s)[24:] for h in (holiday, {}))
    assert np.abs(knowing - truth).mean() < 0.35 * np.abs(unaware - truth).mean()


@pytest.mark.parametrize("step_s", [900, 1800])
def test_shorter_steps_follow_the_shape_within_the_hour(step_s: int) -> None:
    count = 24 * 3600 // step_s
    zone = _only(forecast(asked({"a": measured(step_s=900, noise=0.02)}, step_s=step_s, count=count)))
    assert _error(zone, rhythm(ahead(NOW, count, step_s))) < 0.04 * MEAN


def test_the_issue_time_may_lie_within_an_hour() -> None:
    issue = NOW + timedelta(hours=5, minutes=20)
    report = forecast(asked({"a": measured(until=issue - timedelta(minutes=5), step_s=900, noise=0.02)}, issue_time=issue, step_s=900, count=96))
    assert report.times[0] == NOW + timedelta(hours=5, minutes=15)
    assert _error(_only(report), rhythm(ahead(report.times[0], 96, 900))) < 0.04 * MEAN


def test_gaps_a_frozen_day_and_spikes_cost_little_and_are_noted() -> None:
    clean = measured(noise=0.05)
    kept = np.random.default_rng(1).random(len(clean)) >= 0.1
    kept[-336:-334] = True
    frozen = {timedelta(hours=-h): MEAN for h in range(72, 96)}
    spikes = {timedelta(hours=-h): 8 * MEAN for h in (20, 130, 250)}
    spoilt = with_values(clean, frozen | spikes)
    spoilt = Readings.good(spoilt.times[kept], spoilt.values[kept])
    truth = rhythm(ahead(NOW, 48))
    zone = _only(forecast(asked({"a": spoilt})))
    assert zone.method == "ensemble"
    assert _error(zone, truth) < _error(_only(forecast(asked({"a": clean}))), truth) + 0.01 * MEAN
    assert any("frozen" in out.what for out in zone.left_out)
    assert any(out.what == "spikes" for out in zone.left_out)


def test_suspect_readings_are_not_used() -> None:
    readings = measured(days=30)
    quality = np.zeros(len(readings), np.uint8)
    quality[-50:] = Quality.SUSPECT
    marked = Readings(times=readings.times, values=readings.values, quality=quality)
    wild = Readings(times=readings.times, values=np.where(quality > 0, 9.0, readings.values), quality=quality)
    assert forecast(asked({"a": marked})) == forecast(asked({"a": wild}))


def test_a_level_that_has_shifted_by_a_fifth_is_followed_within_three_days() -> None:
    readings = measured(noise=0.02)
    shifted = Readings.good(readings.times, np.where(readings.times >= to_np(NOW - timedelta(days=3)), 1.2, 1.0) * readings.values)
    zone = _only(forecast(asked({"a": shifted})))
    truth = 1.2 * rhythm(ahead(NOW, 48))
    # A fifth of the mean is the error of not following.
    assert _error(zone, truth) < 0.05 * MEAN


def test_a_feed_that_has_stopped_is_said_and_the_usual_week_stands_in() -> None:
    zone = _only(forecast(asked({"a": measured(until=NOW - timedelta(days=5))})))
    assert zone.method == "seasonal"
    assert any("in the last three days" in note for note in zone.notes)
    assert _error(zone, rhythm(ahead(NOW, 48))) < 0.1 * MEAN


def test_a_zone_that_draws_nothing_is_forecast_as_nothing() -> None:
    readings = measured(days=30)
    zone = _only(forecast(asked({"a": Readings.good(readings.times, np.zeros(len(readings)))})))
    assert set(zone.q90_m3_per_s) == {0.0}


def test_readings_of_the_future_alone_are_no_readings() -> None:
    with pytest.raises(InputGap):
        forecast(asked({"a": measured(days=30)}, issue_time=datetime(2026, 1, 1, tzinfo=UTC)))


def _whole(zones: dict[str, Readings], **changes: object) -> Forecast:
    return whole_forecast(asked(zones, **changes))


def test_a_single_step_is_forecast_by_the_ensemble_too() -> None:
    found = _whole({"a": measured(days=40)}, count=1, scenarios=3)
    assert (found.zones[0].rung, found.scenarios_m3_per_s.shape, found.zones[0].days) == ("ensemble", (3, 1, 1), ())
    assert _whole({"a": measured(days=40)}, count=1).zones[0].explanation.special_days == ()


def test_days_that_are_no_ordinary_ones_are_told() -> None:
    start = local_midnight(date(2026, 3, 27), ZoneInfo(ROME))
    found = _whole({"a": measured(until=start, days=3)}, issue_time=start, count=120, holidays={date(2026, 3, 30): "saint"}, local_days={date(2026, 3, 28): "market"})
    told = [(s.day.day, s.sort, s.name) for s in found.zone("a").explanation.special_days]
    assert told == [(28, "local day", "market"), (29, "clock change", "23 hours"), (30, "holiday", "saint")]


def test_volumes_are_of_whole_local_days_and_narrower_than_steps_that_all_err_alike() -> None:
    found = _whole({"a": measured(noise=0.1)}, issue_time=NOW - timedelta(hours=3), count=60)
    zone = found.zone("a")
    assert zone.days == (date(2026, 5, 20), date(2026, 5, 21))
    low, mid, high = (zone.day_volume_m3[found.level(q)] for q in (0.05, 0.5, 0.95))
    assert (low <= mid).all()
    assert (mid <= high).all()
    steps = zone.quantiles_m3_per_s[:, 3:27].sum(axis=1) * 3600
    assert mid[0] == pytest.approx(steps[found.level(0.5)])
    assert high[0] - low[0] < 0.7 * (steps[found.level(0.95)] - steps[found.level(0.05)])


def test_an_ensemble_says_who_made_it_and_what_moves_it() -> None:
    told = _whole({"a": measured(days=40), "b": measured(days=40, seed=2)}).zone("a").explanation
    assert sum(told.members.values()) == pytest.approx(1.0)
    assert "trees of all zones" in told.members
    assert told.drivers[0].effect >= told.drivers[-1].effect > 0
    assert told.weather == "none was given"


def test_a_change_of_level_is_reported_and_the_past_looked_at_from_it() -> None:
    readings = measured(noise=0.02)
    shifted = Readings.good(readings.times, np.where(readings.times >= to_np(NOW - timedelta(days=4)), 0.7, 1.0) * readings.values)
    (change,) = _whole({"a": shifted}).zone("a").explanation.changes
    assert change.since == NOW - timedelta(days=4)
    assert change.ratio == pytest.approx(0.7, rel=0.02)


def test_a_local_day_is_forecast_like_its_namesakes() -> None:
    market = {date(2026, 5, 22) - timedelta(days=int(i)): "market" for i in [0, *np.random.default_rng(1).choice(np.arange(5, 200), 12, replace=False)]}
    readings = measured(days=220, noise=0.02)
    local = (readings.times + np.timedelta64(2, "h")).astype("datetime64[D]").astype(object)
    busy = np.array([1.5 if d in market else 1.0 for d in local])
    readings = Readings.good(readings.times, readings.values * busy)
    truth = 1.5 * rhythm(ahead(NOW, 72))[48:]
    knowing, unaware = (
        np.abs(f.zones[0].quantiles_m3_per_s[f.level(0.5)][48:] - truth).mean()
        for f in (_whole({"a": readings}, count=72, local_days=market), _whole({"a": readings}, count=72))
    )
    assert knowing < 0.4 * unaware


def test_weather_observed_after_the_issue_time_changes_nothing_and_what_was_foretold_does() -> None:
    readings = measured(days=60, noise=0.02)
    hours = ahead(NOW - timedelta(days=60), 62 * 24)
    warm = 15 + 8 * np.repeat(np.random.default_rng(3).random(62), 24)
    known = Readings.good(readings.times, readings.values * (1 + 0.05 * (warm[: 60 * 24] - 15)))
    foretold = Readings.good(hours[60 * 24 :], warm[60 * 24 :])
    cut, whole = Readings.good(hours[: 60 * 24], warm[: 60 * 24]), Readings.good(hours, np.where(hours >= to_np(NOW), 99.0, warm))
    ours = [_whole({"a": known}, weather=Weather(observed={"temperature_c": o}, forecast={"temperature_c": foretold})) for o in (cut, whole)]
    assert ours[0].to_bytes() == ours[1].to_bytes()
    assert ours[0].zone("a").explanation.weather.startswith("used")
    cold = Readings.good(foretold.times, np.full(48, 15.0))
    other = _whole({"a": known}, weather=Weather(observed={"temperature_c": cut}, forecast={"temperature_c": cold}))
    assert other.to_bytes() != ours[0].to_bytes()


def test_a_bridge_day_is_partly_a_saturday() -> None:
    # Thursday 21 May is a holiday, so that Friday lies between free days; the zone draws like on Saturdays on free days.
    holiday = {date(2026, 5, 21): "local feast"}
    readings = measured(noise=0.0)
    aware, unaware = (_whole({"a": readings}, count=72, holidays=h).zone("a").quantiles_m3_per_s[3][48:] for h in (holiday, {}))
    working, free = rhythm(ahead(NOW, 72))[48:], rhythm(ahead(NOW + timedelta(days=3), 24))
    assert np.abs(unaware - working).mean() < 0.03 * MEAN
    assert np.abs(aware - (2 * working + free) / 3).mean() < 0.5 * np.abs(aware - working).mean()


@pytest.mark.parametrize("threads", [2])
def test_threads_change_nothing(threads: int) -> None:
    inputs = asked({name: measured(days=30, seed=i) for i, name in enumerate("abc")})
    done: list[tuple[int, int, str]] = []
    assert whole_forecast(inputs, threads=threads, progress=lambda *at: done.append(at)).to_bytes() == whole_forecast(inputs).to_bytes()
    assert done == [(1, 3, "a"), (2, 3, "b"), (3, 3, "c")]
