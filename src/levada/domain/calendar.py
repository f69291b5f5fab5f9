"""Days on a utility's own clock: which are holidays, and what they are called."""

from __future__ import annotations

from datetime import date, timedelta

import holidays

from levada.domain.errors import DocumentError
from levada.domain.settings import Utility
from levada.domain.time import Window, zone

__all__ = ["holidays_in"]


def holidays_in(utility: Utility, window: Window) -> dict[date, str]:
    """The holidays (national, regional where a subdivision is named, and the utility's own) of the local days that touch `window`.

    National and regional holidays are those of the `holidays` package. Raises DocumentError for a country or region it does not know.
    """
    tz = zone(utility.time_zone)
    first, last = window.start.astimezone(tz).date(), window.end.astimezone(tz).date()
    try:
        known = holidays.country_holidays(
            utility.country, subdiv=utility.subdivision, years=range(first.year, last.year + 1), language="en_US"
        )
    except NotImplementedError as e:
        raise DocumentError("utility", "country", f"no holidays are known for {utility.country!r} {utility.subdivision or ''}".rstrip()) from e
    days = (first + timedelta(days=i) for i in range((last - first).days + 1))
    return {day: utility.local_holidays.get(day) or str(known.get(day)) for day in days if day in known or day in utility.local_holidays}
