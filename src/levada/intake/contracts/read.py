"""Read a file by its contract: wide (a column per tag) or long (a row per reading)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from levada.domain.errors import FileError
from levada.domain.series import CellMethod, Floats
from levada.domain.settings import Column, FileContract
from levada.domain.time import zone
from levada.domain.units import factor_to_si
from levada.intake.contracts.clocks import to_utc
from levada.intake.contracts.numbers import expected_number, read_numbers
from levada.intake.contracts.parsed import ParsedFile, ParsedSeries, Problems
from levada.intake.contracts.sheet import Block, MisshapenRow, Sheet
from levada.intake.contracts.stamps import Stamps, expected_stamp, read_stamps

__all__ = ["read_file"]

_ROW = "(row)"


def read_file(contract: FileContract, name: str, content: bytes, *, now: datetime) -> ParsedFile:
    """Read all that can be read; what cannot is in `problems` with line, column, what was found and what was expected.

    Values come out in SI at UTC instants. A stamp that marks the end of its interval is shifted to its start for means, sums and maxima;
    a point value keeps its instant. `now` is when the file was received; it only tells apart the hour that occurs twice in autumn, see
    clocks.py. Raises FileError: the file as a whole cannot be read (too large, empty, not text, no usable header).
    """
    sheet = Sheet(contract, name, content)
    return (_Wide if contract.layout == "wide" else _Long)(contract, sheet, now).read()


class _Layout:
    """What both layouts share: rows, stamps, the clock, and making series."""

    def __init__(self, contract: FileContract, sheet: Sheet, now: datetime) -> None:
        self.contract, self.sheet, self.now = contract, sheet, now
        self.problems = Problems(sheet)
        self.missing = frozenset(text.strip() for text in contract.missing)
        self.stamp_at = sheet.position(contract.stamp_column)
        self.rows_total = 0
        self.ambiguous = 0

    def blocks(self) -> Iterator[Block]:
        for part in self.sheet.blocks():
            if isinstance(part, MisshapenRow):
                self.rows_total += 1
                self.problems.add(part.line, _ROW, part.expected, found=part.found)
            else:
                self.rows_total += len(part.lines)
                yield part

    def stamps(self, block: Block) -> Stamps:
        stamps = read_stamps(block.columns[self.stamp_at], self.contract.stamp_format)
        self.problems.add_many(block.lines[~stamps.ok], self.contract.stamp_column, expected_stamp(self.contract.stamp_format))
        return stamps

    def utc(self, us: NDArray[np.int64], is_utc: NDArray[np.bool_], lines: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Stamps in the file's order as UTC, and which of them exist on the file's clock."""
        if is_utc.all() or self.contract.time_zone == "UTC":
            return us, np.ones(len(us), bool)
        local = ~is_utc
        utc, exists = us.copy(), np.ones(len(us), bool)
        utc[local], exists[local], ambiguous = to_utc(us[local], zone(self.contract.time_zone), self.now, self.contract.step_s * 1_000_000)
        self.ambiguous += ambiguous
        self.problems.add_many(
            lines[~exists], self.contract.stamp_column, f"a time that exists in {self.contract.time_zone}: clocks were put forward over this one"
        )
        return utc, exists

    def series(self, tag: str, column: Column, utc_us: NDArray[np.int64], values: Floats, lines: NDArray[np.int64]) -> ParsedSeries:
        if self.contract.stamp_marks == "end" and column.cell_method is not CellMethod.POINT:
            utc_us = utc_us - self.contract.step_s * 1_000_000
        return ParsedSeries(tag, column, utc_us.astype("datetime64[us]"), values * factor_to_si(column.quantity, column.unit), lines)

    def file(self, series: list[ParsedSeries], unknown: tuple[str, ...], absent: tuple[str, ...]) -> ParsedFile:
        notes = []
        if self.ambiguous:
            notes.append(
                f"{self.ambiguous} local times lie in the hour that occurs twice when {self.contract.time_zone} puts its clocks back; the first of two was "
                "read as summer time, the second as winter time. Stamps in UTC or with an offset leave no doubt"
            )
        return ParsedFile(self.contract, self.sheet.name, tuple(series), self.problems, self.rows_total, unknown, absent, tuple(notes))


