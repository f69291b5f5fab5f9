"""`levada demo run`: the whole product with simulated utilities around it, on one machine.

Starts what a keeper would start (`levada serve`), puts the tenants in from their folders as a keeper would, and runs each utility
as a process of its own that speaks only SFTP and HTTP. Nothing of the product knows that this is a demo, but for its clock.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh

from levada.clock import Clock
from levada.demo.turn import Turn, turn
from levada.demo.utilities import DemoUtility, list_utilities
from levada.domain.errors import SetupError
from levada.domain.tenant import Role
from levada.domain.time import floor_to, isoformat_z
from levada.hydraulics.inp import read_network
from levada.ops.provision import TenantFolder, apply_tenant
from levada.serve import Settings, new_host_key, opened
from levada.store import embedded
from levada.store.accounts import add_sftp_key, create_account, create_token, installation_text, set_membership

__all__ = ["clean_demo", "run_demo", "run_demo_customer"]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Folder:
    """Where the demo keeps its things."""

    root: Path

    @property
    def memory(self) -> Path:
        return self.root / "demo.json"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Written whole, then renamed; readable by its owner only, since it holds the sign-ins."""
        part = self.memory.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(json.dumps(memory, indent=2))
        part.replace(self.memory)

    def recall(self) -> dict[str, Any]:
        if not self.memory.exists():
            return {}
        try:
            memory: dict[str, Any] = json.loads(self.memory.read_text())
        except ValueError as e:
            raise SetupError(f"{self.memory} cannot be read: {e}", "forget the demo with: make clean-demo") from e
        return memory


def _free_port(wanted: int) -> int:
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise SetupError(f"no free port from {wanted} to {wanted + 49}", "stop what uses them")


def _client_key(keys: Path, tenant: str) -> Path:
    path = keys / tenant
    if not path.exists():
        keys.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = asyncssh.generate_private_key("ssh-ed25519", comment=f"simulated SCADA of {tenant}")
        path.touch(mode=0o600)
        key.write_private_key(str(path))
        key.write_public_key(f"{path}.pub")
    return path


def _new_password() -> str:
    return "-".join(secrets.token_hex(2) for _ in range(3))


async def _provision(settings: Settings, folder: _Folder, memory: dict[str, Any], utilities: tuple[DemoUtility, ...], say: Say) -> None:
    """Put the tenants, people, keys and tokens in; again changes nothing."""
    people = memory.setdefault("people", {})
    tokens = memory.setdefault("tokens", {})
    async with opened(settings) as (_, database):
        for utility in utilities:
            described = TenantFolder.of(
                tenant=utility.tenant_id, name=utility.name, documents=utility.documents, network_name=utility.network_name, inp=utility.inp
            )
            network = read_network(utility.inp, utility.network_name)
            await apply_tenant(database, described, network, by="demo", at=settings.clock.now())
            public = Path(f"{_client_key(folder.keys, utility.tenant_id)}.pub").read_text()
            async with database.registry() as registry:
                await add_sftp_key(registry, utility.tenant_id, public, "simulated SCADA")
                email = f"operator@{utility.tenant_id}.example"
                if email not in people:
                    people[email] = _new_password()
                    await create_account(registry, email, f"Operator, {utility.name}", people[email])
                await set_membership(registry, email, utility.tenant_id, Role.OPERATOR)
                if utility.tenant_id not in tokens:
                    expires = settings.clock.now() + timedelta(days=3650)
                    tokens[utility.tenant_id] = await create_token(registry, utility.tenant_id, "simulated SCADA", frozenset({"plans:read"}), expires)
        async with database.registry() as registry:
            email = "engineer@levada.example"
            if email not in people:
                people[email] = _new_password()
                await create_account(registry, email, "Engineer of all utilities", people[email])
            for utility in utilities:
                await set_membership(registry, email, utility.tenant_id, Role.ENGINEER)
            host_key = await installation_text(registry, "sftp-host-key", new_host_key)
    known = asyncssh.import_private_key(host_key).export_public_key().decode().strip()
    folder.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder.keys / "host_key.pub").write_text(f"{known}\n")
    (folder.keys / "known_hosts").write_text(f"[127.0.0.1]:{settings.sftp_port} {known}\n")
    say(f"  {len(utilities)} utilities are set up")


