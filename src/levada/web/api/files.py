"""Delivered files: what came, how it was taken, and which rows were refused and why."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import FromPath
from pydantic import AwareDatetime, BaseModel, Field

from levada.store.files import FileRow, get_file, list_files
from levada.web.access import needs
from levada.web.api.answers import Limit, Tenant, answers
from levada.web.site import ThisSite

__all__ = ["list_delivered_files", "show_file"]


class FileDocument(BaseModel):
    """A delivered file. `problem` says why it was refused, or what is wrong with some of its rows."""

    file_id: int
    name: str
    sha256: str
    size: int
    received_at: AwareDatetime
    state: Annotated[str, Field(description="taken, partly (some rows refused), refused, or duplicate")]
    rows_ok: int
    rows_bad: int
    contract: str | None
    problem: str | None


class RefusedRow(BaseModel):
    """A row that is in quarantine: where, what was found, what is wrong, and the row as it came."""

    line: int
    column: str
    found: str
    problem: str
    raw: str


class FileDetailDocument(FileDocument):
    rows: list[RefusedRow]


class FileList(BaseModel):
    files: list[FileDocument]


def _plain(row: FileRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in FileDocument.model_fields}


@get("/tenants/{tenant:str}/files", guards=[needs("files:read")], responses=answers(401, 403, 404), tags=["files"], summary="Delivered files")
async def list_delivered_files(tenant: Tenant, site: ThisSite, limit: Limit = 50) -> FileList:
    """Delivered files, the newest first."""
    async with site.database.tenant(tenant) as db:
        return FileList(files=[FileDocument.model_validate(_plain(row)) for row in await list_files(db, limit)])


@get("/tenants/{tenant:str}/files/{file_id:int}", guards=[needs("files:read")], responses=answers(401, 403, 404), tags=["files"], summary="One delivered file")
async def show_file(tenant: Tenant, file_id: FromPath[int], site: ThisSite) -> FileDetailDocument:
    """A delivered file with its refused rows."""
    async with site.database.tenant(tenant) as db:
        detail = await get_file(db, file_id)
    rows = [RefusedRow(line=r.line, column=r.column, found=r.found, problem=r.problem, raw=r.raw) for r in detail.rows]
    return FileDetailDocument.model_validate({**_plain(detail.file), "rows": rows})
