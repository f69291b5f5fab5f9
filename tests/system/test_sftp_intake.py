"""The SFTP door from outside: Debian's OpenSSH client and another library's, against the real server, disk and database.

The server runs in this process, so that its database can be taken away and its clock is the test's; clients are processes or connections
of their own.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from tests.conftest import Installation
from tests.intake.delivering import FILES

from levada.clock import REAL_TIME
from levada.domain.errors import SetupError
from levada.domain.settings import read_document
from levada.domain.time import Window
from levada.intake.doors.sftp import DoorLimits, serve_sftp
from levada.intake.doors.sftp_folder import FolderLimits
from levada.publish.sftp_outbox import deliver_forever
from levada.store.accounts import add_sftp_key
from levada.store.database import Database
from levada.store.documents import put_document
from levada.store.files import list_files
from levada.store.series import readings_known_at

pytestmark = pytest.mark.system

START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=6)


def scada(*levels: float, first: datetime = START) -> bytes:
    rows = [f"{first + timedelta(minutes=15 * i):%Y-%m-%dT%H:%M:%SZ};{level};10" for i, level in enumerate(levels)]
    return "\n".join(["time;LEVEL;FLOW", *rows, ""]).encode()


@dataclass
class Door:
    """A running server with its tenants' keys."""

    database: Database
    folder: Path
    port: int
    installation: Installation

    @property
    def root(self) -> Path:
        return self.folder / "sftp"

    async def new_tenant(self, **contract: Any) -> str:
        tenant = self.installation.new_tenant()
        key = asyncssh.generate_private_key("ssh-ed25519")
        path = self.folder / tenant
        path.touch(mode=0o600)
        key.write_private_key(str(path))
        async with self.database.registry() as registry:
            await add_sftp_key(registry, tenant, key.export_public_key().decode(), "test")
        files = {"contracts": [{**FILES["contracts"][0], **contract}, *FILES["contracts"][1:]]}
        async with self.database.tenant(tenant) as db:
            await put_document(db, "files", read_document("files", files), "test", START)
        return tenant

    def command(self, tenant: str, key: str | None = None, program: str = "sftp") -> list[str]:
        if shutil.which(program) is None:
            pytest.skip(f"NO OPENSSH CLIENT: {program} is not installed")
        options = ["IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "PreferredAuthentications=publickey", "BatchMode=yes"]
        port = "-P" if program in ("sftp", "scp") else "-p"
        return [program, "-F", "none", "-i", str(self.folder / (key or tenant)), port, str(self.port), *(x for o in options for x in ("-o", o))]

    async def openssh(self, tenant: str, *lines: str, key: str | None = None) -> tuple[int, str]:
        """Run the OpenSSH client's batch; its exit code and what it said."""
        return await run([*self.command(tenant, key), "-b", "-", f"{tenant}@127.0.0.1"], "\n".join(lines) + "\n")

    @asynccontextmanager
    async def connection(self, tenant: str, **options: Any) -> AsyncIterator[asyncssh.SSHClientConnection]:
        async with asyncssh.connect(
            "127.0.0.1", self.port, username=tenant, client_keys=[str(self.folder / tenant)], known_hosts=None, config=None, agent_path=None, **options
        ) as connection:
            yield connection

    @asynccontextmanager
    async def client(self, tenant: str) -> AsyncIterator[asyncssh.SFTPClient]:
        async with self.connection(tenant) as connection, connection.start_sftp_client() as sftp:
            yield sftp

    async def receipt(self, tenant: str, name: str, state: str | None = None) -> dict[str, Any]:
        """The receipt in the outbox, when it is there (and says `state`)."""
        path = self.root / tenant / "outbox" / f"receipt_{name}.json"
        for _ in range(300):
            if path.exists():
                document: dict[str, Any] = json.loads(path.read_text())
                if state in (None, document["state"]):
                    return document
            await asyncio.sleep(0.05)
        raise AssertionError(f"no receipt {path.name} ({state})")

    async def files(self, tenant: str) -> list[tuple[str, str]]:
        async with self.database.tenant(tenant) as db:
            return sorted((f.name, f.state) for f in await list_files(db, 1000))

    async def levels(self, tenant: str) -> list[float]:
        async with self.database.tenant(tenant) as db:
            found = await readings_known_at(db, "tank.T1.level", Window(START - timedelta(days=30), START + timedelta(days=1)), datetime.now(UTC))
        return found.values.tolist()

    def left(self, tenant: str) -> list[str]:
        """What lies in the tenant's folders beside the outbox."""
        home = self.root / tenant
        return sorted(f"{p.parent.name}/{p.name}" for d in ("inbox", ".uploads", ".accepted") for p in (home / d).iterdir())


async def run(command: list[str], text: str = "") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    out, _ = await asyncio.wait_for(process.communicate(text.encode()), 30)
    return process.returncode or 0, out.decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


HOST_KEY = asyncssh.generate_private_key("ssh-ed25519").export_private_key()


@asynccontextmanager
async def serving(database: Database, root: Path, port: int, limits: DoorLimits | None = None) -> AsyncIterator[None]:
    """The server and the delivery, as `levada sftp` runs them."""
    ready = asyncio.Event()

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_sftp(database, host="127.0.0.1", port=port, root=root, host_key_pem=HOST_KEY, clock=REAL_TIME, ready=ready, limits=limits))
            tasks.create_task(deliver_forever(database, root, REAL_TIME))

    task = asyncio.create_task(both())
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=20)
        if task.done():
            await task
        yield
    finally:
        waiting.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


