"""Write docs/reference/ from the code: commands, settings documents, errors. `make reference`; a test fails when it is out of date.

    python tools/reference.py [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "reference"
sys.path.insert(0, str(ROOT / "src"))


def commands() -> str:
    from levada.cli import cli

    lines = ["# Commands", "", "Made from the code by `make reference`. Exit codes: 0 done, 1 the answer is no, 2 asked wrongly, 3 a limit does not hold.", ""]

    def walk(command: click.Command, path: str) -> None:
        if command.hidden:
            return
        if isinstance(command, click.Group):
            for name in sorted(command.commands):
                walk(command.commands[name], f"{path} {name}")
            return
        context = click.Context(command, info_name=path)
        # Widths differ between terminals; the reference must not.
        context.terminal_width = 100
        lines.extend([f"## {path}", "", "```", command.get_help(context), "```", ""])

    walk(cli, "levada")
    return "\n".join(lines)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"[{schema['$ref'].rsplit('/', 1)[-1]}](#{schema['$ref'].rsplit('/', 1)[-1].lower()})"
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(_type(s) for s in schema.get("anyOf", schema.get("oneOf", [])))
    if "enum" in schema:
        return " / ".join(f"`{v}`" for v in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object":
        return f"name -> {_type(schema.get('additionalProperties') or {})}"
    if "examples" in schema:
        return f"text such as `{schema['examples'][0]}`"
    return str(schema.get("format", schema.get("type", "any")))


def settings() -> str:
    from levada.domain.settings import DOCUMENT_KINDS

    lines = ["# Settings documents", "", "Made from the code by `make reference`. A tenant has one current version of each; unknown fields are errors.", ""]
    parts: dict[str, dict[str, Any]] = {}

    def table(title: str, schema: dict[str, Any]) -> None:
        lines.extend([f"## {title}", "", schema.get("description", "").replace("\n", " ").strip(), "", "| field | type | default | meaning |", "|---|---|---|---|"])
        required = set(schema.get("required", []))
        for name, field in schema.get("properties", {}).items():
            default = "**required**" if name in required else f"`{json.dumps(field['default'])}`" if "default" in field else ""
            limits = ", ".join(f"{k} {field[k]}" for k in ("minimum", "exclusiveMinimum", "maximum", "pattern") if k in field and "examples" not in field)
            meaning = " ".join(x for x in (field.get("description", ""), f"({limits})" if limits else "") if x)
            lines.append(f"| {name} | {_type(field)} | {default} | {meaning} |".replace("\n", " "))
        lines.append("")

    for kind, model in DOCUMENT_KINDS.items():
        schema = model.model_json_schema()
        parts |= schema.get("$defs", {})
        table(f"{kind}.json", schema)
    for name, part in sorted(parts.items()):
        # A value that may also be written as a number alone has its fields in one of its forms.
        schema = next((form for form in part.get("anyOf", []) if "properties" in form), part)
        if "properties" in schema:
            table(name, schema)
        else:
            lines.extend([f"## {name}", "", schema.get("description", "").split("\n")[0], "", "One of " + ", ".join(f"`{v}`" for v in schema.get("enum", [])), ""])
    return "\n".join(lines)


def errors() -> str:
    import importlib
    import pkgutil

    import levada
    from levada.domain.errors import LevadaError

    for module in pkgutil.walk_packages(levada.__path__, "levada."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    lines = ["# Errors", "", "Made from the code by `make reference`. The code is in logs, receipts and the API's problem documents.", "", "| code | HTTP | meaning |", "|---|---|---|"]

    def walk(kind: type[LevadaError]) -> None:
        for sub in sorted(kind.__subclasses__(), key=lambda k: k.code):
            lines.append(f"| `{sub.code}` | {sub.status} | {(sub.__doc__ or '').split(chr(10) * 2)[0].strip().replace(chr(10), ' ')} |")
            walk(sub)

    walk(LevadaError)
    return "\n".join([*lines, ""])


def metrics() -> str:
    from levada.telemetry.metrics import FAMILIES

    lines = ["# Metrics", "", "Made from the code by `make reference`. `GET /metrics`, in Prometheus' text form; figures of the whole installation come from the database.", ""]
    lines += ["| name | kind | labels | meaning |", "|---|---|---|---|"]
    lines += [f"| `{f.name}` | {f.kind} | {', '.join(f.labels)} | {f.help} |" for f in FAMILIES.values()]
    return "\n".join([*lines, ""])


PAGES = {"commands.md": commands, "settings.md": settings, "errors.md": errors, "metrics.md": metrics}


def main() -> int:
    stale = []
    OUT.mkdir(parents=True, exist_ok=True)
    from levada.cases.forecasting.reference import forecast_reference
    from levada.cases.reference import reference

    pages = {name: make() for name, make in PAGES.items()} | reference() | forecast_reference()
    for name, page in pages.items():
        text = page.rstrip() + "\n"
        path = OUT / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text)
    if stale:
        print(("out of date: " if "--check" in sys.argv else "written: ") + ", ".join(stale))
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
