"""Signing in and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.params import QueryParameter, URLEncodedBody
from litestar.response import Redirect

from levada.store.accounts import sign_in
from levada.telemetry.log import get_logger
from levada.web.access import local_target, open_session, principal_of_request
from levada.web.page import page
from levada.web.site import ThisSite

__all__ = ["sign_in_form", "sign_in_post", "sign_out"]

log = get_logger("web")


@dataclass(frozen=True, slots=True)
class SignIn:
    """The form. `next` is where the person wanted to go."""

    email: str = ""
    password: str = ""
    next: str = ""


@get("/sign-in", include_in_schema=False)
async def sign_in_form(request: Request[Any, Any, Any], then: Annotated[str, QueryParameter(name="next")] = "") -> Response[Any]:
    if principal_of_request(request) is not None:
        return Redirect(local_target(then) or "/tenants", status_code=303)
    return page(request, "sign_in", email="", wanted=local_target(then) or "", problem="")


@post("/sign-in", include_in_schema=False, status_code=200)
async def sign_in_post(request: Request[Any, Any, Any], site: ThisSite, data: URLEncodedBody[SignIn]) -> Response[Any]:
    """Opens a session. A wrong password and an unknown person look alike."""
    email, address = data.email.strip(), request.client.host if request.client else ""
    site.attempts.check(email, address)
    async with site.database.registry() as registry:
        person = await sign_in(registry, email, data.password)
    if person is None:
        site.attempts.failed(email, address)
        log.warning("sign-in failed", email=email[:80], address=address)
        return page(request, "sign_in", email=email, wanted=local_target(data.next) or "", problem="sign_in.wrong", status_code=401)
    site.attempts.succeeded(email, address)
    open_session(request, email)
    only = f"/t/{next(iter(person.rights))}" if len(person.rights) == 1 else "/tenants"
    return Redirect(local_target(data.next) or only, status_code=303)


@post("/sign-out", include_in_schema=False, status_code=303)
async def sign_out(request: Request[Any, Any, Any]) -> Redirect:
    request.clear_session()
    return Redirect("/sign-in", status_code=303)