Play = Callable[[Callable[[Door], Awaitable[None]]], None]


@pytest.fixture
def play(installation: Installation, tmp_path: Path) -> Play:
    """Run an async scene against a server of its own."""

    def go(scene: Callable[[Door], Awaitable[None]], limits: DoorLimits | None = None) -> None:
        async def with_server() -> None:
            database = await Database.open(installation.app_url, max_size=8)
            door = Door(database, tmp_path, free_port(), installation)
            try:
                async with serving(database, door.root, door.port, limits):
                    await asyncio.wait_for(scene(door), 90)
            finally:
                await database.close()

        asyncio.run(with_server())

    return go


# --- the way it is meant --------------------------------------------------------------------------------------------


def test_an_uploaded_file_is_taken_at_close_and_its_receipt_can_be_fetched(play: Play, tmp_path: Path) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        (tmp_path / "scada_1.csv").write_bytes(scada(1, 2, 3))
        assert await door.openssh(tenant, f"put {tmp_path}/scada_1.csv inbox/") == (0, f"sftp> put {tmp_path}/scada_1.csv inbox/\n")
        receipt = await door.receipt(tenant, "scada_1.csv")
        assert (receipt["state"], receipt["values"]["new"]) == ("taken", 6)
        code, _ = await door.openssh(tenant, f"get outbox/receipt_scada_1.csv.json {tmp_path}/got.json")
        assert (code, json.loads((tmp_path / "got.json").read_text())) == (0, receipt)
        assert await door.levels(tenant) == [1, 2, 3]
        assert door.left(tenant) == []

    play(scene)


def test_scp_uploads_by_sftp_and_the_old_scp_protocol_is_refused(play: Play, tmp_path: Path) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        (tmp_path / "scada_1.csv").write_bytes(scada(1))
        target = f"{tenant}@127.0.0.1:inbox/"
        code, said = await run([*door.command(tenant, program="scp"), "-p", f"{tmp_path}/scada_1.csv", target])
        assert code == 0, said
        assert (await door.receipt(tenant, "scada_1.csv"))["state"] == "taken"
        code, _ = await run([*door.command(tenant, program="scp"), "-O", f"{tmp_path}/scada_1.csv", target])
        assert code != 0

    play(scene)


