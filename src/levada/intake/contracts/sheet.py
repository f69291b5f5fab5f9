"""A delivered file as text: encoding, lines, header, cells.

A line is a row: quoted cells may hold delimiters but no line breaks, so that one stray quotation mark costs one row and not the
rest of the file, and so that line numbers are those an editor shows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from levada.domain.errors import FileError
from levada.domain.settings import FileContract

__all__ = ["Block", "MisshapenRow", "Sheet"]

_BLOCK_ROWS = 50_000
_RAW = 500
_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive rows that have as many cells as the header: line numbers (from 1) and columns of cells."""

    lines: NDArray[np.int64]
    columns: list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class MisshapenRow:
    """A row that does not have the header's cells: what was found and what was expected."""

    line: int
    found: str
    expected: str


class Sheet:
    """Raises FileError: the file is too large, empty, not text, or its header cannot be used."""

    def __init__(self, contract: FileContract, name: str, content: bytes) -> None:
        self.contract, self.name = contract, name
        if len(content) > contract.max_bytes:
            raise FileError(file=name, problem=f"has {len(content)} bytes, more than the {contract.max_bytes} of contract {contract.name!r}", remedy="deliver it in parts")
        self._lines = self._decode(content).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._header_at = next((i for i, line in enumerate(self._lines) if line.strip()), -1)
        if self._header_at < 0:
            raise FileError(file=name, problem="the file is empty", remedy=f"deliver a header with the column {contract.stamp_column!r} and a row for each time")
        self.header = self._read_header()
        self._positions = {column: i for i, column in reversed(list(enumerate(self.header)))}

    def _decode(self, content: bytes) -> str:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")) or content[:2000].count(0) > len(content[:2000]) // 4:
            raise FileError(file=self.name, problem="the file holds NUL bytes, as UTF-16 text or binary files do", remedy=f"export it as {self.contract.encoding} text")
        encoding = "utf-8-sig" if self.contract.encoding == "utf-8" else self.contract.encoding
        # Bytes that are not of the encoding come out as surrogates: they spoil the cells that they stand in, not the file.
        return content.decode(encoding, "surrogateescape")

    def _read_header(self) -> list[str]:
        line = self._lines[self._header_at]
        where = f"line {self._header_at + 1}"
        try:
            header = [cell.strip() for cell in self._split(line)]
        except csv.Error as e:
            raise FileError(file=self.name, problem=f"{where}: the header cannot be read ({e})", remedy="close its quotation marks") from e
        while header and header[-1] == "":
            header.pop()  # a delimiter at the end of each line; see cells()
        needed = [self.contract.stamp_column] if self.contract.layout == "wide" else [self.contract.stamp_column, self.contract.tag_column, self.contract.value_column]
        for column in needed:
            if column not in header:
                raise FileError(file=self.name, problem=f"{where}: the header has no column {column!r} but {self._listed(header)}", remedy=self._header_remedy(line, content_is_foreign="\udc80" <= max(line) <= "\udcff"))
        used = {*needed, *(self.contract.columns if self.contract.layout == "wide" else ())}
        for column in sorted(used):
            if header.count(column) > 1:
                raise FileError(file=self.name, problem=f"{where}: the header has the column {column!r} more than once", remedy="give each column a name of its own")
        return header

    def _listed(self, header: list[str]) -> str:
        shown = ", ".join(repr(_visible(c)[:40]) for c in header[:8])
        return f"{shown} and {len(header) - 8} more" if len(header) > 8 else shown

    def _header_remedy(self, line: str, *, content_is_foreign: bool) -> str:
        if content_is_foreign:
            return f"its bytes are not {self.contract.encoding}: mend the encoding in contract {self.contract.name!r} or in the export"
        for delimiter, word in _DELIMITERS.items():
            if delimiter != self.contract.delimiter and self.contract.delimiter not in line and delimiter in line:
                return f"its columns seem to be parted by {word}; contract {self.contract.name!r} says {_DELIMITERS[self.contract.delimiter]}"
        return f"mend the header, or the contract {self.contract.name!r}"

    def _split(self, line: str) -> list[str]:
        """Cells of a line. Raises csv.Error for quotation marks that do not match."""
        if '"' not in line:
            return line.split(self.contract.delimiter)
        return next(csv.reader([line], delimiter=self.contract.delimiter, strict=True))

    @property
    def last_line(self) -> int:
        return len(self._lines)

    def position(self, column: str) -> int:
        """Where the column stands; -1 for what is none."""
        return self._positions.get(column, -1)

    def raw(self, line: int) -> str:
        """The line as it came, shortened, in characters that can be stored and shown."""
        return _visible(self._lines[line - 1][:_RAW])

    def cell(self, line: int, column: str) -> str:
        try:
            return _visible(self._split(self._lines[line - 1])[self.position(column)])
        except (csv.Error, IndexError):
            return self.raw(line)

    def blocks(self) -> Iterator[Block | MisshapenRow]:
        """The rows under the header, empty lines left out."""
        for start in range(self._header_at + 1, len(self._lines), _BLOCK_ROWS):
            lines = self._lines[start : start + _BLOCK_ROWS]
            if (plain := self._plain_block(lines, start + 1)) is not None:
                yield plain
            else:
                yield from self._row_by_row(lines, start + 1)

    def _plain_block(self, lines: list[str], first: int) -> Block | None:
        """The lines as a block at once, or None where any of them needs a closer look."""
        if lines and not lines[-1]:
            lines = lines[:-1]  # what follows the file's last line break
        delimiter, width = self.contract.delimiter, len(self.header)
        if not lines or not all(lines) or {line.count(delimiter) for line in lines} != {width - 1}:
            return None
        joined = delimiter.join(lines)
        if '"' in joined:
            return None
        cells = joined.split(delimiter)
        columns = [tuple(cells[i::width]) for i in range(width)]
        if not all(columns[0]):
            return None
        return Block(np.arange(first, first + len(lines), dtype=np.int64), columns)

    def _row_by_row(self, lines: list[str], first: int) -> Iterator[Block | MisshapenRow]:
        width = len(self.header)
        blank = str.maketrans("", "", self.contract.delimiter + " \t")
        rows: list[list[str]] = []
        at: list[int] = []
        for number, line in enumerate(lines, first):
            try:
                cells = self._split(line)
            except csv.Error:
                yield MisshapenRow(number, self.raw(number), "quotation marks in pairs")
                continue
            if (len(cells) != width or not cells[0]) and not line.translate(blank):
                continue
            if len(cells) == width + 1 and not cells[-1].strip():
                cells.pop()
            if len(cells) != width:
                yield self._misshapen(number, len(cells))
                continue
            rows.append(cells)
            at.append(number)
        if rows:
            yield Block(np.array(at, np.int64), list(zip(*rows, strict=True)))

    def _misshapen(self, line: int, cells: int) -> MisshapenRow:
        expected = f"{len(self.header)} cells as in the header"
        if line == len(self._lines) and cells < len(self.header):
            expected += "; the file ends in the middle of this line, so it may have been cut off"
        return MisshapenRow(line, f"{cells} cell{'' if cells == 1 else 's'}", expected)


def _visible(text: str) -> str:
    """Text that can be stored and sent: bytes of another encoding as \\x.., NUL characters as \\x00."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
