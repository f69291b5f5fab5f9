"""Forecasts of a case, one for each issue time; and models to store, so that later ones are quick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from levada.cases.forecasting import tables
from levada.cases.forecasting.load import ForecastCase
from levada.cases.forecasting.names import file_name
from levada.cases.forecasting.plot import plot
from levada.cases.output import write_files
from levada.domain.errors import InputGap
from levada.domain.time import to_np
from levada.forecast import Forecast, ForecastInput, address, forecast, train

__all__ = ["CaseForecast", "Progress", "StoredModels", "run", "train_models"]

Progress = Callable[[int, int, str], bool]
"""Told (done, of how many, what is next); stops the work by returning False."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseForecast:
    """Forecasts of a case in order of issue time. `gaps`: series that could not be forecast at an issue time, and why. `stopped`: not all were made."""

    case: ForecastCase
    forecasts: tuple[Forecast, ...]
    gaps: tuple[tuple[str, str], ...]
    stopped: bool

    def __str__(self) -> str:
        return tables.summary(self.case, self.forecasts, self.gaps)

    def write(self, folder: str | Path) -> tuple[Path, ...]:
        """Write forecast.csv, explanation.json, scenarios.csv where asked for, and a plot per series of the last issue time. Returns the paths."""
        texts = {"forecast.csv": tables.forecast_csv(self.case, self.forecasts), "explanation.json": tables.explanation_json(self.case, self.forecasts, self.gaps)}
        if self.case.document.forecast.scenarios:
            texts["scenarios.csv"] = tables.scenarios_csv(self.case, self.forecasts)
        for zone in self.forecasts[-1].zones if self.forecasts else ():
            texts[f"{file_name(zone.zone)}.svg"] = plot(self.case, zone.zone, self.forecasts[-1:], title=f"{self.case.name}: {zone.zone}")
        return write_files(folder, texts)


def run(case: ForecastCase, progress: Progress | None = None) -> CaseForecast:
    """Forecast at each of the case's issue times, from what was known by then.

    A series with neither readings nor a pattern at an issue time is left out there and named in `gaps`. Raises DocumentError.
    """
    found: list[Forecast] = []
    gaps: list[tuple[str, str]] = []
    times = case.issue_times
    for i, issue_time in enumerate(times):
        if progress is not None and not progress(i, len(times), issue_time.isoformat()):
            return CaseForecast(case=case, forecasts=tuple(found), gaps=tuple(gaps), stopped=True)
        made = _forecast(case, issue_time, gaps)
        if made is not None:
            found.append(made)
    if progress is not None:
        progress(len(times), len(times), "done")
    return CaseForecast(case=case, forecasts=tuple(found), gaps=tuple(gaps), stopped=False)


def _forecast(case: ForecastCase, issue_time: datetime, gaps: list[tuple[str, str]]) -> Forecast | None:
    """A forecast of all series that can be, together, since scenarios depend on one another; None where none can be."""
    bundle = case.bundle(issue_time)
    while bundle.zones:
        try:
            return forecast(bundle)
        except InputGap:
            bundle = _without_gap(bundle, gaps)
    return None


def _without_gap(bundle: ForecastInput, gaps: list[tuple[str, str]]) -> ForecastInput:
    """The bundle without a series that cannot be forecast: sought from the one with the fewest readings on."""
    at = to_np(bundle.issue_time)
    for name in sorted(bundle.zones, key=lambda z: (int(np.searchsorted(bundle.zones[z].times, at)), z)):
        fallback = {z: flow for z, flow in (bundle.fallback or {}).items() if z == name}
        try:
            forecast(replace(bundle, zones={name: bundle.zones[name]}, fallback=fallback, models={}, scenarios=0))
        except InputGap as e:
            gaps.append((name, str(e)))
            others = {z: r for z, r in bundle.zones.items() if z != name}
            return replace(bundle, zones=others, models={z: text for z, text in bundle.models.items() if z in others})
    raise AssertionError("a forecast of all series found a gap that none of them has alone")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModels:
    """Files written, and the series for which no model can be fitted yet."""

    files: tuple[Path, ...]
    without: tuple[str, ...]


def train_models(case: ForecastCase, folder: str | Path) -> StoredModels:
    """Fit models on what is known at the case's last issue time and write them: SERIES.model each, and models.json with their content addresses."""
    texts = train(case.bundle(case.issue_times[-1]))
    addresses = {name: address(text) for name, text in texts.items()}
    files = {f"{file_name(name)}.model": text for name, text in texts.items()} | {"models.json": tables.as_json(addresses)}
    return StoredModels(files=write_files(folder, files), without=tuple(sorted(set(case.zones) - set(texts))))
