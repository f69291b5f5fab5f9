"""Who may come in: people with passwords and memberships, programs with tokens, senders with SSH keys; and the installation's own secrets.

Passwords are kept as argon2id hashes, tokens as SHA-256 (they are 256 random bits, so a slow hash would add nothing).
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Set
from datetime import datetime
from functools import cache

import psycopg
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from levada.domain.errors import DocumentError, NotFound
from levada.domain.tenant import RIGHTS, Principal, Role, TenantId, rights_of
from levada.store.database import RegistryConnection

__all__ = [
    "add_sftp_key",
    "create_account",
    "create_token",
    "installation_secret",
    "installation_text",
    "principal_of",
    "principal_of_token",
    "set_membership",
    "sftp_keys",
    "sign_in",
]

_SHORTEST_PASSWORD = 8
_LONGEST_PASSWORD = 1024
_hasher = PasswordHasher()


@cache
def _hash_of_nothing() -> str:
    """Checked for an unknown email, so that being unknown takes as long as a wrong password."""
    return _hasher.hash(secrets.token_urlsafe(16))


def _email(text: str) -> str:
    return text.strip().lower()


# --- people ---------------------------------------------------------------------------------------------------------


async def create_account(registry: RegistryConnection, email: str, name: str, password: str) -> None:
    """A person who may sign in; again with the same email sets name and password anew. Raises DocumentError for what cannot be."""
    if not _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        raise DocumentError("account", "password", f"must have {_SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters")
    # Hashing takes a tenth of a second and 64 MiB on purpose: not on the event loop.
    password_hash = await asyncio.to_thread(_hasher.hash, password)
    try:
        await registry.execute("put_account", email=_email(email), name=name, password_hash=password_hash)
    except psycopg.errors.CheckViolation as e:
        raise DocumentError("account", "email", f"{email!r} is no e-mail address") from e


async def set_membership(registry: RegistryConnection, email: str, tenant_id: TenantId, role: Role) -> None:
    """What a person is to a tenant; replaces what it was. Raises NotFound: no such person or tenant."""
    try:
        await registry.execute("set_membership", email=_email(email), tenant_id=tenant_id, role=role.value)
    except psycopg.errors.ForeignKeyViolation as e:
        kind, name = ("tenant", tenant_id) if "tenant" in (e.diag.constraint_name or "") else ("account", email)
        raise NotFound(kind, name) from e


async def sign_in(registry: RegistryConnection, email: str, password: str) -> Principal | None:
    """The person with that password, or None. An unknown email takes as much work as a wrong password."""
    row = await registry.one("account_of", email=_email(email))
    expected = row["password_hash"] if row else await asyncio.to_thread(_hash_of_nothing)

    def matches() -> bool:
        try:
            return _hasher.verify(expected, password[:_LONGEST_PASSWORD])
        except (VerificationError, InvalidHashError):
            return False

    return await principal_of(registry, email) if await asyncio.to_thread(matches) and row else None


async def principal_of(registry: RegistryConnection, email: str) -> Principal | None:
    """The person's present rights, for a session that was opened before. None when there is no such person (any more)."""
    row = await registry.one("account_of", email=_email(email))
    if row is None:
        return None
    memberships = await registry.fetch("memberships_of", email=_email(email))
    return Principal(name=row["name"] or _email(email), rights={m["tenant_id"]: rights_of(Role(m["role"])) for m in memberships})


# --- programs and senders -------------------------------------------------------------------------------------------


async def create_token(registry: RegistryConnection, tenant_id: TenantId, name: str, rights: Set[str], expires_at: datetime | None) -> str:
    """A bearer token with those rights in that tenant; returned this once. Raises DocumentError for an unknown right, NotFound for an unknown tenant."""
    known = frozenset().union(*RIGHTS.values())
    if unknown := sorted(set(rights) - known):
        raise DocumentError("token", "rights", f"{unknown[0]!r} is none of {', '.join(sorted(known))}")
    token = f"lvd_{secrets.token_urlsafe(32)}"
    try:
        await registry.execute("add_token", tenant_id=tenant_id, sha256=_sha256(token), name=name, rights=sorted(rights), expires_at=expires_at)
    except psycopg.errors.ForeignKeyViolation as e:
        raise NotFound("tenant", tenant_id) from e
    return token


async def principal_of_token(registry: RegistryConnection, token: str, now: datetime) -> Principal | None:
    """The program that holds this token, or None when there is none or it has expired at `now`."""
    row = await registry.one("token_of", sha256=_sha256(token))
    if row is None or (row["expires_at"] is not None and row["expires_at"] <= now):
        return None
    return Principal(name=row["name"], rights={row["tenant_id"]: frozenset(row["rights"])})


def _sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def add_sftp_key(registry: RegistryConnection, tenant_id: TenantId, public_key_openssh: str, name: str) -> str:
    """Let the holder of this key deliver for the tenant; returns its fingerprint. The same key again changes nothing.

    Raises DocumentError when the text is no OpenSSH public key, NotFound for an unknown tenant.
    """
    import asyncssh  # large; the other functions here do not need it

    if "PRIVATE KEY" in public_key_openssh:
        raise DocumentError("SFTP key", name, "this is a private key, which must stay where it is: give the public one (the file that ends in .pub)")
    try:
        key = asyncssh.import_public_key(public_key_openssh.strip())
    except asyncssh.KeyImportError as e:
        raise DocumentError("SFTP key", name, f"is no OpenSSH public key such as `ssh-ed25519 AAAA...`: {e}") from e
    fingerprint: str = key.get_fingerprint()
    try:
        await registry.execute("add_sftp_key", tenant_id=tenant_id, fingerprint=fingerprint, name=name, public_key=key.export_public_key().decode().strip())
    except psycopg.errors.ForeignKeyViolation as e:
        raise NotFound("tenant", tenant_id) from e
    return fingerprint


async def sftp_keys(registry: RegistryConnection, tenant_id: TenantId) -> list[str]:
    """Public keys that may deliver for the tenant, OpenSSH form; none for an unknown tenant. The SFTP user name is the tenant's id."""
    return [row["public_key"] for row in await registry.fetch("sftp_keys", tenant_id=tenant_id)]


# --- the installation -----------------------------------------------------------------------------------------------


async def installation_secret(registry: RegistryConnection, name: str) -> bytes:
    """32 random bytes, made once per installation and name and the same ever after, for all processes."""
    return await _kept(registry, name, lambda: secrets.token_bytes(32))


async def installation_text(registry: RegistryConnection, name: str, make: Callable[[], str]) -> str:
    """A text that is made once per installation, such as the SFTP host key; `make` is called only when there is none yet."""
    return (await _kept(registry, name, lambda: make().encode())).decode()


async def _kept(registry: RegistryConnection, name: str, make: Callable[[], bytes]) -> bytes:
    row = await registry.one("kept_value", name=name)
    if row is None or row["value"] is None:
        row = await registry.one("keep_value", name=name, value=make())  # of two processes at once, both get the first one's
    if row is None:
        raise LookupError(name)
    return bytes(row["value"])
