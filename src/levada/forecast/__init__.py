"""Demand ahead: from a zone's measured flow to quantiles of its flow over the coming hours.

Read inputs.py (what is asked), then zone.py (the rungs of the ladder for one zone) and report.py (all zones). On the way:
screen.py (readings that cannot be), grid.py (readings -> even steps), wall_clock.py (days, slots and holidays on the tenant's clock),
history.py (one zone's past as arrays), features.py (what a model may know of a target), models/ (a file a model),
within_hour.py (hours -> steps), intervals.py (how wrong such forecasts have been lately).
Pure: the same input gives the same bytes, and nothing after the issue time is read. May import domain.
"""

from levada.forecast.inputs import ForecastInput
from levada.forecast.report import forecast

__all__ = ["ForecastInput", "forecast"]
