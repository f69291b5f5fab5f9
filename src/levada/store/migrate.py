"""Roles and schema: what must be there before anything else works, made by numbered migrations, the same wherever it runs.

Five roles, none of them a superuser or able to pass row-level security:

| role | may log in | what for |
|---|---|---|
| levada_owner | no | owns every table, and is itself subject to row-level security |
| levada_registry | no | owns the functions that look across tenants (schema `registry`), with rights only on what they read |
| levada_app | yes | the application: its tenant's rows, and calling the registry's functions |
| levada_worker | yes | the job queue (schema `queue`), nothing else |
| levada_reader | no | group of the tenants' own SQL readers, `levada_read_<tenant>` |

Passwords. On the embedded server the socket's folder is the lock and roles have none. On a server of your own whose address holds a
password, each role's password is derived from it: HMAC-SHA256(keeper's password, role). So there is one secret to keep, nothing else is
stored, and a changed keeper's password changes them all at the next `migrate`; only SCRAM verifiers are sent to the server.

Migrations are files NNNN_name.sql, applied in order as levada_owner and recorded with their SHA-256. An applied one that has changed
is an error, and so is a database that knows more of them than this code. A migration that rewrites rows must first give levada_owner
a policy on the table (and take it away again): row-level security is forced, so without one it sees nothing.
The queue's tables come from the procrastinate package: its schema at first, later the migrations that a newer version brings.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from importlib.resources import files
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import AsyncConnection, sql

from levada.domain.errors import SetupError
from levada.store.queries import query

__all__ = ["app_url", "migrate", "worker_url"]

_LOGIN_ROLES = ("levada_app", "levada_worker")
_GROUP_ROLES = ("levada_owner", "levada_registry", "levada_reader")
_OLDEST_SERVER = 150000


def app_url(admin_url: str) -> str:
    """The address for the application's role on the same server."""
    return _url_of(admin_url, "levada_app")


def worker_url(admin_url: str) -> str:
    """The address for the queue's role on the same server."""
    return _url_of(admin_url, "levada_worker")


def _url_of(admin_url: str, role: str) -> str:
    parts = urlsplit(admin_url)
    password = _password(admin_url, role)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{role}{f':{password}' if password else ''}@{place}").geturl()


def _password(admin_url: str, role: str) -> str | None:
    secret = urlsplit(admin_url).password
    return hmac.new(unquote(secret).encode(), f"levada role {role}".encode(), hashlib.sha256).hexdigest() if secret else None


def _packaged(folder: str, package: str) -> dict[str, str]:
    found = {f.name: f.read_text("utf-8") for f in (files(package) / folder).iterdir() if f.name.endswith(".sql")}
    return dict(sorted(found.items()))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _wanted(admin_url: str) -> dict[str, str]:
    """Name -> SHA-256 of all that must be recorded as applied: ours, the queue package's, and the derivation of passwords."""
    ours = {name: _digest(text) for name, text in _packaged("migrations", "levada.store").items()}
    queue = {f"queue/{name}": _digest(text) for name, text in _packaged("sql/migrations", "procrastinate").items()}
    passwords = _digest(" ".join(_password(admin_url, role) or "" for role in _LOGIN_ROLES))
    return {**ours, **queue, "roles/passwords": passwords}


async def migrate(admin_url: str) -> list[str]:
    """Bring roles and schema to what this code needs; returns the names of what was applied, in order. Twice is as good as once.

    Raises SetupError: the server cannot be reached, is too old, its keeper lacks rights, an applied migration has changed, or
    the database is newer than this code.
    """
    try:
        connection = await AsyncConnection.connect(admin_url, connect_timeout=10, autocommit=True)
    except psycopg.OperationalError as e:
        raise SetupError(f"the database cannot be reached: {' '.join(str(e).split())}", "start it, or mend LEVADA_DATABASE_URL") from e
    async with connection:
        if connection.info.server_version < _OLDEST_SERVER:
            raise SetupError(f"the database server is PostgreSQL {connection.info.server_version // 10000}", f"use {_OLDEST_SERVER // 10000} or newer")
        wanted = _wanted(admin_url)
        if _missing(wanted, await _applied(connection)):
            await connection.execute(query("migration_lock"))
            try:
                return await _apply(connection, admin_url, wanted)
            except psycopg.errors.InsufficientPrivilege as e:
                raise SetupError(
                    f"the role of LEVADA_DATABASE_URL may not set up the database: {' '.join(str(e).split())}",
                    "give it CREATEROLE, and CREATE on the database (or make it the database's owner)",
                ) from e
            finally:
                if not connection.closed:
                    await connection.execute(query("migration_unlock"))
    return []