@pytest.mark.parametrize("temporary", [".scada_1.csv", "scada_1.csv.part", "scada_1.csv.FILEPART", "x.tmp"])
def test_a_file_under_a_temporary_name_is_taken_when_it_is_renamed(play: Play, tmp_path: Path, temporary: str) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        (tmp_path / "up").write_bytes(scada(1, 2))
        assert (await door.openssh(tenant, f"put {tmp_path}/up inbox/{temporary}"))[0] == 0
        await asyncio.sleep(0.3)
        assert await door.files(tenant) == []
        assert door.left(tenant) == [f"inbox/{temporary}"]
        assert (await door.openssh(tenant, f"rename inbox/{temporary} inbox/scada_1.csv"))[0] == 0
        assert (await door.receipt(tenant, "scada_1.csv"))["state"] == "taken"
        assert door.left(tenant) == []

    play(scene)


def test_clients_that_check_or_date_their_upload_find_it_there(play: Play) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        content = scada(1, 2)
        async with door.client(tenant) as sftp:
            async with sftp.open("inbox/scada_1.csv", "wb") as file:
                await file.write(content)
            await door.receipt(tenant, "scada_1.csv")
            assert (await sftp.stat("inbox/scada_1.csv")).size == len(content)
            await sftp.utime("inbox/scada_1.csv", (0, 0))
            assert await sftp.listdir("inbox") == [".", ".."]
            assert "receipt_scada_1.csv.json" in await sftp.listdir("outbox")
            assert await sftp.getcwd() == "/"

    play(scene)


def test_the_same_file_twice_changes_nothing_the_second_time(play: Play, tmp_path: Path) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        (tmp_path / "scada_1.csv").write_bytes(scada(1, 2))
        put = f"put {tmp_path}/scada_1.csv inbox/"
        assert (await door.openssh(tenant, put, put))[0] == 0
        receipt = await door.receipt(tenant, "scada_1.csv", "duplicate")
        assert receipt["values"]["new"] == 0
        assert await door.files(tenant) == [("scada_1.csv", "duplicate"), ("scada_1.csv", "taken")]
        assert await door.levels(tenant) == [1, 2]

    play(scene)


def test_files_of_one_name_take_effect_in_the_order_of_their_uploads(play: Play) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        async with door.client(tenant) as sftp:
            for level in range(20):
                async with sftp.open("inbox/scada_now.csv", "wb") as file:
                    await file.write(scada(level / 10))
        while len(await door.files(tenant)) < 20:
            await asyncio.sleep(0.05)
        assert await door.levels(tenant) == [1.9]

    play(scene)


def test_a_malformed_file_is_answered_with_line_column_and_reason(play: Play, tmp_path: Path) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        (tmp_path / "scada_1.csv").write_bytes(scada(1) + b"yesterday;2;10\n2026-03-01T00:00:00;two;10\n")
        await door.openssh(tenant, f"put {tmp_path}/scada_1.csv inbox/")
        receipt = await door.receipt(tenant, "scada_1.csv")
        assert receipt["state"] == "partly"
        assert [(p["line"], p["column"], p["found"]) for p in receipt["problems"]] == [(3, "time", "yesterday"), (4, "LEVEL", "two")]
        (tmp_path / "note.txt").write_text("hello")
        await door.openssh(tenant, f"put {tmp_path}/note.txt inbox/")
        assert "fits none of the patterns" in (await door.receipt(tenant, "note.txt"))["problem"]

    play(scene)


# --- what must not be -----------------------------------------------------------------------------------------------


def test_nobody_gets_in_without_a_key_of_this_tenant(play: Play, installation: Installation, tmp_path: Path) -> None:
    async def scene(door: Door) -> None:
        tenant, other = await door.new_tenant(), await door.new_tenant()
        for user, key in ((tenant, other), ("nobody", tenant), ("../" + tenant, tenant)):
            code, said = await run([*door.command(tenant, key), "-b", "-", "-o", f"User={user}", "127.0.0.1"], "ls\n")
            assert code == 255
            assert "Permission denied (publickey)" in said
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect("127.0.0.1", door.port, username=tenant, password="x", client_keys=None, known_hosts=None, config=None, agent_path=None)

    play(scene)


