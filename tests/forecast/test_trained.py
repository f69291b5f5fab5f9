from __future__ import annotations

import json
from datetime import timedelta

import pytest
from tests.forecast.made_up import MEAN, NOW, ahead, asked, measured, rhythm

from levada.domain.errors import ProblemError
from levada.forecast import Rung, address, forecast, train

INPUTS = asked({"a": measured(days=40), "b": measured(days=40, seed=6), "young": measured(days=5)})
MODELS = train(INPUTS)


def test_zones_with_enough_history_get_a_model_of_plain_text_with_an_address_of_its_own() -> None:
    assert sorted(MODELS) == ["a", "b"]
    assert json.loads(MODELS["a"])["format"] == "levada forecast model 1"
    assert address(MODELS["a"]) != address(MODELS["b"])
    assert train(INPUTS) == MODELS


def test_a_stored_model_forecasts_at_any_hour_as_well_as_one_that_is_trained_afresh() -> None:
    issue = NOW + timedelta(hours=7)
    inputs = asked({"a": measured(until=issue, days=40), "young": measured(until=issue, days=5)}, issue_time=issue, models={"a": MODELS["a"]})
    found = forecast(inputs)
    assert [zone.rung for zone in found.zones] == [Rung.ENSEMBLE, Rung.SEASONAL]
    assert abs(found.zones[0].quantiles_m3_per_s[found.level(0.5)] - rhythm(ahead(issue, 48))).mean() < 0.03 * MEAN


def test_a_stored_model_is_not_asked_about_days_that_it_has_not_seen() -> None:
    stale, young = measured(until=NOW - timedelta(days=5), days=40), measured(days=5)
    for readings in (stale, young):
        assert forecast(asked({"a": readings}, models={"a": MODELS["a"]})).zones[0].rung == Rung.SEASONAL


@pytest.mark.parametrize(
    ("text", "step_s", "count", "problem"),
    [
        ("{", 3600, 48, "is no JSON"),
        ("{}", 3600, 48, "format"),
        (None, 1800, 48, "steps of 3600 s, 1800 s are asked for"),
        (None, 3600, 72, "looks 48 hours ahead"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(text: str | None, step_s: int, count: int, problem: str) -> None:
    with pytest.raises(ProblemError, match=rf"models\[a\].*{problem}"):
        forecast(asked({"a": measured(days=5)}, models={"a": text or MODELS["a"]}, step_s=step_s, count=count))
