"""The SFTP server: who may come in (public keys of tenants), what a connection may do (SFTP and nothing else), and how many.

The user name is the tenant's id. Keys are asked for at each sign-in and kept nowhere: one that was revoked does not get in.
"""

# ruff: noqa: ARG002  what the library hands over is its choice
from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from asyncssh.sftp import SFTPServerHandler
from asyncssh.stream import SSHReader, SSHServerStreamSession, SSHWriter
from psycopg import InterfaceError, OperationalError

from levada.clock import Clock
from levada.domain.errors import DocumentError, SetupError
from levada.domain.settings import FileContracts
from levada.domain.tenant import tenant_id
from levada.intake.doors.sftp_folder import FolderLimits, TenantFolder
from levada.intake.doors.taking import Taking
from levada.store.accounts import sftp_keys
from levada.store.database import Database
from levada.store.documents import find_document
from levada.telemetry.log import get_logger

__all__ = ["DoorLimits", "serve_sftp"]

log = get_logger("intake")

_DEFAULT_MAX_BYTES = 64 << 20
_KEYS_TRIED = 20
_SFTP_VERSION = 3  # what OpenSSH and nearly all clients speak


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """How many may be here at a time, and how long they may take to sign in."""

    connections: int = 400
    sessions_per_tenant: int = 32
    sign_in_s: float = 20.0
    keepalive_s: float = 30.0
    folder: FolderLimits = field(default_factory=FolderLimits)


async def serve_sftp(
    database: Database, *, host: str, port: int, root: Path, host_key_pem: bytes, clock: Clock, ready: asyncio.Event | None = None, limits: DoorLimits | None = None
) -> None:
    """Serve until cancelled. What the last process accepted and did not take is taken first.

    Raises SetupError when the port cannot be had.
    """
    root.mkdir(parents=True, exist_ok=True)
    async with asyncio.TaskGroup() as tasks:
        door = _Door(database, Taking(database, root, clock, tasks), clock, limits or DoorLimits())
        door.taking.recover()
        try:
            server = await asyncssh.create_server(
                lambda: _Gate(door),
                host,
                port,
                server_host_keys=[asyncssh.import_private_key(host_key_pem)],
                server_version="Levada",
                config=None,
                public_key_auth=True,
                password_auth=False,
                kbdint_auth=False,
                host_based_auth=False,
                gss_host=None,
                allow_pty=False,
                agent_forwarding=False,
                x11_forwarding=False,
                allow_scp=False,
                encoding=None,
                login_timeout=door.limits.sign_in_s,
                keepalive_interval=door.limits.keepalive_s,
                keepalive_count_max=3,
            )
        except OSError as e:
            raise SetupError(f"SFTP cannot listen on {host}:{port}: {e.strerror or e}", "stop what uses the port, or set LEVADA_SFTP_HOST and LEVADA_SFTP_PORT") from e
        log.info("SFTP listens", address=f"{host}:{server.get_port()}")
        if ready is not None:
            ready.set()
        try:
            await server.wait_closed()
        finally:
            server.close()
            for connection in list(door.connections):
                connection.abort()


class _Door:
    """What all connections share."""

    def __init__(self, database: Database, taking: Taking, clock: Clock, limits: DoorLimits) -> None:
        self.database, self.taking, self.clock, self.limits = database, taking, clock, limits
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.sessions: Counter[str] = Counter()

    async def largest_file(self, tenant: str) -> int:
        """How large a file of this tenant may be: as its contracts say, or the usual limit where they cannot be asked."""
        try:
            async with self.database.tenant(tenant) as db:
                found = await find_document(db, "files")
        except (OperationalError, InterfaceError, DocumentError):
            return _DEFAULT_MAX_BYTES
        return max(c.max_bytes for c in found.contracts) if isinstance(found, FileContracts) else _DEFAULT_MAX_BYTES


