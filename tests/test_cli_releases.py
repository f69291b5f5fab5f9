"""`levada release` and `levada usage` from outside, on a real installation."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.conftest import Installation
from tests.runs import tiny
from tests.runs.working import Published, ask, drain

from levada.runs.contender import this_version
from levada.store.database import Database

PRICES = 'currency = "EUR"\nrun = 2.5\n'


@pytest.fixture(scope="module")
def levada(installation: Installation, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("cli")
    env = {
        **os.environ, "LEVADA_DATABASE_URL": installation.admin_url, "LEVADA_DATA_DIR": str(folder / "data"), "LEVADA_LOG": "json",
        "LEVADA_CLOCK": f"{tiny.NOW:%Y-%m-%dT%H:%M:%SZ} x0.0001 from {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }  # fmt: skip

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "levada", *arguments], env=env, capture_output=True, text=True, check=False, timeout=60, cwd=folder)

    return call


def test_a_candidate_is_named_tried_promoted_and_rolled_back(levada, installation: Installation) -> None:  # type: ignore[no-untyped-def]
    tenant, own = installation.new_tenant(), this_version().name
    for arguments, expected in (
        (("candidate", "9.9.9+next", tenant, "--max-worse", "1"), f"{tenant}: stable, stable {own}, candidate 9.9.9+next"),
        (("shadow", tenant), f"{tenant}: shadow, stable {own}, candidate 9.9.9+next"),
        (("canary", tenant), f"{tenant}: canary, stable {own}, candidate 9.9.9+next"),
        (("promote", tenant), f"{tenant}: stable, stable 9.9.9+next, candidate none"),
        (("rollback", tenant), f"{tenant}: stable, stable {own}, candidate none"),
    ):
        done = levada("release", *arguments)
        assert (done.returncode, done.stdout.strip()) == (0, expected), done.stderr
        assert ("no worker serves 9.9.9+next at present" in done.stderr) is (arguments[0] in ("shadow", "canary", "promote"))
    shown = levada("release", "show")
    assert f"{tenant}" in shown.stdout
    assert "rolled back from 9.9.9+next by command line" in shown.stdout
    told = json.loads(levada("release", "show", "--json").stdout)["tenants"][tenant]
    assert (told["mode"], told["previous_stable"], told["max_worse"], told["compared"]) == ("stable", "9.9.9+next", 0.01, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("promote",), "name utilities, or say --all"), (("canary", "nowhere"), "there is no utility 'nowhere'"), (("shadow", "TENANT"), "TENANT: there is no candidate; name one")],
)  # fmt: skip
def test_wrong_requests_say_what_is_wrong(levada, installation: Installation, arguments: tuple[str, ...], said: str) -> None:  # type: ignore[no-untyped-def]
    tenant = installation.new_tenant()
    done = levada("release", *(a.replace("TENANT", tenant) for a in arguments))
    assert done.returncode == 2
    assert said.replace("TENANT", tenant) in done.stderr



def test_what_a_run_has_taken_is_told_by_utility_and_in_money(levada, installation: Installation, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tenant = installation.new_tenant()

    async def run() -> None:
        database = await Database.open(installation.app_url)
        try:
            await tiny.put_in(database, tenant)
            await ask(database, tenant)
            await drain(database, installation, Published())
        finally:
            await database.close()

    asyncio.run(run())
    (tmp_path / "prices.toml").write_text(PRICES)
    (row,) = csv.DictReader(levada("usage", "--tenant", tenant, "--prices", str(tmp_path / "prices.toml"), "--csv").stdout.splitlines())
    assert (row["day"], row["kind"], row["cause"], row["runs"], row["failed"]) == ("2026-06-03", "plan", "operator", "1", "0")
    assert float(row["money_EUR"]) == 2.5
    assert float(row["cpu_s"]) > 0
    assert float(row["bytes_read"]) > 10_000
    assert float(row["bytes_written"]) > 100
    text = levada("usage", "--tenant", tenant, "--prices", str(tmp_path / "prices.toml"))
    assert tenant in text.stdout
    assert "2.50" in text.stdout
    nothing = levada("usage", "--tenant", tenant, "--to", "2020-01-01", "--from", "2020-01-01")
    assert "no run has ended from 2020-01-01 to 2020-01-01" in nothing.stdout
    assert levada("usage", "--from", "2026-07-01", "--to", "2026-06-01").returncode == 2
