"""Waits after failed sign-ins: they grow, end, and shut out nobody else."""

from __future__ import annotations

import pytest

from levada.web.attempts import Attempts, TooManyAttempts


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def wait_of(attempts: Attempts, email: str = "a@x", address: str = "1.1.1.1") -> int:
    try:
        attempts.check(email, address)
    except TooManyAttempts as e:
        return e.retry_after_s
    return 0


def test_the_wait_doubles_and_has_a_longest() -> None:
    clock = Seconds()
    attempts = Attempts(monotonic=clock)
    waits = []
    for _ in range(20):
        attempts.failed("a@x", "1.1.1.1")
        waits.append(wait_of(attempts))
    assert waits[:4] == [0, 0, 0, 0]
    assert waits[4:8] == [3, 5, 9, 17]
    assert waits[-1] == 301


def test_a_wait_ends_and_success_forgets() -> None:
    clock = Seconds()
    attempts = Attempts(monotonic=clock)
    for _ in range(5):
        attempts.failed("a@x", "1.1.1.1")
    assert wait_of(attempts) > 0
    clock.now = 3.0
    assert wait_of(attempts) == 0
    attempts.succeeded("a@x", "1.1.1.1")
    attempts.failed("a@x", "1.1.1.1")
    assert wait_of(attempts) == 0


def test_an_address_that_tries_many_people_waits_for_all_of_them() -> None:
    attempts = Attempts(monotonic=Seconds())
    for i in range(30):
        attempts.failed(f"{i}@x", "6.6.6.6")
    assert wait_of(attempts, "new@x", "6.6.6.6") > 0
    assert wait_of(attempts, "new@x", "7.7.7.7") == 0


def test_letters_of_an_email_are_not_told_apart() -> None:
    attempts = Attempts(monotonic=Seconds())
    for _ in range(5):
        attempts.failed("A@x", "1.1.1.1")
    with pytest.raises(TooManyAttempts):
        attempts.check("a@X", "1.1.1.1")


def test_memory_is_bounded() -> None:
    attempts = Attempts(monotonic=Seconds())
    for i in range(25_000):
        attempts.failed(f"{i}@x", f"10.0.{i % 250}.{i // 250}")
    assert len(attempts._failures) <= 10_002
