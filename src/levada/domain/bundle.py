"""Bundles: everything that goes into a run, frozen and addressed by its content.

A bundle is a kind and named parts (bytes). Its id is the SHA-256 of a canonical manifest that lists each part's name and
SHA-256, so equal inputs have equal ids and parts are stored once however many bundles hold them.

As a file, a bundle is a zip of `manifest.json` and `parts/`. A recorded run is a bundle file with two entries more: `result`, the bytes
that came out, and `run.json`, with what they were computed. So whoever can read a bundle can compute a recorded run again.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from levada.domain.errors import LevadaError
from levada.domain.series import Readings

__all__ = ["Bundle", "BundleError", "RecordedRun", "canonical_json", "readings_from_bytes", "readings_to_bytes"]


class BundleError(LevadaError):
    """A bundle file is damaged or incomplete: a part is missing, or its content does not match its SHA-256."""

    code, status = "bundle", 422

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where, self.problem = where, problem


def canonical_json(value: Any) -> bytes:
    """The one way in which a value is written as JSON: sorted keys, no spaces, shortest round-trip floats, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def readings_to_bytes(readings: Readings) -> bytes:
    """Times (int64 microseconds since 1970 UTC), values (float64) and quality (uint8), little-endian, after a count (int64)."""
    return b"".join([
        np.int64(len(readings)).astype("<i8").tobytes(),
        readings.times.astype("datetime64[us]").astype("<i8").tobytes(),
        readings.values.astype("<f8").tobytes(),
        readings.quality.tobytes(),
    ])  # fmt: skip


def readings_from_bytes(data: bytes) -> Readings:
    """The inverse of readings_to_bytes. Raises BundleError when the length does not fit the count."""
    n = int(np.frombuffer(data[:8], "<i8")[0]) if len(data) >= 8 else -1
    if n < 0 or len(data) != 8 + 17 * n:
        raise BundleError("series part", f"{len(data)} bytes do not hold {n} readings")
    return Readings(
        times=np.frombuffer(data[8 : 8 + 8 * n], "<i8").astype("datetime64[us]"),
        values=np.frombuffer(data[8 + 8 * n : 8 + 16 * n], "<f8").astype(np.float64),
        quality=np.frombuffer(data[8 + 16 * n :], np.uint8),
    )


@dataclass(frozen=True, slots=True)
class Bundle:
    """A kind (such as `plan`) and its parts by name. Equal content has equal `bundle_id`."""

    kind: str
    parts: Mapping[str, bytes]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", MappingProxyType(dict(sorted(self.parts.items()))))

    @property
    def part_ids(self) -> dict[str, str]:
        """Name of each part -> SHA-256 of its content."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in self.parts.items()}

    @property
    def manifest(self) -> bytes:
        return canonical_json({"format": 1, "kind": self.kind, "parts": self.part_ids})

    @property
    def bundle_id(self) -> str:
        return hashlib.sha256(self.manifest).hexdigest()

    @property
    def seed(self) -> int:
        """Seed for any random choice in the run, from the bundle's content."""
        return int(self.bundle_id[:15], 16)

    def to_file(self) -> bytes:
        """The bundle as one file with which anybody can compute the run: a zip of manifest.json and parts/."""
        return _zipped(self._entries)

    @property
    def _entries(self) -> dict[str, bytes]:
        return {"manifest.json": self.manifest, **{f"parts/{name}": content for name, content in self.parts.items()}}

    @classmethod
    def from_file(cls, data: bytes, where: str = "bundle file") -> Bundle:
        """Read what to_file wrote, or the bundle of a recorded run. Raises BundleError when the file is no bundle or a part does not match its SHA-256."""
        with _opened(data, where) as archive:
            return _bundle_in(archive, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """A run as one file: what went in, what came out, and with what it was computed (versions of code and libraries, kind of machine)."""

    bundle: Bundle
    result: bytes
    made_with: Mapping[str, object]
    """The manifest of the process that computed it; empty where that is not known."""
    run: Mapping[str, object]
    """Which run it was, in words for people: utility, number, instant. Nothing is computed from it."""

    def to_file(self) -> bytes:
        """A bundle file with the entries `result` and `run.json` besides."""
        told = {"format": 1, "run": dict(self.run), "made_with": dict(self.made_with), "seed": self.bundle.seed, "result_sha256": hashlib.sha256(self.result).hexdigest()}
        return _zipped({**self.bundle._entries, "run.json": canonical_json(told), "result": self.result})

    @classmethod
    def from_file(cls, data: bytes, where: str = "run file") -> RecordedRun:
        """Read what to_file wrote. Raises BundleError when the file is no recorded run or something in it does not match its SHA-256."""
        with _opened(data, where) as archive:
            bundle = _bundle_in(archive, where)
            if not {"result", "run.json"} <= set(archive.namelist()):
                raise BundleError(where, "holds a run's input and no result to compare with; export a run that is done, or compute this one with `levada run`")
            result, told = archive.read("result"), json.loads(archive.read("run.json"))
            made_with, run, digest = dict(told["made_with"]), dict(told["run"]), told["result_sha256"]
        if hashlib.sha256(result).hexdigest() != digest:
            raise BundleError(where, "the result does not match its SHA-256: the file is damaged")
        return cls(bundle=bundle, result=result, made_with=made_with, run=run)


def _zipped(entries: Mapping[str, bytes]) -> bytes:
    """Equal entries give equal bytes: no time of day is in them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


@contextmanager
def _opened(data: bytes, where: str) -> Iterator[zipfile.ZipFile]:
    """The file as a zip. Whatever a damaged or foreign file makes of the reading is a BundleError."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, LookupError, ValueError, TypeError, AttributeError, NotImplementedError, RuntimeError, struct.error) as e:
        raise BundleError(where, f"not a Levada bundle ({e})") from e


def _bundle_in(archive: zipfile.ZipFile, where: str) -> Bundle:
    manifest = json.loads(archive.read("manifest.json"))
    if manifest["format"] != 1:
        raise BundleError(where, f"is of format {manifest['format']!r}; this version of Levada reads format 1")
    bundle = Bundle(str(manifest["kind"]), {name: archive.read(f"parts/{name}") for name in manifest["parts"]})
    for name, digest in bundle.part_ids.items():
        if digest != manifest["parts"][name]:
            raise BundleError(where, f"part {name!r} does not match its SHA-256: the file is damaged")
    return bundle
