"""From a training bundle to models of demand. Pure: the same bundle and code give the same bytes."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from levada.domain.bundle import Bundle
from levada.domain.calendar import holidays_in
from levada.domain.series import Readings
from levada.domain.time import Window
from levada.domain.training import TrainInput, TrainResult, ZoneTraining
from levada.forecast import ForecastInput, address, train
from levada.runs.steps import TRAINING_DAYS

__all__ = ["compute"]

_NO_MODEL = "no model: 21 full days of readings and some of the last three days are needed; plans train or fall back by themselves"


def compute(bundle: Bundle) -> bytes:
    """Train one model a zone: canonical JSON of a TrainResult, texts included. A zone with too little history has none, and says so.

    Raises BundleError for a bundle that is no training's, DocumentError for a country whose holidays are not known.
    """
    inputs = TrainInput.of(bundle)
    ahead = timedelta(seconds=inputs.step_s * inputs.count, hours=24)
    models = train(
        ForecastInput(
            issue_time=inputs.issue_time,
            step_s=inputs.step_s,
            count=inputs.count,
            time_zone=inputs.utility.time_zone,
            holidays=holidays_in(inputs.utility, Window(inputs.issue_time - timedelta(days=TRAINING_DAYS), inputs.issue_time + ahead)),
            zones=inputs.zones,
            seed=bundle.seed,
        )
    )
    zones = [
        ZoneTraining(zone=name, address=address(models[name]) if name in models else None, days=_days(inputs.zones[name]), notes=[] if name in models else [_NO_MODEL])
        for name in sorted(inputs.zones)
    ]
    return TrainResult(tenant_id=inputs.tenant_id, issue_time=inputs.issue_time, zones=zones, texts={address(text): text for text in models.values()}).to_bytes()


def _days(readings: Readings) -> int:
    return len(np.unique(readings.usable().times.astype("datetime64[D]")))