class _Gate(asyncssh.SSHServer):
    """One connection: lets in who has a key of the tenant, and gives SFTP sessions only. Forwarding is refused by the base class."""

    def __init__(self, door: _Door) -> None:
        self._door = door
        self._connection: asyncssh.SSHServerConnection | None = None
        self._tried = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        if len(self._door.connections) >= self._door.limits.connections:
            log.warning("connection refused: too many", connections=len(self._door.connections))
            conn.abort()
            return
        self._door.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._door.connections.discard(self._connection)

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._tried += 1
        if self._tried > _KEYS_TRIED:
            return False
        try:
            tenant = tenant_id(username)
            async with self._door.database.registry() as registry:
                known = await sftp_keys(registry, tenant)
        except DocumentError:
            known = []
        except (OperationalError, InterfaceError) as e:
            log.error("sign-in refused: the database cannot be asked", tenant=username, problem=" ".join(str(e).split()))
            if self._connection is not None:
                self._connection.send_auth_banner("Keys cannot be checked at the moment: try again in a minute.\r\n")
            return False
        offered = key.public_data
        if any(asyncssh.import_public_key(text).public_data == offered for text in known):
            return True
        log.warning("sign-in refused: no key of this tenant", tenant=username[:60], key=key.get_fingerprint())
        return False

    def session_requested(self) -> asyncssh.SSHServerSession[bytes] | bool:
        if self._connection is None:
            return False
        tenant = str(self._connection.get_extra_info("username"))
        if self._door.sessions[tenant] >= self._door.limits.sessions_per_tenant:
            log.warning("session refused: too many", tenant=tenant, sessions=self._door.sessions[tenant])
            return False
        return _Session(self._door, tenant)


class _Session(SSHServerStreamSession[bytes]):
    """A channel on which SFTP is spoken; shells and commands are refused."""

    def __init__(self, door: _Door, tenant: str) -> None:
        super().__init__(None)
        self._door, self._tenant = door, tenant

    def shell_requested(self) -> bool:
        return False

    def exec_requested(self, command: str) -> bool:
        return False

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def session_started(self) -> None:
        assert self._chan is not None
        assert self._conn is not None
        channel: asyncssh.SSHServerChannel[bytes] = self._chan  # type: ignore[assignment]
        folder = TenantFolder(
            channel, self._door.taking, self._door.taking.spool(self._tenant), self._door.clock, self._door.limits.folder, lambda: self._door.largest_file(self._tenant)
        )
        reader, writer = SSHReader[bytes](self, channel), SSHWriter[bytes](self, channel)
        self._conn.create_task(self._speak(folder, reader, writer), reader.logger)

    async def _speak(self, folder: TenantFolder, reader: SSHReader[bytes], writer: SSHWriter[bytes]) -> None:
        self._door.sessions[self._tenant] += 1
        log.info("session begins", tenant=self._tenant)
        try:
            await _Speaker(folder, reader, writer, _SFTP_VERSION).run()
        finally:
            self._door.sessions[self._tenant] -= 1


class _Speaker(SFTPServerHandler):
    """The library's protocol, without what we do not offer, and with one thing that it does not tell by itself.

    At the end of a session it closes the files that are still open just as if the client had: only here can one see which it was. Should
    a later release of the library call this differently, the test that drops a connection in the middle of an upload fails.
    """

    _extensions = [(b"posix-rename@openssh.com", b"1"), (b"fsync@openssh.com", b"1"), (b"limits@openssh.com", b"1")]  # noqa: RUF012  as in the base class
    _packet_handlers = {  # noqa: RUF012
        kind: handler
        for kind, handler in SFTPServerHandler._packet_handlers.items()
        if isinstance(kind, int) or kind in {b"posix-rename@openssh.com", b"fsync@openssh.com", b"limits@openssh.com", b"hardlink@openssh.com"}
    }

    async def _cleanup(self, exc: Exception | None) -> None:
        if isinstance(self._server, TenantFolder):
            self._server.broken_off = True
        await super()._cleanup(exc)
