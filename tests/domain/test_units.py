import pytest

from levada.domain.errors import UnitError
from levada.domain.units import SPECIFIC_WEIGHT_N_PER_M3, Quantity, factor_to_si, si_unit, units_of


@pytest.mark.parametrize(
    ("quantity", "unit", "si"),
    [
        (Quantity.FLOW, "L/s", 0.001), (Quantity.FLOW, "m3/h", 1 / 3600), (Quantity.FLOW, "[gal_us]/min", 6.30901964e-5),
        (Quantity.ENERGY, "kW.h", 3.6e6), (Quantity.LEVEL, "[ft_i]", 0.3048), (Quantity.PRESSURE, "[psi]", 0.7034),
    ],
)  # fmt: skip
def test_units_have_the_factors_of_the_books(quantity: Quantity, unit: str, si: float) -> None:
    assert factor_to_si(quantity, unit) == pytest.approx(si, rel=1e-4)


def test_each_quantity_has_its_inside_unit_first() -> None:
    for quantity in Quantity:
        assert factor_to_si(quantity, si_unit(quantity)) == 1.0
        assert si_unit(quantity) == units_of(quantity)[0]


def test_a_unit_of_another_quantity_is_refused_with_those_that_fit() -> None:
    with pytest.raises(UnitError, match=r"unit 'kW' does not measure flow; use one of m3/s, L/s"):
        factor_to_si(Quantity.FLOW, "kW")


def test_the_weight_of_water_is_near_the_physical_one() -> None:
    assert pytest.approx(999.6 * 9.80665, rel=1e-3) == SPECIFIC_WEIGHT_N_PER_M3
