"""Cells -> numbers. What can be read in two ways (thousands separators) or is no measurement (infinity) is refused, not guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from levada.domain.series import Floats

__all__ = ["expected_number", "read_numbers"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def expected_number(decimal_mark: Literal[".", ","]) -> str:
    """What to tell the sender of a cell that is none."""
    return "a number such as 12.5, without thousands separators" if decimal_mark == "." else "a number with a decimal comma such as 12,5, without thousands separators"


def read_numbers(texts: Sequence[str], decimal_mark: Literal[".", ","], missing: Set[str]) -> tuple[Floats, NDArray[np.bool_]]:
    """Values (NaN where there is none) and a mask of cells that are neither a number nor one of the `missing` texts.

    Blanks around a cell do not count. float() is let loose on whole columns only after what it takes too lightly (underscores, digits of
    other scripts, `nan`, `infinity`) has been ruled out; cells that it stumbles over are looked at one by one.
    """
    if not texts:
        return np.empty(0), np.empty(0, bool)
    joined = "\n".join(texts)
    if decimal_mark == ",":
        if "." in joined:
            return _one_by_one(texts, decimal_mark, missing)
        joined = joined.replace(",", ".")
        texts = joined.split("\n")  # a cell holds no line break
    if joined.isascii() and "_" not in joined:
        try:
            values = np.fromiter(map(float, texts), np.float64, len(texts))
        except ValueError:
            pass
        else:
            if np.isfinite(values).all():
                return values, np.zeros(len(texts), bool)
    return _one_by_one(texts, ".", missing)


def _one_by_one(texts: Sequence[str], decimal_mark: Literal[".", ","], missing: Set[str]) -> tuple[Floats, NDArray[np.bool_]]:
    values = np.full(len(texts), np.nan)
    bad = np.zeros(len(texts), bool)
    for i, text in enumerate(texts):
        stripped = text.strip()
        if stripped in missing:
            continue
        if decimal_mark == ",":
            # A point beside a decimal comma can only be a thousands separator, or the export is not what the contract says.
            stripped = "?" if "." in stripped else stripped.replace(",", ".")
        if _NUMBER.fullmatch(stripped) and np.isfinite(value := float(stripped)):
            values[i] = value
        else:
            bad[i] = True
    return values, bad
