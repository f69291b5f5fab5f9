"""Writing what a case gives: text files in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from levada.domain.errors import FileError

__all__ = ["write_files"]


def write_files(folder: str | Path, texts: Mapping[str, str]) -> tuple[Path, ...]:
    """Write the files (name -> text) into a folder, which is made where it is missing. Raises FileError where that cannot be done."""
    at = Path(folder)
    written = []
    try:
        at.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (at / name).write_text(text, encoding="utf-8", newline="")
            written.append(at / name)
    except OSError as e:
        raise FileError(file=str(e.filename or at), problem=f"cannot be written ({e.strerror})", remedy="choose a folder that you may write to") from None
    return tuple(written)
