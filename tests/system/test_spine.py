"""The main job from outside: a file over SFTP to an audited plan by API and in the outbox, and what happens on the way when things go wrong."""

import csv
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from product import Product, now, tiny_history, wait_for

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def token(product: Product) -> str:
    return product.add_tenant("tiny")


@pytest.fixture(scope="module")
def plan(product: Product, token: str) -> dict[str, Any]:
    """The plan that follows from the first delivered history."""
    receipt = product.deliver("tiny", "scada_history.csv", tiny_history(30, now()))
    assert receipt["state"] == "taken"

    def current() -> dict[str, Any] | None:
        status, body = product.http("/v1/tenants/tiny/plans/current", token)
        return body if status == 200 else None

    return wait_for("plan", current, 120)


def test_delivered_history_becomes_a_plan_that_epanet_confirms(plan: dict[str, Any]) -> None:
    body = plan
    assert body["ladder"] == "new"
    assert body["audit"]["accepted"]
    assert body["audit"]["cost"] == pytest.approx(body["cost"], rel=1e-3)
    assert 0 < body["certificate"]["lower_bound"] <= body["cost"]
    for tank in body["tanks"]:
        # Tanks reach their limits at whole seconds, as in EPANET: a second of inflow is less than a millimetre here.
        assert min(tank["level_m"]) >= tank["min_level_m"] - 1e-3
        assert max(tank["level_m"]) <= tank["max_level_m"] + 1e-3


def test_the_plan_is_in_the_outbox_as_the_api_tells_it(product: Product, plan: dict[str, Any], tmp_path: Path) -> None:
    path = wait_for("plan file", lambda: next(iter((product.folder / "data/sftp/tiny/outbox").glob("plan_current.csv")), None))
    local = tmp_path / "plan.csv"
    assert product.sftp("tiny", f"get outbox/{path.name} {local}").returncode == 0
    lines = local.read_text().splitlines()
    rows = list(csv.DictReader((line for line in lines if not line.startswith("#")), delimiter=";"))
    body = plan
    assert len(rows) == len(body["step_starts"])
    for pump in body["pumps"]:
        assert [row[f"{pump['name']}.on"] in ("1", "true") for row in rows] == pump["on"]


def test_a_run_is_replayed_identical(product: Product, plan: dict[str, Any]) -> None:
    run = next(r for r in json.loads(product.cli("runs", "list", "tiny", "--json").stdout) if r["state"] == "done")
    assert product.cli("replay", "tiny", run["id"]).stdout.strip() == "identical"


def test_an_exported_run_is_computed_from_its_file_alone(product: Product, plan: dict[str, Any], tmp_path: Path) -> None:
    run = next(r for r in json.loads(product.cli("runs", "list", "tiny", "--json").stdout) if r["state"] == "done")
    product.cli("runs", "export", "tiny", run["id"], "--out", str(tmp_path / "a.bundle"))
    product.cli("run", str(tmp_path / "a.bundle"), "--out", str(tmp_path / "result.json"))
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["plan"]["cost"] > 0


def test_one_trace_goes_from_the_closed_upload_to_the_published_plan(product: Product, plan: dict[str, Any]) -> None:
    def complete() -> bool:
        spans = [json.loads(line) for line in product.log.read_text().splitlines() if '"event": "span"' in line and line.startswith("{")]
        names: dict[str, set[str]] = {}
        for span in spans:
            names.setdefault(span["trace_id"], set()).add(span["name"])
        wanted = {"intake.upload_closed", "run.freeze", "run.compute", "run.store", "publish.plan_file"}
        return any(wanted <= found for found in names.values())

    wait_for("trace with all its spans", complete, 30)


def test_a_malformed_file_is_answered_in_its_receipt_and_its_good_rows_are_taken(product: Product, plan: dict[str, Any]) -> None:
    at = now() - timedelta(days=40)
    text = f"time;TNK_LEVEL;VILLAGE_FLOW;PU1_ON;PU2_ON\n{at:%Y-%m-%dT%H:%M:%SZ};2.5;11.0;0;0\nyesterday;2.5;11.0;0;0\n{at + timedelta(minutes=15):%Y-%m-%dT%H:%M:%SZ};2.5;eleven;0;0\n"
    receipt = product.deliver("tiny", "scada_bad.csv", text)
    assert receipt["state"] == "partly"
    told = json.dumps(receipt)
    assert "yesterday" in told
    assert "eleven" in told
    assert "VILLAGE_FLOW" in told


def test_the_same_file_twice_changes_nothing(product: Product, plan: dict[str, Any]) -> None:
    text = tiny_history(0.1, now() - timedelta(days=45))
    assert product.deliver("tiny", "scada_once.csv", text)["state"] == "taken"
    assert product.deliver("tiny", "scada_again.csv", text)["state"] == "duplicate"


def test_a_stranger_s_key_and_paths_outside_the_folder_are_refused(product: Product, token: str, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
    done = product.sftp("tiny", "ls", key=stranger)
    assert done.returncode != 0
    assert "Permission denied" in done.stderr
    for command in ("get ../../../../etc/passwd /tmp/never", "ls /../..", "put /etc/hostname ../other.csv", "rename inbox ../inbox2", "ln -s /etc/passwd inbox/p"):
        done = product.sftp("tiny", command)
        if command.startswith("ls"):
            assert "etc" not in done.stdout.split()
        else:
            assert done.returncode != 0, command


def test_another_utility_s_token_and_sql_role_see_nothing_of_the_first(product: Product, plan: dict[str, Any]) -> None:
    other = product.add_tenant("other")
    assert product.http("/v1/tenants/tiny/plans/current", other)[0] == 404
    assert product.http("/v1/tenants/tiny/runs", other)[0] == 404
    assert product.http("/v1/tenants/other/plans/current", other)[0] == 404
    assert product.http("/v1/tenants/tiny/plans/current")[0] == 401


def test_an_operator_s_token_starts_a_run(product: Product, token: str, plan: dict[str, Any]) -> None:
    status, body = product.http("/v1/tenants/tiny/runs", token, "POST")
    assert status == 202
    run_id = body["run_id"]
    wait_for("finished run", lambda: product.http(f"/v1/tenants/tiny/runs/{run_id}", token)[1].get("state") == "done", 60)


def test_status_tells_how_it_stands(product: Product, plan: dict[str, Any]) -> None:
    document = json.loads(product.cli("status", "--json", code=None).stdout)
    tiny = next(t for t in document["tenants"] if t["id"] == "tiny")
    assert tiny["data_age_s"] < 3600
    assert tiny["plan"]["lower_bound"] <= tiny["plan"]["cost"]
    assert document["workers"]


def test_a_broken_network_is_refused_with_its_line(product: Product, tmp_path: Path) -> None:
    source = (Path(__file__).parent / "tiny" / "network.inp").read_text()
    broken = tmp_path / "broken.inp"
    broken.write_text(source.replace(" P3   MID   VIL   600", " P3   MID   NOWHERE   600"))
    done = product.cli("network", "check", str(broken), code=2)
    assert "NOWHERE" in done.stderr
    assert "Traceback" not in done.stderr
