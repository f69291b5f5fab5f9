"""What commands share that work on an installation: its settings, asynchronous work, answers as data."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from levada.serve import Settings

__all__ = ["print_json", "run_async", "settings_now"]

P = ParamSpec("P")
T = TypeVar("T")


def run_async(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make a command of an async function."""

    @wraps(work)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return asyncio.run(work(*args, **kwargs))

    return call


def settings_now() -> Settings:
    """What the environment says. Raises SetupError as Settings.from_environment does."""
    from levada.serve import Settings  # with the database's driver: commands that need none shall start without

    return Settings.from_environment()


def print_json(value: object) -> None:
    """An answer as data, on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
