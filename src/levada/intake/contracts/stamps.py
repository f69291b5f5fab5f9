"""Cells -> time stamps: microseconds since 1970, on the file's own clock or, where the stamp carries a zone, in UTC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stamps", "expected_stamp", "read_stamps"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
_ISO_FORMS = {
    (16, "T"): ("%Y-%m-%dT%H:%M", False),
    (17, "T"): ("%Y-%m-%dT%H:%MZ", True),
    (19, "T"): ("%Y-%m-%dT%H:%M:%S", False),
    (20, "T"): ("%Y-%m-%dT%H:%M:%SZ", True),
    (16, " "): ("%Y-%m-%d %H:%M", False),
    (19, " "): ("%Y-%m-%d %H:%M:%S", False),
}


@dataclass(frozen=True, slots=True, eq=False)
class Stamps:
    """Stamps of some rows: `us` counts from 1970 in UTC where `is_utc`, else on the file's clock; nothing holds where not `ok`."""

    us: NDArray[np.int64]
    is_utc: NDArray[np.bool_]
    ok: NDArray[np.bool_]


def expected_stamp(stamp_format: str) -> str:
    """What to tell the sender of a cell that is none."""
    return "an ISO 8601 time such as 2026-03-01T04:15:00" if stamp_format == "iso" else f"a time written as {stamp_format}"


def read_stamps(texts: Sequence[str], stamp_format: str) -> Stamps:
    """Read stamps in `iso` or a strptime pattern. Blanks around a cell do not count."""
    n = len(texts)
    us, is_utc, ok = np.zeros(n, np.int64), np.zeros(n, bool), np.zeros(n, bool)
    if not n:
        return Stamps(us, is_utc, ok)
    form, utc = _fixed_form(texts[0], stamp_format)
    if form is not None:
        us, ok = _read_fixed(texts, form)
        is_utc[:] = utc
    known: dict[str, tuple[int, bool] | None] = {}
    for i in np.flatnonzero(~ok).tolist():
        text = texts[i].strip()
        if text not in known:
            known[text] = _read_one(text, stamp_format)
        if (found := known[text]) is not None:
            us[i], is_utc[i] = found
            ok[i] = True
    return Stamps(us, is_utc, ok)


def _read_one(text: str, stamp_format: str) -> tuple[int, bool] | None:
    try:
        # Without a zone: it is the contract's, applied later.
        stamp = datetime.fromisoformat(text) if stamp_format == "iso" else datetime.strptime(text, stamp_format)  # noqa: DTZ007
        aware = stamp.tzinfo is not None
        return ((stamp.astimezone(UTC) if aware else stamp.replace(tzinfo=UTC)) - _EPOCH) // _US, aware
    except (ValueError, OverflowError):
        return None


def _fixed_form(example: str, stamp_format: str) -> tuple[str | None, bool]:
    """The pattern of fixed width in which most of the column may be written, and whether it is in UTC."""
    if stamp_format != "iso":
        parts = re.findall(r"%(.)", stamp_format)
        fixed = set(parts) <= set(_WIDTHS) and len(parts) == len(set(parts)) and {"Y", "m", "d"} <= set(parts) and stamp_format.isascii()
        return (stamp_format if fixed else None), False
    return _ISO_FORMS.get((len(example), example[10:11]), (None, False))


def _read_fixed(texts: Sequence[str], form: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Stamps written exactly in a pattern of fixed width, all at once; `ok` is False for the others.

    A stamp is a row of character codes; each field is a few of its columns. About 50 times faster than strptime.
    """
    fields: dict[str, slice] = {}
    literals: list[tuple[int, str]] = []
    width = 0
    for part in re.findall(r"%.|[^%]", form):
        if part[0] == "%":
            fields[part[1]] = slice(width, width + _WIDTHS[part[1]])
            width += _WIDTHS[part[1]]
        else:
            literals.append((width, part))
            width += 1
    right_width = np.fromiter(map(len, texts), np.int64, len(texts)) == width
    codes = np.array([t if w else "" for t, w in zip(texts, right_width, strict=True)], f"U{width}").view(np.uint32).reshape(len(texts), width)
    ok = right_width.copy()
    for at, literal in literals:
        ok &= codes[:, at] == ord(literal)
    number: dict[str, NDArray[np.int64]] = {}
    for name, span in fields.items():
        digits = codes[:, span].astype(np.int64) - ord("0")
        ok &= ((digits >= 0) & (digits <= 9)).all(axis=1)
        number[name] = digits @ (10 ** np.arange(span.stop - span.start)[::-1])
    year, month, day = number["Y"], number["m"], number["d"]
    zero = np.zeros(len(texts), np.int64)
    hour, minute, second = (number.get(name, zero) for name in "HMS")
    ok &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (hour <= 23) & (minute <= 59) & (second <= 59)
    months = np.where(ok, (year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    length = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - first
    ok &= day <= length
    us = ((((first + day - 1) * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000
    return np.where(ok, us, 0), ok