class _Wide(_Layout):
    def read(self) -> ParsedFile:
        contract, header = self.contract, self.sheet.header
        present = {tag: column for tag, column in contract.columns.items() if tag in header}
        unknown = tuple(dict.fromkeys(c or f"(column {i + 1}, without a name)" for i, c in enumerate(header) if c not in {contract.stamp_column, *present, *contract.ignored}))
        if not present:
            raise FileError(
                file=self.sheet.name,
                problem=f"none of the header's columns is a tag of contract {contract.name!r}",
                remedy=f"known tags are {', '.join(repr(t) for t in list(contract.columns)[:8])}; mend the header or the contract",
            )
        us: list[NDArray[np.int64]] = []
        is_utc: list[NDArray[np.bool_]] = []
        lines: list[NDArray[np.int64]] = []
        values: dict[str, list[Floats]] = {tag: [] for tag in present}
        for block in self.blocks():
            stamps = self.stamps(block)
            us.append(stamps.us[stamps.ok])
            is_utc.append(stamps.is_utc[stamps.ok])
            lines.append(block.lines[stamps.ok])
            for tag in present:
                numbers, bad = read_numbers(block.columns[self.sheet.position(tag)], contract.decimal_mark, self.missing)
                self.problems.add_many(block.lines[bad & stamps.ok], tag, expected_number(contract.decimal_mark))
                values[tag].append(numbers[stamps.ok])
        if not us:
            return self.file([], unknown, tuple(t for t in contract.columns if t not in present))
        all_lines = np.concatenate(lines)
        utc, exists = self.utc(np.concatenate(us), np.concatenate(is_utc), all_lines)
        series = []
        for tag, column in present.items():
            numbers = np.concatenate(values[tag])
            kept = exists & ~np.isnan(numbers)
            series.append(self.series(tag, column, utc[kept], numbers[kept], all_lines[kept]))
        return self.file(series, unknown, tuple(t for t in contract.columns if t not in present))


class _Long(_Layout):
    def read(self) -> ParsedFile:
        contract = self.contract
        tag_at, value_at = self.sheet.position(contract.tag_column), self.sheet.position(contract.value_column)
        codes: dict[str, int] = {}
        us: list[NDArray[np.int64]] = []
        is_utc: list[NDArray[np.bool_]] = []
        lines: list[NDArray[np.int64]] = []
        values: list[Floats] = []
        tags: list[NDArray[np.int64]] = []
        for block in self.blocks():
            code = np.fromiter((codes.setdefault(t, len(codes)) for t in block.columns[tag_at]), np.int64, len(block.lines))
            wanted = np.array([t.strip() in contract.columns for t in codes], bool)[code]
            stamps = self.stamps(block)
            numbers, bad = read_numbers(block.columns[value_at], contract.decimal_mark, self.missing)
            self.problems.add_many(block.lines[bad & stamps.ok & wanted], contract.value_column, expected_number(contract.decimal_mark))
            kept = stamps.ok & wanted
            us.append(stamps.us[kept])
            is_utc.append(stamps.is_utc[kept])
            lines.append(block.lines[kept])
            values.append(numbers[kept])
            tags.append(code[kept])
        names = {code: tag.strip() for tag, code in codes.items()}
        unknown = tuple(dict.fromkeys(t or "(empty tag)" for t in names.values() if t not in contract.columns and t not in contract.ignored))
        absent = tuple(t for t in contract.columns if t not in names.values())
        if not tags:
            return self.file([], unknown, absent)
        place = {tag: i for i, tag in enumerate(contract.columns)}
        # One code per tag, however it was padded; -1 cannot occur, since only wanted rows were kept.
        codes_of = np.array([place.get(names[c], -1) for c in range(len(names))], np.int64)
        tag_of = codes_of[np.concatenate(tags)]
        order = np.argsort(tag_of, kind="stable")
        bounds = np.searchsorted(tag_of[order], np.arange(len(place) + 1))
        all_us, all_utc, all_lines, all_values = np.concatenate(us), np.concatenate(is_utc), np.concatenate(lines), np.concatenate(values)
        series = []
        for i, (tag, column) in enumerate(contract.columns.items()):
            rows = order[bounds[i] : bounds[i + 1]]
            if not len(rows):
                continue
            utc, exists = self.utc(all_us[rows], all_utc[rows], all_lines[rows])
            kept = exists & ~np.isnan(all_values[rows])
            series.append(self.series(tag, column, utc[kept], all_values[rows][kept], all_lines[rows][kept]))
        return self.file(series, unknown, absent)
