"""Jobs and runs: latency and throughput of the queue beside Celery with Redis, takeover after `kill -9`, cold start, a backtest, many tenants.

`python -m benchmarks.runs [queue] [takeover] [cold] [backtest] [tenants] [--days 100] [--tenants 200] [--minutes 20]`; all parts where none is named.
The peer is installed into build/peer (its versions are pinned below) and needs Debian's redis-server on the PATH; where either cannot be
had that is said and our figures stand alone. Redis runs with its append-only file, synced each second (its default); ours commits to disk at each job.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg

from levada.domain.run import Cause, RunKind
from levada.domain.time import floor_to
from levada.runs.backtest import Asked, TriedDay, backtest, days_known
from levada.runs.backtest_report import totals, water_value_per_m3
from levada.runs.contender import this_version
from levada.store import embedded
from levada.store.database import Database
from levada.store.jobs import enqueue
from levada.store.migrate import app_url, migrate, worker_url
from levada.store.runs import request_run
from levada.store.series import Delivery, add_readings
from levada.store.tenants import create_tenant

ROOT = Path(__file__).resolve().parent.parent
PEER = ["celery[redis]==5.7.0"]
NOOPS, PACED, PACE_S = 3000, 300, 0.02


# --- what is measured with ------------------------------------------------------------------------------------------------


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(seconds)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


@contextmanager
def _installation() -> Iterator[tuple[str, Path]]:
    """The keeper's address of an embedded PostgreSQL of its own, and a folder."""
    folder = Path(tempfile.mkdtemp(prefix="levada-bench-"))
    folder.chmod(0o711)
    try:
        url = asyncio.run(embedded.start(folder / "database"))
        asyncio.run(migrate(url))
        yield url, folder
    finally:
        asyncio.run(embedded.forget(folder / "database"))
        shutil.rmtree(folder, ignore_errors=True)


def noop_worker(app: str, queue: str, notes: str) -> None:
    """A worker whose jobs only note when they began; in a process of its own."""
    from levada.clock import REAL_TIME
    from levada.runs.worker import work

    async def handle(_database: Database, args: dict[str, Any], _now: datetime) -> None:
        with Path(notes).open("a") as out:
            out.write(f"{args['number']} {time.time()} {os.getpid()}\n")
        await asyncio.sleep(args["hold_s"])

    async def serve() -> None:
        database = await Database.open(app)
        await work(database, queue, REAL_TIME, drain=False, handlers={"noop": handle}, on_ready=Path(f"{notes}.ready-{os.getpid()}").touch)

    asyncio.run(serve())


def _start_noop(url: str, notes: Path) -> subprocess.Popen[bytes]:
    code = f"from benchmarks.runs import noop_worker; noop_worker({app_url(url)!r}, {worker_url(url)!r}, {str(notes)!r})"
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _until(lambda: Path(f"{notes}.ready-{worker.pid}").exists())
    return worker