def test_a_key_that_was_revoked_does_not_get_in_again(play: Play, installation: Installation) -> None:
    import psycopg

    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        assert (await door.openssh(tenant, "ls"))[0] == 0
        async with await psycopg.AsyncConnection.connect(installation.admin_url) as admin:
            await admin.execute("DELETE FROM levada.sftp_key WHERE tenant_id = %s", [tenant])
        assert (await door.openssh(tenant, "ls"))[0] == 255

    play(scene)


def test_a_tenant_sees_its_two_folders_and_nothing_else(play: Play, tmp_path: Path) -> None:
    async def scene(door: Door) -> None:
        tenant, other = await door.new_tenant(), await door.new_tenant()
        (door.root / tenant).mkdir(parents=True, exist_ok=True)
        (tmp_path / "secret").write_text("secret")
        (tmp_path / "scada_1.csv").write_bytes(scada(1))
        async with door.client(other) as sftp, sftp.open("inbox/.mine.csv", "wb") as file:
            await file.write(b"mine")
        code, said = await door.openssh(tenant, "ls -a /", "ls -a ../..", "ls -a inbox", "ls -a outbox")
        assert code == 0
        assert {w for line in said.splitlines() if "sftp>" not in line for w in line.split()} <= {".", "..", "inbox", "outbox", "/.", "/..", "/inbox", "/outbox", "inbox/.", "inbox/..", "outbox/.", "outbox/..", "../../.", "../../..", "../../inbox", "../../outbox"}  # fmt: skip
        # A link that somebody with a shell put there is not followed.
        (door.root / tenant / "inbox" / "link.part").symlink_to(tmp_path / "secret")
        (door.root / tenant / "outbox" / "link").symlink_to(tmp_path / "secret")
        refused = [
            f"get /etc/passwd {tmp_path}/got", f"get ../../../../../../etc/passwd {tmp_path}/got", f"get inbox/../../{other}/inbox/.mine.csv {tmp_path}/got",
            f"get {tmp_path}/secret {tmp_path}/got", f"get inbox/link.part {tmp_path}/got", f"get outbox/link {tmp_path}/got", f"get .accepted/x {tmp_path}/got",
            f"put {tmp_path}/scada_1.csv ../scada_1.csv", f"put {tmp_path}/scada_1.csv /scada_1.csv", f"put {tmp_path}/scada_1.csv outbox/scada_1.csv",
            f"put {tmp_path}/scada_1.csv /{other}/inbox/scada_1.csv", f"put {tmp_path}/scada_1.csv inbox/sub/scada_1.csv", f"put {tmp_path}/scada_1.csv .accepted/x",
            "rename inbox ../elsewhere", "rename inbox/link.part outbox/a", "rename inbox/link.part inbox/scada_9.csv", "rename inbox/link.part ../../a", "rename outbox/link inbox/a",
            "ln -s /etc/passwd inbox/p", "ln /etc/passwd inbox/p", "mkdir inbox/d", "mkdir d", "rmdir inbox", "rm outbox/link", "rm ../x", "chmod 777 outbox/link",
        ]  # fmt: skip
        for line in refused:
            code, said = await door.openssh(tenant, line)
            assert code == 1, (line, said)
            assert not (tmp_path / "got").exists(), line
        assert await door.files(tenant) == await door.files(other) == []
        assert sorted(p.name for p in (door.root / tenant).iterdir()) == [".accepted", ".uploads", "inbox", "outbox"]
        async with door.client(tenant) as sftp:
            for path in ("inbox/..//../x", "/outbox/../../x", b"inbox/\xff\xfe", "inbox/a\x00b", "inbox/a\nb", "inbox/" + "n" * 200):
                with pytest.raises((asyncssh.SFTPError, ValueError)):
                    await sftp.open(path, "wb")
            for attempt in (sftp.readlink("inbox/link.part"), sftp.symlink("/etc/passwd", "inbox/l"), sftp.link("/etc/passwd", "inbox/l"), sftp.statvfs("/")):
                with pytest.raises(asyncssh.SFTPError):
                    await attempt

    play(scene)


