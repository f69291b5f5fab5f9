"""The reference of case files and plans, made from their models: docs/reference/case.md and case.schema.json."""

from __future__ import annotations

import json

from levada.cases.document import CaseDocument
from levada.cases.plan_document import PlanDocument
from levada.cases.schema_tables import tables, without_null

__all__ = ["reference"]

_CASE = """# Case files

Made from the code by `make reference`. How to use them: [schedule a case](../howto/schedule-a-case.md). For editors: [case.schema.json](case.schema.json).

A case is a folder with a `case.toml`, an EPANET INP file, and CSVs where they are wanted. Unknown fields are errors. Paths are relative to the folder.

- **Names** are those of the INP. **Levels** are EPANET's: m of water above the tank's elevation, unless `datum = "head"`. **Pressures** are m of water.
- **Flows** name their unit beside them. **Money** is in the case's currency. **Durations** are texts with units: `"90s"`, `"15min"`, `"1h30min"`, `"2d"`.
- **Times** are TOML date-times. Without an offset they are on the case's clock (`time_zone`). A clock time that does not exist on a day in spring is an error; of one that is
  shown twice in autumn the first is meant, or the second where the first would come before the row or the beginning it follows.
- **Periods by clock** hold whenever the clock shows them: on a day of 25 hours the repeated hour counts twice, on one of 23 the skipped hour not at all. A price that changes within a
  step counts by its share of the step; a reserve by its highest, a ceiling by its lowest value in the step.
- **CSVs** have a header, commas or semicolons, decimal points, and one column `step` (a row per step, from 0) or `time` (ISO 8601; a value holds until the next row's time; evenly
  spaced rows, or rows at the steps' own starts). They may reach beyond the horizon and must cover it.
- **Limits of size**: 35 days, 5,000 steps of whole minutes, CSVs of 50 MB.
- Not for a case to say: what the INP says. Controls, rules and pump patterns of the INP do not act in a plan.
"""

_SCHEDULE = """## schedule.csv

What `levada schedule --out` writes and `levada audit` reads, by whomever it was made.

| column | meaning |
|---|---|
| time | start of the step, ISO 8601 |
| step_s | its length, s; may be left out where it is read for the case's own steps |
| PUMP.on | 1 or 0; may be left out where PUMP.speed is there |
| PUMP.speed | relative speed, 0 where the pump is off; may be left out for a pump of fixed speed |
| VALVE.choice | `open`, `closed` or a setting, for each valve of the case |

`trajectory.csv` has levels at the steps' starts (and a last row at the horizon's end), flows, power and least pressures over the steps; `plot.svg` draws prices, pumps and levels.
"""


def reference() -> dict[str, str]:
    """File name in docs/reference -> its text."""
    schema = CaseDocument.model_json_schema()
    lines = [_CASE, *tables("case.toml", schema), _SCHEDULE, *tables("plan.json", PlanDocument.model_json_schema())]
    return {"case.md": "\n".join(lines), "case.schema.json": json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **without_null(schema)}, indent=1)}
