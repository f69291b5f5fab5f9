"""What a tenant sees by SFTP: /inbox to put files into, /outbox to fetch from. Nothing else exists.

Paths are names in these two folders and never reach the file system as paths: there are no links to follow, no folders to make, and `..`
of the top is the top. A file is accepted when its upload closes, or when it is renamed from a temporary name; it is on disk then.
inbox/ does not show accepted files for long: they are taken at once. For clients that look whether their upload arrived, or set its time, the
session remembers what it delivered.
"""

# ruff: noqa: ARG002  what the library hands over is its choice
from __future__ import annotations

import asyncio
import os
import posixpath
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from asyncssh import (
    FXF_APPEND,
    FXF_CREAT,
    FXF_EXCL,
    FXF_WRITE,
    SFTPAttrs,
    SFTPFailure,
    SFTPFileAlreadyExists,
    SFTPInvalidFilename,
    SFTPName,
    SFTPNoSuchFile,
    SFTPPermissionDenied,
)

from levada.clock import Clock
from levada.intake.doors.spool import AcceptedFile, TenantSpool, Upload, is_temporary
from levada.intake.doors.taking import Taking
from levada.telemetry.log import bound, get_logger
from levada.telemetry.trace import carrier, span

__all__ = ["FolderLimits", "TenantFolder"]

log = get_logger("intake")

_LONGEST_NAME = 180  # bytes; a file system takes 255, and receipts and temporary names need some
_REMEMBERED = 1000
_READ_ONLY = "outbox/ can only be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderLimits:
    """What one tenant may have here at a time."""

    open_files: int = 64
    """In one session."""
    waiting_files: int = 10_000
    waiting_bytes: int = 4 << 30
    """Not taken yet, as when the database is away; more are refused until these are taken."""
    free_bytes: int = 256 << 20
    """Left on the disk, for the others."""


@dataclass(slots=True)
class _Reading:
    """A file that is open for reading."""

    fd: int


