"""What a plan says of limits and switches reaches each reader in their language, units and hours."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from levada.domain.plan import Reason, ViolationReport
from levada.domain.pumping_terms import LIMITS
from levada.web.views.display import Display
from levada.web.views.language import LANGUAGES, WORDS
from levada.web.views.told import reason_words, violation_words

AT, UNTIL = datetime(2026, 7, 3, 5, 40, tzinfo=UTC), datetime(2026, 7, 3, 6, 15, tzinfo=UTC)


def d(language: str, flow_unit: str = "L/s") -> Display:
    return Display(language, {"pt": "Europe/Lisbon", "es": "Europe/Madrid", "en": "UTC"}[language], "EUR", flow_unit)


def violation(**changes: object) -> ViolationReport:
    body = {"limit": "reserve", "element": "T2", "at": AT, "until": UNTIL, "amount": 0.21, "unit": "m", "kind": "below", "text": "tank T2 is up to 0.21 m below its reserve"}
    return ViolationReport.model_validate({**body, **changes})


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "T2: below its reserve, by 0.21\u00a0m, from Fri 3 Jul 05:40 to 06:15"),
        ("pt", "T2: abaixo da reserva, em 0,21\u00a0m, de sex 3 jul 06:40 a 07:15"),
        ("es", "T2: por debajo de su reserva, en 0,21\u00a0m, de vie 3 jul 07:40 a 08:15"),
    ],
)
def test_a_limit_that_does_not_hold_is_told_in_the_reader_s_language_and_hours(language: str, said: str) -> None:
    assert violation_words(violation(), d(language)) == said


def test_amounts_have_the_reader_s_units_and_are_left_out_where_they_say_nothing() -> None:
    assert violation_words(violation(limit="flow", kind="above", amount=0.01, unit="m3/s", until=None), d("es", "m3/h")) == "T2: caudal por encima del máximo, en 36,0\u00a0m³/h, a las vie 3 jul 07:40"
    assert violation_words(violation(limit="on time", kind="17", amount=1800, unit="s", at=None, until=None), d("en")) == "T2: on for too short a time, by 30\u00a0min"
    assert violation_words(violation(limit="starts", kind="day 0", amount=2, unit="1", at=None, until=None), d("en")) == "T2: more starts than allowed in a day, by 2"
    assert violation_words(violation(limit="supply", kind="shut off", amount=0, unit="m3/s", at=None, until=None), d("pt")) == "T2: o consumo não é satisfeito"
    assert "inf" not in violation_words(violation(amount=float("inf")), d("en"))
    assert "3.0\u00a0mm" in violation_words(violation(amount=0.003), d("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_limit_has_its_words(language: str) -> None:
    assert all(f"limit.{limit}" in WORDS for limit in LIMITS)
    assert len({violation_words(violation(limit=limit, kind=""), d(language)) for limit in LIMITS}) == len(LIMITS)


WATER = {"price": 0.1, "mean_price": 0.12, "next_price": 0.15, "pumping_cost_per_m3": 0.021, "water_value_per_m3": 0.035, "level_m": 2.1, "min_level_m": 1.0, "max_level_m": 4.8}


def reason(**changes: object) -> Reason:
    body = {"pump": "P1", "time": AT, "action": "on", "text": "P1 starts: because", "figures": WATER, "cause": "water"}
    return Reason.model_validate({**body, **changes})


def test_why_a_pump_starts_is_told_by_what_water_costs_and_is_worth() -> None:
    said = reason_words(reason(figures={**WATER, "delay_cost": 1.5, "forbid_cost": 9.0}), d("es"))
    assert said == (
        "bombear un metro cúbico cuesta ahora 0,0210\u00a0€/m³, menos que los 0,0350\u00a0€/m³ que vale en el depósito; luego sube a 0,1500\u00a0€/kWh; "
        "un paso más tarde costaría 1,50\u00a0€ más; su depósito está a 2,10\u00a0m (1,00\u00a0m – 4,80\u00a0m)"
    )


def test_the_limit_that_would_fail_without_a_switch_is_told_before_what_it_would_cost() -> None:
    said = reason_words(reason(binding_limit="pressure", binding_element="N4", figures={**WATER, "delay_cost": 1.5}), d("en"))
    assert "else N4: its pressure limits are not kept" in said
    assert "would cost" not in said


@pytest.mark.parametrize(
    ("cause", "action", "figures", "said"),
    [
        ("out of service", "off", {}, "fora de serviço a partir daqui"),
        ("must run", "on", {}, "tem de funcionar a partir daqui"),
        ("price", "off", {"price": 0.2, "mean_price": 0.1, "next_price": 0.05}, "a energia custa agora 0,2000\u00a0€/kWh, acima da média de 0,1000\u00a0€/kWh; depois desce para 0,0500\u00a0€/kWh"),
        ("price", "on", {"price": -0.01, "mean_price": 0.1, "next_price": -0.01}, "a energia custa agora -0,0100\u00a0€/kWh, abaixo da média de 0,1000\u00a0€/kWh"),
        ("price", "on", {"price": 0.1, "mean_price": 0.1}, "a energia custa agora 0,1000\u00a0€/kWh, como em média"),
    ],
)
def test_each_cause_has_its_words(cause: str, action: str, figures: dict[str, float], said: str) -> None:
    assert reason_words(reason(cause=cause, action=action, figures=figures), d("pt")).replace("−", "-") == said


def test_a_plan_from_before_causes_were_told_keeps_its_text() -> None:
    assert reason_words(reason(cause=""), d("pt")) == "P1 starts: because"
