"""Drives the real product from outside: its command, its processes, real SFTP and HTTP clients."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psutil

from levada.store import embedded

T = TypeVar("T")
TINY = Path(__file__).parent / "tiny"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(what: str, ask: Callable[[], T | None], timeout_s: float = 60.0, pause_s: float = 0.2) -> T:
    """The first answer that is not None or False; fails in words when there is none in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(pause_s)
    raise AssertionError(f"no {what} within {timeout_s:.0f} s")


def tiny_history(days: float, until: datetime, step_s: int = 900) -> str:
    """A delivered file of the tiny utility: a daily rhythm of demand, a tank that follows it."""
    lines = ["time;TNK_LEVEL;VILLAGE_FLOW;PU1_ON;PU2_ON"]
    first = until - timedelta(days=days)
    for i in range(int(days * 86400 / step_s) + 1):
        at = first + timedelta(seconds=i * step_s)
        hour = at.hour + at.minute / 60
        rhythm = 1 + 0.45 * math.sin((hour - 7) / 24 * 2 * math.pi) + 0.2 * math.sin((hour - 17) / 12 * 2 * math.pi)
        flow = 12 * rhythm * (0.9 if at.weekday() >= 5 else 1.0) * (1 + 0.03 * math.sin(i * 12.9898))
        lines.append(f"{at:%Y-%m-%dT%H:%M:%SZ};{2.6 + 0.8 * math.sin(hour / 24 * 2 * math.pi):.3f};{flow:.3f};{int(hour < 8)};0")
    return "\n".join(lines) + "\n"


@dataclass
class Product:
    """An installation of its own in `folder`."""

    folder: Path
    http_port: int = field(default_factory=free_port)
    sftp_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    extra_env: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ, "LEVADA_DATA_DIR": str(self.folder / "data"), "LEVADA_HTTP_PORT": str(self.http_port),
            "LEVADA_SFTP_PORT": str(self.sftp_port), "LEVADA_LOG": "json", **self.extra_env,
        }  # fmt: skip

    @property
    def log(self) -> Path:
        return self.folder / "serve.log"

    def cli(self, *args: str, code: int | None = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run([sys.executable, "-m", "levada", *args], env=self.env, capture_output=True, text=True, input=stdin, check=False, timeout=120)
        assert code is None or done.returncode == code, f"levada {' '.join(args)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self.process = subprocess.Popen([sys.executable, "-m", "levada", "serve"], env=self.env, stdout=out, stderr=out, start_new_session=True)
        wait_for("ready page server", lambda: self.http("/readyz")[0] == 200)
        wait_for("SFTP server", self._sftp_listens)

    def _sftp_listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.sftp_port)) == 0

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        self.cli("stop-database", code=None)
        # A server started by root may keep its files outside the test's folder: forget those too.
        asyncio.run(embedded.forget(self.folder / "data" / "database"))

    def postmaster(self) -> psutil.Process:
        """The embedded server's first process."""
        database = self.folder / "data" / "database"
        elsewhere = database / "elsewhere"
        home = Path(elsewhere.read_text().strip()) if elsewhere.exists() else database
        return psutil.Process(int((home / "cluster" / "postmaster.pid").read_text().split()[0]))

    def http(self, path: str, token: str | None = None, method: str = "GET") -> tuple[int, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", method=method)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as e:
            status, body = e.code, e.read()
        except OSError:
            return 0, None
        try:
            return status, json.loads(body)
        except ValueError:
            return status, body.decode(errors="replace")

    def add_tenant(self, name: str, source: Path = TINY) -> str:
        """Put in a copy of a utility's folder under another id; returns a token with all rights."""
        folder = self.folder / "tenants" / name
        shutil.copytree(source, folder, dirs_exist_ok=True)
        (folder / "tenant.toml").write_text(f'id = "{name}"\nname = "{name.title()}"\n')
        self.cli("tenant", "apply", str(folder))
        key = self.key(name)
        if not key.exists():
            key.parent.mkdir(exist_ok=True)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        self.cli("key", "add", name, f"{key}.pub")
        rights = ("plans:read", "readings:read", "runs:read", "runs:start", "files:read")
        return self.cli("token", "add", name, "test", *(x for r in rights for x in ("--right", r))).stdout.strip()

    def key(self, name: str) -> Path:
        return self.folder / "keys" / name

    def sftp(self, tenant: str, *commands: str, key: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Debian's OpenSSH client in batch mode."""
        return subprocess.run(
            ["sftp", "-b", "-", "-i", str(key or self.key(tenant)), "-P", str(self.sftp_port), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "PreferredAuthentications=publickey", f"{tenant}@127.0.0.1"],
            input="\n".join(commands) + "\n", capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def deliver(self, tenant: str, name: str, text: str) -> dict[str, Any]:
        """Upload a file and wait for its receipt."""
        local = self.folder / name
        local.write_text(text)
        done = self.sftp(tenant, f"put {local} inbox/{name}")
        assert done.returncode == 0, done.stderr
        return self.receipt(tenant, name)

    def receipt(self, tenant: str, name: str, timeout_s: float = 60) -> dict[str, Any]:
        path = self.folder / "data" / "sftp" / tenant / "outbox" / f"receipt_{name}.json"
        wait_for(f"receipt of {name}", path.exists, timeout_s)
        document: dict[str, Any] = json.loads(path.read_text())
        return document

    def children(self, part: str) -> list[psutil.Process]:
        """The processes of a part, such as `worker`."""
        assert self.process is not None
        found = []
        for process in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if part in process.cmdline()[-2:]:
                    found.append(process)
        return found


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
