"""Errors as answers: application/problem+json (RFC 9457) for programs, a page for people. One place for all routes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect
from litestar.types import ExceptionHandlersMap

from levada.domain.errors import LevadaError
from levada.store.database import DATABASE_TROUBLE
from levada.telemetry.log import get_logger
from levada.web.attempts import TooManyAttempts
from levada.web.page import page

__all__ = ["PROBLEM_JSON", "BadRequest", "NotSignedIn", "exception_handlers", "problem_document", "wants_page"]

log = get_logger("web")

PROBLEM_JSON = "application/problem+json"

_HTTP_CODES = {400: "bad-request", 401: "not-signed-in", 403: "not-allowed", 404: "not-found", 405: "method", 413: "too-large", 415: "media-type", 429: "too-many-requests"}


class NotSignedIn(LevadaError):
    """The caller is not known: no session, no token, or one that does not hold (any more)."""

    code, status = "not-signed-in", 401

    def __init__(self, remedy: str = "sign in, or send `Authorization: Bearer <token>`") -> None:
        super().__init__(f"who is calling is not known; {remedy}")
        self.remedy = remedy


class BadRequest(LevadaError):
    """A parameter of the request does not hold."""

    code, status = "bad-request", 400

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__(f"{parameter}: {problem}")
        self.parameter, self.problem = parameter, problem


def problem_document(error: LevadaError) -> dict[str, Any]:
    """RFC 9457's members beside those of the error itself."""
    document = error.as_document()
    title = (type(error).__doc__ or "").strip().splitlines()[0]
    return {"type": f"urn:levada:problem:{error.code}", "title": title, "status": error.status, "detail": str(error), **document}


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether a person is looking: pages live outside /v1 and ask for HTML."""
    path = request.url.path
    return not path.startswith(("/v1/", "/metrics", "/healthz", "/readyz", "/assets/")) and not path.endswith((".json", "/events"))


def _problem(document: dict[str, Any], headers: dict[str, str]) -> Response[bytes]:
    body = json.dumps(document, default=str, ensure_ascii=False).encode()
    return Response(body, status_code=int(document["status"]), media_type=PROBLEM_JSON, headers=headers)


def _page(request: Request[Any, Any, Any], document: dict[str, Any], headers: dict[str, str]) -> Response[Any]:
    status = int(document["status"])
    if request.headers.get("hx-request"):
        # A part of a page that cannot be had: a line of text that the page shows in its place.
        return Response(str(document["detail"]), status_code=status, media_type=MediaType.TEXT, headers=headers)
    answer = page(request, "error", problem=document, status_code=status)
    answer.headers.update(headers)
    return answer


def _answer(request: Request[Any, Any, Any], document: dict[str, Any], headers: dict[str, str] | None = None) -> Response[Any]:
    headers = headers or {}
    return _page(request, document, headers) if wants_page(request) else _problem(document, headers)


def _on_levada_error(request: Request[Any, Any, Any], error: LevadaError) -> Response[Any]:
    headers: dict[str, str] = {}
    if isinstance(error, TooManyAttempts):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, NotSignedIn):
        if wants_page(request):
            target = f"/sign-in?next={quote(_local_path(request))}"
            if request.headers.get("hx-request"):
                return Response("", status_code=401, headers={"HX-Redirect": target})
            return Redirect(target, status_code=303)
        headers["WWW-Authenticate"] = 'Bearer realm="levada"'
    if error.status >= 500:
        log.error("request failed", path=request.url.path, problem=str(error))
    return _answer(request, problem_document(error), headers)


def _local_path(request: Request[Any, Any, Any]) -> str:
    if request.method != "GET" or request.headers.get("hx-request"):
        return "/"
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def _on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """What the framework itself refuses: unknown paths, wrong methods, parameters that do not parse, a missing CSRF token."""
    status = error.status_code
    code = _HTTP_CODES.get(status, f"http-{status}")
    document: dict[str, Any] = {
        "type": f"urn:levada:problem:{code}", "title": error.detail, "status": status, "code": code, "message": error.detail, "detail": error.detail,
    }  # fmt: skip
    if status == 404:
        document |= {"title": "There is nothing here.", "detail": f"no page {request.url.path!r}", "message": f"no page {request.url.path!r}"}
    if isinstance(error.extra, list) and status == 400:
        document["parameters"] = error.extra
    headers = {k: v for k, v in (error.headers or {}).items() if k.lower() in ("allow", "retry-after")}
    return _answer(request, document, headers)


def _on_anything(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A fault of ours: the caller learns that it was one, the log what it was."""
    log.exception("request failed", path=request.url.path, method=request.method, exc_info=error)
    text = "something failed here that is not your doing; it has been written to the log"
    return _answer(request, {"type": "urn:levada:problem:fault", "title": "A fault of the program.", "status": 500, "code": "fault", "message": text, "detail": text})


def _on_database_away(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The database went away, or restarts, while the request was served: what it was to change is changed wholly or not at all."""
    log.warning("the database was away for a request", path=request.url.path, method=request.method, problem=type(error).__name__)
    text = "the database, or the store beside it, cannot be had at this moment; try again in a few seconds"
    document = {"type": "urn:levada:problem:database-away", "title": "The database is away.", "status": 503, "code": "database-away", "message": text, "detail": text}
    return _answer(request, document, {"Retry-After": "3"})


exception_handlers: ExceptionHandlersMap = {
    LevadaError: _on_levada_error, HTTPException: _on_http_error, **dict.fromkeys(DATABASE_TROUBLE, _on_database_away), Exception: _on_anything,
}  # fmt: skip
"""For the application: every error that leaves a route passes one of these."""
