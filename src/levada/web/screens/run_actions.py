"""Buttons of the runs' pages: end a run, try again what failed, promote a version or roll back. Noted in the audit log with the person's name."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request, post
from litestar.params import FromPath
from litestar.response import Redirect

from levada.store.dead_letters import retry_letter
from levada.store.releases import promote, roll_back
from levada.store.runs import cancel_run
from levada.web.access import needs, principal_of_request
from levada.web.site import ThisSite

__all__ = ["cancel_run_button", "may_act", "may_release", "promote_button", "retry_button", "roll_back_button"]


def may_act(request: Request[Any, Any, Any], tenant: str) -> bool:
    """Whether the person may start runs, and so end them and have them tried again."""
    principal = principal_of_request(request)
    return principal is not None and principal.may(tenant, "runs:start")


@post("/t/{tenant:str}/runs/{run_id:uuid}/cancel", guards=[needs("runs:start")], include_in_schema=False, status_code=303)
async def cancel_run_button(request: Request[Any, Any, Any], tenant: FromPath[str], run_id: FromPath[UUID], site: ThisSite) -> Redirect:
    principal = principal_of_request(request)
    async with site.database.tenant(tenant) as db:
        await cancel_run(db, run_id, principal.name if principal else "", site.clock.now())
    return Redirect(f"/t/{tenant}/runs/{run_id}", status_code=303)


@post("/t/{tenant:str}/dead/{letter_id:str}/retry", guards=[needs("runs:start")], include_in_schema=False, status_code=303)
async def retry_button(request: Request[Any, Any, Any], tenant: FromPath[str], letter_id: FromPath[str], site: ThisSite) -> Redirect:
    """A run or a dead job, by its number."""
    principal = principal_of_request(request)
    async with site.database.tenant(tenant) as db:
        await retry_letter(db, letter_id, principal.name if principal else "", site.clock.now())
    return Redirect(f"/t/{tenant}/runs", status_code=303)


def may_release(request: Request[Any, Any, Any], tenant: str) -> bool:
    """Whether the person may say which version computes the plans."""
    principal = principal_of_request(request)
    return principal is not None and principal.may(tenant, "settings:write")


@post("/t/{tenant:str}/release/promote", guards=[needs("settings:write")], include_in_schema=False, status_code=303)
async def promote_button(request: Request[Any, Any, Any], tenant: FromPath[str], site: ThisSite) -> Redirect:
    principal = principal_of_request(request)
    async with site.database.tenant(tenant) as db:
        await promote(db, principal.name if principal else "", site.clock.now())
    return Redirect(f"/t/{tenant}/runs", status_code=303)


@post("/t/{tenant:str}/release/rollback", guards=[needs("settings:write")], include_in_schema=False, status_code=303)
async def roll_back_button(request: Request[Any, Any, Any], tenant: FromPath[str], site: ThisSite) -> Redirect:
    principal = principal_of_request(request)
    async with site.database.tenant(tenant) as db:
        await roll_back(db, principal.name if principal else "", site.clock.now())
    return Redirect(f"/t/{tenant}/runs", status_code=303)