async def _applied(connection: AsyncConnection[tuple[object, ...]]) -> dict[str, str]:
    if await (await connection.execute(query("migrations_table"))).fetchone() == (None,):
        return {}
    async with connection.transaction():
        await connection.execute(query("as_owner"))
        rows = await (await connection.execute(query("migrations_applied"))).fetchall()
    return {str(name): str(digest) for name, digest in rows}


def _missing(wanted: dict[str, str], applied: dict[str, str]) -> list[str]:
    for name, digest in applied.items():
        if name.startswith("roles/") or wanted.get(name) == digest:
            continue
        if name in wanted:
            # A new version of the queue package may mend a comment in an old migration; ours never change.
            if name.startswith("queue/"):
                continue
            raise SetupError(f"migration {name} was changed after it had been applied", "restore the file as it was and put the change into a new migration")
        raise SetupError(f"the database is newer than this code: it has had {name}", "install the version of Levada that it was last used with, or a newer one")
    return [name for name, digest in wanted.items() if name not in applied or (name.startswith("roles/") and applied[name] != digest)]


async def _apply(connection: AsyncConnection[tuple[object, ...]], admin_url: str, wanted: dict[str, str]) -> list[str]:
    missing = _missing(wanted, await _applied(connection))  # somebody else may have been here while we waited for the lock
    done: list[str] = []
    ours, queue = _packaged("migrations", "levada.store"), _packaged("sql/migrations", "procrastinate")
    fresh = any(name in missing for name in ours) and not await _applied(connection)
    if missing:
        await _set_up_roles(connection, admin_url)

    async def record(name: str) -> None:
        await connection.execute(query("record_migration"), {"name": name, "sha256": wanted[name]})

    if fresh:
        async with connection.transaction():
            await connection.execute(query("create_schemas"))
            await connection.execute(query("as_owner"))
            await connection.execute(query("create_migrations_table"))
            await connection.execute(query("in_queue"))
            await connection.execute((files("procrastinate") / "sql" / "schema.sql").read_text("utf-8").encode())
            for name in queue:
                await record(f"queue/{name}")
        done.append("queue (procrastinate)")
    for name in missing:
        if name.startswith("roles/") or (name.startswith("queue/") and fresh):
            continue
        async with connection.transaction():
            await connection.execute(query("as_owner"))
            await connection.execute(query("in_levada" if name in ours else "in_queue"))
            await connection.execute((ours[name] if name in ours else queue[name.removeprefix("queue/")]).encode())
            await connection.execute(query("as_owner"))
            await record(name)
        done.append(name)
    async with connection.transaction():
        await connection.execute(query("as_owner"))
        await connection.execute(query("grant_queue_to_worker"))
    async with connection.transaction():
        await connection.execute(query("as_registry"))
        await connection.execute(query("keep_channel"), {"value": os.urandom(12)})
    async with connection.transaction():
        await connection.execute(query("as_owner"))
        await record("roles/passwords")  # last: what is not recorded is done again
    return done


async def _set_up_roles(connection: AsyncConnection[tuple[object, ...]], admin_url: str) -> None:
    database = connection.info.dbname
    for role in (*_GROUP_ROLES, *_LOGIN_ROLES):
        row = await (await connection.execute(query("role_powers"), {"role": role})).fetchone()
        if row is None:
            login = sql.SQL("LOGIN" if role in _LOGIN_ROLES else "NOLOGIN")
            try:
                await connection.execute(sql.SQL("CREATE ROLE {} {} NOINHERIT NOCREATEDB NOCREATEROLE").format(sql.Identifier(role), login))
            except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                await asyncio.sleep(0)  # roles are the server's, and another database of it was set up at this moment
        elif row[0] or row[1]:
            raise SetupError(f"the database role {role} is a superuser or may pass row-level security", f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS")
        if (password := _password(admin_url, role)) and role in _LOGIN_ROLES:
            verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
            await connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier.decode())))
    # Whoever sets up must be able to act as the owner of tables and of the registry's functions.
    await connection.execute(query("join_owner_roles"))
    # The queue's functions and triggers name their tables without a schema.
    for role, path in (("levada_app", "levada, queue"), ("levada_worker", "queue")):
        for setting in (sql.SQL("search_path = ") + sql.SQL(path), sql.SQL("timezone = 'UTC'")):
            await connection.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} SET {}").format(sql.Identifier(role), sql.Identifier(database), setting))
    await connection.execute(
        sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO levada_app, levada_worker; GRANT CONNECT ON DATABASE {} TO levada_reader").format(
            sql.Identifier(database), sql.Identifier(database)
        )
    )
