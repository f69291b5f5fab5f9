"""Long commands: the first Ctrl-C asks to stop with what there is, the second aborts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

__all__ = ["Stop", "stop_on_interrupt"]


class Stop:
    """Whether the user has asked to stop."""

    asked = False


@contextmanager
def stop_on_interrupt(said: str) -> Iterator[Stop]:
    """Within it the first Ctrl-C only asks to stop, and `said` tells what comes then; the second interrupts as usual."""
    stop = Stop()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        click.echo(f"\n{said}", err=True)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