def test_shells_commands_and_forwarding_are_refused(play: Play) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        for command in ([], ["id"], ["sftp-server"]):
            code, said = await run([*door.command(tenant, program="ssh"), f"{tenant}@127.0.0.1", *command])
            assert code != 0
            assert "uid=" not in said
        async with door.connection(tenant) as connection:
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_connection("127.0.0.1", door.port)
            with pytest.raises(asyncssh.ChannelListenError):
                await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", door.port)
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.create_process("id", term_type="xterm")

    play(scene)


def test_refusals_say_in_words_what_is_wrong(play: Play) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant(max_bytes=1000)
        async with door.client(tenant) as sftp:
            for path, mode, says in (("scada_1.csv", "wb", "files belong into inbox/"), ("outbox/a", "wb", "can only be read"), ("inbox/a", "ab", "deliver the whole file")):
                with pytest.raises(asyncssh.SFTPError, match=says):
                    await sftp.open(path, mode)
            file = await sftp.open("inbox/scada_1.csv", "wb")
            with pytest.raises(asyncssh.SFTPFailure, match="files may have 67108864 bytes at most"):
                await file.write(b"x", (64 << 20) + 1)
            with pytest.raises(asyncssh.SFTPFailure, match="was not accepted"):
                await file.close()
            with pytest.raises(asyncssh.SFTPError, match="folders cannot be made"):
                await sftp.mkdir("inbox/new")
        assert door.left(tenant) == []
        assert await door.files(tenant) == []

    play(scene)


def test_more_than_may_wait_is_refused(play: Play) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        async with door.client(tenant) as sftp:
            for name in ("a.part", "b.part"):
                async with sftp.open(f"inbox/{name}", "wb") as file:
                    await file.write(b"x" * 600)
            with pytest.raises(asyncssh.SFTPFailure, match="wait to be taken"):
                await sftp.open("inbox/c.part", "wb")
            await sftp.remove("inbox/a.part")
            opened = [await sftp.open(f"inbox/{i}.part", "wb") for i in range(3)]
            with pytest.raises(asyncssh.SFTPFailure, match="3 files open"):
                await sftp.open("inbox/d.part", "wb")
            for file in opened:
                await file.close()

    play(scene, DoorLimits(folder=FolderLimits(waiting_bytes=1000, open_files=3)))  # type: ignore[call-arg]


# --- when things break ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["abort", "close"])
def test_an_upload_whose_connection_drops_is_not_taken_and_leaves_nothing(play: Play, how: str) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        for name in ("scada_1.csv", ".scada_1.csv"):
            async with door.connection(tenant) as connection, connection.start_sftp_client() as sftp:
                file = await sftp.open(f"inbox/{name}", "wb")
                await file.write(scada(1, 2, 3))  # looks whole, but nobody said that it is
                assert len(door.left(tenant)) == 1
                getattr(connection, how)()
            for _ in range(100):
                if not door.left(tenant):
                    break
                await asyncio.sleep(0.05)
            assert door.left(tenant) == []
        assert await door.files(tenant) == []
        # The server still serves.
        assert (await door.openssh(tenant, "ls"))[0] == 0

    play(scene)


def test_an_upload_that_its_user_interrupts_loses_nothing_when_it_is_sent_again(play: Play, tmp_path: Path) -> None:
    """OpenSSH's client closes an interrupted file as if it were whole: what arrived is taken, a cut last line is told, the rest comes later."""

    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        (tmp_path / "scada_1.csv").write_bytes(scada(*([1.5] * 40_000), first=START - timedelta(minutes=15 * 39_999)))
        command = [*door.command(tenant), "-l", "800", f"{tenant}@127.0.0.1"]  # 100 kB/s: there is a middle in which to interrupt
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.STDOUT)
        assert process.stdin is not None
        process.stdin.write(f"put {tmp_path}/scada_1.csv inbox/\n".encode())
        await process.stdin.drain()
        while not any(p.stat().st_size > 100_000 for p in (door.root / tenant / ".uploads").glob("*")):
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        receipt = await door.receipt(tenant, "scada_1.csv")
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 20)
        assert receipt["rows_total"] < 40_000
        assert receipt["rows_refused"] <= 1
        assert (await door.openssh(tenant, f"put {tmp_path}/scada_1.csv inbox/scada_2.csv"))[0] == 0
        again = await door.receipt(tenant, "scada_2.csv")
        assert again["state"] == "taken"
        assert again["values"]["new"] + again["values"]["corrected"] >= 2 * (40_000 - receipt["rows_total"])
        assert again["values"]["new"] + again["values"]["unchanged"] + again["values"]["corrected"] == 80_000

    play(scene)


