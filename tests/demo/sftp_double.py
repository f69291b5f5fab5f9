"""A real SFTP server on the loopback, small: it keeps what is delivered and can be stopped and started, and puts receipts and plans out."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import asyncssh


class Server:
    """One tenant's `inbox/` and `outbox/` in a folder. `received` are the names that were renamed into the inbox, in order."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("inbox", "outbox"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self.key_path = root / "client_key"
        client = asyncssh.generate_private_key("ssh-ed25519")
        client.write_private_key(str(self.key_path))
        self._client_public = client.export_public_key().decode()
        self._host = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = self._host.export_public_key().decode()
        self.port = 0
        self.received: list[str] = []
        self.state = "taken"
        self.signed_in_as: set[str] = set()
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: list[asyncssh.SSHServerConnection] = []

    async def start(self) -> None:
        outer = self

        class Folder(asyncssh.SFTPServer):
            def __init__(self, channel: asyncssh.SSHServerChannel[bytes]) -> None:
                super().__init__(channel, chroot=str(outer.root))

            def rename(self, oldpath: bytes, newpath: bytes) -> None:
                super().rename(oldpath, newpath)
                outer._arrived(newpath.decode().rpartition("/")[2])

        class Gate(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                outer._connections.append(conn)

            def begin_auth(self, username: str) -> bool:
                outer.signed_in_as.add(username)
                return True

        keys = asyncssh.import_authorized_keys(self._client_public)
        self._acceptor = await asyncssh.create_server(Gate, "127.0.0.1", self.port, server_host_keys=[self._host], authorized_client_keys=keys, sftp_factory=Folder)
        self.port = self._acceptor.get_port()

    async def stop(self) -> None:
        assert self._acceptor is not None
        self._acceptor.close()
        for connection in self._connections:
            connection.abort()
        self._connections.clear()
        await self._acceptor.wait_closed()
        await asyncio.sleep(0)

    def _arrived(self, name: str) -> None:
        self.received.append(name)
        # What arrived is taken: the inbox is free for a file of the same name.
        target = self.root / "taken"
        target.mkdir(exist_ok=True)
        (self.root / "inbox" / name).replace(target / name)
        if self.state:
            receipt = {"file": name, "state": self.state, "summary": f"{name}: {self.state}."}
            (self.root / "outbox" / f"receipt_{name}.json").write_text(json.dumps(receipt))

    def content(self, name: str) -> bytes:
        return (self.root / "taken" / name).read_bytes()
