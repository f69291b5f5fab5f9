"""A tenant's files on disk: uploads under way, files that wait under a temporary name, accepted files that wait to be taken.

    root/<tenant>/.uploads/   what is being written; a kill -9 leaves only here what is not whole
    root/<tenant>/inbox/      whole files under temporary names, for their sender to rename
    root/<tenant>/.accepted/  whole files under final names, each as <microseconds of acceptance>_<name>: accepted, not lost any more
    root/<tenant>/outbox/     what we have for the tenant (written by publish)

A sender sees inbox/ and outbox/ only. A file gets into .accepted/ by a hard link, which never replaces another: two files of one name both
wait, in order. Who works on a file holds a lock on it, so that several processes may share a root.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["AcceptedFile", "TenantSpool", "Upload", "is_temporary", "locked"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEMPORARY_ENDS = (".tmp", ".part", ".filepart")


def is_temporary(name: str) -> bool:
    """Is this a name under which senders keep what is not final yet? Such files are taken when they are renamed."""
    return name.startswith(".") or name.lower().endswith(_TEMPORARY_ENDS)


@dataclass(slots=True)
class Upload:
    """A file that is being written by a sender."""

    name: str
    path: Path
    fd: int
    max_bytes: int
    size: int = 0
    written: int = 0
    """Bytes that were written; fewer than `size` where the file has holes."""
    spoilt: str | None = None
    """Why it must not be accepted, such as a write that was refused."""


@dataclass(frozen=True, slots=True, order=True)
class AcceptedFile:
    """A whole file that waits to be taken."""

    received_at: datetime
    name: str
    path: Path = field(compare=False)
    size: int = field(compare=False)


class TenantSpool:
    """The folders of one tenant. Its methods block for the time of a disk access; those that wait for the disk say so."""

    def __init__(self, root: Path, tenant_id: str) -> None:
        self.tenant_id = tenant_id
        self.home = root / tenant_id
        self.inbox = self.home / "inbox"
        self.outbox = self.home / "outbox"
        self.uploads = self.home / ".uploads"
        self.accepted = self.home / ".accepted"
        for folder in (self.home, self.inbox, self.outbox, self.uploads, self.accepted):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)

    # --- uploads ---

    def begin(self, name: str, max_bytes: int) -> Upload:
        """Make room for a new upload. It is locked as long as it is open."""
        path = self.uploads / secrets.token_hex(8)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return Upload(name, path, fd, max_bytes)

    def discard(self, upload: Upload) -> None:
        os.close(upload.fd)
        upload.path.unlink(missing_ok=True)

    def keep(self, upload: Upload, now: datetime) -> AcceptedFile | None:
        """The upload is whole: accept it, or lay it into the inbox when its name is temporary (then None). Waits for the disk."""
        os.fsync(upload.fd)
        try:
            if is_temporary(upload.name):
                upload.path.replace(self.inbox / upload.name)
                _sync(self.inbox)
                return None
            return self._accept(upload.path, upload.name, now)
        finally:
            os.close(upload.fd)

    def accept_renamed(self, temporary: str, name: str, now: datetime) -> AcceptedFile:
        """Accept a file of the inbox under its final name. Raises FileNotFoundError. Waits for the disk."""
        path = self.inbox / temporary
        if path.is_symlink() or not path.is_file():
            raise FileNotFoundError(temporary)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return self._accept(path, name, now)

    def _accept(self, path: Path, name: str, now: datetime) -> AcceptedFile:
        size = path.stat().st_size
        us = (now - _EPOCH) // timedelta(microseconds=1)
        while True:
            target = self.accepted / f"{us:020d}_{name}"
            try:
                os.link(path, target, follow_symlinks=False)
                break
            except FileExistsError:
                us += 1
        path.unlink()
        _sync(self.accepted)
        return AcceptedFile(_EPOCH + timedelta(microseconds=us), name, target, size)

    # --- what waits ---

    def waiting(self) -> list[AcceptedFile]:
        """Accepted files that are not taken yet, the oldest first."""
        found = []
        for entry in os.scandir(self.accepted):
            stamp, _, name = entry.name.partition("_")
            if stamp.isdecimal() and name:
                with suppress(FileNotFoundError):  # taken by now
                    found.append(AcceptedFile(_EPOCH + timedelta(microseconds=int(stamp)), name, Path(entry.path), entry.stat().st_size))
        return sorted(found)

    def recover(self, now: datetime) -> int:
        """After a start: remove uploads that nobody writes any more, accept files that lie in the inbox under a final name; returns how many
        half-written uploads were removed."""
        removed = 0
        for entry in os.scandir(self.uploads):
            with suppress(FileNotFoundError, BlockingIOError), open(entry.path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(entry.path)
                removed += 1
        for name in sorted(entry.name for entry in os.scandir(self.inbox) if entry.is_file(follow_symlinks=False)):
            if not is_temporary(name):
                with suppress(FileNotFoundError):  # another process was first
                    self.accept_renamed(name, name, now)
        return removed

    def usage(self) -> tuple[int, int]:
        """Files and bytes of this tenant that are not taken yet, those under temporary names and under way included."""
        files = size = 0
        for folder in (self.uploads, self.accepted, self.inbox):
            for entry in os.scandir(folder):
                with suppress(FileNotFoundError):
                    size += entry.stat(follow_symlinks=False).st_size
                    files += 1
        return files, size


@contextmanager
def locked(file: AcceptedFile) -> Iterator[bytes | None]:
    """The content of an accepted file, held against other processes; None when another has it or has taken it."""
    try:
        opened = file.path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        # Between opening and locking another process may have taken and removed it.
        yield opened.read() if os.fstat(opened.fileno()).st_nlink else None


def _sync(folder: Path) -> None:
    """Have a folder's entries on disk: fsync of a file does not keep its name."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
