"""A utility's end of the SFTP line: its own key, a host key that must be the one it knows, and patience when the server is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar, cast

import asyncssh

from levada.domain.errors import SetupError

__all__ = ["Mailbox", "Say"]

Say = Callable[[str], None]
"""Tells whoever watches, a line at a time."""

T = TypeVar("T")

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 10.0
_ANSWER_WITHIN_S = 60.0


class Mailbox:
    """`inbox/` to put files into and `outbox/` to read, by SFTP. While the server is away, calls wait and try again until they are cancelled."""

    def __init__(self, *, host: str, port: int, user: str, key_path: Path, host_key: str, say: Say) -> None:
        """`host_key` is the server's public key in OpenSSH's form. Raises SetupError when it or the private key cannot be read."""
        try:
            self._known = [asyncssh.import_public_key(host_key)]
            self._key = asyncssh.read_private_key(str(key_path))
        except (OSError, asyncssh.KeyImportError) as e:
            raise SetupError(f"an SSH key of {user} cannot be read: {e}", "forget the demo's data with `make clean-demo` and start again") from e
        self._host, self._port, self._user, self._say = host, port, user, say
        self._connection: asyncssh.SSHClientConnection | None = None
        self._sftp: asyncssh.SFTPClient | None = None

    async def close(self) -> None:
        """Hang up."""
        connection, self._connection, self._sftp = self._connection, None, None
        if connection is not None:
            connection.close()

    async def put(self, name: str, content: bytes) -> None:
        """Upload a file as `<name>.part`, then rename it: nobody ever sees half of it. A file of that name is replaced."""

        async def work(sftp: asyncssh.SFTPClient) -> None:
            part = f"inbox/{name}.part"
            async with sftp.open(part, "wb") as file:
                await file.write(content)
            await sftp.rename(part, f"inbox/{name}")

        await self._patiently(work)

    async def read(self, path: str) -> bytes | None:
        """A file's content, or None when there is none."""

        async def work(sftp: asyncssh.SFTPClient) -> bytes | None:
            try:
                async with sftp.open(path, "rb") as file:
                    return cast(bytes, await file.read())  # opened in binary mode
            except asyncssh.SFTPNoSuchFile:
                return None

        return await self._patiently(work)

    async def names(self, folder: str) -> set[str]:
        """Names in a folder."""

        async def work(sftp: asyncssh.SFTPClient) -> set[str]:
            return {str(name) for name in await sftp.listdir(folder)}

        return await self._patiently(work)

    async def _patiently(self, work: Callable[[asyncssh.SFTPClient], Awaitable[T]]) -> T:
        wait, told = _FIRST_WAIT_S, ""
        while True:
            try:
                async with asyncio.timeout(_ANSWER_WITHIN_S):
                    result = await work(await self._line())
                if told:
                    self._say("the SFTP server is back")
                return result
            except asyncssh.HostKeyNotVerifiable as e:
                raise SetupError(
                    f"the SFTP server at {self._host}:{self._port} shows another host key than the one known: {e}",
                    "nothing was sent; if the server was set up anew, forget the demo's data with `make clean-demo`",
                ) from e
            except (OSError, asyncssh.Error, TimeoutError) as e:
                await self.close()
                problem = f"{type(e).__name__}: {e}".rstrip(": ")
                if problem != told:
                    self._say(f"the SFTP server does not answer ({problem}); trying again")
                    told = problem
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT_S)

    async def _line(self) -> asyncssh.SFTPClient:
        if self._sftp is None:
            # Nothing of the person who runs the demo is used: no agent, no configuration, no other keys.
            self._connection = await asyncssh.connect(
                self._host,
                self._port,
                username=self._user,
                client_keys=[self._key],
                known_hosts=(self._known, [], []),
                agent_path=None,
                config=None,
                preferred_auth="publickey",
                keepalive_interval=15,
            )
            self._sftp = await self._connection.start_sftp_client()
        return self._sftp
