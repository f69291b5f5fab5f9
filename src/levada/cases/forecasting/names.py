"""File names for series, whose own names may hold anything."""

from __future__ import annotations

import re
from hashlib import sha256

__all__ = ["file_name"]


def file_name(series: str) -> str:
    """A name safe in any file system: the series' own where it is, else its safe part with a digest of the whole."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", series)[:80]
    if safe == series and not series.startswith("."):
        return series
    return f"{safe.lstrip('.')}-{sha256(series.encode()).hexdigest()[:8]}"