def test_an_upload_with_holes_is_refused_at_close(play: Play) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        content = scada(1, 2, 3)
        async with door.client(tenant) as sftp:
            file = await sftp.open("inbox/scada_1.csv", asyncssh.FXF_WRITE | asyncssh.FXF_CREAT, encoding=None)
            await file.write(content[30:], 30)
            with pytest.raises(asyncssh.SFTPFailure, match="never sent"):
                await file.close()
            file = await sftp.open("inbox/scada_1.csv", asyncssh.FXF_WRITE | asyncssh.FXF_CREAT, encoding=None)
            await file.write(content[30:], 30)  # parts may come in any order
            await file.write(content[:30], 0)
            await file.close()
        assert (await door.receipt(tenant, "scada_1.csv"))["state"] == "taken"

    play(scene)


def test_what_a_stopped_server_had_accepted_is_taken_at_the_next_start_and_half_uploads_are_removed(installation: Installation, tmp_path: Path) -> None:
    async def scenes() -> None:
        database = await Database.open(installation.app_url, max_size=8)
        door = Door(database, tmp_path, free_port(), installation)
        tenant = await door.new_tenant()
        home = door.root / tenant
        accepted_us = int((START + timedelta(hours=2)).timestamp() * 1e6)
        for folder in ("inbox", "outbox", ".uploads", ".accepted"):
            (home / folder).mkdir(parents=True)
        # As after a kill -9: an upload that was under way, two accepted files, one file put into the inbox by hand.
        (home / ".uploads" / "0123").write_bytes(scada(9, 9))
        (home / ".accepted" / f"{accepted_us:020d}_scada_1.csv").write_bytes(scada(1))
        (home / ".accepted" / f"{accepted_us + 1:020d}_scada_1.csv").write_bytes(scada(2))
        (home / "inbox" / "scada_3.csv").write_bytes(scada(3))
        (home / "inbox" / "scada_4.csv.part").write_bytes(scada(4))
        async with serving(database, door.root, door.port):
            await door.receipt(tenant, "scada_3.csv")
            assert await door.levels(tenant) == [3]
            assert await door.files(tenant) == [("scada_1.csv", "taken"), ("scada_1.csv", "taken"), ("scada_3.csv", "taken")]
            assert door.left(tenant) == ["inbox/scada_4.csv.part"]
        # Killed between commit and removal: the same file is there once more.
        (home / ".accepted" / f"{accepted_us:020d}_scada_1.csv").write_bytes(scada(1))
        async with serving(database, door.root, door.port):
            while door.left(tenant) != ["inbox/scada_4.csv.part"]:
                await asyncio.sleep(0.05)
            assert len(await door.files(tenant)) == 3
            assert await door.levels(tenant) == [3]
        await database.close()

    asyncio.run(asyncio.wait_for(scenes(), 60))


