"""One delivered file with the rows that were refused: where, what was found, and what is wrong with it."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Template

from levada.store.files import get_file
from levada.web.access import needs
from levada.web.page import display_of, page
from levada.web.screens.files import file_line
from levada.web.site import ThisSite

__all__ = ["file_page"]


@get("/t/{tenant:str}/files/{file_id:int}", guards=[needs("files:read")], include_in_schema=False)
async def file_page(request: Request[Any, Any, Any], tenant: FromPath[str], file_id: FromPath[int], site: ThisSite) -> Template:
    async with site.database.tenant(tenant) as db:
        utility, d = await display_of(db)
        detail = await get_file(db, file_id)
    return page(request, "file", display=d, utility=utility, tenant=tenant, file=file_line(detail.file, site.clock.now(), d), rows=detail.rows)
