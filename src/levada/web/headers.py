"""Headers of every answer: what a browser may load, and who may frame, sniff or refer."""

from __future__ import annotations

from litestar.types import Message, Scope

__all__ = ["CONTENT_SECURITY_POLICY", "add_headers"]

CONTENT_SECURITY_POLICY = "; ".join([
    "default-src 'self'",
    "img-src 'self' data:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
])  # fmt: skip
"""No inline scripts or styles, nothing from elsewhere. Charts export pictures as data: addresses."""

_HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]


async def add_headers(message: Message, _: Scope) -> None:
    """Before an answer goes out. Pages and documents of tenants are kept by no cache."""
    if message["type"] != "http.response.start":
        return
    headers = list(message.get("headers", ()))
    headers += _HEADERS
    if not any(name.lower() == b"cache-control" for name, _ in headers):
        headers.append((b"cache-control", b"no-store"))
    message["headers"] = headers
