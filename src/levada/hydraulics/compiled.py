"""What is written in C beside the modules that call it, compiled when Levada is set up."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["library", "pointer"]


@cache
def library(path: Path) -> ctypes.CDLL:
    """The compiled library at a path. Raises ImportError where it is not there."""
    if not path.exists():
        raise ImportError(f"{path} is not there: it is compiled when Levada is set up (tools/compile.py, which `make setup` calls)")
    return ctypes.CDLL(str(path))


def pointer(array: Any) -> Any:
    """Where an array's values are; the array must outlive what is done with it."""
    return ctypes.c_void_p(array.ctypes.data)
