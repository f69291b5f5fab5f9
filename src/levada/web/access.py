"""Who calls, and what they may: sessions of people, tokens of programs, and the one guard that routes name a right to.

A tenant that the caller may not see looks exactly like one that does not exist.
"""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from litestar.config.csrf import CSRFConfig
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.middleware.csrf import CSRFMiddleware
from litestar.middleware.session.base import SessionMiddleware
from litestar.middleware.session.client_side import ClientSideSessionBackend, CookieBackendConfig
from litestar.types import Guard, Receive, Scope, Send

from levada.domain.errors import NotAllowed, NotFound
from levada.domain.tenant import Principal
from levada.store.accounts import installation_secret, principal_of, principal_of_token
from levada.store.database import Database
from levada.web.problems import NotSignedIn
from levada.web.site import Site

__all__ = ["Cookies", "installation_keys", "local_target", "needs", "open_session", "principal_of_request", "signed_in"]

_SESSION_HOURS = 12
_EMAIL = "email"


class _BrowserCsrf(CSRFMiddleware):
    """Litestar's double-submit check, for all but callers with a bearer token: a browser never adds that by itself."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        bearer = any(name == b"authorization" and value[:7].lower() == b"bearer " for name, value in scope.get("headers", ()))
        await (self.app if bearer else super().__call__)(scope, receive, send)


class _Authentication(AbstractAuthenticationMiddleware):
    """Finds the principal anew for each request, so that a right that was taken away is gone at once."""

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        site: Site = connection.app.state.site
        header = connection.headers.get("authorization", "")
        if header:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise NotSignedIn("the Authorization header must read `Bearer <token>`")
            async with site.database.registry() as registry:
                holder = await principal_of_token(registry, token.strip(), site.clock.now())
            if holder is None:
                raise NotSignedIn("the token is unknown or has expired; ask whoever administers the tenant for a new one")
            return AuthenticationResult(user=holder, auth="token")
        email = connection.session.get(_EMAIL) if connection.session else None
        if not email:
            return AuthenticationResult(user=None, auth=None)
        async with site.database.registry() as registry:
            person = await principal_of(registry, str(email))
        return AuthenticationResult(user=person, auth="session" if person else None)


class Cookies:
    """The session's and the CSRF cookie. Their keys are the installation's, known once its database is open."""

    def __init__(self, *, secure: bool) -> None:
        self._sessions = ClientSideSessionBackend(
            CookieBackendConfig(
                secret=secrets.token_bytes(32), key="levada_session", max_age=_SESSION_HOURS * 3600, secure=secure, httponly=True, samesite="lax"
            )
        )
        self._csrf = CSRFConfig(
            secret=secrets.token_hex(32), cookie_name="levada_csrf", cookie_secure=secure, cookie_httponly=True, cookie_samesite="lax", header_name="x-csrf-token"
        )

    def use_keys(self, session_key: bytes, csrf_key: bytes) -> None:
        """Take the installation's keys: every web process of it reads the others' cookies."""
        self._sessions.aesgcm = AESGCM(session_key)
        self._csrf.secret = csrf_key.hex()

    @property
    def middleware(self) -> list[DefineMiddleware]:
        """In order: sessions, who calls, CSRF. Assets and health need none of them."""
        free = ["^/assets/", "^/healthz$", "^/readyz$"]
        self._csrf.exclude = free
        self._sessions.config.exclude = free
        return [
            DefineMiddleware(SessionMiddleware, backend=self._sessions),
            DefineMiddleware(_Authentication, exclude=free),
            DefineMiddleware(_BrowserCsrf, config=self._csrf),
        ]


def open_session(connection: ASGIConnection[Any, Any, Any, Any], email: str) -> None:
    """Remember the person; nothing of an earlier session is kept."""
    connection.set_session({_EMAIL: email})


def principal_of_request(connection: ASGIConnection[Any, Any, Any, Any]) -> Principal | None:
    principal = connection.scope.get("user")
    return principal if isinstance(principal, Principal) else None


def signed_in(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Guard: the caller is known. Raises NotSignedIn."""
    if principal_of_request(connection) is None:
        raise NotSignedIn


def needs(right: str) -> Guard:
    """Guard of a route with `{tenant}` in its path: the caller has the right there.

    Raises NotSignedIn; NotFound where the caller has no right at all in that tenant; NotAllowed where only this one is missing.
    """

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        principal = principal_of_request(connection)
        if principal is None:
            raise NotSignedIn
        tenant = str(connection.path_params["tenant"])
        if not principal.rights.get(tenant):
            raise NotFound("tenant", tenant)
        if not principal.may(tenant, right):
            raise NotAllowed(right)

    guard.__doc__ = f"Needs the right {right}."
    return guard


async def installation_keys(database: Database) -> tuple[bytes, bytes]:
    """The keys of the session and CSRF cookies."""
    async with database.registry() as registry:
        return await installation_secret(registry, "web-session"), await installation_secret(registry, "web-csrf")


def local_target(text: str | None) -> str | None:
    """The path, where it leads to a page of this site; None for whatever a browser could take for another site's address."""
    if not text or not text.startswith("/") or text.startswith("//") or "\\" in text or any(ord(c) < 32 for c in text):
        return None
    parts = urlsplit(text)
    return text if not parts.scheme and not parts.netloc else None
