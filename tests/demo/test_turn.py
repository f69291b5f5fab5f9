"""Two demos in one folder would share a database that one of them stops: the second waits, or is told so."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from levada.demo import turn as module
from levada.demo.turn import turn
from levada.domain.errors import SetupError


def test_one_that_is_stopping_is_waited_for_and_then_it_is_the_next_one_s_turn(tmp_path: Path) -> None:
    said: list[str] = []

    async def work() -> list[str]:
        order: list[str] = []

        async def second() -> None:
            async with turn(tmp_path, said.append):
                order.append("second")

        async with turn(tmp_path, said.append) as first:
            first.say("stopping")
            waiting = asyncio.create_task(second())
            while not said:
                await asyncio.sleep(0.01)
            order.append("first")
        await waiting
        return order

    assert asyncio.run(work()) == ["first", "second"]
    assert len(said) == 1
    assert "waiting for the demo before this one (process " in said[0]


def test_one_that_runs_is_not_disturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RUNS_FOR_S", 0.3)

    async def work() -> None:
        async with turn(tmp_path, print):
            with pytest.raises(SetupError, match=r"a demo runs in .* already \(process \d+\); stop it with Ctrl-C"):
                async with turn(tmp_path, print):
                    pass

    asyncio.run(work())


def test_a_folder_that_was_forgotten_meanwhile_is_taken_anew(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()

    async def work() -> None:
        async with turn(folder, print) as first:
            first.say("stopping")
            shutil.rmtree(folder)
            folder.mkdir()
            async with turn(folder, print):
                assert (folder / "demo.lock").exists()
        async with turn(folder, print):
            pass

    asyncio.run(work())
