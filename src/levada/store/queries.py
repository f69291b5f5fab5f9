"""Named SQL: each statement stands in sql/<subject>.sql under `-- name: ...` with a line that says what it does.

Code only calls names, so that all SQL can be read, planned and reviewed in one place.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

__all__ = ["query", "query_names"]

_HEAD = re.compile(r"^-- name: (\w+)\n(-- .+\n)+", re.MULTILINE)


@cache
def _all() -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for source in sorted((files("levada.store") / "sql").iterdir(), key=lambda s: s.name):
        if not source.name.endswith(".sql"):
            continue
        text = source.read_text("utf-8")
        heads = list(_HEAD.finditer(text))
        for head, following in zip(heads, [*heads[1:], None], strict=True):
            name = head.group(1)
            if name in found:
                raise ValueError(f"{source.name}: the name {name} is used twice")
            found[name] = text[head.end() : following.start() if following else None].strip().rstrip(";").encode()
    return found


def query(name: str) -> bytes:
    """The statement of that name. Raises KeyError when there is none: a programming error."""
    return _all()[name]


def query_names() -> frozenset[str]:
    return frozenset(_all())
