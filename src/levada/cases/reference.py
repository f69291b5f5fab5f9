"""The reference of case files and plans, made from their models: docs/reference/case.md and case.schema.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from levada.cases.document import CaseDocument
from levada.cases.plan_document import PlanDocument

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
    lines = [_CASE, *_tables("case.toml", schema), _SCHEDULE, *_tables("plan.json", PlanDocument.model_json_schema())]
    return {"case.md": "\n".join(lines), "case.schema.json": json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **_without_null(schema)}, indent=1)}


def _tables(title: str, schema: dict[str, Any]) -> Iterator[str]:
    """A table of the fields of a model, and of each of its parts."""
    yield from _table(title, schema)
    for name, part in sorted(schema.get("$defs", {}).items()):
        model = next((s for s in part.get("anyOf", []) if "properties" in s), part)
        yield from _table(name, model)


def _table(title: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"## {title}" if "." in title else f"### {title}"
    yield from ("", " ".join(schema.get("description", "").split()), "", "| field | type | default | meaning |", "|---|---|---|---|")
    required = set(schema.get("required", []))
    for name, field in schema.get("properties", {}).items():
        default = "**required**" if name in required else "" if field.get("default") is None or isinstance(field["default"], dict) else f"`{json.dumps(field['default'])}`"
        kind = _kind(field).replace("|", "\\|")
        yield f"| {name} | {kind} | {default} | {' '.join([field.get('description', ''), _range(field)]).strip()} |".replace("\n", " ")
    yield ""


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(s) for s in schema["anyOf"] if s.get("type") != "null"))
    if "enum" in schema or "const" in schema:
        return " / ".join(f"`{v}`" for v in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        parts = schema.get("prefixItems")
        return f"[{', '.join(_kind(p) for p in parts)}]" if parts else f"list of {_kind(schema.get('items', {}))}"
    if schema.get("type") == "object":
        return f"name -> {_kind(schema.get('additionalProperties') or {})}"
    if "examples" in schema:
        return f"text such as `{schema['examples'][0]}`"
    return {"string": "text", "integer": "whole number", "boolean": "true / false"}.get(str(schema.get("type")), str(schema.get("type", "any"))) if schema.get("format") != "date-time" else "date-time"


def _range(schema: dict[str, Any]) -> str:
    """Bounds of a number, in parentheses."""
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most"}
    own = next((s for s in schema.get("anyOf", []) if bounds.keys() & s.keys()), schema)
    said = [f"{word} {own[key]:g}" for key, word in bounds.items() if key in own]
    return f"({', '.join(said)})" if said else ""


def _without_null(schema: Any) -> Any:
    """TOML has no null: a field that may be left out is not told to be null."""
    if isinstance(schema, list):
        return [_without_null(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    found = {k: _without_null(v) for k, v in schema.items() if not (k == "default" and v is None)}
    if "anyOf" in found:
        kept = [s for s in found["anyOf"] if s != {"type": "null"}]
        found = {**found, "anyOf": kept} if len(kept) > 1 else {**{k: v for k, v in found.items() if k != "anyOf"}, **kept[0]}
    return found