def _environment(settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    return {
        **env,
        "LEVADA_DATA_DIR": str(settings.data_dir),
        "LEVADA_HTTP_PORT": str(settings.http_port),
        "LEVADA_SFTP_PORT": str(settings.sftp_port),
        "LEVADA_CLOCK": settings.clock.as_setting(),
        "PYTHONUNBUFFERED": "1",
    }


async def _spawn(folder: _Folder, name: str, *arguments: str, env: Mapping[str, str], pipe: bool = False) -> asyncio.subprocess.Process:
    folder.logs.mkdir(parents=True, exist_ok=True)
    with (folder.logs / f"{name}.log").open("ab") as out:
        # A session of its own: Ctrl-C reaches only the demo, which then stops its parts in order.
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "levada", *arguments, env=dict(env), stdout=asyncio.subprocess.PIPE if pipe else out, stderr=out, start_new_session=True
        )


async def _tell(process: asyncio.subprocess.Process, name: str, say: Say) -> None:
    """Pass on what a utility says of itself."""
    if process.stdout is None:
        return
    async for line in process.stdout:
        say(f"  {name}: {line.decode(errors='replace').rstrip()}")


async def _first_plans(settings: Settings, memory: Mapping[str, Any], utilities: tuple[DemoUtility, ...], began: float, say: Say) -> None:
    """Wait until each utility has a plan, and say what it costs."""
    import urllib.error
    import urllib.request

    def ask(tenant: str) -> dict[str, Any] | None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{settings.http_port}/v1/tenants/{tenant}/plans/current", headers={"Authorization": f"Bearer {memory['tokens'][tenant]}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                document: dict[str, Any] = json.loads(answer.read())
                return document
        except (urllib.error.URLError, OSError, ValueError):
            return None

    waiting = [u.tenant_id for u in utilities]
    while waiting:
        for tenant in list(waiting):
            plan = await asyncio.to_thread(ask, tenant)
            if plan is None:
                continue
            certificate, audit = plan["certificate"], plan["audit"]
            bound = "no bound" if certificate["lower_bound"] is None else f"no plan can cost less than {certificate['lower_bound']:.2f}"
            verdict = "confirmed by EPANET" if audit["accepted"] else "NOT confirmed by EPANET"
            say(f"  {tenant}: plan ({plan['ladder']}) for {plan['cost']:.2f} {plan['currency']}, {bound}; {verdict}; {time.monotonic() - began:.0f} s after the start")
            waiting.remove(tenant)
        await asyncio.sleep(1.0)


def _welcome(settings: Settings, memory: Mapping[str, Any], utilities: tuple[DemoUtility, ...], folder: _Folder, say: Say) -> None:
    people: dict[str, str] = memory["people"]
    first = utilities[0].tenant_id
    say("")
    say(f"  Open      http://127.0.0.1:{settings.http_port}")
    for email, password in people.items():
        say(f"  sign in   {email:28} {password}")
    say(f"  Clock     {settings.clock.rate:g} x real time: an hour passes in {3600 / settings.clock.rate:.0f} s, a day in {1440 / settings.clock.rate:.0f} min")
    say("  Look at   the board of a utility: plan, cost and bound, tanks, demand; press 'Plan now'; sign in as the other operator")
    say(f"  Deliver   sftp -i {folder.keys / first} -o UserKnownHostsFile={folder.keys / 'known_hosts'} -P {settings.sftp_port} {first}@127.0.0.1")
    say(f"  Ask       curl -H 'Authorization: Bearer {memory['tokens'][first]}' http://127.0.0.1:{settings.http_port}/v1/tenants/{first}/plans/current")
    say(f"  State     LEVADA_DATA_DIR={settings.data_dir} LEVADA_CLOCK='{settings.clock.as_setting()}' {sys.argv[0]} status")
    say(f"  Logs      {folder.logs}")
    say("  Stop      Ctrl-C; `make demo` goes on from there, `make clean-demo` forgets it")
    say("")


async def run_demo(root: Path, *, rate: float, history_days: int, env: Mapping[str, str], say: Say) -> int:
    """Run the demo until SIGINT or SIGTERM. Returns the exit code: 1 when the product itself could not be kept running.

    Raises SetupError where another demo runs in the folder; one that is stopping is waited for.
    """
    folder = _Folder(root.absolute())
    folder.root.mkdir(parents=True, exist_ok=True)
    async with turn(folder.root, say) as mine:
        return await _run(folder, mine, rate=rate, history_days=history_days, env=env, say=say)


