"""The files that were delivered, and how each was taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Template

from levada.store.files import FileRow, list_files
from levada.web.access import needs
from levada.web.page import display_of, page
from levada.web.site import ThisSite
from levada.web.views.display import Display

__all__ = ["FileLine", "file_line", "files_page"]

_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLine:
    """A delivered file in words."""

    file_id: int
    name: str
    state: str
    state_word: str
    received: str
    size: str
    rows_ok: str
    rows_bad: str
    problem: str
    sha256: str
    contract: str


def file_line(row: FileRow, now: datetime, d: Display) -> FileLine:
    return FileLine(
        file_id=row.file_id, name=row.name, state=row.state, state_word=d.t(f"file.{row.state}"), received=d.local.near(row.received_at, now),
        size=f"{d.number(row.size / 1000, 1)}\u00a0kB", rows_ok=d.number(row.rows_ok, 0), rows_bad=d.number(row.rows_bad, 0), problem=row.problem or "",
        sha256=row.sha256, contract=row.contract or "–",
    )  # fmt: skip


@get("/t/{tenant:str}/files", guards=[needs("files:read")], include_in_schema=False)
async def files_page(request: Request[Any, Any, Any], tenant: FromPath[str], site: ThisSite) -> Template:
    """The newest hundred."""
    now = site.clock.now()
    async with site.database.tenant(tenant) as db:
        utility, d = await display_of(db)
        rows = await list_files(db, _SHOWN)
    return page(request, "files", display=d, utility=utility, tenant=tenant, files=[file_line(row, now, d) for row in rows])
