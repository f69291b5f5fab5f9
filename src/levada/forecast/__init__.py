"""Demand ahead: from a zone's measured flow to quantiles of its flow over the coming hours.

Read inputs.py (what is asked), output.py (what is found), report.py (all zones) and zone.py (the rungs of the ladder for one zone).
On the way: past.py (a zone's past: screen.py, grid.py, changes.py, history.py, wall_clock.py, weather.py, within_hour.py), features.py
(what a model may know of a target), pairs.py (what is learnt from), models/ (a file a model), ensemble.py and weights.py (members and their
shares), trained.py (models as text), intervals.py and scenarios.py (how wrong such forecasts have been lately), special_days.py; skill.py (scores).
Pure: the same input gives the same bytes, and nothing after the issue time is read. May import domain.
"""

from levada.forecast.inputs import ForecastInput, Weather
from levada.forecast.output import Change, Driver, Explanation, Forecast, LeftOut, Rung, SeriesForecast, SpecialDay
from levada.forecast.report import forecast, misfit, train
from levada.forecast.trained import address

__all__ = [
    "Change", "Driver", "Explanation", "Forecast", "ForecastInput", "LeftOut", "Rung", "SeriesForecast", "SpecialDay", "Weather",
    "address", "forecast", "misfit", "train",
]  # fmt: skip
