"""A case file's text: read as TOML, checked against the model, and every fault said with file, line and field.

tomllib gives no lines for values, so the lines where keys stand are looked up in the text once a fault needs one.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from levada.domain.errors import DocumentError, FileError

__all__ = ["LARGEST_NUMBER", "CaseText", "read_bytes"]

_D = TypeVar("_D", bound=BaseModel)

_LARGEST_CASE_BYTES = 2_000_000
LARGEST_NUMBER = 1e12


def read_bytes(path: Path, largest: int) -> bytes:
    """A file's content. Raises FileError where it is missing, is no file, cannot be read, or is larger than `largest` bytes."""
    try:
        if path.stat().st_size > largest:
            raise FileError(file=str(path), problem=f"has {path.stat().st_size / 1e6:.1f} MB, more than the {largest / 1e6:g} MB that are read", remedy="cut it to what the case needs")
        return path.read_bytes()
    except FileNotFoundError:
        raise FileError(file=str(path), problem="does not exist", remedy="check the path; paths in a case file are relative to its folder") from None
    except OSError as e:
        raise FileError(file=str(path), problem=f"cannot be read ({e.strerror})", remedy="check that it is a file and that you may read it") from None


class CaseText(Generic[_D]):
    """A case file as read: `document` checked by its model, and `fault` that makes the error for what does not fit further on."""

    def __init__(self, path: Path, model: type[_D]) -> None:
        """Raises DocumentError (not TOML, not a case) and FileError (not to be read)."""
        self.path = path
        self._model = model
        raw = read_bytes(path, _LARGEST_CASE_BYTES)
        try:
            self._text = raw.decode("utf-8-sig")
            self._data: dict[str, Any] = tomllib.loads(self._text)
            self._refuse_huge(self._data, ())
        except UnicodeDecodeError as e:
            raise DocumentError(str(path), "the file", f"is not UTF-8 text (byte {e.start}); save it as UTF-8") from None
        except RecursionError:
            raise DocumentError(str(path), "the file", "is nested too deeply to be a case") from None
        except tomllib.TOMLDecodeError as e:
            line = re.search(r"at line (\d+)", str(e))
            raise DocumentError(f"{path}, line {line[1]}" if line else str(path), "the file", f"is not TOML: {e}") from None
        except ValueError as e:  # a whole number of thousands of digits
            raise DocumentError(str(path), "the file", f"cannot be read: {e}") from None
        try:
            self.document = model.model_validate(self._data)
        except ValidationError as e:
            raise self._invalid(e) from None

    def _refuse_huge(self, value: Any, parts: tuple[str | int, ...]) -> None:
        """Numbers so large that sums of them overflow."""
        if isinstance(value, dict | list):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                self._refuse_huge(item, (*parts, key))
        elif isinstance(value, int | float) and (isinstance(value, int) or math.isfinite(value)) and abs(value) > LARGEST_NUMBER:
            raise self._at(parts, f"found {_short(value)}; no number of a case is above {LARGEST_NUMBER:g}")

    def fault(self, field: str, problem: str) -> DocumentError:
        """The error for a field, such as `tanks.T1.end`; a field that holds by default is sought under `default`."""
        return self._at(tuple(field.split(".")), problem)

    def _at(self, parts: tuple[str | int, ...], problem: str) -> DocumentError:
        line = self._line(parts)
        return DocumentError(f"{self.path}, line {line}" if line else str(self.path), _written(parts), problem)

    def _invalid(self, errors: ValidationError) -> DocumentError:
        faults: dict[tuple[str | int, ...], str] = {}
        for error in errors.errors(include_url=False):
            parts, is_whole = self._data_path(error["loc"], missing=error["type"] == "missing")
            faults.setdefault(parts, self._said(error, parts, is_whole))
        (parts, said), *others = faults.items()
        more = f" (also wrong: {', '.join(_written(p) for p, _ in others[:5])}{' ...' if len(others) > 5 else ''})" if others else ""
        return self._at(parts, said + more)

    def _data_path(self, loc: tuple[str | int, ...], *, missing: bool) -> tuple[tuple[str | int, ...], bool]:
        """The part of pydantic's path that is in the file: it also names branches of unions. And whether that is all of it."""
        at: Any = self._data
        found: list[str | int] = []
        for i, part in enumerate(loc):
            if (isinstance(at, dict) and part in at) or (isinstance(at, list) and isinstance(part, int) and part < len(at)):
                at = _within(at, part)
                found.append(part)
            elif missing and i == len(loc) - 1:
                return (*found, part), True
            elif i == len(loc) - 1 or not isinstance(at, dict | list):
                return tuple(found), False
        return tuple(found), True

    def _said(self, error: Any, parts: tuple[str | int, ...], is_whole: bool) -> str:
        kind, field = error["type"], _walk(self._model, parts)[1]
        if kind == "missing":
            return f"is missing; it is required{f'. {field.description}' if field and field.description else ''}"
        if kind == "extra_forbidden":
            known = [info.alias or name for model in _walk(self._model, parts[:-1])[0] for name, info in model.model_fields.items()]
            near = difflib.get_close_matches(str(parts[-1]), known, 1)
            return f"is unknown; {f'did you mean {near[0]!r}? ' if near else ''}Known here: {', '.join(known)}"
        found = f"found {_short(self._value(parts))}"
        expected = error["msg"].removeprefix("Value error, ")
        if error["loc"][-1:] == ("[key]",):
            return f"found the name {str(parts[-1])!r}; {expected}"
        if not is_whole and field and field.description:
            return f"{found}; expected: {field.description}"
        return expected if kind == "value_error" and isinstance(self._value(parts), dict) else f"{found}; {expected[0].lower()}{expected[1:]}"

    def _value(self, parts: tuple[str | int, ...]) -> object:
        at: Any = self._data
        for part in parts:
            at = _within(at, part)
        return at

    def _line(self, parts: tuple[str | int, ...]) -> int | None:
        """The line of the key, or of the nearest table around it."""
        lines = _lines_of_keys(self._text)
        if len(parts) > 2 and parts[0] in ("tanks", "pumps") and parts not in lines and (by_default := lines.get((parts[0], "default", *parts[2:]))):
            return by_default
        for length in range(min(len(parts), 8), 0, -1):
            if line := lines.get(parts[:length]):
                return line
        return None


