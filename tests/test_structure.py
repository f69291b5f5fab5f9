"""Rules of the house that imports cannot show."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parent.parent / "src" / "levada"
MODULES = sorted(p for p in SRC.rglob("*.py"))


def _calls(tree: ast.AST) -> set[str]:
    return {n.func.attr for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}


def test_only_the_store_speaks_sql() -> None:
    speakers = [p for p in MODULES if "execute" in _calls(ast.parse(p.read_text())) and p.relative_to(SRC).parts[0] != "store"]
    assert not speakers


def test_only_serve_and_cli_read_the_environment() -> None:
    readers = [
        p
        for p in MODULES
        if any(isinstance(n, ast.Attribute) and n.attr in {"environ", "getenv"} for n in ast.walk(ast.parse(p.read_text()))) and p.name not in {"serve.py", "cli.py"}
    ]
    assert not readers


@pytest.mark.parametrize("module", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_each_module_opens_with_what_it_is(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text())), f"{module} has no docstring"


@pytest.mark.parametrize("module", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_exports_are_real_and_nothing_is_a_drawer(module: Path) -> None:
    assert module.stem not in {"utils", "common", "helpers", "manager", "service", "misc"}