async def _run(folder: _Folder, mine: Turn, *, rate: float, history_days: int, env: Mapping[str, str], say: Say) -> int:
    began = time.monotonic()
    memory = folder.recall()
    real = datetime.now(UTC)  # noqa: TID251  the demo's clock is tied to real time here
    told = datetime.fromisoformat(memory["told"]) if "told" in memory else floor_to(real, timedelta(hours=1))
    settings = Settings.from_environment({
        **env,
        "LEVADA_DATA_DIR": str(folder.root / "data"),
        "LEVADA_HTTP_PORT": str(_free_port(int(memory.get("http_port", 8080)))),
        "LEVADA_SFTP_PORT": str(_free_port(int(memory.get("sftp_port", 2222)))),
        "LEVADA_CLOCK": Clock(real, told, rate).as_setting(),
    })  # fmt: skip
    memory |= {"told": isoformat_z(told), "http_port": settings.http_port, "sftp_port": settings.sftp_port}
    utilities = list_utilities()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    say("Levada demo" + (" (going on where it stopped)" if "people" in memory else ""))
    say("  starting the database ...")
    await _provision(settings, folder, memory, utilities, say)
    folder.remember(memory)
    child_env = _environment(settings, env)
    server = await _spawn(folder, "serve", "serve", env=child_env)
    customers: list[asyncio.subprocess.Process] = []
    tasks: list[asyncio.Task[None]] = []
    for utility in utilities:
        process = await _spawn(
            folder, f"utility-{utility.tenant_id}", "demo", "customer", utility.tenant_id, pipe=True,
            env={**child_env, "LEVADA_DEMO_DIR": str(folder.root), "LEVADA_DEMO_HISTORY_DAYS": str(history_days), "LEVADA_DEMO_TOKEN": memory["tokens"][utility.tenant_id]},
        )  # fmt: skip
        customers.append(process)
        tasks.append(asyncio.create_task(_tell(process, utility.tenant_id, say)))
    _welcome(settings, memory, utilities, folder, say)
    tasks.append(asyncio.create_task(_first_plans(settings, memory, utilities, began, say)))

    ended = asyncio.create_task(server.wait())
    stopped = asyncio.create_task(stop.wait())
    code = 0
    while not stop.is_set() and not ended.done():
        await asyncio.wait([ended, stopped], timeout=2.0, return_when=asyncio.FIRST_COMPLETED)
        memory["told"] = isoformat_z(settings.clock.now())
        folder.remember(memory)
    if ended.done() and not stop.is_set():
        say(f"  the product ended by itself with {ended.result()}; see {folder.logs / 'serve.log'}")
        code = 1
    mine.say("stopping")
    say("  stopping ...")
    for task in tasks:
        task.cancel()
    for process in [*customers, server]:
        if process.returncode is None:
            process.terminate()
    for process in [*customers, server]:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), 30)
        if process.returncode is None:
            process.kill()
            await process.wait()
    stopped.cancel()
    await embedded.stop(settings.database_dir)
    say("  stopped; `make demo` goes on from here")
    return code


async def run_demo_customer(tenant: str, env: Mapping[str, str]) -> None:
    """One simulated utility, in a process of its own; ends with the demo that started it."""
    from levada.demo.customer import run_customer
    from levada.telemetry.log import configure_logs

    settings = Settings.from_environment(env)
    configure_logs(settings.log_form, process=f"utility-{tenant}")
    root = Path(env["LEVADA_DEMO_DIR"])
    utility = next(u for u in list_utilities() if u.tenant_id == tenant)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    parent = os.getppid()

    async def orphaned() -> None:
        while os.getppid() == parent:
            await asyncio.sleep(1.0)

    work = asyncio.ensure_future(
        run_customer(
            utility,
            clock=settings.clock,
            sftp_host="127.0.0.1",
            sftp_port=settings.sftp_port,
            key_path=root / "keys" / tenant,
            host_key=(root / "keys" / "host_key.pub").read_text().strip(),
            http_url=f"http://127.0.0.1:{settings.http_port}",
            token=env["LEVADA_DEMO_TOKEN"],
            state_dir=root / "plants" / tenant,
            history_days=int(env["LEVADA_DEMO_HISTORY_DAYS"]),
            say=lambda text: print(text, flush=True),
        )
    )
    ends = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(orphaned())]
    await asyncio.wait([work, *ends], return_when=asyncio.FIRST_COMPLETED)
    for other in (work, *ends):
        other.cancel()
    with suppress(asyncio.CancelledError):
        await work


async def clean_demo(root: Path, say: Say) -> None:
    """Stop the demo's database and remove its folder. Raises SetupError when the folder is no demo's, or a demo runs in it."""
    folder = _Folder(root.absolute())
    if not folder.root.exists():
        return
    if not folder.memory.exists() and any(folder.root.iterdir()):
        raise SetupError(f"{root} does not look like a demo's folder (no demo.json)", "remove it yourself if it is not wanted")
    async with turn(folder.root, say):
        await embedded.forget(folder.root / "data" / "database")
        shutil.rmtree(folder.root)
