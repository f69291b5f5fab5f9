"""Delivered files: what came, how it was taken, which rows were quarantined and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import DictRow

from levada.domain.errors import NotFound
from levada.store.content import get_content, put_content
from levada.store.database import TenantConnection

__all__ = ["FileDetail", "FileRow", "FileState", "QuarantineRow", "add_quarantine", "find_file", "get_file", "list_files", "record_file"]

FileState = Literal["taken", "partly", "refused", "duplicate"]
"""taken: all rows; partly: some are in quarantine; refused: the file as a whole; duplicate: had been taken before."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A delivered file as recorded. `problem` says why it was refused or what is wrong with some rows."""

    file_id: int
    name: str
    sha256: str
    size: int
    received_at: datetime
    state: FileState
    rows_ok: int
    rows_bad: int
    contract: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """A row that could not be taken: where it stands, what was found there, what is wrong, and the row as it came."""

    line: int
    column: str
    found: str
    problem: str
    raw: str


@dataclass(frozen=True, slots=True)
class FileDetail:
    """A file with its quarantined rows and, where any were, the file as it came."""

    file: FileRow
    rows: list[QuarantineRow]
    original: bytes | None


async def find_file(db: TenantConnection, sha256: str) -> FileRow | None:
    """The file of that content as it was taken before, else as it was last refused, else None.

    Who asks for a content holds it to the end of the transaction: another delivery of the same content waits, then finds this one.
    """
    await db.execute("lock_file", sha256=sha256)
    row = await db.one("find_file", sha256=sha256)
    return None if row is None else _file(row)


async def record_file(
    db: TenantConnection,
    *,
    name: str,
    sha256: str,
    size: int,
    received_at: datetime,
    state: FileState,
    rows_ok: int,
    rows_bad: int,
    contract: str | None,
    problem: str | None,
    original: bytes | None,
) -> int:
    """Record a delivery; returns its id. `original` is kept where somebody will want to look: when anything was quarantined."""
    original_sha256 = None if original is None else (await put_content(db, [original]))[0]
    row = await db.one(
        "record_file",
        name=name, sha256=sha256, size=size, received_at=received_at, state=state, rows_ok=rows_ok, rows_bad=rows_bad,
        contract=contract, problem=problem, original_sha256=original_sha256,
    )  # fmt: skip
    if row is None:
        raise LookupError(name)
    await db.notify("file", {"file_id": row["file_id"], "state": state})
    return int(row["file_id"])


async def add_quarantine(db: TenantConnection, file_id: int, rows: Sequence[QuarantineRow]) -> None:
    """Keep the rows of a file that could not be taken; the caller bounds how many. NUL characters, which PostgreSQL has no place for, become U+FFFD."""
    if rows:
        await db.execute_many(
            "add_quarantine",
            [
                {"file_id": file_id, "entry_no": i, "line": r.line, "column": _text(r.column), "found": _text(r.found), "problem": _text(r.problem), "raw": _text(r.raw)}
                for i, r in enumerate(rows, 1)
            ],
        )


def _text(text: str) -> str:
    return text.replace("\x00", "�").encode("utf-8", "replace").decode()


async def list_files(db: TenantConnection, limit: int) -> list[FileRow]:
    """The latest deliveries, the newest first."""
    return [_file(row) for row in await db.fetch("list_files", limit=limit)]


async def get_file(db: TenantConnection, file_id: int) -> FileDetail:
    """A delivery with its quarantine. Raises NotFound."""
    row = await db.one("get_file", file_id=file_id)
    if row is None:
        raise NotFound("file", str(file_id))
    rows = [QuarantineRow(r["line"], r["column_name"], r["found"], r["problem"], r["raw"]) for r in await db.fetch("quarantine_of", file_id=file_id)]
    original = await get_content(db, row["original_sha256"]) if row["original_sha256"] else None
    return FileDetail(_file(row), rows, original)


def _file(row: DictRow) -> FileRow:
    return FileRow(
        row["file_id"], row["name"], row["sha256"], row["size"], row["received_at"], row["state"], row["rows_ok"], row["rows_bad"], row["contract"], row["problem"]
    )  # fmt: skip
