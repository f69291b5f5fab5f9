"""What a demo utility remembers over a restart: its plant's state and the files that are not delivered yet.

Each is written whole and then renamed. Files are written first, then the state, then the files are sent: whatever instant the process
dies at, no quarter-hour is lost, and one that is computed again gives the same file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from levada.demo.plant import PlantState
from levada.domain.errors import SetupError
from levada.domain.time import require_utc

__all__ = ["Memory", "Outgoing", "Remembered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The plant's state, and the last day whose prices were written (None where a utility is sent none)."""

    plant: PlantState
    prices_through: date | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A file that waits to be sent, not before `due`."""

    due: datetime
    name: str
    path: Path


class Memory:
    """A folder of this utility's own. Raises SetupError when it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._state, self._outgoing = folder / "plant.json", folder / "outgoing"
        try:
            self._outgoing.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise SetupError(f"the demo's folder {folder} cannot be made: {e}", "name another folder, or make it writable") from e

    def load(self) -> Remembered | None:
        """What was remembered, or None at the first start. Raises SetupError when the file is damaged."""
        try:
            body = json.loads(self._state.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as e:
            raise self._damaged(e) from e
        try:
            through = body["prices_through"]
            return Remembered(
                plant=PlantState.from_document(body["plant"]),
                prices_through=None if through is None else date.fromisoformat(through),
            )
        except (KeyError, TypeError, ValueError) as e:
            raise self._damaged(e) from e

    def _damaged(self, e: Exception) -> SetupError:
        return SetupError(f"the demo's memory {self._state} cannot be read: {e!r}", "forget the demo's data with `make clean-demo` and start again")

    def save(self, remembered: Remembered) -> None:
        body = {
            "plant": remembered.plant.as_document(),
            "prices_through": None if remembered.prices_through is None else remembered.prices_through.isoformat(),
        }
        self._write(self._state, json.dumps(body).encode())

    def keep(self, name: str, content: bytes, due: datetime) -> None:
        """Keep a file until it is sent, not before `due`. The same name again replaces it."""
        for known in self.outgoing():
            if known.name == name and known.due != due:
                self.sent(known)
        self._write(self._outgoing / f"{int(require_utc(due).timestamp())}_{name}", content)

    def outgoing(self) -> list[Outgoing]:
        """Files that wait, by when they are due and their name."""
        waiting = []
        for path in self._outgoing.iterdir():
            stamp, _, name = path.name.partition("_")
            if stamp.isdigit() and not name.endswith(".tmp"):
                waiting.append(Outgoing(datetime.fromtimestamp(int(stamp), UTC), name, path))
        return sorted(waiting, key=lambda o: (o.due, o.name))

    def sent(self, file: Outgoing) -> None:
        """Forget a file that was delivered."""
        file.path.unlink(missing_ok=True)

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        part = path.with_name(path.name + ".tmp")
        part.write_bytes(content)
        part.replace(path)
