"""Bundles: everything that goes into a run, frozen and addressed by its content.

A bundle is a kind and named parts (bytes). Its id is the SHA-256 of a canonical manifest that lists each part's name and
SHA-256, so equal inputs have equal ids and parts are stored once however many bundles hold them.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from levada.domain.errors import LevadaError
from levada.domain.series import Readings

__all__ = ["Bundle", "BundleError", "canonical_json", "readings_from_bytes", "readings_to_bytes"]


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
        """The bundle as one file with which anybody can repeat the run: a zip of manifest.json and parts/."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in [("manifest.json", self.manifest), *((f"parts/{n}", c) for n, c in self.parts.items())]:
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
        return out.getvalue()

    @classmethod
    def from_file(cls, data: bytes, where: str = "bundle file") -> Bundle:
        """Read what to_file wrote. Raises BundleError when the file is no bundle or a part does not match its SHA-256."""
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                manifest = json.loads(archive.read("manifest.json"))
                parts = {name: archive.read(f"parts/{name}") for name in manifest["parts"]}
        except (zipfile.BadZipFile, KeyError, ValueError) as e:
            raise BundleError(where, f"not a Levada bundle ({e})") from e
        bundle = cls(str(manifest["kind"]), parts)
        for name, digest in bundle.part_ids.items():
            if digest != manifest["parts"][name]:
                raise BundleError(where, f"part {name!r} does not match its SHA-256: the file is damaged")
        return bundle
