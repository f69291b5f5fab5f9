"""Plans forecast with the models of the last training; models that are too old or do not fit are left out, told, and no plan fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import numpy as np
import pytest
from tests.runs import tiny
from tests.runs.test_training import train_input

from levada.domain.plan import Ladder, PlanResult
from levada.domain.plan_input import PlanInput, StoredModels
from levada.domain.training import TrainResult
from levada.forecast import ForecastInput, forecast
from levada.hydraulics.inp import read_network
from levada.runs import ladder, pipeline
from levada.runs.pipeline import _forecast
from levada.runs.stored_models import MAX_AGE, with_models
from levada.runs.training import compute
from levada.schedule import Work, solve

TRAINED_AT = tiny.NOW - timedelta(days=1)


@pytest.fixture(scope="module")
def models() -> StoredModels:
    flow = tiny.readings(TRAINED_AT)["zone.village.flow"]
    result = TrainResult.model_validate_json(compute(train_input(issue_time=TRAINED_AT, zones={"village": flow}).to_bundle()))
    return StoredModels(TRAINED_AT, result.models())


def asked(**changes: object) -> ForecastInput:
    inputs = tiny.plan_input()
    made = ForecastInput(issue_time=tiny.NOW, step_s=3600, count=24, time_zone=inputs.utility.time_zone, zones={"village": inputs.readings["zone.village.flow"]})
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_plans_forecast_is_the_one_from_the_same_models_and_says_so(models: StoredModels) -> None:
    inputs = PlanInput.of(tiny.plan_input(models=models).to_bundle())
    report, _, left_out = _forecast(inputs, read_network(tiny.INP, "tiny"), {}, 7)
    assert left_out == []
    (village,) = report.zones
    assert "model trained 2026-06-02 06:00 UTC" in village.notes
    expected = forecast(asked(count=len(report.times), models=models.texts)).report().zones[0]
    np.testing.assert_array_equal(village.q50_m3_per_s, expected.q50_m3_per_s)
    trained_within, _, _ = _forecast(tiny.plan_input(), read_network(tiny.INP, "tiny"), {}, 7)
    assert trained_within.zones[0].q50_m3_per_s != village.q50_m3_per_s
    assert not any("model trained" in note for note in trained_within.zones[0].notes)


def test_a_model_made_for_other_steps_or_another_format_is_left_out_and_told(models: StoredModels) -> None:
    used, flags = with_models(asked(step_s=1800), models)
    assert used.models == {}
    assert len(flags) == 1
    assert "zone village: the model trained 2026-06-02 06:00 UTC was left out" in flags[0]
    assert "is for steps of 3600 s" in flags[0]
    _, flags = with_models(asked(), StoredModels(TRAINED_AT, {"village": '{"format":"another"}'}))
    assert "is not in the format" in flags[0]
    _, flags = with_models(asked(count=100), models)
    assert "hours ahead" in flags[0]


def test_models_older_than_two_weeks_are_left_out_and_told(models: StoredModels) -> None:
    at_the_limit = replace(models, trained_at=tiny.NOW - MAX_AGE)
    used, flags = with_models(asked(), at_the_limit)
    assert (used.models, flags) == (models.texts, [])
    used, flags = with_models(asked(), replace(models, trained_at=tiny.NOW - MAX_AGE - timedelta(minutes=1)))
    assert used.models == {}
    assert flags == ["the models trained 2026-05-20 05:59 UTC are more than 14 days old: demand models were trained within this run"]


def test_a_model_of_a_zone_that_is_no_more_is_not_used(models: StoredModels) -> None:
    used, flags = with_models(asked(), StoredModels(TRAINED_AT, {**models.texts, "gone": "text"}))
    assert (set(used.models), flags) == ({"village"}, [])


def test_a_plan_is_made_without_a_model_that_cannot_be_read_and_its_flags_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "solve", partial(solve, work=Work(audit_samples=300, beam=100, candidates=3, simulations=1500, quick_programmes=2, programmes=2)))
    inputs = tiny.plan_input(models=StoredModels(TRAINED_AT, {"village": "no json"}))
    result = PlanResult.model_validate_json(pipeline.compute(inputs.to_bundle()))
    assert result.plan.ladder is Ladder.NEW
    assert result.forecast.zones[0].method == "ensemble"
    (flag,) = [flag for flag in result.plan.flags if "left out" in flag]
    assert "is no JSON" in flag
