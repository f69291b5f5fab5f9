"""Checks on readings that could be read: a file a check, each a function from arrays to a mask.

Refused (the value goes to quarantine, with line and reason): times.py (in the future, or too long ago), limits.py (outside the
contract's plausible range), repeats.py (an instant that the file gives two values for).
Marked SUSPECT (kept, shown, not used for planning): physical.py (what the quantity cannot be, such as a status of 7).
checked.py runs all of them. Not here on purpose: stuck sensors and leaps need history, and belong where readings are used.
May import domain and intake.contracts.
"""
