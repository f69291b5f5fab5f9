"""Rules on tank levels, and the plant's own switches that override everybody."""

from hypothesis import given
from hypothesis import strategies as st

from levada.demo.control import by_rules, protect
from levada.demo.plant_settings import LevelRule, Protection

RULES = {"p": LevelRule(tank="t", on_below_m=2.0, off_above_m=4.0, speed=0.9)}
GUARD = Protection(tank="t", filled_by=("p",), drained_by=("booster",), low_m=1.0, dry_m=0.8, high_m=5.0, back_m=0.5)


def test_a_pump_starts_low_stops_high_and_stays_as_it_is_in_between() -> None:
    assert by_rules(RULES, {"t": 1.9}, {"p": 0.0}) == {"p": 0.9}
    assert by_rules(RULES, {"t": 4.1}, {"p": 0.9}) == {"p": 0.0}
    assert by_rules(RULES, {"t": 3.0}, {"p": 0.9}) == {"p": 0.9}
    assert by_rules(RULES, {"t": 3.0}, {"p": 0.0}) == {"p": 0.0}


def test_a_pump_without_a_rule_stands_still() -> None:
    assert by_rules(RULES, {"t": 1.0}, {"q": 1.0}) == {"q": 0.0}


def test_a_low_tank_starts_what_fills_it_until_it_has_recovered() -> None:
    speed, held = protect([GUARD], {"t": 0.9}, {"p": 0.0, "booster": 0.85}, frozenset())
    assert (speed, held) == ({"p": 1.0, "booster": 0.85}, {"t low"})
    speed, held = protect([GUARD], {"t": 1.4}, {"p": 0.0, "booster": 0.85}, held)
    assert (speed, held) == ({"p": 1.0, "booster": 0.85}, {"t low"})
    speed, held = protect([GUARD], {"t": 1.6}, {"p": 0.0, "booster": 0.85}, held)
    assert (speed, held) == ({"p": 0.0, "booster": 0.85}, frozenset())


def test_a_dry_tank_stops_what_drains_it_until_it_has_recovered() -> None:
    speed, held = protect([GUARD], {"t": 0.7}, {"p": 1.0, "booster": 0.85}, frozenset())
    assert (speed, held) == ({"p": 1.0, "booster": 0.0}, {"t low", "t dry"})
    assert protect([GUARD], {"t": 1.2}, {"p": 1.0, "booster": 0.85}, held)[0]["booster"] == 0.0
    assert protect([GUARD], {"t": 1.35}, {"p": 1.0, "booster": 0.85}, held)[0]["booster"] == 0.85


def test_a_full_tank_stops_what_fills_it() -> None:
    assert protect([GUARD], {"t": 5.0}, {"p": 1.0, "booster": 1.0}, frozenset()) == ({"p": 0.0, "booster": 1.0}, {"t high"})


@given(
    st.floats(-1, 7), st.floats(-1, 7), st.dictionaries(st.sampled_from(["p", "booster"]), st.floats(0.5, 1.2) | st.just(0.0), min_size=2),
    st.frozensets(st.sampled_from(["t low", "t dry", "t high", "u low", "u high"])),
)  # fmt: skip
def test_no_pump_runs_from_an_empty_tank_or_into_a_full_one(t: float, u: float, wanted: dict[str, float], tripped: frozenset[str]) -> None:
    upper = Protection(tank="u", filled_by=("booster",), low_m=1.0, high_m=5.0)
    speed, _ = protect([GUARD, upper], {"t": t, "u": u}, wanted, tripped)
    assert not (t <= 0.8 and speed["booster"] > 0)
    assert not (u >= 5.0 and speed["booster"] > 0)
    assert not (t >= 5.0 and speed["p"] > 0)
