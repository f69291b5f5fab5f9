"""The web application: how routes, sessions, templates and the database are put together.

make_app gives an ASGI application; it opens the database when the server starts it and closes it when it stops. It reads no
environment: whoever starts it passes what it needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from litestar import Litestar, Router
from litestar.config.compression import CompressionConfig
from litestar.datastructures import CacheControlHeader, State
from litestar.di import Provide
from litestar.static_files import create_static_files_router

from levada.clock import Clock
from levada.store.database import Database
from levada.store.objects import Objects
from levada.web.access import Cookies, installation_keys
from levada.web.api import API_ROUTES, HEALTH_ROUTES, openapi_config
from levada.web.events import keep_listening
from levada.web.headers import add_headers
from levada.web.page import ASSETS, template_config
from levada.web.problems import exception_handlers
from levada.web.screens import SCREEN_ROUTES
from levada.web.site import Site

__all__ = ["make_app"]

_MOST_BODY_BYTES = 1 << 20
"""No route takes more than a form; files come by SFTP."""


def make_app(*, database_url: str, clock: Clock, secure_cookies: bool, demo_note: str | None, bundle_store: str | None = None) -> Litestar:
    """The application for the database at `database_url` (the application's role).

    `secure_cookies`: cookies only over HTTPS. `demo_note`: shown beside the clock on every page, such as "demo clock ×120".
    """
    site = Site(clock=clock, demo_note=demo_note)
    cookies = Cookies(secure=secure_cookies)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        database = await Database.open(database_url, objects=None if bundle_store is None else Objects.at(bundle_store))
        try:
            cookies.use_keys(*await installation_keys(database))
            site.opened = database
            listener = asyncio.create_task(keep_listening(database, site.audience))
            try:
                yield
            finally:
                site.audience.close()
                listener.cancel()
                with suppress(asyncio.CancelledError):
                    await listener
                site.opened = None
        finally:
            await database.close()

    assets = create_static_files_router(
        path="/assets", directories=[ASSETS], include_in_schema=False, cache_control=CacheControlHeader(max_age=31_536_000, immutable=True)
    )
    return Litestar(
        route_handlers=[assets, *HEALTH_ROUTES, Router(path="/v1", route_handlers=API_ROUTES), *SCREEN_ROUTES],
        lifespan=[lifespan],
        state=State({"site": site}),
        dependencies={"site": Provide(_giver(site), sync_to_thread=False)},
        middleware=cookies.middleware,
        exception_handlers=exception_handlers,
        before_send=[add_headers],
        template_config=template_config(),
        openapi_config=openapi_config(),
        compression_config=CompressionConfig(backend="gzip", minimum_size=2000, exclude=["/events$"]),
        logging_config=None,  # whoever starts the process has set up its logs
        request_max_body_size=_MOST_BODY_BYTES,
    )


def _giver(site: Site) -> Callable[[], Site]:
    def give() -> Site:
        return site

    return give
