"""The fields of a document as tables of a reference page, from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["tables", "without_null"]


def tables(title: str, schema: dict[str, Any]) -> Iterator[str]:
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


def without_null(schema: Any) -> Any:
    """TOML has no null: a field that may be left out is not told to be null."""
    if isinstance(schema, list):
        return [without_null(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    found = {k: without_null(v) for k, v in schema.items() if not (k == "default" and v is None)}
    if "anyOf" in found:
        kept = [s for s in found["anyOf"] if s != {"type": "null"}]
        found = {**found, "anyOf": kept} if len(kept) > 1 else {**{k: v for k, v in found.items() if k != "anyOf"}, **kept[0]}
    return found
