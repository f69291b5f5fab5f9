"""The utilities that the caller may see."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from pydantic import BaseModel

from levada.domain.settings import Utility
from levada.store.documents import find_document
from levada.web.access import principal_of_request, signed_in
from levada.web.api.answers import answers
from levada.web.site import ThisSite

__all__ = ["list_own_tenants"]


class TenantDocument(BaseModel):
    """A utility, and what the caller may do there."""

    id: str
    name: str
    time_zone: str
    language: str
    currency: str
    rights: list[str]


class TenantList(BaseModel):
    tenants: list[TenantDocument]


@get("/tenants", guards=[signed_in], responses=answers(401), tags=["tenants"], summary="Utilities that the caller may see")
async def list_own_tenants(request: Request[Any, Any, Any], site: ThisSite) -> TenantList:
    """Utilities in which the caller has any right, by id."""
    principal = principal_of_request(request)
    found = []
    for tenant, rights in sorted(principal.rights.items()) if principal else ():
        async with site.database.tenant(tenant) as db:
            document = await find_document(db, "utility")
        utility = document if isinstance(document, Utility) else Utility(name=tenant, time_zone="UTC")
        found.append(
            TenantDocument(
                id=tenant, name=utility.name, time_zone=utility.time_zone, language=utility.language, currency=utility.currency, rights=sorted(rights)
            )
        )
    return TenantList(tenants=found)
