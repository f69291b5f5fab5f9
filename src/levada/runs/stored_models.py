"""Forecasting a plan's demand with the models of the last training, where they fit; no plan fails because they do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from levada.domain.plan import ForecastReport
from levada.domain.plan_input import StoredModels
from levada.forecast import ForecastInput, misfit

__all__ = ["MAX_AGE", "used_models", "with_models"]

MAX_AGE = timedelta(days=14)
"""Older models are left out: the season has moved on, and trainings have failed for two weeks."""


def with_models(asked: ForecastInput, stored: StoredModels | None) -> tuple[ForecastInput, list[str]]:
    """The forecast's input with the models that may be used for it, and for each one left out a sentence that says why."""
    if stored is None:
        return asked, []
    texts = {zone: text for zone, text in stored.texts.items() if zone in asked.zones}
    if texts and asked.issue_time - stored.trained_at > MAX_AGE:
        return asked, [f"the models trained {_told(stored)} are more than {MAX_AGE.days} days old: demand models were trained within this run"]
    problems = {zone: misfit(asked, zone, text) for zone, text in sorted(texts.items())}
    flags = [f"zone {zone}: the model trained {_told(stored)} was left out ({why}); one was trained within this run" for zone, why in problems.items() if why]
    return replace(asked, models={zone: text for zone, text in texts.items() if not problems[zone]}), flags


def used_models(report: ForecastReport, asked: ForecastInput, stored: StoredModels | None) -> ForecastReport:
    """The report with a note for each zone that was forecast from a stored model."""
    if stored is None or not asked.models:
        return report
    note = f"model trained {_told(stored)}"
    zones = [z.model_copy(update={"notes": [*z.notes, note]}) if z.zone in asked.models and z.method == "ensemble" else z for z in report.zones]
    return report.model_copy(update={"zones": zones})


def _told(stored: StoredModels) -> str:
    return f"{stored.trained_at:%Y-%m-%d %H:%M} UTC"
