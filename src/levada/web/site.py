"""What every route is given: the database, the clock and the messages of this process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from litestar.di import NamedDependency

from levada.clock import Clock
from levada.domain.errors import SetupError
from levada.store.database import Database
from levada.web.attempts import Attempts
from levada.web.events import Audience

__all__ = ["Site", "ThisSite"]


@dataclass(slots=True, kw_only=True)
class Site:
    """One web process. `database` is there from start-up to shutdown."""

    clock: Clock
    demo_note: str | None
    audience: Audience = field(default_factory=Audience)
    attempts: Attempts = field(default_factory=Attempts)
    opened: Database | None = None

    @property
    def database(self) -> Database:
        if self.opened is None:
            raise SetupError("the web process has no database yet", "wait until /readyz answers 200")
        return self.opened


ThisSite: TypeAlias = NamedDependency[Site]
"""How a route asks for the site: `site: ThisSite`."""
