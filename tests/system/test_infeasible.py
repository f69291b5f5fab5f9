"""A problem that no schedule solves gets an answer all the same: a lower rung of the ladder, labelled, with each limit named and measured."""

import json
import shutil
from pathlib import Path

import pytest
from product import TINY, Product, now, tiny_history, wait_for

pytestmark = pytest.mark.system


def test_an_impossible_floor_gives_rules_with_the_limits_that_do_not_hold(product: Product, tmp_path: Path) -> None:
    folder = tmp_path / "impossible"
    shutil.copytree(TINY, folder)
    operation = json.loads((folder / "operation.json").read_text())
    operation["pressure_floors"] = [{"node": "VIL", "min_pressure_m": 60.0}]
    (folder / "operation.json").write_text(json.dumps(operation))
    token = product.add_tenant("impossible", folder)
    product.deliver("impossible", "scada_history.csv", tiny_history(25, now()))

    def current() -> dict[str, object] | None:
        status, body = product.http("/v1/tenants/impossible/plans/current", token)
        return body if status == 200 else None

    plan = wait_for("plan", current, 120)
    assert plan["ladder"] == "rules"
    assert "VIL" in str(plan["ladder_reason"])
    assert plan["lower_bound"] is None
    violations = plan["audit"]["violations"]  # type: ignore[index]
    assert any(v["limit"] == "pressure" and v["element"] == "VIL" and v["amount"] > 5 for v in violations)
