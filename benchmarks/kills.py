"""`kill -9` again and again under load: what becomes of the runs that were due.

`python -m benchmarks.kills [--kills 500] [--seed 1]` starts the whole product with two workers and a clock that runs 30 times as fast, has six
tiny utilities plan every quarter of an hour, and kills one of its processes after another: workers, what computes for them, timetable, pages, SFTP, and PostgreSQL. Then it waits
until nothing is left to do, and counts. Exits 1 where a run is stuck, was done twice, or a plan is missing,
2 where a run fails before anything was killed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "system"))
from product import Product, wait_for
from tests.runs import tiny

from levada.domain.errors import SetupError
from levada.domain.time import isoformat_z
from levada.serve import Settings, connect
from levada.store.database import Database
from levada.store.series import Delivery, add_readings

UTILITIES, RATE = 6, 30.0
PAUSE_S = (0.5, 2.5)
"""Between two kills."""
_SHOWN = 20
WEIGHTS = {"worker": 5, "computing": 3, "timetable": 2, "web": 1, "sftp": 1, "postgres": 2}


async def _fill(product: Product, start: datetime, hours: float) -> None:
    """Utilities whose readings of the time to come are there already: a plan reads none that is later than its issue time."""
    installation = await connect(Settings.from_environment(product.env))
    database = await Database.open(installation.app_url)
    timetable = {"entries": [{"kind": "plan", "cron": "*/15 * * * *"}], "plan_on_new_data": False}
    for i in range(UTILITIES):
        async with database.registry() as registry:
            from levada.store.tenants import create_tenant

            await create_tenant(registry, f"town-{i}", f"Town {i}")
        await tiny.put_in(database, f"town-{i}", start, timetable=timetable)
        ahead = tiny.readings(start + timedelta(hours=hours), days=hours / 24)
        async with database.tenant(f"town-{i}") as db:
            await add_readings(db, [Delivery(name, r.times, r.values, r.quality) for name, r in ahead.items()], start)
    await database.close()


def _victim(product: Product, rng: random.Random) -> tuple[str, psutil.Process] | None:
    kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    with suppress(psutil.Error, OSError, IndexError, ValueError):
        if kind == "postgres":
            return kind, product.postmaster()
        if kind == "computing":
            return kind, rng.choice([child for worker in product.children("worker") for child in worker.children()])
        return kind, rng.choice(product.children(kind))
    return None


async def _found(product: Product) -> tuple[Counter[str], int, int, list[str]]:
    """Runs by state; runs that are open; done runs; and what is wrong, in words."""
    installation = await connect(Settings.from_environment(product.env))
    database = await Database.open(installation.app_url)
    states, wrong, unfinished, done = Counter[str](), list[str](), 0, 0
    for i in range(UTILITIES):
        async with database.tenant(f"town-{i}") as db:
            runs = await (await db.raw.execute("SELECT run_id, state, due_at, error, history FROM levada.run")).fetchall()
            plans = Counter(row["run_id"] for row in await (await db.raw.execute("SELECT run_id FROM levada.plan")).fetchall())
        for run in runs:
            overtaken = any(entry["code"] == "overtaken" for entry in run["history"])
            states["overtaken" if overtaken else run["state"]] += 1
            unfinished += run["state"] in ("queued", "running")
            done += run["state"] == "done"
            if plans[run["run_id"]] != (run["state"] == "done"):
                wrong.append(f"run {run['run_id']} is {run['state']} and has {plans[run['run_id']]} plans")
            if run["state"] == "failed":
                wrong.append(f"run {run['run_id']} failed: {run['error'].get('message', run['error'])}")
        twice = [due for due, n in Counter(run["due_at"] for run in runs).items() if n > 1]
        wrong += [f"town-{i}: more than one run was made for {due}" for due in twice]
    await database.close()
    return states, unfinished, done, wrong


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    rng, folder = random.Random(options.seed), Path(tempfile.mkdtemp(prefix="levada-kills-"))
    folder.chmod(0o711)
    told = datetime(2026, 6, 3, 6, tzinfo=UTC)
    clock = f"{isoformat_z(told)} x{RATE:g} from {isoformat_z(datetime.now(UTC).replace(microsecond=0))}"
    product = Product(folder, extra_env={"LEVADA_CLOCK": clock, "LEVADA_WORKERS": "2"})
    killed: Counter[str] = Counter()
    try:
        product.start()
        asyncio.run(_fill(product, told, hours=12 + options.kills * sum(PAUSE_S) / 2 * RATE / 3600 * 2))

        def begun() -> tuple[Counter[str], int, int, list[str]] | None:
            seen = asyncio.run(_found(product))
            return seen if seen[2] or seen[3] else None

        _, _, done, wrong = wait_for("first run", begun, 180, 1.0)
        if not done:
            print(f"nothing was killed: without that already a run went wrong: {wrong[0]}")
            return 2
        began = time.monotonic()
        while killed.total() < options.kills:
            time.sleep(rng.uniform(*PAUSE_S))
            if (found := _victim(product, rng)) is not None:
                with suppress(psutil.Error):
                    found[1].kill()
                    killed[found[0]] += 1
        took = time.monotonic() - began

        def quiet() -> tuple[Counter[str], int, int, list[str]] | None:
            with suppress(SetupError, OSError, AssertionError):
                seen = asyncio.run(_found(product))
                # The clock goes on, and so do runs: at some moment none is older than a quarter of an hour.
                return seen if seen[1] <= UTILITIES else None
            return None

        states, unfinished, done, wrong = wait_for("quiet", quiet, 180, 1.0)
    finally:
        product.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"kills     {killed.total()} in {took:.0f} s: {json.dumps(dict(killed))}")
    print(f"runs      {json.dumps(dict(states))}; {done} done once each with one plan; {unfinished} of the present quarter of an hour still open; {len(wrong)} wrong")
    for text in wrong[:_SHOWN]:
        print(f"  {text}")
    if len(wrong) > _SHOWN:
        print(f"  and {len(wrong) - _SHOWN} more")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
