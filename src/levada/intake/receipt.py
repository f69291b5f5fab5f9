"""The receipt: what became of a delivered file, for the sender's program (JSON) and for people (`summary`)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from levada.domain.time import isoformat_z
from levada.intake.contracts.parsed import Problem
from levada.store.files import FileState

__all__ = ["SHOWN_PROBLEMS", "Receipt", "Values", "receipt_path"]

SHOWN_PROBLEMS = 50

_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Values:
    """Readings that were taken: for instants that had none, in place of another, and known already; how many of them are suspect."""

    new: int = 0
    corrected: int = 0
    unchanged: int = 0
    suspect: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """`state`: taken (all rows), partly (some are in quarantine), refused (the whole file), duplicate (taken before; nothing changed).

    A row is taken when all of its values are; of a refused row the good values are taken. `problem` is about the file as a whole.
    """

    file: str
    sha256: str
    size: int
    received_at: datetime
    state: FileState
    contract: str | None = None
    rows_total: int = 0
    rows_refused: int = 0
    values: Values = Values()
    problem: str | None = None
    problems: Sequence[Problem] = ()
    unknown_tags: tuple[str, ...] = ()
    absent_tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rows_taken(self) -> int:
        return self.rows_total - self.rows_refused

    @property
    def summary(self) -> str:
        """A line or more for people."""
        said = [f"{self.file}: {self.state}."]
        if self.problem:
            said.append(f"{self.problem}.")
        if self.state in ("taken", "partly"):
            v = self.values
            said.append(
                f"{self.rows_taken} of {self.rows_total} rows taken. Values: {v.new} new, {v.corrected} corrected, {v.unchanged} known already"
                + (f", {v.suspect} of them suspect." if v.suspect else ".")
            )
        for p in self.problems[:3]:
            said.append(f"{p.error(self.file)}.")
        if len(self.problems) > 3:
            said.append("More in `problems`.")
        if self.unknown_tags:
            said.append(f"Tags that the contract does not know, not taken: {_some(self.unknown_tags)}.")
        if self.absent_tags:
            said.append(f"Tags of the contract that the file does not have: {_some(self.absent_tags)}.")
        said.extend(f"{note}." for note in self.notes)
        return " ".join(said)

    def as_json(self) -> bytes:
        """The receipt as the sender finds it."""
        document: dict[str, Any] = {
            "file": self.file,
            "state": self.state,
            "summary": self.summary,
            "sha256": self.sha256,
            "bytes": self.size,
            "received_at": isoformat_z(self.received_at),
            "contract": self.contract,
            "rows_total": self.rows_total,
            "rows_taken": self.rows_taken,
            "rows_refused": self.rows_refused,
            "values": asdict(self.values),
            "problem": self.problem,
            "problems": [{"line": p.line, "column": p.column, "found": p.found, "expected": p.expected} for p in self.problems[:SHOWN_PROBLEMS]],
            "unknown_tags": list(self.unknown_tags),
            "absent_tags": list(self.absent_tags),
            "notes": list(self.notes),
        }
        return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"


def _some(tags: Sequence[str]) -> str:
    shown = ", ".join(repr(t[:60]) for t in tags[:10])
    return f"{shown} and {len(tags) - 10} more" if len(tags) > 10 else shown


def receipt_path(name: str) -> str:
    """Where in the outbox the receipt of a file of that name lies."""
    return f"receipt_{_UNSAFE.sub('_', name)}.json"
