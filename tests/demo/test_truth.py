"""The plant's truth differs from the model, by bounded amounts, and never changes."""

from typing import cast

import pytest

from levada.demo.plant_settings import read_plant_settings
from levada.demo.truth import PUMP_HEAD_FACTORS, PUMP_POWER_FACTORS, ROUGHNESS_FACTORS, Truth, draw_truth
from levada.demo.utilities import DemoUtility, list_utilities
from levada.domain.settings import Operation, read_document
from levada.hydraulics.inp import read_network


def draw(utility: DemoUtility, seed: int | None = None) -> Truth:
    operation = cast(Operation, read_document("operation", utility.documents["operation"]))
    return draw_truth(read_network(utility.inp, utility.network_name), operation, read_plant_settings(utility.folder).seed if seed is None else seed)


each = pytest.mark.parametrize("utility", list_utilities(), ids=lambda u: u.tenant_id)


@each
def test_each_figure_is_off_and_none_by_more_than_it_may_be(utility: DemoUtility) -> None:
    truth = draw(utility)
    for factors, (low, high) in ((truth.pump_head, PUMP_HEAD_FACTORS), (truth.pump_power, PUMP_POWER_FACTORS), (truth.roughness, ROUGHNESS_FACTORS)):
        assert all(low <= f <= high and f != 1.0 for f in factors.values())
    assert len(truth.roughness) > 30


@each
def test_customers_are_not_quite_where_the_model_has_them(utility: DemoUtility) -> None:
    network = read_network(utility.inp, utility.network_name)
    base = {j.name: j.base_demand_m3_per_s for j in network.junctions}
    for shares in draw(utility).share.values():
        assert sum(shares.values()) == pytest.approx(1.0)
        of_model = {j: base[j] / sum(base[k] for k in shares) for j in shares}
        assert all(0.3 < shares[j] / of_model[j] < 3 for j in shares)
        assert len(shares) == 1 or any(abs(shares[j] / of_model[j] - 1) > 0.05 for j in shares)


@each
def test_the_truth_is_the_same_for_ever(utility: DemoUtility) -> None:
    assert draw(utility) == draw(utility)
    assert draw(utility) != draw(utility, seed=99)
