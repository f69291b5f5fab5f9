"""What a run may take: time, processor time, and memory in two classes. The worker enforces it on the process that computes.

Each kind of run may have limits of its own. Threads are no matter of limits: the numeric libraries have one in each computing process, for sums
depend on their number in the last bit; what is to be faster is done by more processes.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RunLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """A run that needs more than `memory_bytes` is stopped and computed once more with twice as much, but no more than `max_memory_bytes`."""

    timeout_s: float = 900.0
    cpu_s: float = 900.0
    memory_bytes: int = 3 << 30
    max_memory_bytes: int = 6 << 30
    @property
    def larger_memory_bytes(self) -> int:
        """The second class; not above the first where `max_memory_bytes` leaves no room."""
        return max(self.memory_bytes, min(2 * self.memory_bytes, self.max_memory_bytes))
