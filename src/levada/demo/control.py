"""Who switches the pumps when nobody plans: tank levels; and the plant's level switches, which override everybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from levada.demo.plant_settings import LevelRule, Protection

__all__ = ["by_rules", "protect"]

Speeds = dict[str, float]
"""Pump -> relative speed; 0 is off."""


def by_rules(rules: Mapping[str, LevelRule], level_m: Mapping[str, float], speed: Mapping[str, float]) -> Speeds:
    """What rule-based control does: a pump starts below one level of its tank, stops above another, and in between stays as it is."""
    result = {}
    for pump, now in speed.items():
        rule = rules.get(pump)
        if rule is None:
            result[pump] = 0.0
        elif level_m[rule.tank] < rule.on_below_m:
            result[pump] = rule.speed
        elif level_m[rule.tank] > rule.off_above_m:
            result[pump] = 0.0
        else:
            result[pump] = rule.speed if now > 0 else 0.0
    return result


def protect(
    protection: Iterable[Protection], level_m: Mapping[str, float], wanted: Mapping[str, float], tripped: frozenset[str]
) -> tuple[Speeds, frozenset[str]]:
    """What the pumps really do when they are wanted to run so. `tripped` are the switches that hold now, such as `Castelo low`.

    Returns speeds and the switches that hold afterwards. Off beats on: a pump that would drain one tank dry is not run to fill another.
    """
    held = set()
    on: set[str] = set()
    off: set[str] = set()
    for switch in protection:
        level = level_m[switch.tank]
        # Each switch: its name, how far the level is beyond it (m), the pumps, and what becomes of them.
        for name, beyond, pumps, then in (
            (f"{switch.tank} low", switch.low_m - level, switch.filled_by, on),
            (f"{switch.tank} dry", switch.dry_m - level, switch.drained_by, off),
            (f"{switch.tank} high", level - switch.high_m, switch.filled_by, off),
        ):
            if pumps and (beyond >= 0 or (name in tripped and beyond > -switch.back_m)):
                held.add(name)
                then.update(pumps)
    speeds = {pump: 0.0 if pump in off else (speed or 1.0) if pump in on else speed for pump, speed in wanted.items()}
    return speeds, frozenset(held)
