"""What computing has taken, and what that is in money."""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from levada.domain.errors import DocumentError
from levada.domain.tenant import TenantId

__all__ = ["PriceTable", "Usage", "rows_as_csv", "summed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Runs of a utility that ended on a UTC day. Sums, `memory_byte_s` being peak memory times wall time; `peak_memory_bytes` is the greatest."""

    tenant_id: TenantId
    day: date
    kind: str
    cause: str
    runs: int
    failed: int
    wall_s: float
    cpu_s: float
    memory_byte_s: float
    queue_wait_s: float
    bytes_read: float
    bytes_written: float
    peak_memory_bytes: int

    def __add__(self, other: Usage) -> Usage:
        sums = {name: getattr(self, name) + getattr(other, name) for name in _SUMMED}
        return replace(self, **sums, peak_memory_bytes=max(self.peak_memory_bytes, other.peak_memory_bytes))


_SUMMED = ("runs", "failed", "wall_s", "cpu_s", "memory_byte_s", "queue_wait_s", "bytes_read", "bytes_written")


class PriceTable(BaseModel):
    """Prices in `currency`: an hour of processor time, a GB of memory held for an hour, a GB read or written, a run."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    currency: str = Field(min_length=1)
    cpu_hour: float = Field(default=0.0, ge=0)
    memory_gb_hour: float = Field(default=0.0, ge=0)
    gb: float = Field(default=0.0, ge=0)
    run: float = Field(default=0.0, ge=0)

    @classmethod
    def read(cls, text: str, where: str) -> PriceTable:
        """From TOML. Raises DocumentError saying what is wrong and where."""
        try:
            return cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as e:
            raise DocumentError(where, "", str(e)) from e
        except ValidationError as e:
            first = e.errors()[0]
            raise DocumentError(where, ".".join(str(part) for part in first["loc"]), first["msg"]) from e

    def money(self, usage: Usage) -> float:
        return (
            self.cpu_hour * usage.cpu_s / 3600
            + self.memory_gb_hour * usage.memory_byte_s / 3.6e12
            + self.gb * (usage.bytes_read + usage.bytes_written) / 1e9
            + self.run * usage.runs
        )


def summed(rows: Iterable[Usage], *, by_day: bool) -> list[Usage]:
    """All kinds and causes of a utility together, by day or over all days (labelled by the first)."""
    found: dict[tuple[str, date | None], Usage] = {}
    for row in rows:
        key = row.tenant_id, row.day if by_day else None
        whole = replace(row, kind="all", cause="all")
        found[key] = found[key] + whole if key in found else whole
    return list(found.values())


def rows_as_csv(rows: Sequence[Usage], table: PriceTable | None) -> str:
    out = io.StringIO()
    names = [*Usage.__dataclass_fields__, *((f"money_{table.currency}",) if table else ())]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([*asdict(row).values(), *((table.money(row),) if table else ())])
    return out.getvalue()
