"""The API's description: as OpenAPI 3.1 at /v1/openapi.json, and as a page at /v1/docs that needs no script and no other site."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from litestar import Request, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.response import Template

from levada.web.page import page

__all__ = ["openapi_config", "show_docs"]

_ABOUT = """What a utility's programs may ask of Levada. Values are in SI units, instants in UTC. Whoever calls sends a token as \
`Authorization: Bearer <token>`; a person who is signed in may open the same addresses in the browser. Errors are \
application/problem+json with a stable `code`. A utility that the caller may not see looks like one that does not exist."""


def openapi_config() -> OpenAPIConfig:
    """Title, sign-in and where the description stands."""
    try:
        release = version("levada")
    except PackageNotFoundError:
        release = "0"
    return OpenAPIConfig(
        title="Levada",
        version=release,
        description=_ABOUT,
        # Given as its own folder: Litestar answers whatever else lies in this one with a page of its own.
        path="/v1/openapi.json",
        render_plugins=[JsonRenderPlugin(path="/")],
        components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer", description="A token of `levada token add`")}),
        security=[{"token": []}],
        use_handler_docstrings=True,
    )


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the page shows it."""

    method: str
    path: str
    summary: str
    description: str
    parameters: list[dict[str, str]]
    answers: list[tuple[str, str, str]]


def _type_of(schema: dict[str, Any]) -> str:
    """A schema in a few words: a type, a list of one, alternatives, or the name of a document."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "oneOf" in schema or "anyOf" in schema:
        return " or ".join(_type_of(s) for s in schema.get("oneOf") or schema["anyOf"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    return f"{words} ({schema['format']})" if "format" in schema else words


def _operations(description: dict[str, Any]) -> list[Operation]:
    found = []
    for path, item in description["paths"].items():
        for method, operation in item.items():
            parameters = [
                {"name": p["name"], "where": p["in"], "type": _type_of(p.get("schema", {})), "about": p.get("description", ""), "needed": "yes" if p.get("required") else ""}
                for p in operation.get("parameters", [])
            ]
            answers = []
            for status, answer in operation.get("responses", {}).items():
                content: dict[str, Any] = next(iter(answer.get("content", {}).values()), {})
                answers.append((str(status), answer.get("description", ""), _type_of(content.get("schema", {})) if content else ""))
            found.append(Operation(method.upper(), path, operation.get("summary", ""), operation.get("description", ""), parameters, answers))
    return found


def _documents(description: dict[str, Any]) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    """Each document of the API: its name, what it is, and its fields."""
    schemas: dict[str, Any] = description.get("components", {}).get("schemas", {})
    return [
        (name, schema.get("description", ""), [(field, _type_of(s), s.get("description", "")) for field, s in schema.get("properties", {}).items()])
        for name, schema in sorted(schemas.items())
        if schema.get("properties")
    ]


@get("/docs", include_in_schema=False)
async def show_docs(request: Request[Any, Any, Any]) -> Template:
    """The description as a page."""
    description: dict[str, Any] = request.app.openapi_schema.to_schema()
    return page(request, "docs", about=_ABOUT, release=description["info"]["version"], operations=_operations(description), documents=_documents(description))
