"""The running product from outside: how long from a closed file to queryable readings and to a published plan; load; memory.

The peers of the older system (InfluxDB, Celery) need servers of their own; this case prints only our figures, with the ratio to
what the issue or the operation asks for where there is such a figure. Uses the tiny utility of the system tests.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "system"))
from product import Product, now, tiny_history, wait_for

FILES = 20
HISTORY_DAYS = 365


def _percentiles(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"p50 {statistics.median(ordered):6.2f} s   p95 {ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]:6.2f} s   n={len(ordered)}"


def _newest(product: Product, token: str, start: str, end: str) -> int:
    status, body = product.http(f"/v1/tenants/tiny/series/tank.TNK.level/readings?start={start}&end={end}", token)
    return len(body["times"]) if status == 200 else 0


def _memory(product: Product, label: str) -> None:
    assert product.process is not None
    root = psutil.Process(product.process.pid)
    rows = [("serve", root)]
    for part in ("web", "sftp", "timetable", "worker"):
        for process in product.children(part):
            rows.append((part, process))
            rows += [(f"{part} (computing)", child) for child in process.children(recursive=True)]
    postmaster = product.postmaster()
    rows += [("postgres", process) for process in (postmaster, *postmaster.children(recursive=True))]
    totals: dict[str, float] = {}
    for name, process in rows:
        try:
            info = process.memory_full_info()
        except psutil.Error:
            continue
        totals[name] = totals.get(name, 0.0) + info.pss / 1e6
    print(f"memory {label:8} " + "  ".join(f"{name} {mb:.0f} MB" for name, mb in totals.items()) + f"  = {sum(totals.values()):.0f} MB (PSS)", flush=True)


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="levada-bench-"))
    product = Product(folder)
    try:
        began = time.perf_counter()
        product.start()
        print(f"start to ready                 {time.perf_counter() - began:6.2f} s", flush=True)
        token = product.add_tenant("tiny")
        _memory(product, "idle")

        until = now()
        text = tiny_history(HISTORY_DAYS, until)
        rows = text.count("\n") - 1
        (folder / "scada_load.csv").write_text(text)
        began = time.perf_counter()
        assert product.sftp("tiny", f"put {folder / 'scada_load.csv'} inbox/scada_load.csv").returncode == 0
        receipt = product.receipt("tiny", "scada_load.csv", 300)
        seconds = time.perf_counter() - began
        assert receipt["state"] == "taken", receipt
        print(f"history load                   {rows / seconds:8,.0f} rows/s  {4 * rows / seconds:10,.0f} values/s  ({rows:,} rows of 4 values in {seconds:.1f} s, upload and receipt included)", flush=True)

        def plans() -> list[dict[str, str]]:
            status, body = product.http("/v1/tenants/tiny/plans?limit=500", token)
            return body["plans"] if status == 200 else []

        wait_for("first plan", plans, 120)
        _memory(product, "at work")

        queryable, planned = [], []
        for i in range(FILES):
            at = until + timedelta(minutes=15 * (i + 1)) - timedelta(days=366 + i)
            stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
            end = (at + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
            path = folder / f"scada_one_{i}.csv"
            path.write_text(f"time;TNK_LEVEL;VILLAGE_FLOW;PU1_ON;PU2_ON\n{stamp};2.5;{11 + i / 100};0;0\n")
            assert product.sftp("tiny", f"put {path} inbox/{path.name}").returncode == 0
            began = time.perf_counter()
            wait_for("readings", lambda stamp=stamp, end=end: _newest(product, token, stamp, end), 30, 0.01)
            queryable.append(time.perf_counter() - began)
            before = len(plans())
            began = time.perf_counter()
            status, _ = product.http("/v1/tenants/tiny/runs", token, "POST")
            assert status == 202
            wait_for("plan", lambda before=before: len(plans()) > before, 60, 0.02)
            planned.append(time.perf_counter() - began)
        print(f"file closed -> queryable       {_percentiles(queryable)}   (from the moment the client has ended)", flush=True)
        print(f"run asked for -> plan published {_percentiles(planned)}", flush=True)
        _memory(product, "after")
    finally:
        product.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