def _until(done: Callable[[], bool], timeout_s: float = 300.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("nothing came of it")
        time.sleep(0.01)


def _noted(notes: Path) -> dict[int, tuple[float, int]]:
    """Number -> when it began first and in which process."""
    found: dict[int, tuple[float, int]] = {}
    for line in notes.read_text().splitlines() if notes.exists() else []:
        number, at, pid = line.split()
        found.setdefault(int(number), (float(at), int(pid)))
    return found


# --- the queue ------------------------------------------------------------------------------------------------------------


def _measured(put: Callable[[int], float], notes: Path) -> tuple[float, float, float]:
    """p50 and p95 from asked to begun, s, jobs coming one by one; then jobs/s when they come all at once."""
    asked = {}
    for number in range(PACED):
        asked[number] = put(number)
        time.sleep(PACE_S)
    _until(lambda: len(_noted(notes)) == PACED)
    p50, p95 = _percentiles([at - asked[number] for number, (at, _) in _noted(notes).items()])
    began = time.time()
    for number in range(PACED, PACED + NOOPS):
        put(number)
    _until(lambda: len(_noted(notes)) == PACED + NOOPS)
    return p50, p95, NOOPS / (max(at for at, _ in _noted(notes).values()) - began)


def queue() -> None:
    with _installation() as (url, folder):
        notes = folder / "noops"
        worker = _start_noop(url, notes)
        with asyncio.Runner() as runner:
            database = runner.run(Database.open(app_url(url)))

            async def tenant() -> None:
                async with database.registry() as registry:
                    await create_tenant(registry, "noop", "No-op")

            async def put_one(number: int) -> None:
                async with database.tenant("noop") as db:
                    await enqueue(db, "noop", {"number": number, "hold_s": 0})

            runner.run(tenant())

            def put(number: int) -> float:
                runner.run(put_one(number))
                return time.time()

            ours = _measured(put, notes)
            runner.run(database.close())
        worker.kill()
    print(f"queue     ours            asked -> begun p50 {ours[0] * 1e3:7.1f} ms  p95 {ours[1] * 1e3:7.1f} ms   {ours[2]:7.0f} jobs/s (put in one by one, each committed)", flush=True)
    theirs = _celery(_measured)
    if theirs is not None:
        print(f"queue     Celery + Redis  asked -> begun p50 {theirs[0] * 1e3:7.1f} ms  p95 {theirs[1] * 1e3:7.1f} ms   {theirs[2]:7.0f} jobs/s")
        print(f"queue     ours / theirs   {ours[0] / theirs[0]:.2f} (p50)  {ours[1] / theirs[1]:.2f} (p95)  {ours[2] / theirs[2]:.2f} (jobs/s)", flush=True)


_TASKS = """
import os, time
from celery import Celery
app = Celery("peer", broker=os.environ["PEER_BROKER"])
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, task_ignore_result=True)
@app.task
def noop(number):
    with open(os.environ["PEER_NOTES"], "a") as out:
        out.write(f"{number} {time.time()} {os.getpid()}\\n")
"""
_PUT = """
import sys, time, tasks
for line in sys.stdin:
    tasks.noop.delay(int(line))
    print(time.time(), flush=True)
"""


def _celery(measure: Callable[[Callable[[int], float], Path], tuple[float, float, float]]) -> tuple[float, float, float] | None:
    peer, server = ROOT / "build" / "peer", shutil.which("redis-server")
    if server is None:
        print("queue     NO PEER: redis-server is not on the PATH (Debian's package redis-server)", file=sys.stderr)
        return None
    if not (peer / "bin" / "celery").exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(peer)], check=False).returncode or subprocess.run([peer / "bin" / "pip", "install", "-q", *PEER], check=False).returncode
        if made:
            print("queue     NO PEER: celery could not be installed", file=sys.stderr)
            return None
    folder = Path(tempfile.mkdtemp(prefix="levada-peer-"))
    (folder / "tasks.py").write_text(_TASKS)
    port, notes = 16379, folder / "noops"
    env = {**os.environ, "PEER_BROKER": f"redis://127.0.0.1:{port}/0", "PEER_NOTES": str(notes), "C_FORCE_ROOT": "1"}
    redis = subprocess.Popen([server, "--port", str(port), "--dir", str(folder), "--appendonly", "yes"], stdout=subprocess.DEVNULL)
    worker = subprocess.Popen([peer / "bin" / "celery", "-A", "tasks", "worker", "-c", "2", "-l", "ERROR"], cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    putter = subprocess.Popen([peer / "bin" / "python", "-c", _PUT], cwd=folder, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:

        def put(number: int) -> float:
            assert putter.stdin is not None
            assert putter.stdout is not None
            putter.stdin.write(f"{number}\n")
            putter.stdin.flush()
            return float(putter.stdout.readline())

        put(-1)
        _until(lambda: -1 in _noted(notes), 60)  # it is up
        notes.unlink()
        return measure(put, notes)
    finally:
        for process in (putter, worker, redis):
            process.terminate()
            process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def takeover() -> None:
    """How long after `kill -9` of its worker a job is begun by another one."""
    with _installation() as (url, folder):
        notes = folder / "noops"

        async def put(number: int) -> None:
            database = await Database.open(app_url(url))
            async with database.registry() as registry:
                if number == 0:
                    await create_tenant(registry, "noop", "No-op")
            async with database.tenant("noop") as db:
                await enqueue(db, "noop", {"number": number, "hold_s": 3600})
            await database.close()

        found = []
        workers = [_start_noop(url, notes) for _ in range(2)]
        for number in range(5):
            asyncio.run(put(number))
            _until(lambda number=number: number in _noted(notes))  # type: ignore[misc]
            victim = _noted(notes)[number][1]
            lines = len(notes.read_text().splitlines())
            os.kill(victim, signal.SIGKILL)
            killed = time.time()
            held = sum(1 for line in notes.read_text().splitlines() if line.split()[0] == str(number))
            _until(lambda number=number, held=held: sum(1 for line in notes.read_text().splitlines() if line.split()[0] == str(number)) > held, 120)  # type: ignore[misc]
            found.append(max(float(line.split()[1]) for line in notes.read_text().splitlines()[lines:] if line.split()[0] == str(number)) - killed)
            for worker in workers:
                worker.kill()
            time.sleep(0.5)
            workers = [_start_noop(url, notes) for _ in range(2)]
            with psycopg.connect(worker_url(url)) as connection:
                connection.execute("DELETE FROM procrastinate_jobs")
        for worker in workers:
            worker.kill()
    print(f"takeover  ours            a killed worker's job is begun again after median {statistics.median(found):.1f} s, at most {max(found):.1f} s (n={len(found)})")
    print("takeover  Celery + Redis  after its visibility timeout, 3600 s unless set (documented; not measured)", flush=True)


# --- runs -----------------------------------------------------------------------------------------------------------------


def _tiny() -> Any:
    sys.path.insert(0, str(ROOT))
    from tests.runs import tiny

    return tiny


def cold() -> None:
    """A drain worker from its start to its end: with nothing due, and with one plan of the tiny utility."""
    tiny = _tiny()
    with _installation() as (url, folder):
        env = {**os.environ, "LEVADA_DATABASE_URL": url, "LEVADA_DATA_DIR": str(folder / "data")}

        def drained() -> float:
            began = time.perf_counter()
            subprocess.run([sys.executable, "-m", "levada", "worker", "--drain"], env=env, check=True, capture_output=True)
            return time.perf_counter() - began

        async def put_in(first: bool) -> None:
            database = await Database.open(app_url(url))
            if first:
                async with database.registry() as registry:
                    await create_tenant(registry, "tiny", "Tiny")
                await tiny.put_in(database, "tiny")
            async with database.tenant("tiny") as db:
                await request_run(db, kind=RunKind.PLAN, cause=Cause.OPERATOR, issue_time=tiny.NOW, at=tiny.NOW)
            await database.close()

        nothing = [drained() for _ in range(5)]
        plans = []
        for i in range(5):
            asyncio.run(put_in(i == 0))
            plans.append(drained())
    print(f"cold      nothing due {statistics.median(nothing):.2f} s; one plan of a tiny utility, computed and published {statistics.median(plans):.2f} s (medians of 5)", flush=True)


def history(days: int) -> None:
    """A backtest of the tiny utility with a decision every four hours, by one worker and by two."""
    tiny = _tiny()
    with _installation() as (url, _):

        async def tried(workers: int, first: bool) -> tuple[float, list[TriedDay]]:
            database = await Database.open(app_url(url))
            if first:
                async with database.registry() as registry:
                    await create_tenant(registry, "tiny", "Tiny")
                await tiny.put_in(database, "tiny", days=days + 20)
            chosen = (await days_known(database, "tiny", tiny.NOW))[-days:]
            began = time.perf_counter()
            found = await backtest(database, "tiny", Asked(versions=(this_version(),), days=tuple(chosen), now=tiny.NOW, on_time=True, workers=workers))
            took = time.perf_counter() - began
            await database.close()
            return took, found

        two, found = asyncio.run(tried(2, True))
        told = totals([d.results[0] for d in found], water_value_per_m3(found))
        print(
            f"backtest  {len(found)} days, {told.decisions} decisions, {told.failures} failed, {told.violations} limits broken: {two:.0f} s by 2 workers "
            f"({two / 300:.2f} of the 300 s aimed at for 100 days), processor time of decisions {told.cpu_s:.0f} s", flush=True,
        )  # fmt: skip
        one, _ = asyncio.run(tried(1, False))
        print(f"backtest  {one:.0f} s by 1 worker: 2 workers are {one / two:.2f} times as fast", flush=True)


def many(tenants: int, minutes: float) -> None:
    """Tiny utilities that plan every quarter of an hour, by the real clock: one timetable process, one worker process of two slots."""
    tiny = _tiny()
    with _installation() as (url, folder):
        env = {**os.environ, "LEVADA_DATABASE_URL": url, "LEVADA_DATA_DIR": str(folder / "data"), "LEVADA_LOG": "json"}
        start = datetime.now(UTC)

        async def fill() -> None:
            database = await Database.open(app_url(url))
            for i in range(tenants):
                async with database.registry() as registry:
                    await create_tenant(registry, f"town-{i}", f"Town {i}")
                timetable = {"entries": [{"kind": "plan", "cron": "*/15 * * * *"}], "plan_on_new_data": False}
                now = floor_to(start, timedelta(minutes=15))
                await tiny.put_in(database, f"town-{i}", now, timetable=timetable)
                # Readings of the time to come are there already: a plan reads none that is later than its issue time.
                ahead = tiny.readings(now + timedelta(minutes=15 * (minutes // 15 + 2)), days=(minutes // 15 + 1) / 96)
                async with database.tenant(f"town-{i}") as db:
                    await add_readings(db, [Delivery(name, r.times, r.values, r.quality) for name, r in ahead.items()], now)
            await database.close()


        asyncio.run(fill())
        print(f"tenants   {tenants} utilities put in after {(datetime.now(UTC) - start).total_seconds():.0f} s", flush=True)
        parts = [subprocess.Popen([sys.executable, "-m", "levada", part], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for part in ("worker", "timetable")]
        processes = [psutil.Process(p.pid) for p in parts]
        end, peak = time.monotonic() + 60 * minutes, 0.0
        while time.monotonic() < end:
            time.sleep(5)
            peak = max(peak, sum(c.memory_full_info().pss for p in processes for c in (p, *p.children(recursive=True)) if c.is_running()) / 1e6)
        cpu = sum(t.user + t.system + t.children_user + t.children_system for t in (p.cpu_times() for p in processes)) + sum(
            t.user + t.system for p in processes for c in p.children(recursive=True) for t in (c.cpu_times(),)
        )
        rows = asyncio.run(_late(url, tenants, start))
        for part in parts:
            part.kill()
    p50, p95 = _percentiles([late for state, late in rows if state == "done"] or [float("nan")])
    states = {state: sum(s == state for s, _ in rows) for state in sorted({s for s, _ in rows})}
    print(f"tenants   {tenants}, every 15 min, {minutes:g} min: due -> published p50 {p50:.0f} s  p95 {p95:.0f} s; runs {json.dumps(states)}; processor {cpu / (60 * minutes) / 2:.0%} of 2 cores, peak {peak:.0f} MB (PSS, without PostgreSQL)", flush=True)


async def _late(url: str, tenants: int, since: datetime) -> list[tuple[str, float]]:
    """State of each run that was due since an instant, and from its due instant to its end, s."""
    database, found = await Database.open(app_url(url)), list[tuple[str, float]]()
    for i in range(tenants):
        async with database.tenant(f"town-{i}") as db:
            cursor = await db.raw.execute("SELECT state, coalesce(extract(epoch FROM finished_at - due_at), 0)::float AS late_s FROM levada.run WHERE due_at >= %s", [since])
            found += [(str(row["state"]), float(row["late_s"])) for row in await cursor.fetchall()]
    await database.close()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runs", description="Jobs and runs, beside a peer where there is one.")
    parser.add_argument("parts", nargs="*", choices=["queue", "takeover", "cold", "backtest", "tenants", []], metavar="PART")
    parser.add_argument("--days", type=int, default=100)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=20)
    options = parser.parse_args(arguments)
    parts: dict[str, Callable[[], None]] = {
        "queue": queue, "takeover": takeover, "cold": cold, "backtest": lambda: history(options.days), "tenants": lambda: many(options.tenants, options.minutes),
    }  # fmt: skip
    for name in options.parts or parts:
        parts[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
