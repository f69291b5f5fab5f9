"""What a plan says of its switches and of limits that do not hold, in the words, units and hours of whoever reads it."""

from __future__ import annotations

import math
from datetime import timedelta

from levada.domain.plan import Reason, ViolationReport
from levada.web.views.display import Display
from levada.web.views.language import WORDS

__all__ = ["limit_words", "reason_words", "violation_words"]

_RISES = 1.02
"""A price that changes by less than two parts in a hundred is told as no change."""


def limit_words(limit: str, kind: str, d: Display) -> str:
    """What of a limit does not hold: of its kind where there are words for that, else of the limit."""
    return d.t(f"limit.{limit}.{kind}" if f"limit.{limit}.{kind}" in WORDS else f"limit.{limit}")


def violation_words(v: ViolationReport, d: Display) -> str:
    """A limit that does not hold: where, what, by how much and when."""
    what = limit_words(v.limit, v.kind, d)
    if (amount := _amount(v, d)) is not None:
        what = d.t("limit.by", what=what, amount=amount)
    if v.at is not None and v.until is not None and v.until - v.at >= timedelta(minutes=1):
        what = d.t("limit.span", what=what, at=d.local.stamp(v.at), until=d.local.near(v.until, v.at))
    elif v.at is not None:
        what = d.t("limit.at", what=what, at=d.local.stamp(v.at))
    return f"{v.element}: {what}"


def _amount(v: ViolationReport, d: Display) -> str | None:
    """By how much, in the reader's units; None where that says nothing."""
    if not math.isfinite(v.amount) or v.amount <= 0:
        return None
    match v.unit:
        case "m":
            return d.level(v.amount) if v.amount >= 0.01 else f"{d.number(v.amount * 1000, 1)}\u00a0mm"
        case "m3/s":
            return d.flow(v.amount)
        case "kW":
            return d.power(v.amount * 1000)
        case "s":
            return d.duration(timedelta(seconds=v.amount))
        case "m3":
            return f"{d.number(v.amount, 1)}\u00a0m³"
        case "kg":
            return f"{d.number(v.amount, 1)}\u00a0kg"
        case _:
            return d.number(v.amount, 0) if v.limit in ("starts", "simultaneous starts") else None


def reason_words(reason: Reason, d: Display) -> str:
    """Why a pump is switched. A plan from before causes were told has its text in English only."""
    if not reason.cause:
        return reason.text
    figures = reason.figures
    said = [_cause(reason, d)]
    if reason.cause in ("water", "price"):
        price, following = figures["price"], figures.get("next_price", figures["price"])
        if reason.action == "on" and following > max(price * _RISES, price):
            said.append(d.t("reason.rises", price=d.price(following)))
        if reason.action == "off" and following < min(price / _RISES, price):
            said.append(d.t("reason.falls", price=d.price(following)))
        if reason.binding_limit:
            said.append(d.t("reason.binding", element=reason.binding_element, limit=limit_words(reason.binding_limit, "", d)))
        else:
            said += [d.t(f"reason.{way}", amount=d.money(figures[f"{way}_cost"])) for way in ("delay", "forbid") if figures.get(f"{way}_cost", 0.0) >= 0.01][:1]
    if "level_m" in figures:
        said.append(d.t("reason.level", level=d.level(figures["level_m"]), low=d.level(figures["min_level_m"]), high=d.level(figures["max_level_m"])))
    return "; ".join(said)


def _cause(reason: Reason, d: Display) -> str:
    figures = reason.figures
    if reason.cause == "water":
        cost, worth = figures["pumping_cost_per_m3"], figures["water_value_per_m3"]
        return d.t(f"reason.water.{'less' if cost < worth else 'more'}", cost=d.money_of_water(cost), worth=d.money_of_water(worth))
    if reason.cause == "price":
        price, mean = figures["price"], figures["mean_price"]
        side = "below" if price < mean else "above" if price > mean else "at"
        return d.t(f"reason.price.{side}", price=d.price(price), mean=d.price(mean))
    return d.t(f"reason.{reason.cause}")
