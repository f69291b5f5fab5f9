"""The forecast of all zones, and the training of the models that it can be made from."""

from __future__ import annotations

from collections.abc import Callable

from levada.domain.errors import ProblemError
from levada.forecast.inputs import ForecastInput
from levada.forecast.output import Forecast
from levada.forecast.past import Past, read_past
from levada.forecast.scenarios import draw_paths
from levada.forecast.trained import Trained, train_pasts
from levada.forecast.zone import forecast_zone

__all__ = ["Progress", "forecast", "misfit", "train"]

Progress = Callable[[int, int, str], None]
"""Is told: zones done, of how many, the last one's name."""

_STORED_DAYS = 100
"""Of history that a zone with a stored model needs: what its features look back to."""


def forecast(inputs: ForecastInput, *, threads: int = 1, progress: Progress | None = None) -> Forecast:
    """Demand of each zone over the asked steps; zones in order of name, whatever their order in the input.

    Zones with a model in the input are forecast from it; the others are trained here, together where there are several: zones learn from
    each other. The order of the zones changes nothing, nor does the number of `threads` that train them.
    Raises InputGap for a zone with neither enough readings nor a fallback; DocumentError for an unknown time zone; ProblemError for a
    model that does not fit.
    """
    names = sorted(inputs.zones)
    stored = {name: _stored(inputs, name, text) for name, text in inputs.models.items()}
    pasts = {name: read_past(inputs, name, _STORED_DAYS if name in stored else None) for name in names}
    trained = {name: model for name, model in stored.items() if pasts[name].enough_for_ensemble}
    trained |= _train(inputs, [pasts[name] for name in names if name not in stored], any_hour=False, threads=threads, progress=progress)
    results = [forecast_zone(inputs, pasts[name], trained.get(name)) for name in names]
    return Forecast(
        issue_time=inputs.issue_time,
        step_s=inputs.step_s,
        start=inputs.start,
        levels=inputs.quantiles,
        zones=tuple(result.forecast for result in results),
        scenarios_m3_per_s=draw_paths(
            [result.margin for result in results], [result.past_errors for result in results], 3600 // inputs.step_s, inputs.scenarios, inputs.seed
        ),
    )


def train(inputs: ForecastInput, *, threads: int = 1, progress: Progress | None = None) -> dict[str, str]:
    """Models of the zones that have enough history, zone -> text, to be given as `models` to forecasts of the same step at any hour.

    `count` is the longest horizon that they can be asked for. What is in `models` already is not looked at.
    """
    pasts = [read_past(inputs, name) for name in sorted(inputs.zones)]
    return {name: model.text() for name, model in _train(inputs, pasts, any_hour=True, threads=threads, progress=progress).items()}


def _train(inputs: ForecastInput, pasts: list[Past], *, any_hour: bool, threads: int, progress: Progress | None) -> dict[str, Trained]:
    ready = [past for past in pasts if past.enough_for_ensemble]

    def each(position: int) -> None:
        if progress is not None:
            progress(position + 1, len(ready), ready[position].zone)

    found = train_pasts(ready, inputs.step_s, inputs.seed, any_hour=any_hour, threads=threads, each=each)
    return {past.zone: model for past, model in zip(ready, found, strict=True) if model is not None}


def misfit(inputs: ForecastInput, zone: str, text: str) -> str | None:
    """Why a zone's model cannot be used for this forecast (its format, step or horizon); None where it can."""
    try:
        _stored(inputs, zone, text)
    except ProblemError as e:
        return str(e)
    return None


def _stored(inputs: ForecastInput, zone: str, text: str) -> Trained:
    found = Trained.from_text(text, zone)
    if found.step_s != inputs.step_s:
        raise ProblemError(f"models[{zone}]", f"is for steps of {found.step_s} s, {inputs.step_s} s are asked for; train it again")
    if found.past_errors.shape[1] * 3600 < inputs.count * inputs.step_s:
        raise ProblemError(f"models[{zone}]", f"looks {found.past_errors.shape[1]} hours ahead, {inputs.count} steps of {inputs.step_s} s are asked for")
    return found
