"""Tenants of the installation, and the database roles with which they may read their own rows."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection, sql

from levada.domain.errors import DocumentError, NotFound, SetupError
from levada.domain.tenant import TenantId
from levada.domain.tenant import tenant_id as checked
from levada.store.database import RegistryConnection
from levada.store.queries import query

__all__ = ["TenantRow", "create_sql_reader", "create_tenant", "list_tenants", "tenant_exists"]


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A utility: its id (folder, role and address) and the name that people read."""

    tenant_id: TenantId
    name: str


async def create_tenant(registry: RegistryConnection, tenant_id: TenantId, name: str) -> None:
    """Raises DocumentError: the id is no valid one, or there is such a tenant already."""
    checked(tenant_id)
    try:
        await registry.execute("create_tenant", tenant_id=tenant_id, name=name)
    except psycopg.errors.UniqueViolation as e:
        raise DocumentError("tenant", "id", f"there is a tenant {tenant_id!r} already") from e
    except psycopg.errors.CheckViolation as e:
        raise DocumentError("tenant", "name", "must not be empty") from e


async def list_tenants(registry: RegistryConnection) -> list[TenantRow]:
    """All tenants, by id."""
    return [TenantRow(row["tenant_id"], row["name"]) for row in await registry.fetch("list_tenants")]


async def tenant_exists(registry: RegistryConnection, tenant_id: TenantId) -> bool:
    return any(row.tenant_id == tenant_id for row in await list_tenants(registry))


async def create_sql_reader(admin_url: str, tenant_id: TenantId) -> str:
    """Make (or find) the login role that reads this tenant's rows and no other's, whatever it SETs; returns its name.

    Which rows it sees is told by who logged in, not by a setting. Where the server asks for passwords, its keeper gives it one.
    Raises NotFound for an unknown tenant, SetupError when the keeper's role may not make roles.
    """
    role = f"levada_read_{checked(tenant_id)}"
    async with await AsyncConnection.connect(admin_url, connect_timeout=10) as connection:
        await connection.execute(query("as_registry"))
        tenants = await (await connection.execute(query("list_tenants"))).fetchall()
        await connection.execute(query("as_keeper"))
        if tenant_id not in {row[0] for row in tenants}:
            raise NotFound("tenant", tenant_id)
        if await (await connection.execute(query("role_powers"), {"role": role})).fetchone() is None:
            name = sql.Identifier(role)
            try:
                await connection.execute(sql.SQL("CREATE ROLE {} LOGIN INHERIT NOCREATEDB NOCREATEROLE IN ROLE levada_reader").format(name))
            except psycopg.errors.InsufficientPrivilege as e:
                raise SetupError("the role of LEVADA_DATABASE_URL may not make roles", "give it CREATEROLE") from e
            database = sql.Identifier(connection.info.dbname)
            # Courtesies, which the role may lift for itself: what it sees does not hang on them.
            for setting in ("search_path = levada", "timezone = 'UTC'", "default_transaction_read_only = on", "statement_timeout = '60s'"):
                await connection.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} SET ").format(name, database) + sql.SQL(setting))
    return role
