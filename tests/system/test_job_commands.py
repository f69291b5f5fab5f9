"""The commands about jobs on an installation of its own, without any part running: what a container or a person at a shell sees."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from product import Product

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    folder = Path(tempfile.mkdtemp(prefix="levada-jobs-"))
    folder.chmod(0o711)
    found = Product(folder)
    try:
        found.add_tenant("tiny")
        yield found
    finally:
        found.stop()
        shutil.rmtree(folder, ignore_errors=True)


def start(product: Product) -> str:
    return product.cli("runs", "start", "tiny").stdout.split()[0]


def state(product: Product, run_id: str) -> str:
    return next(r["state"] for r in json.loads(product.cli("runs", "list", "tiny", "--json").stdout) if r["id"] == run_id)


def test_a_draining_worker_tells_by_its_exit_code_what_became_of_the_jobs(product: Product) -> None:
    empty = product.cli("worker", "--drain", code=0)
    assert empty.stdout == "0 done, 0 failed, 0 to be tried again later\n"
    run_id = start(product)  # there are no readings yet
    failed = product.cli("worker", "--drain", code=3)
    assert failed.stdout == "0 done, 1 failed, 0 to be tried again later\n"
    assert state(product, run_id) == "failed"
    listed = product.cli("jobs", "dead").stdout
    assert run_id in listed
    assert "tank TNK has no level" in listed
    assert f"levada jobs retry tiny {run_id}" in listed
    (letter,) = json.loads(product.cli("jobs", "dead", "tiny", "--json").stdout)
    assert (letter["id"], letter["error"]["code"]) == (run_id, "input-gap")


def test_what_failed_is_tried_again_and_what_is_not_wanted_cancelled(product: Product) -> None:
    run_id = start(product)
    product.cli("worker", "--drain", code=3)
    assert product.cli("jobs", "retry", "tiny", run_id).stdout == f"{run_id} queued\n"
    assert state(product, run_id) == "queued"
    assert product.cli("runs", "cancel", "tiny", run_id).stdout == f"{run_id} cancelled\n"
    again = product.cli("runs", "cancel", "tiny", run_id, code=2)
    assert "is cancelled; only one that waits or is being computed can be cancelled" in again.stderr
    assert product.cli("worker", "--drain", code=0).stdout.startswith("1 done, 0 failed")
    assert "no run or dead job 'x'" in product.cli("jobs", "retry", "tiny", "x", code=2).stderr
