"""Computing in a process of its own, so that a crash, a runaway or a memory blow-up in native code takes nobody with it.

The child is started when first needed, computes one bundle after another and is started anew after it died. Parent and child talk
over the child's standard input and output: frames of an 8-byte length and that many bytes. A request is a bundle file; an answer is a
JSON head, then the result's bytes; before it come any number of heads with `progress` and no result. What a library prints there is dropped; standard error is the log's.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib
import inspect
import json
import math
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import psutil

from levada.domain.bundle import Bundle
from levada.domain.errors import LevadaError
from levada.domain.run import Accounting
from levada.runs.limits import RunLimits
from levada.telemetry.log import get_logger

if TYPE_CHECKING:
    from levada.schedule import Progress

__all__ = ["ComputeChild", "ComputeFailed", "Computed"]

log = get_logger("child")

PIPELINE = "levada.runs.by_kind:compute"
_WATCH_S = 0.25
_TELL_S = 1.0
_ONE_THREAD = ("OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A result, and what it took: seconds of wall clock and processor, peak resident memory of the child during this run, bytes of the input as a file."""

    result: bytes
    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    bundle_bytes: int = 0


class ComputeFailed(LevadaError):
    """There is no result. `document` is the error as stored with the run; `permanent` says that doing it again would give the same; `taken`: what trying it took.

    Of a process that died that is what was last seen of it: it is looked at four times a second.
    """

    code, status = "compute", 500

    def __init__(self, document: dict[str, object], *, permanent: bool, taken: Accounting | None = None) -> None:
        super().__init__(str(document.get("message", "")))
        self.document, self.permanent, self.taken = document, permanent, taken

    def as_document(self) -> dict[str, object]:
        return dict(self.document)


# --- the parent's side ----------------------------------------------------------------------------------------------


class ComputeChild:
    """One child process. Not to be shared by tasks that run at the same time."""

    def __init__(self, function: str = PIPELINE, python: str | None = None) -> None:
        """`python`: that of another installation, whose version then computes; it sees nothing of this one's search path."""
        self._function = function
        self._python, self._options = (sys.executable, []) if python is None else (python, ["-u", "PYTHONPATH"])
        self._telling = ["tell"] if python is None else []  # another version may not know how, nor that it is asked
        self._process: asyncio.subprocess.Process | None = None

    async def compute(self, bundle: Bundle, limits: RunLimits, memory_bytes: int | None = None, told: Callable[[dict[str, object]], None] | None = None) -> Computed:
        """Compute a bundle in the child, with at most `memory_bytes` (`limits.memory_bytes` where none are given). `told` hears how it gets on, at most once a
        second: stage, cost and bound.

        Raises ComputeFailed for an error of the input, a crash, and a limit that was hit. When this is cancelled the child is ended: it
        would go on for nobody.
        """
        process = await self._started()
        request = bundle.to_file()
        seen = _Seen()
        answer = asyncio.ensure_future(self._ask(process, request, told))
        try:
            problem = await self._watch(process, answer, limits, memory_bytes or limits.memory_bytes, seen)
            if problem is None:
                head, result = await answer
                return _computed(head, result, len(request))
            await self.close()
            raise ComputeFailed(problem, permanent=problem["code"] == "run-cpu", taken=seen.taken(len(request)))
        except (EOFError, OSError) as e:
            # Its pipe is shut before its end is known: let it die of its own cause, which is to be told.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), 5.0)
            await self.close()
            raise ComputeFailed(_death(process.returncode), permanent=False, taken=seen.taken(len(request))) from e
        except asyncio.CancelledError:
            await self.close()
            raise
        finally:
            answer.cancel()
            with contextlib.suppress(asyncio.CancelledError, EOFError, OSError):
                await answer

    async def close(self) -> None:
        """End the child, whatever it does. The next `compute` starts a new one."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        # Numeric libraries read how many threads they may have when they are loaded: it must be there before. `env` becomes the child.
        self._process = await asyncio.create_subprocess_exec(
            "env", *self._options, *_ONE_THREAD, self._python, "-m", "levada.runs.child", self._function, str(os.getpid()), *self._telling, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )  # fmt: skip
        return self._process

    async def _ask(
        self, process: asyncio.subprocess.Process, request: bytes, told: Callable[[dict[str, object]], None] | None
    ) -> tuple[dict[str, Any], bytes]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(len(request).to_bytes(8, "little") + request)
        await process.stdin.drain()
        while True:
            frames = []
            for _ in range(2):
                length = int.from_bytes(await process.stdout.readexactly(8), "little")
                frames.append(await process.stdout.readexactly(length))
            head = json.loads(frames[0])
            if "progress" not in head:
                return head, frames[1]
            if told is not None:
                told(head["progress"])

    async def _watch(
        self, process: asyncio.subprocess.Process, answer: asyncio.Future[tuple[dict[str, Any], bytes]], limits: RunLimits, memory_bytes: int, seen: _Seen
    ) -> dict[str, object] | None:
        """Wait for the answer; what went wrong when a limit is hit first."""
        deadline = seen.began + limits.timeout_s
        while True:
            done, _ = await asyncio.wait([answer], timeout=_WATCH_S)
            if done:
                return None
            if time.monotonic() > deadline:
                return {"code": "run-timeout", "message": f"computing took longer than {limits.timeout_s:g} s and was stopped", "limit_s": limits.timeout_s}
            try:
                watched = psutil.Process(process.pid)
                used, cpu = watched.memory_info().rss, watched.cpu_times()
            except psutil.Error:
                continue  # it has just died: the answer's end tells how
            seen.look(cpu.user + cpu.system, used)
            if seen.cpu_s > limits.cpu_s:
                return {"code": "run-cpu", "message": f"computing took more than {limits.cpu_s:g} s of processor time and was stopped", "limit_s": limits.cpu_s}
            if used > memory_bytes:
                text = f"computing needed more than {memory_bytes / 1e6:.0f} MB of memory ({used / 1e6:.0f} MB when it was stopped)"
                return {"code": "run-memory", "message": text, "limit_bytes": memory_bytes, "used_bytes": used}


class _Seen:
    """What a run has taken of its process so far, as seen from outside."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.cpu_s, self.peak_memory_bytes = 0.0, 0
        self._cpu_before_s: float | None = None

    def look(self, cpu_s: float, memory_bytes: int) -> None:
        """Processor seconds of the process in all: it may have computed other runs before this one."""
        self._cpu_before_s = cpu_s if self._cpu_before_s is None else self._cpu_before_s
        self.cpu_s, self.peak_memory_bytes = cpu_s - self._cpu_before_s, max(self.peak_memory_bytes, memory_bytes)

    def taken(self, bundle_bytes: int) -> Accounting:
        return Accounting(
            wall_s=time.monotonic() - self.began, cpu_s=self.cpu_s, peak_memory_bytes=self.peak_memory_bytes, queue_wait_s=0.0, bytes_read=bundle_bytes
        )  # fmt: skip


