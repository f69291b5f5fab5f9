"""A drawing of how a solve closes in: the gap between cost and bound over seconds, as an SVG text. No plotting library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

__all__ = ["GapPoint", "gap_plot"]

_WIDTH, _HEIGHT = 640, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 44, 44
_LEAST, _MOST = 1e-5, 1.0
"""Gaps drawn, as fractions; a gap of 0 lies on the lower edge."""


@dataclass(frozen=True, slots=True)
class GapPoint:
    """Cost and bound at a moment; None where there is none yet."""

    seconds: float
    cost: float | None
    bound: float | None

    @property
    def gap(self) -> float | None:
        """(cost - bound) / |cost|, at least 0."""
        if self.cost is None or self.bound is None or self.cost == 0:
            return None
        return max((self.cost - self.bound) / abs(self.cost), 0.0)


def gap_plot(title: str, points: list[GapPoint], note: str = "") -> str:
    """The SVG of a case: a line of steps, gap on a logarithmic scale over seconds. Points without a gap only stretch the time axis."""
    until = _round_up(max((p.seconds for p in points), default=1.0))
    decades = [_LEAST * 10**i for i in range(round(math.log10(_MOST / _LEAST)) + 1)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}: gap over time</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="18" font-size="14" fill="#222">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="35" fill="#666">{escape(note)}</text>',
    ]
    for gap in decades:
        y = _y(gap)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#666">{100 * gap:g} %</text>')
    for i in range(6):
        seconds = until * i / 5
        parts.append(f'<text x="{_x(seconds, until):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle" fill="#666">{seconds:g}</text>')
    parts.append(f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle" fill="#666">seconds</text>')
    known = [(p.seconds, p.gap) for p in points if p.gap is not None]
    if known:
        corners = [(_x(known[0][0], until), _y(known[0][1]))]
        for seconds, gap in known[1:]:
            x = _x(seconds, until)
            corners += [(x, corners[-1][1]), (x, _y(gap))]
        corners.append((_x(points[-1].seconds, until), corners[-1][1]))
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#0b6e99" stroke-width="2"/>')
    else:
        parts.append(f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT / 2:.0f}" text-anchor="middle" fill="#a33">no gap: a schedule or a bound is missing</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(seconds: float, until: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / until


def _y(gap: float) -> float:
    share = math.log(min(max(gap, _LEAST), _MOST) / _LEAST) / math.log(_MOST / _LEAST)
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def _round_up(seconds: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    if seconds <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(seconds))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= seconds - 1e-12)