def _lines_of_keys(text: str) -> dict[tuple[str | int, ...], int]:
    """Path -> line of its key or heading. Keys within inline tables have the line of the key before them."""
    lines: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    counts: dict[tuple[str | int, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.match(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$", line):
            table = _key(match[2])
            if match[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                lines.setdefault(table, number)
                table = (*table, counts[table])
            lines.setdefault(table, number)
        elif match := re.match(r"\s*([A-Za-z0-9_\-.\"' ]+?)\s*=", line):
            lines.setdefault((*table, *_key(match[1])), number)
    return lines


def _within(table: Any, part: str | int) -> Any:
    return table[part]


def _key(text: str) -> tuple[str | int, ...]:
    """The parts of a dotted key, quotes taken off; empty for what is none (a line within a text of several lines)."""
    try:
        at: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    parts: list[str | int] = []
    while isinstance(at, dict):
        (part, at), = at.items()  # fmt: skip
        parts.append(part)
    return tuple(parts)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for a in get_args(annotation) for m in _models(a)]


def _walk(root: type[BaseModel], parts: tuple[str | int, ...]) -> tuple[list[type[BaseModel]], Any]:
    """The models that may stand at a path, and the field that its last key is."""
    models: list[type[BaseModel]] = [root]
    field: Any = None
    for part in parts:
        for model in models:
            names = {info.alias or name: info for name, info in model.model_fields.items()}
            if part in names:
                field, models = names[str(part)], _models(names[str(part)].annotation)
                break
    return models, field


def _written(parts: tuple[str | int, ...]) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts).lstrip(".") or "the file"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