def _computed(told: dict[str, Any], result: bytes, bundle_bytes: int) -> Computed:
    if told["error"] is not None:
        taken = Accounting(wall_s=told["wall_s"], cpu_s=told["cpu_s"], peak_memory_bytes=told["peak_memory_bytes"], queue_wait_s=0.0, bytes_read=bundle_bytes)
        raise ComputeFailed(told["error"], permanent=True, taken=taken)
    return Computed(result=result, wall_s=told["wall_s"], cpu_s=told["cpu_s"], peak_memory_bytes=told["peak_memory_bytes"], bundle_bytes=bundle_bytes)


def _death(code: int | None) -> dict[str, object]:
    by = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
    why = "; where nobody did that by hand, the machine had no memory left" if by == "SIGKILL" else ""
    return {"code": "run-crash", "message": f"the computing process died ({by}{why})", "exit_code": code}


# --- the child's side -----------------------------------------------------------------------------------------------


def _die_with(parent: int) -> None:
    """Have the kernel end this process when the worker is killed, even with -9 in mid-run: nobody would take the result."""
    with contextlib.suppress(OSError, AttributeError):  # Linux only; elsewhere the closed pipe ends us after the run
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def _die_first() -> None:
    """Where memory runs out, have the kernel end this process and not the worker, the database or anybody else."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM, so that the peak is this run's and not that of one before


def _peak_bytes() -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _answer(compute: Callable[[Bundle], bytes], request: bytes) -> tuple[bytes, bytes]:
    _reset_peak()
    began, cpu_began = time.perf_counter(), time.process_time()
    result, error = b"", None
    try:
        result = compute(Bundle.from_file(request))
    except LevadaError as e:
        error = e.as_document()
    except Exception as e:  # noqa: BLE001  a defect in an algorithm is told with the run, where its bundle can be had
        error = {"code": "defect", "message": f"a defect in the program: {type(e).__name__}: {e}", "trace": traceback.format_exc()[-4000:]}
    head = {"error": error, "wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu_began, "peak_memory_bytes": _peak_bytes()}
    return json.dumps(head, default=str).encode(), result


def _serve(source: BinaryIO, sink: BinaryIO, compute: Callable[[Bundle], bytes]) -> None:
    while len(length := source.read(8)) == 8:
        _send(sink, *_answer(compute, source.read(int.from_bytes(length, "little"))))


def _send(sink: BinaryIO, *frames: bytes) -> None:
    for frame in frames:
        sink.write(len(frame).to_bytes(8, "little"))
        sink.write(frame)
    sink.flush()


class _Telling:
    """Sends how a run gets on, at most once a second."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink, self._last = sink, -math.inf

    def __call__(self, progress: Progress) -> None:
        if (now := time.monotonic()) - self._last >= _TELL_S:
            self._last = now
            told = {"stage": progress.stage, "cost": progress.cost, "bound": progress.bound}
            _send(self._sink, json.dumps({"progress": told}).encode(), b"")


def main(function: str, parent: str, tell: str = "") -> None:
    """Answer requests until the parent closes the pipe or is gone; with `tell`, say how they get on where the function can."""
    _die_with(int(parent))
    _die_first()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides when we end
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a solver's banner must come neither between our frames nor into the log
    module, name = function.split(":")
    with contextlib.suppress(BrokenPipeError):
        compute = getattr(importlib.import_module(module), name)
        if tell and "tell" in inspect.signature(compute).parameters:
            compute = partial(compute, tell=_Telling(sink))
        _serve(sys.stdin.buffer, sink, compute)


if __name__ == "__main__":
    main(*sys.argv[1:])
