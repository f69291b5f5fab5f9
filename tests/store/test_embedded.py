"""The embedded server's life-cycle, tried by killing what can be killed."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from levada.domain.errors import SetupError
from levada.store import embedded


def a_directory() -> Iterator[Path]:
    top = Path(tempfile.mkdtemp(prefix="levada-test-"))
    top.chmod(0o711)
    yield top / "database"
    asyncio.run(embedded.forget(top / "database"))
    shutil.rmtree(top)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory without a server."""
    yield from a_directory()


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A directory whose server several tests use and leave as they found it: initialising takes its time."""
    for made in a_directory():
        asyncio.run(embedded.start(made))
        yield made


def postmaster(directory: Path) -> psutil.Process:
    return psutil.Process(int((directory / "cluster" / "postmaster.pid").read_text().split()[0]))


def processes_in(cluster: Path) -> list[psutil.Process]:
    def here(p: psutil.Process) -> bool:
        try:
            return p.status() != psutil.STATUS_ZOMBIE and p.cwd() == str(cluster)
        except psutil.Error:
            return False

    return [p for p in psutil.process_iter() if here(p)]


def command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []  # gone since


def keep_a_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (x int)")
        connection.execute("INSERT INTO kept VALUES (1)")


def kept_rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def test_it_starts_stops_starts_again_and_is_forgotten(directory) -> None:
    (directory / "cluster.new").mkdir(parents=True)  # of an initialisation that was interrupted: it is made anew
    (directory / "cluster.new" / "PG_VERSION").write_text("18\n")
    assert not embedded.is_running(directory)
    url = asyncio.run(embedded.start(directory))
    keep_a_row(url)
    assert embedded.is_running(directory)
    assert asyncio.run(embedded.start(directory)) == url  # again: nothing happens
    asyncio.run(embedded.stop(directory))
    asyncio.run(embedded.stop(directory))
    assert not embedded.is_running(directory)
    assert processes_in(directory / "cluster") == []
    assert kept_rows(asyncio.run(embedded.start(directory))) == 1
    asyncio.run(embedded.forget(directory))
    assert not directory.exists()


def test_what_was_committed_is_there_again_after_a_kill_9_with_a_backend_still_at_work(shared) -> None:
    url = asyncio.run(embedded.start(shared))
    keep_a_row(url)
    committed = kept_rows(url)
    # A backend in the middle of something outlives the main process and holds its shared memory.
    busy = subprocess.Popen(
        [sys.executable, "-c", f"import psycopg; psycopg.connect({url!r}).execute('DO $$ BEGIN LOOP END LOOP; END $$')"], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    with psycopg.connect(url, autocommit=True) as connection:
        while not connection.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'").fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.02)
    for _ in range(2):
        postmaster(shared).send_signal(signal.SIGKILL)
        assert asyncio.run(embedded.start(shared)) == url
        assert kept_rows(url) == committed
    assert busy.wait(10) != 0


def test_a_stale_pid_that_belongs_to_somebody_else_by_now_is_not_taken_for_the_server(shared) -> None:
    url = asyncio.run(embedded.start(shared))
    keep_a_row(url)
    committed = kept_rows(url)
    text = (shared / "cluster" / "postmaster.pid").read_text()
    server = postmaster(shared)
    server.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes_in(shared / "cluster"), timeout=10)
    (shared / "cluster" / "postmaster.pid").write_text(text.replace(str(server.pid), str(os.getpid()), 1))
    assert not embedded.is_running(shared)
    assert kept_rows(asyncio.run(embedded.start(shared))) == committed


def test_several_who_start_it_at_once_get_one_server(directory) -> None:
    async def all_at_once() -> set[str]:
        return set(await asyncio.gather(*(embedded.start(directory) for _ in range(4))))

    (url,) = asyncio.run(all_at_once())
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert len([p for p in processes_in(directory / "cluster") if "-D" in command_line(p)]) == 1


def test_only_its_user_can_reach_the_socket_and_no_port_is_open(shared) -> None:
    url = asyncio.run(embedded.start(shared))
    socket_dir = shared / "socket"
    assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((shared / "cluster").stat().st_mode) == 0o700
    server = postmaster(shared)
    assert [c for c in server.net_connections("inet") if c.status == psutil.CONN_LISTEN] == []
    assert server.uids().effective != 0
    assert os.getsid(server.pid) != os.getsid(0)  # a Ctrl-C in our terminal is none for the server
    with psycopg.connect(url) as connection:
        settings = dict(connection.execute("SELECT name, setting FROM pg_settings WHERE name IN ('data_checksums', 'synchronous_commit', 'fsync', 'server_encoding')").fetchall())
    assert settings == {"data_checksums": "on", "synchronous_commit": "on", "fsync": "on", "server_encoding": "UTF8"}


def test_a_path_too_long_for_a_socket_gets_its_socket_elsewhere(directory) -> None:
    deep = directory / ("d" * 60) / ("e" * 40)
    url = asyncio.run(embedded.start(deep))
    keep_a_row(url)
    asyncio.run(embedded.forget(deep))
    assert not deep.exists()


def test_a_socket_folder_that_somebody_else_made_open_is_refused(directory) -> None:
    (directory / "socket").mkdir(parents=True)
    (directory / "socket").chmod(0o777)
    with pytest.raises(SetupError, match="not ours alone"):
        asyncio.run(embedded.start(directory))


def test_a_cluster_of_another_version_is_refused_with_what_to_do(shared) -> None:
    asyncio.run(embedded.start(shared))
    asyncio.run(embedded.stop(shared))
    (shared / "cluster" / "PG_VERSION").write_text("16\n")
    with pytest.raises(SetupError, match="made by PostgreSQL 16.*dump it"):
        asyncio.run(embedded.start(shared))
    (shared / "cluster" / "PG_VERSION").write_text("18\n")


def test_a_server_that_cannot_start_says_why(shared) -> None:
    asyncio.run(embedded.start(shared))
    asyncio.run(embedded.stop(shared))
    before = (shared / "cluster" / "postgresql.conf").read_text()
    with open(shared / "cluster" / "postgresql.conf", "a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(SetupError, match="no_such_setting"):
        asyncio.run(embedded.start(shared))
    (shared / "cluster" / "postgresql.conf").write_text(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: tries what root may meet")
def test_root_may_keep_it_where_the_servers_user_cannot_go() -> None:
    closed = Path(tempfile.mkdtemp(prefix="levada-closed-"))
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    wanted = closed / "database"
    try:
        url = asyncio.run(embedded.start(wanted))
        keep_a_row(url)
        assert embedded.is_running(wanted)
        elsewhere = Path((wanted / "elsewhere").read_text().strip())
        assert postmaster(elsewhere).uids().effective != 0
        asyncio.run(embedded.stop(wanted))
        # Other processes read where it is while one starts it: what is there is never written over.
        before = (wanted / "elsewhere").stat()
        assert kept_rows(asyncio.run(embedded.start(wanted))) == 1
        assert (wanted / "elsewhere").stat().st_mtime_ns == before.st_mtime_ns
        assert [path.name for path in wanted.iterdir()] == ["elsewhere"]
        (wanted / "elsewhere").write_text("")
        with pytest.raises(SetupError, match="names no directory.*remove it"):
            embedded.is_running(wanted)
        (wanted / "elsewhere").unlink()
        assert kept_rows(asyncio.run(embedded.start(wanted))) == 1
    finally:
        asyncio.run(embedded.forget(wanted))
        shutil.rmtree(closed)
    assert not elsewhere.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: becomes another user")
def test_binaries_that_the_servers_user_cannot_reach_are_copied(directory, monkeypatch) -> None:
    reachable = embedded._reachable
    monkeypatch.setattr(embedded, "_reachable", lambda user, path: "site-packages" not in str(path) and reachable(user, path))
    keep_a_row(asyncio.run(embedded.start(directory)))
    assert postmaster(directory).exe().startswith(str(directory / "postgresql"))
    asyncio.run(embedded.stop(directory))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: becomes an ordinary user (who else runs all tests as one)")
def test_an_ordinary_user_can_run_it_too(directory) -> None:
    directory.mkdir()
    os.chown(directory, 65534, 65534)
    code = (
        "import asyncio, psycopg, sys; from pathlib import Path; from levada.store import embedded\n"
        f"d = Path({str(directory)!r}); u = asyncio.run(embedded.start(d)); psycopg.connect(u).execute('SELECT 1'); asyncio.run(embedded.stop(d))"
    )
    interpreter = Path(sys.executable)
    if not embedded._reachable(embedded._User(65534, 65534, other=True), Path(os.path.realpath(interpreter))):
        # The interpreter itself lies where that user cannot go, so the process changes user after it has started.
        code = f"import os; import levada.store.embedded, encodings.idna, concurrent.futures.thread, levada.store.queries as q; q.query('ping'); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n{code}"
    done = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
