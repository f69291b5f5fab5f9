"""The reference of forecast cases, made from their model: docs/reference/forecast-case.md and forecast-case.schema.json."""

from __future__ import annotations

import json

from levada.cases.forecasting.document import ForecastCaseDocument
from levada.cases.schema_tables import tables, without_null

__all__ = ["forecast_reference"]

_HEAD = """# Forecast cases

Made from the code by `make reference`. How to use them: [forecast a case](../howto/forecast-a-case.md). For editors: [forecast-case.schema.json](forecast-case.schema.json).

A case is a folder with a `case.toml` and CSVs. Unknown fields are errors. Paths are relative to the folder.

- **Times** of the case file are TOML date-times, on the case's clock (`time_zone`) where they have no offset. Times of CSVs are ISO 8601, on the file's own `time_zone` or the
  case's where they have no offset. A clock time that is shown twice is the first of the two, or the second where the row before it is the first.
- **Flows** are means over the interval that a time labels, of any length up to an hour, in the unit of the file; results come in the same unit.
- **What was known**: a forecast uses readings of intervals that had ended by its issue time, and weather forecasts that had been issued by then. Nothing later changes it.
- **Gaps** are empty cells, or nan, null, n/a, -. Other cells that are no numbers, rows without a time and times that come twice are left out, and named with their line on
  stderr and in explanation.json; the rest is used.
- **Durations** are texts with units: `"15min"`, `"168h"`, `"7d"`. **Limits of size**: CSVs of 50 MB and 1,200,000 rows, 5,000 issue times, eight days ahead.
"""

_FILES = """## forecast.csv

| column | meaning |
|---|---|
| issue_time | when the forecast was made, UTC |
| series | the column it is of |
| time | start of the step, UTC; where the issue time lies within a step, the first step is that one |
| unit | of the flows |
| q5 ... q95 | a column per level of `quantiles`, in percent: mean flow of the step; q50 is the forecast itself |

`explanation.json`: for each issue time and series the rung of the ladder, members and their shares, drivers, special days, what was left out, changes of level, volumes of whole days with
their quantiles; and what of the files could not be used. `scenarios.csv`: equally likely courses, a column per series. `scores.csv` and `scores.json` (backtest): mae, pi1 and pi2 (mean and
largest absolute error of the first 24 h), pi3 (mean absolute error after them), pinball (mean over the levels), coverage and mean width of the 80 and 90 % intervals, cumulated_m3 (largest
absolute cumulated error of the first day) and cumulated_p90_h (its 90th percentile over issue times, in hours of mean flow), beside those of last week's values at the same clock times.
"""


def forecast_reference() -> dict[str, str]:
    """File name in docs/reference -> its text."""
    schema = ForecastCaseDocument.model_json_schema()
    lines = [_HEAD, *tables("case.toml", schema), _FILES]
    return {"forecast-case.md": "\n".join(lines), "forecast-case.schema.json": json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **without_null(schema)}, indent=1)}