def test_files_delivered_while_the_database_is_away_wait_and_are_taken_when_it_is_back(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    from psycopg import OperationalError

    from levada.intake.doors import taking

    async def away(*_: object, **__: object) -> None:
        raise OperationalError("the database system is starting up")

    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        async with door.client(tenant) as sftp:
            monkeypatch.setattr(taking, "take_file", away)
            for i in range(3):
                async with sftp.open(f"inbox/scada_{i}.csv", "wb") as file:
                    await file.write(scada(i))
            await asyncio.sleep(0.3)
            assert sorted(await sftp.listdir("inbox")) == [".", "..", "scada_0.csv", "scada_1.csv", "scada_2.csv"]
            with pytest.raises(asyncssh.SFTPPermissionDenied, match="was accepted"):
                await sftp.remove("inbox/scada_0.csv")
            monkeypatch.undo()
            await door.receipt(tenant, "scada_2.csv")
        assert await door.files(tenant) == [(f"scada_{i}.csv", "taken") for i in range(3)]
        assert await door.levels(tenant) == [2]

    play(scene)


def test_a_file_that_trips_over_a_fault_of_ours_is_kept_and_answered_and_the_next_one_is_taken(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    from levada.intake import take

    real = take._read

    def faulty(contract: Any, name: str, content: bytes, received_at: datetime) -> Any:
        if name == "scada_0.csv":
            raise ZeroDivisionError("a fault")
        return real(contract, name, content, received_at)

    async def scene(door: Door) -> None:
        monkeypatch.setattr(take, "_read", faulty)
        tenant = await door.new_tenant()
        async with door.client(tenant) as sftp:
            for i in range(2):
                async with sftp.open(f"inbox/scada_{i}.csv", "wb") as file:
                    await file.write(scada(i))
        await door.receipt(tenant, "scada_1.csv")
        receipt = await door.receipt(tenant, "scada_0.csv")
        assert (receipt["state"], "fault on our side" in receipt["problem"]) == ("refused", True)
        assert door.left(tenant) == []

    play(scene)


def test_a_huge_file_of_one_tenant_does_not_hold_up_another(play: Play) -> None:
    async def scene(door: Door) -> None:
        slow, quick = await door.new_tenant(), await door.new_tenant()
        huge = scada(*(float(i % 7) for i in range(250_000)), first=START - timedelta(days=2700))
        async with door.client(slow) as sftp, door.client(quick) as other:
            async with sftp.open("inbox/scada_huge.csv", "wb") as file:
                await file.write(huge)
            async with other.open("inbox/scada_1.csv", "wb") as file:
                await file.write(scada(1))
            await door.receipt(quick, "scada_1.csv")
            assert await door.files(slow) == []
        assert (await door.receipt(slow, "scada_huge.csv"))["rows_taken"] == 250_000

    play(scene)


def test_many_uploads_at_once_by_several_sessions_are_each_taken_once(play: Play) -> None:
    async def scene(door: Door) -> None:
        tenants = [await door.new_tenant() for _ in range(2)]

        async def send(tenant: str, session: int) -> None:
            async with door.client(tenant) as sftp:
                for i in range(15):
                    async with sftp.open(f"inbox/scada_{session}_{i}.csv", "wb") as file:
                        await file.write(scada(i / 10 + session, first=START - timedelta(minutes=15 * (1 + i + 15 * session))))

        await asyncio.gather(*(send(t, s) for t in tenants for s in range(4)))
        for tenant in tenants:
            while len(await door.files(tenant)) < 60:
                await asyncio.sleep(0.05)
            assert {state for _, state in await door.files(tenant)} == {"taken"}
            assert len(await door.levels(tenant)) == 60

    play(scene)


def test_a_port_in_use_is_told_with_what_to_do(play: Play) -> None:
    async def scene(door: Door) -> None:
        with pytest.raises(ExceptionGroup) as raised:
            await serve_sftp(door.database, host="127.0.0.1", port=door.port, root=door.folder / "other", host_key_pem=HOST_KEY, clock=REAL_TIME)
        (error,) = raised.value.exceptions
        assert isinstance(error, SetupError)
        assert "LEVADA_SFTP_PORT" in str(error)

    play(scene)


def test_connections_beyond_the_limit_are_turned_away(play: Play) -> None:
    async def scene(door: Door) -> None:
        tenant = await door.new_tenant()
        async with door.client(tenant), door.client(tenant):
            with pytest.raises((asyncssh.Error, OSError)):
                async with door.client(tenant):
                    pass
        async with door.client(tenant) as sftp:
            assert await sftp.listdir("/")

    play(scene, DoorLimits(connections=2))  # type: ignore[call-arg]


def test_who_does_not_sign_in_in_time_is_disconnected(play: Play) -> None:
    async def scene(door: Door) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        with suppress(OSError):
            assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"SSH-2.0-Levada")
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    play(scene, DoorLimits(sign_in_s=0.5))  # type: ignore[call-arg]


