"""Whether the process lives, whether it can serve, and figures for Prometheus."""

from __future__ import annotations

import ipaddress
from typing import Any

from litestar import MediaType, Request, Response, get

from levada.domain.errors import NotAllowed
from levada.store.overview import installation_status
from levada.telemetry.metrics import CONTENT_TYPE, exposition
from levada.web.access import principal_of_request
from levada.web.problems import NotSignedIn
from levada.web.site import ThisSite
from levada.web.views.figures import installation_samples, tenant_samples

__all__ = ["healthz", "metrics", "readyz"]

_RIGHT = "metrics:read"


@get("/healthz", include_in_schema=False, media_type=MediaType.TEXT)
async def healthz() -> str:
    """The process lives. Says nothing of the database: a restart would not mend that."""
    return "ok"


@get("/readyz", include_in_schema=False, media_type=MediaType.TEXT)
async def readyz(site: ThisSite) -> Response[str]:
    """200 when the database answers, 503 when it does not: send no callers here then."""
    try:
        async with site.database.registry() as registry:
            await registry.one("ping")
    except Exception as e:  # noqa: BLE001  whatever the reason, the answer is the same
        return Response(f"the database does not answer: {type(e).__name__}", status_code=503, media_type=MediaType.TEXT)
    return Response("ready", media_type=MediaType.TEXT)


def _is_on_this_machine(request: Request[Any, Any, Any]) -> bool:
    """Called from loopback, and not on somebody's behalf: behind a proxy on this machine everybody comes from loopback."""
    if any(request.headers.get(name) for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via")):
        return False
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


@get("/metrics", include_in_schema=False)
async def metrics(request: Request[Any, Any, Any], site: ThisSite) -> Response[bytes]:
    """Figures in Prometheus's text form.

    From this machine itself without sign-in: all of the installation. From elsewhere with a bearer token that has the right
    `metrics:read`: that token's tenant only.
    """
    principal = principal_of_request(request)
    local = _is_on_this_machine(request)
    if principal is None and not local:
        raise NotSignedIn("send a bearer token with the right `metrics:read`, or ask from the machine itself")
    only = None if principal is None else {tenant for tenant in principal.rights if principal.may(tenant, _RIGHT)}
    if only is not None and not only:
        raise NotAllowed(_RIGHT)
    now = site.clock.now()
    async with site.database.registry() as registry:
        status = await installation_status(registry, now)
    samples = tenant_samples(status, now, only)
    if only is None:
        samples += installation_samples(status, site.audience.size)
    return Response(exposition(samples, process=only is None), media_type=CONTENT_TYPE)
