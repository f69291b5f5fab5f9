from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from levada.domain.bundle import Bundle
from levada.runs.child import ComputeChild, Computed, ComputeFailed
from levada.runs.limits import RunLimits

BY_KIND = "tests.runs.computing:by_kind"


class Limited:
    """A child whose runs all have the same limits."""

    def __init__(self, limits: RunLimits) -> None:
        self._child, self._limits = ComputeChild(BY_KIND), limits
        self.told: list[dict[str, object]] = []

    async def compute(self, bundle: Bundle, memory_bytes: int | None = None) -> Computed:
        return await self._child.compute(bundle, self._limits, memory_bytes, self.told.append)

    async def close(self) -> None:
        await self._child.close()


def with_child(work: Callable[[Limited], Awaitable[None]], **limits: float) -> None:
    async def run() -> None:
        child = Limited(RunLimits(**limits))  # type: ignore[arg-type]
        try:
            await work(child)
        finally:
            await child.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def echo(text: str = "hello") -> Bundle:
    return Bundle("echo", {"text": text.encode()})


def test_results_come_back_whole_from_one_process_whatever_libraries_print() -> None:
    async def work(child: Limited) -> None:
        large = "x" * 3_000_000
        first, second = await child.compute(echo(large)), await child.compute(echo())
        assert first.result.startswith(large.encode())
        assert second.result.startswith(b"hello by ")
        assert first.result.split()[-1] == second.result.split()[-1] != str(os.getpid()).encode()
        assert second.wall_s < 5
        assert 5e6 < second.peak_memory_bytes < 1e9

    with_child(work)


def test_peak_memory_is_that_of_the_run_and_not_of_one_before() -> None:
    async def work(child: Limited) -> None:
        large = await child.compute(Bundle("fill", {"bytes": b"300000000"}))
        small = await child.compute(echo())
        assert large.peak_memory_bytes > 300e6
        assert small.peak_memory_bytes < 200e6

    with_child(work)


def test_an_error_of_the_input_comes_back_as_its_document_and_is_final() -> None:
    async def work(child: Limited) -> None:
        with pytest.raises(ComputeFailed) as failed:
            await child.compute(Bundle("gap", {}))
        assert failed.value.permanent
        assert failed.value.document == {"code": "input-gap", "message": "no levels; deliver them", "what": "no levels", "remedy": "deliver them"}

    with_child(work)


def test_a_defect_is_told_with_its_place_and_is_final_as_the_same_input_gives_it_again() -> None:
    async def work(child: Limited) -> None:
        with pytest.raises(ComputeFailed, match="ZeroDivisionError: in an algorithm") as failed:
            await child.compute(Bundle("defect", {}))
        assert failed.value.permanent
        assert "computing.py" in str(failed.value.document["trace"])

    with_child(work)


def test_a_crash_of_native_code_ends_the_run_only_and_the_next_one_has_a_new_child() -> None:
    async def work(child: Limited) -> None:
        with pytest.raises(ComputeFailed, match="SIGSEGV") as failed:
            await child.compute(Bundle("segfault", {}))
        assert not failed.value.permanent
        assert (await child.compute(echo())).result.startswith(b"hello")

    with_child(work)


def test_a_run_that_takes_too_long_is_stopped_and_says_so() -> None:
    async def work(child: Limited) -> None:
        with pytest.raises(ComputeFailed, match=r"longer than 1\.5 s"):
            await child.compute(Bundle("hang", {}))
        assert not psutil.Process().children(recursive=True)

    with_child(work, timeout_s=1.5)


def test_a_run_that_eats_memory_is_stopped_and_says_so() -> None:
    async def work(child: Limited) -> None:
        with pytest.raises(ComputeFailed, match="more than 300 MB") as failed:
            await child.compute(Bundle("eat", {}))
        assert failed.value.document["limit_bytes"] == 300_000_000
        assert int(str(failed.value.document["used_bytes"])) > 300_000_000
        with pytest.raises(ComputeFailed, match="more than 400 MB"):  # a class larger than the kind's
            await child.compute(Bundle("eat", {}), 400_000_000)

    with_child(work, memory_bytes=300_000_000)


def test_a_run_that_takes_too_much_processor_time_is_stopped_and_not_tried_again() -> None:
    async def work(child: Limited) -> None:
        with pytest.raises(ComputeFailed, match="more than 6 s of processor time") as failed:
            await child.compute(Bundle("spin", {}))
        assert failed.value.permanent
        assert (await child.compute(echo())).result.startswith(b"hello")

    with_child(work, cpu_s=6.0)  # a busy machine takes more than one to import what the next run needs


def test_numeric_libraries_have_one_thread_whatever_the_worker_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")

    async def work(child: Limited) -> None:
        assert (await child.compute(Bundle("threads", {}))).result == b"1 1"

    with_child(work)


def test_where_memory_runs_out_the_computing_process_is_the_first_to_go() -> None:
    async def work(child: Limited) -> None:
        await child.compute(echo())
        (process,) = psutil.Process().children()
        assert Path(f"/proc/{process.pid}/oom_score_adj").read_text().strip() == "1000"

    with_child(work)


def test_a_cancelled_run_leaves_no_process_behind() -> None:
    async def work(child: Limited) -> None:
        task = asyncio.create_task(child.compute(Bundle("hang", {})))
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not psutil.Process().children(recursive=True)

    with_child(work)


def test_the_child_of_a_killed_worker_ends_in_mid_run() -> None:
    program = (
        "import asyncio\nfrom levada.domain.bundle import Bundle\nfrom levada.runs.child import ComputeChild\nfrom levada.runs.limits import RunLimits\n"
        f"asyncio.run(ComputeChild({BY_KIND!r}).compute(Bundle('hang', {{}}), RunLimits()))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as worker:
        end = time.monotonic() + 30
        while not (children := psutil.Process(worker.pid).children()):
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(1.0)
        os.kill(worker.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def test_how_a_run_gets_on_is_told_at_most_once_a_second() -> None:
    async def work(child: Limited) -> None:
        assert (await child.compute(Bundle("telling", {}))).result == b"told"
        # Told forty times in two seconds, or in a little more on a busy machine.
        costs = [told["cost"] for told in child.told]
        assert child.told == [{"stage": "search", "cost": cost, "bound": 0.5} for cost in costs]
        assert costs[0] is None
        assert costs[1:] == sorted(costs[1:], reverse=True)
        assert 2 <= len(costs) <= 5
        assert (await child.compute(echo())).result.startswith(b"hello")

    with_child(work)
