"""One demo at a time in a folder: a second one waits while the first is stopping, and is refused while that runs.

Whoever has the turn holds a lock on `demo.lock`, which the kernel lets go however the process ends, and says in it who and in which state
it is.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from levada.domain.errors import SetupError

__all__ = ["Turn", "turn"]

_RUNS_FOR_S = 3.0
"""So long the other one must be seen running to be refused for it: one that was told to stop an instant ago still says so."""
_STOPS_WITHIN_S = 180.0
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn of this process, as others are told of it."""

    file: IO[str]

    def say(self, state: str) -> None:
        """Tell others the state: `running` or `stopping`."""
        self.file.seek(0)
        self.file.truncate()
        self.file.write(f"{os.getpid()} {state}")
        self.file.flush()


@asynccontextmanager
async def turn(folder: Path, say: Callable[[str], None]) -> AsyncIterator[Turn]:
    """Have the folder for oneself until the end of the block.

    Raises SetupError: another demo runs there and is not about to stop, or does not come to an end.
    """
    loop = asyncio.get_running_loop()
    began, running_since, told = loop.time(), None, False
    folder.mkdir(parents=True, exist_ok=True)
    while (file := _taken(folder / "demo.lock")) is None:
        now, (who, state) = loop.time(), _holder(folder / "demo.lock")
        running_since = None if state != "running" else running_since or now
        if running_since is not None and now - running_since > _RUNS_FOR_S:
            raise SetupError(f"a demo runs in {folder} already (process {who})", "stop it with Ctrl-C where it was started, or use its address: it prints it at its start")
        if now - began > _STOPS_WITHIN_S:
            raise SetupError(f"the demo in {folder} (process {who}) has been stopping for {_STOPS_WITHIN_S:.0f} s", "end that process")
        if state == "stopping" and not told:
            say(f"  waiting for the demo before this one (process {who}) to stop ...")
            told = True
        await asyncio.sleep(_LOOK_EVERY_S)
    with file:
        mine = Turn(file)
        mine.say("running")
        yield mine


def _taken(path: Path) -> IO[str] | None:
    """The lock file, locked; None where another holds it."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
        file.close()  # the folder was forgotten and made anew meanwhile
        return None
    return file


def _holder(path: Path) -> tuple[str, str]:
    """Who has the turn, and in which state; empty words while it is about to say so."""
    try:
        who, _, state = path.read_text().partition(" ")
    except FileNotFoundError:
        return "", ""
    return who, state
