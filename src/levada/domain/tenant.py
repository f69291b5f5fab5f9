"""Tenants (utilities), the people who may see them, and what each may do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from levada.domain.errors import DocumentError

__all__ = ["RIGHTS", "Principal", "Role", "TenantId", "rights_of", "tenant_id"]

TenantId = str
"""A short name such as `serra`: a lower-case letter, then letters, digits and hyphens, at most 40."""

_TENANT = re.compile(r"[a-z][a-z0-9-]{0,39}")


def tenant_id(text: str) -> TenantId:
    """Check a tenant's name. Raises DocumentError when it is no valid one: it becomes a folder and a database role."""
    if not _TENANT.fullmatch(text):
        raise DocumentError("tenant", "id", f"{text!r} must be a lower-case letter followed by letters, digits or hyphens, at most 40")
    return text


class Role(StrEnum):
    """What a person is to a tenant. Each role includes the rights of those before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"


RIGHTS: dict[Role, frozenset[str]] = {
    Role.VIEWER: frozenset({"plans:read", "readings:read", "runs:read", "files:read"}),
    Role.OPERATOR: frozenset({"plans:read", "readings:read", "runs:read", "files:read", "runs:start"}),
    Role.ENGINEER: frozenset({"plans:read", "readings:read", "runs:read", "files:read", "runs:start", "settings:read", "settings:write", "metrics:read"}),
}


def rights_of(role: Role) -> frozenset[str]:
    return RIGHTS[role]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling: a person (by session) or a program (by token), and the rights in each tenant that it may see."""

    name: str
    rights: dict[TenantId, frozenset[str]]

    def may(self, tenant: TenantId, right: str) -> bool:
        return right in self.rights.get(tenant, frozenset())
