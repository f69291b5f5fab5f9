"""All SQL has a name, and each name a use."""

import ast
from pathlib import Path

import levada.store
from levada.store.queries import query, query_names

STORE = Path(levada.store.__file__).parent


def strings_in_code() -> set[str]:
    trees = [ast.parse(p.read_text()) for p in STORE.glob("*.py")]
    return {n.value for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def called_names() -> set[str]:
    """First arguments of query(...), .fetch(...), .one(...), .execute(...) and .execute_many(...) that are plain words."""
    names = set()
    for path in STORE.glob("*.py"):
        for call in (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)):
            function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if function in {"query", "fetch", "one", "execute", "execute_many"} and call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
                names.add(call.args[0].value)
    return names


def test_each_named_query_is_used_and_each_used_name_is_defined() -> None:
    assert query_names() - strings_in_code() == set()
    assert called_names() - query_names() == set()


def test_each_statement_says_what_it_does() -> None:
    for path in (STORE / "sql").glob("*.sql"):
        lines = path.read_text().splitlines()
        for at, line in enumerate(lines):
            if line.startswith("-- name:"):
                assert lines[at + 1].startswith("-- "), f"{path.name}, line {at + 1}: {line} has no description"
        assert sum(line.startswith("-- name:") for line in lines) > 0


def test_queries_are_what_stands_in_the_files() -> None:
    assert query("ping") == b"SELECT 1"
