"""Pages: a template of screens/ filled with a view, in the right language, with what every page carries."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Template
from litestar.template import TemplateConfig

from levada.domain.settings import Utility
from levada.domain.tenant import Principal
from levada.store.database import TenantConnection
from levada.store.documents import find_document
from levada.web.site import Site
from levada.web.views.display import Display
from levada.web.views.language import LANGUAGES

__all__ = ["ASSETS", "browser_language", "display_of", "page", "template_config"]

_HERE = Path(__file__).parent
ASSETS = _HERE / "assets"


@cache
def asset(name: str) -> str:
    """Address of an asset with a mark of its content, so that browsers may keep it for ever."""
    mark = hashlib.sha256((ASSETS / name).read_bytes()).hexdigest()[:12]
    return f"/assets/{name}?v={mark}"


def template_config() -> TemplateConfig[JinjaTemplateEngine]:
    """Templates stand beside the screens' code. A name that a template misspells is an error, not a blank."""
    environment = Environment(loader=FileSystemLoader(_HERE / "screens"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["asset"] = asset
    return TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment))


def browser_language(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The first language of the browser's list that we speak; English where there is none."""
    wished: list[tuple[float, str]] = []
    for part in connection.headers.get("accept-language", "").split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            wished.append((-float(weight or 1), tag[:2].lower()))
        except ValueError:
            continue
    return next((tag for _, tag in sorted(wished, key=lambda w: w[0]) if tag in LANGUAGES), "en")


async def display_of(db: TenantConnection) -> tuple[Utility, Display]:
    """The tenant's own settings of how things are shown; where it has none yet, the defaults under its id."""
    document = await find_document(db, "utility")
    utility = document if isinstance(document, Utility) else Utility(name=db.tenant_id, time_zone="UTC")
    return utility, Display.of(utility)


def page(
    request: Request[Any, Any, Any],
    name: str,
    *,
    display: Display | None = None,
    utility: Utility | None = None,
    tenant: str = "",
    status_code: int = 200,
    **context: Any,
) -> Template:
    """The page `name` (screens/name.html). Besides `context` it has d (display), t (words), tenant, who, and the site's notes."""
    site: Site = request.app.state.site
    d = display or Display.without_utility(browser_language(request))
    user = request.scope.get("user")
    now = site.clock.now()
    base: Mapping[str, Any] = {
        "d": d,
        "t": d.t,
        "tenant": tenant,
        "utility": utility,
        "who": user.name if isinstance(user, Principal) else "",
        "tenants": sorted(user.rights) if isinstance(user, Principal) else [],
        "demo_note": site.demo_note,
        "now_ms": round(now.timestamp() * 1000),
        "rate": site.clock.rate,
        "screen": name,
    }
    return Template(f"{name}.html", context={**base, **context}, status_code=status_code)