class TenantFolder(asyncssh.SFTPServer):
    """One session of one tenant. `largest` asks how large a file of this tenant may be."""

    def __init__(
        self, channel: asyncssh.SSHServerChannel[bytes], taking: Taking, spool: TenantSpool, clock: Clock, limits: FolderLimits, largest: Callable[[], Awaitable[int]]
    ) -> None:
        super().__init__(channel)
        self._taking, self._spool, self._clock, self._limits, self._ask_largest = taking, spool, clock, limits, largest
        self._max_bytes: int | None = None
        self._open: set[int] = set()
        self._delivered: dict[str, SFTPAttrs] = {}
        self.broken_off = False
        """Set when the session ends: files that are closed from then on were not closed by the client."""

    # --- paths ---

    def _path(self, path: bytes) -> tuple[str, str]:
        """Folder and name: ("", "") is the top, ("inbox", "") the inbox, ("inbox", "a.csv") a file in it. Raises SFTPError."""
        try:
            clean = posixpath.normpath(posixpath.join("/", path.decode())).lstrip("/")
        except UnicodeDecodeError:
            raise SFTPInvalidFilename("file names must be UTF-8") from None
        folder, _, name = clean.partition("/")
        if folder not in ("", "inbox", "outbox") or "/" in name:
            raise SFTPNoSuchFile("there are only inbox/ and outbox/ here, without folders in them")
        if len(name.encode()) > _LONGEST_NAME or any(ord(c) < 32 or ord(c) == 127 for c in name):
            raise SFTPInvalidFilename(f"file names have at most {_LONGEST_NAME} bytes and no control characters")
        return folder, name

    def _to_write(self, path: bytes, what: str) -> str:
        """The name in the inbox of a file that may be written. Raises SFTPError."""
        folder, name = self._path_or_denied(path, what)
        if folder == "outbox":
            raise SFTPPermissionDenied(_READ_ONLY)
        if folder != "inbox" or not name:
            raise SFTPPermissionDenied(f"{what}: files belong into inbox/")
        return name

    def _path_or_denied(self, path: bytes, what: str) -> tuple[str, str]:
        try:
            return self._path(path)
        except SFTPNoSuchFile:
            raise SFTPPermissionDenied(f"{what}: files belong into inbox/, without folders in it") from None

    def _accepted(self, name: str) -> AcceptedFile | None:
        return next((f for f in reversed(self._spool.waiting()) if f.name == name), None)

    def map_path(self, path: bytes) -> bytes:
        """No path of a client is one of the file system: whatever of the base class is not replaced here must fail."""
        raise SFTPPermissionDenied("not offered here")

    def realpath(self, path: bytes) -> bytes:
        return posixpath.normpath(posixpath.join(b"/", path)).replace(b"//", b"/")

    # --- attributes ---

    def stat(self, path: bytes) -> SFTPAttrs:
        folder, name = self._path(path)
        if not name:
            return _folder_attrs(self._spool.home / folder)
        found = self._local(folder, name)
        if found is not None:
            return _file_attrs(found)
        if folder == "inbox" and name in self._delivered:
            return self._delivered[name]
        raise SFTPNoSuchFile(f"no file {name} in {folder}/")

    lstat = stat  # there are no links

    def _local(self, folder: str, name: str) -> os.stat_result | None:
        """The file as it lies on disk, if it is one that this tenant may see."""
        places = [self._spool.home / folder / name]
        if folder == "inbox" and (accepted := self._accepted(name)):
            places.append(accepted.path)
        elif folder == "outbox" and name.startswith("."):
            return None
        for place in places:
            try:
                found = place.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(found.st_mode):
                return found
        return None

    def fstat(self, file_obj: object) -> SFTPAttrs:
        assert isinstance(file_obj, Upload | _Reading)
        return _file_attrs(os.fstat(file_obj.fd))

    def setstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Clients set times and rights of what they delivered; that is no fault, and nothing here needs them."""
        self._to_write(path, "attributes cannot be set")
        self.stat(path)
        if attrs.size is not None:
            raise SFTPPermissionDenied("the size of a file cannot be set: deliver it whole")

    lsetstat = setstat

    def fsetstat(self, file_obj: object, attrs: SFTPAttrs) -> None:
        if attrs.size is None:
            return
        if not isinstance(file_obj, Upload):
            raise SFTPPermissionDenied(_READ_ONLY)
        # Some clients make room first; OpenSSH's scp says at the end how long the file is.
        self._check_size(file_obj, attrs.size)
        os.ftruncate(file_obj.fd, attrs.size)
        file_obj.size = attrs.size

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        folder, name = self._path(path)
        if name:
            raise SFTPNoSuchFile(f"{name} is no folder")
        for dots in (".", ".."):
            yield _name(dots, _folder_attrs(self._spool.home))
        if not folder:
            for each in ("inbox", "outbox"):
                yield _name(each, _folder_attrs(self._spool.home / each))
            return
        for entry in sorted(os.scandir(self._spool.home / folder), key=lambda e: e.name):
            hidden = folder == "outbox" and entry.name.startswith(".")
            if not hidden and (found := self._local(folder, entry.name)) is not None:
                yield _name(entry.name, _file_attrs(found))
        if folder == "inbox":
            for waiting in self._spool.waiting():
                try:
                    yield _name(waiting.name, _file_attrs(waiting.path.lstat()))
                except FileNotFoundError:
                    continue

    def format_user(self, uid: int | None) -> str:
        return self._spool.tenant_id

    def format_group(self, gid: int | None) -> str:
        return self._spool.tenant_id

    # --- reading and writing ---

    async def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        if len(self._open) >= self._limits.open_files:
            raise SFTPFailure(f"this session has {self._limits.open_files} files open: close some first")
        opened = await self._open_to_write(path, pflags) if pflags & FXF_WRITE else self._open_to_read(path)
        self._open.add(id(opened))
        return opened

    def _open_to_read(self, path: bytes) -> _Reading:
        folder, name = self._path(path)
        if not name or self._local(folder, name) is None:
            raise SFTPNoSuchFile(f"no file {name} in {folder}/" if name else "this is a folder")
        place = self._spool.home / folder / name
        if folder == "inbox" and not place.exists() and (accepted := self._accepted(name)):
            place = accepted.path
        return _Reading(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))

    async def _open_to_write(self, path: bytes, pflags: int) -> Upload:
        name = self._to_write(path, "cannot be written")
        there = (self._spool.inbox / name).exists()
        if there and pflags & FXF_EXCL:
            raise SFTPFileAlreadyExists(f"{name} is there already")
        if not there and not pflags & FXF_CREAT:
            raise SFTPNoSuchFile(f"no file {name} in inbox/")
        if pflags & FXF_APPEND:
            raise SFTPFailure("uploads cannot be resumed or appended to: deliver the whole file")
        if self._max_bytes is None:
            self._max_bytes = await self._ask_largest()
        files, size = self._spool.usage()
        if files >= self._limits.waiting_files or size >= self._limits.waiting_bytes:
            raise SFTPFailure(f"{files} files with {size} bytes wait to be taken, which is as much as may wait: try again later")
        disk = os.statvfs(self._spool.home)
        if disk.f_bavail * disk.f_frsize < self._limits.free_bytes:
            log.error("uploads are refused: the disk is almost full", tenant=self._spool.tenant_id)
            raise SFTPFailure("there is no room for files at the moment: try again later")
        return self._spool.begin(name, self._max_bytes)

    def _check_size(self, upload: Upload, size: int) -> None:
        if size > upload.max_bytes:
            upload.spoilt = f"files may have {upload.max_bytes} bytes at most"
            raise SFTPFailure(f"{upload.name}: {upload.spoilt}: deliver it in parts")

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        assert isinstance(file_obj, Upload | _Reading)
        return os.pread(file_obj.fd, size, offset)

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        if not isinstance(file_obj, Upload):
            raise SFTPPermissionDenied("the file is open for reading only")
        self._check_size(file_obj, offset + len(data))
        view = memoryview(data)
        while view:
            try:
                written = os.pwrite(file_obj.fd, view, offset)
            except OSError as e:
                file_obj.spoilt = f"it could not be written here ({e.strerror})"
                raise
            view, offset = view[written:], offset + written
        file_obj.size = max(file_obj.size, offset)
        file_obj.written += len(data)
        return len(data)

    async def fsync(self, file_obj: object) -> None:
        assert isinstance(file_obj, Upload | _Reading)
        await asyncio.to_thread(os.fsync, file_obj.fd)

    # --- the end of an upload ---

    async def close(self, file_obj: object) -> None:
        self._open.discard(id(file_obj))
        if isinstance(file_obj, _Reading):
            os.close(file_obj.fd)
            return
        assert isinstance(file_obj, Upload)
        if file_obj.written < file_obj.size and not file_obj.spoilt:
            # A client that goes on with an upload which it began earlier writes its second half only.
            file_obj.spoilt = "parts of it were never sent, and uploads cannot be resumed"
        if self.broken_off or file_obj.spoilt:
            why = "the connection ended before its sender closed it" if self.broken_off else file_obj.spoilt
            log.warning("upload left out", tenant=self._spool.tenant_id, file=file_obj.name, bytes=file_obj.size, because=why)
            self._spool.discard(file_obj)
            if not self.broken_off:
                raise SFTPFailure(f"{file_obj.name} was not accepted: {why}; deliver it again, whole")
            return
        with bound(tenant=self._spool.tenant_id, file=file_obj.name):
            if is_temporary(file_obj.name):
                size = os.fstat(file_obj.fd).st_size
                await self._to_disk(lambda: self._spool.keep(file_obj, self._clock.now()))
                log.info("file waits for its final name", bytes=size)
            else:
                await self._accept(file_obj.name, lambda: self._spool.keep(file_obj, self._clock.now()))

    async def _accept(self, name: str, to_disk: Callable[[], AcceptedFile | None]) -> None:
        """Here begins the trace that ends with a published plan."""
        with span("intake.upload_closed", tenant=self._spool.tenant_id, file=name):
            file = await self._to_disk(to_disk)
            if file is None:
                return
            while len(self._delivered) >= _REMEMBERED:
                del self._delivered[next(iter(self._delivered))]
            self._delivered[name] = _attrs(stat.S_IFREG | 0o640, file.size, self._clock.now().timestamp())
            log.info("file accepted", bytes=file.size)
            self._taking.accepted(self._spool.tenant_id, file, carrier())

    async def _to_disk(self, work: Callable[[], AcceptedFile | None]) -> AcceptedFile | None:
        try:
            return await asyncio.to_thread(work)
        except FileNotFoundError:
            raise SFTPNoSuchFile("no such file in inbox/") from None
        except OSError as e:
            log.error("a file could not be accepted", problem=str(e))
            raise SFTPFailure(f"it could not be kept here ({e.strerror}): deliver it again") from e

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._rename(oldpath, newpath, replace=False)

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._rename(oldpath, newpath, replace=True)

    async def _rename(self, oldpath: bytes, newpath: bytes, *, replace: bool) -> None:
        old, new = self._to_write(oldpath, "cannot be renamed"), self._to_write(newpath, "cannot be renamed to")
        source, target = self._spool.inbox / old, self._spool.inbox / new
        if not source.is_file() or source.is_symlink():
            raise SFTPNoSuchFile(f"{old} was accepted and cannot be renamed any more" if self._accepted(old) or old in self._delivered else f"no file {old} in inbox/")
        if is_temporary(new):
            if target.exists() and not replace:
                raise SFTPFileAlreadyExists(f"{new} is there already")
            source.replace(target)
            return
        with bound(tenant=self._spool.tenant_id, file=new):
            await self._accept(new, lambda: self._spool.accept_renamed(old, new, self._clock.now()))

    def remove(self, path: bytes) -> None:
        name = self._to_write(path, "cannot be removed")
        try:
            (self._spool.inbox / name).unlink()
        except FileNotFoundError:
            if self._accepted(name):
                raise SFTPPermissionDenied(f"{name} was accepted and cannot be removed any more") from None
            raise SFTPNoSuchFile(f"no file {name} in inbox/") from None

    def exit(self) -> None:
        """OpenSSH's scp fails when the session does not end with a status, though all of it went well."""
        if not self.channel.is_closing():
            self.channel.exit(0)

    # --- what is not offered ---

    def mkdir(self, path: bytes, attrs: SFTPAttrs) -> None:
        raise SFTPPermissionDenied("folders cannot be made: there are inbox/ and outbox/")

    def rmdir(self, path: bytes) -> None:
        raise SFTPPermissionDenied("folders cannot be removed")

    def readlink(self, path: bytes) -> bytes:
        raise SFTPPermissionDenied("there are no links here")

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        raise SFTPPermissionDenied("links cannot be made")

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise SFTPPermissionDenied("links cannot be made")


def _name(name: str, attrs: SFTPAttrs) -> SFTPName:
    return SFTPName(name.encode(), attrs=attrs)


def _attrs(permissions: int, size: int, mtime: float) -> SFTPAttrs:
    return SFTPAttrs(size=size, uid=0, gid=0, permissions=permissions, atime=int(mtime), mtime=int(mtime))


def _file_attrs(found: os.stat_result) -> SFTPAttrs:
    return _attrs(stat.S_IFREG | 0o640, found.st_size, found.st_mtime)


def _folder_attrs(folder: Path) -> SFTPAttrs:
    return _attrs(stat.S_IFDIR | 0o750, 0, folder.stat().st_mtime)
