"""Puts processes together: reads the environment, opens the database, runs one part or all of them.

Parts: web, sftp, timetable, worker. Each can be started alone and more than once against one database; `levada serve` starts
one of each (and as many workers as asked for) as child processes, restarts what dies, and keeps the embedded PostgreSQL up.

| variable | meaning | default |
|---|---|---|
| LEVADA_DATA_DIR | where files and the embedded database live | ./.levada |
| LEVADA_DATABASE_URL | a PostgreSQL server of your own (a role that may create roles and schemas) | the embedded one |
| LEVADA_HTTP_HOST, LEVADA_HTTP_PORT | where the pages and the API listen | 127.0.0.1, 8080 |
| LEVADA_SFTP_HOST, LEVADA_SFTP_PORT | where the SFTP server listens | 127.0.0.1, 2222 |
| LEVADA_WORKERS | worker processes of `levada serve` | 1 |
| LEVADA_RUN_MEMORY_MB, LEVADA_RUN_MEMORY_MAX_MB | memory of a run; one that needs more is computed once more with twice as much, up to the second | 3072, 6144 |
| LEVADA_RUN_TIMEOUT_S, LEVADA_RUN_CPU_S | time and processor time of a run | 900, 900 |
| the four, followed by _ and a kind such as LEVADA_RUN_MEMORY_MB_PLAN | the same, for runs of that kind | as above |
| LEVADA_BACKGROUND_JOBS | training and backtest jobs of one tenant that run at a time, over all workers | 16 |
| LEVADA_CANDIDATES | other installed versions whose runs a worker does as well: their virtual environments, separated by `:` | none |
| LEVADA_ONLY_OWN_VERSION | `1` for a worker of a candidate's own installation: it leaves runs that no version is named for to others | 0 |
| LEVADA_BUNDLE_STORE | where inputs of runs are kept: `s3://BUCKET/PREFIX`, `gs://...`, `az://...`, `file:///FOLDER`; credentials in that store's own variables, such as AWS_ACCESS_KEY_ID | the database |
| LEVADA_BUNDLE_DAYS | how long `levada retention` keeps the inputs of runs | 400 |
| LEVADA_CLOCK | a clock that runs faster, for demonstrations | real time |
| LEVADA_LOG | `text` or `json` | text |
| LEVADA_SECURE_COOKIES | `1` behind TLS: cookies are sent over HTTPS only | 0 |
| OTEL_EXPORTER_OTLP_ENDPOINT | OpenTelemetry collector for spans | spans go to the log |
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from levada.clock import Clock
from levada.domain.errors import SetupError
from levada.domain.run import RunKind
from levada.runs.limits import RunLimits
from levada.store import embedded
from levada.store.jobs import BACKGROUND_JOBS
from levada.store.migrate import app_url, migrate, worker_url
from levada.telemetry.log import configure_logs, get_logger
from levada.telemetry.trace import configure_traces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from levada.runs.worker import Counts
    from levada.store.database import Database

__all__ = ["PARTS", "Installation", "Settings", "connect", "new_host_key", "opened", "run_part", "serve"]

log = get_logger("serve")

PARTS = ("web", "sftp", "timetable", "worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says; see the module's table."""

    data_dir: Path
    database_url: str | None
    http_host: str
    http_port: int
    sftp_host: str
    sftp_port: int
    workers: int
    run_limits: Mapping[RunKind, RunLimits]
    background_jobs: int
    candidates: tuple[Path, ...]
    only_own_version: bool
    bundle_store: str | None
    bundle_days: int
    clock: Clock
    log_form: Literal["json", "text"]
    secure_cookies: bool
    otlp_endpoint: str | None

    @classmethod
    def from_environment(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Raises SetupError naming the variable that cannot be read."""
        env = os.environ if env is None else env

        def number(name: str, default: int, low: int, high: int) -> int:
            text = env.get(name, str(default))
            if not text.isdecimal() or not low <= int(text) <= high:
                raise SetupError(f"{name} is {text!r}", f"set it to a whole number from {low} to {high}, or leave it out for {default}")
            return int(text)

        def run_limits(kind: RunKind) -> RunLimits:
            usual = RunLimits()

            def limit(name: str, default: float, unit: int, high: int) -> int:
                every = number(name, int(default) // unit, 1, high)
                return unit * number(f"{name}_{kind.name}", every, 1, high)

            return RunLimits(
                timeout_s=limit("LEVADA_RUN_TIMEOUT_S", usual.timeout_s, 1, 7 * 86_400),
                cpu_s=limit("LEVADA_RUN_CPU_S", usual.cpu_s, 1, 7 * 86_400),
                memory_bytes=limit("LEVADA_RUN_MEMORY_MB", usual.memory_bytes, 1 << 20, 1 << 24),
                max_memory_bytes=limit("LEVADA_RUN_MEMORY_MAX_MB", usual.max_memory_bytes, 1 << 20, 1 << 24),
            )

        form = env.get("LEVADA_LOG", "text")
        if form not in ("json", "text"):
            raise SetupError(f"LEVADA_LOG is {form!r}", "set it to json or text")
        return cls(
            data_dir=Path(env.get("LEVADA_DATA_DIR", ".levada")).absolute(),
            database_url=env.get("LEVADA_DATABASE_URL") or None,
            http_host=env.get("LEVADA_HTTP_HOST", "127.0.0.1"),
            http_port=number("LEVADA_HTTP_PORT", 8080, 1, 65535),
            sftp_host=env.get("LEVADA_SFTP_HOST", "127.0.0.1"),
            sftp_port=number("LEVADA_SFTP_PORT", 2222, 1, 65535),
            workers=number("LEVADA_WORKERS", 1, 0, 64),
            run_limits={kind: run_limits(kind) for kind in RunKind},
            background_jobs=number("LEVADA_BACKGROUND_JOBS", BACKGROUND_JOBS, 1, 100_000),
            candidates=tuple(Path(p) for p in env.get("LEVADA_CANDIDATES", "").split(os.pathsep) if p),
            only_own_version=env.get("LEVADA_ONLY_OWN_VERSION", "0") == "1",
            bundle_store=env.get("LEVADA_BUNDLE_STORE") or None,
            bundle_days=number("LEVADA_BUNDLE_DAYS", 400, 1, 36_500),
            clock=Clock.from_setting(env.get("LEVADA_CLOCK")),
            log_form=cast(Literal["json", "text"], form),
            secure_cookies=env.get("LEVADA_SECURE_COOKIES", "0") == "1",
            otlp_endpoint=env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None,
        )

    @property
    def database_dir(self) -> Path:
        return self.data_dir / "database"

    @property
    def sftp_root(self) -> Path:
        return self.data_dir / "sftp"


@dataclass(frozen=True, slots=True)
class Installation:
    """Addresses of the database: for keepers (migrations), for the application's role and for the queue's."""

    admin_url: str
    app_url: str
    worker_url: str


async def connect(settings: Settings) -> Installation:
    """Make sure that the database runs and has the schema of this code. Raises SetupError when it cannot be had."""
    admin = settings.database_url
    if admin is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        admin = await embedded.start(settings.database_dir)
    for name in await migrate(admin):
        log.info("migration applied", migration=name)
    return Installation(admin, app_url(admin), worker_url(admin))


@asynccontextmanager
async def opened(settings: Settings, *, max_size: int = 4) -> AsyncIterator[tuple[Installation, Database]]:
    """The database for the time of a command or part."""
    from levada.store.database import Database
    from levada.store.objects import Objects

    objects = None if settings.bundle_store is None else Objects.at(settings.bundle_store)
    installation = await connect(settings)
    database = await Database.open(installation.app_url, max_size=max_size, objects=objects)
    try:
        yield installation, database
    finally:
        await database.close()


def _begin(process: str, settings: Settings) -> None:
    configure_logs(settings.log_form, process=process)
    configure_traces(process, settings.otlp_endpoint)


# --- the parts ------------------------------------------------------------------------------------------------------


async def _web(settings: Settings) -> None:
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    from levada.web.app import make_app

    installation = await connect(settings)
    app = make_app(
        database_url=installation.app_url,
        bundle_store=settings.bundle_store,
        clock=settings.clock,
        secure_cookies=settings.secure_cookies,
        demo_note=None if settings.clock.is_real else f"demo clock ×{settings.clock.rate:g}",
    )
    server = Server(app, address=settings.http_host, port=settings.http_port, interface=Interfaces.ASGI, http=HTTPModes.auto, log_enabled=False)
    log.info("web listens", address=f"http://{settings.http_host}:{settings.http_port}")
    await server.serve()


async def _sftp(settings: Settings) -> None:
    from levada.intake.doors.sftp import serve_sftp
    from levada.publish.sftp_outbox import deliver_forever
    from levada.store.accounts import installation_text

    async with opened(settings, max_size=8) as (_, database):
        async with database.registry() as registry:
            host_key = await installation_text(registry, "sftp-host-key", new_host_key)
        settings.sftp_root.mkdir(parents=True, exist_ok=True)
        async with asyncio.TaskGroup() as both:
            both.create_task(
                serve_sftp(database, host=settings.sftp_host, port=settings.sftp_port, root=settings.sftp_root, host_key_pem=host_key.encode(), clock=settings.clock)
            )
            both.create_task(deliver_forever(database, settings.sftp_root, settings.clock))


def new_host_key() -> str:
    """A private key by which an installation's SFTP server is known, as PEM."""
    import asyncssh

    return asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


async def _timetable(settings: Settings) -> None:
    from levada.runs.timetable import keep_timetable

    async with opened(settings) as (_, database):
        await keep_timetable(database, settings.clock)


async def _worker(settings: Settings, *, drain: bool = False) -> Counts:
    from levada.publish.sftp_outbox import handle_publish
    from levada.runs.contender import contender_at
    from levada.runs.worker import work
    from levada.store.jobs import TASK_PUBLISH

    candidates = [await contender_at(path) for path in settings.candidates]
    async with opened(settings) as (installation, database):
        if database.objects is not None:
            await database.objects.check()
        return await work(
            database, installation.worker_url, settings.clock, drain=drain, handlers={TASK_PUBLISH: handle_publish}, limits=settings.run_limits, background=settings.background_jobs,
            candidates=candidates, only_own=settings.only_own_version,
        )  # fmt: skip


async def drain(settings: Settings) -> Counts | None:
    """Do what is due and stop; returns what became of it, None after SIGTERM or SIGINT: what had begun is then finished within seconds or put back."""
    _begin("worker", settings)
    work = asyncio.ensure_future(_worker(settings, drain=True))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        return None


_RUNNERS: dict[str, Callable[[Settings], Awaitable[object]]] = {"web": _web, "sftp": _sftp, "timetable": _timetable, "worker": _worker}


async def run_part(part: str, settings: Settings) -> None:
    """Run one part until SIGTERM or SIGINT; under `levada serve` also until that is gone."""
    _begin(part, settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(_RUNNERS[part](settings))
    if part != "web":  # Granian listens for signals itself
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
    watch: list[asyncio.Future[Any]] = [asyncio.ensure_future(stop.wait())]
    if supervisor := os.environ.get("LEVADA_SUPERVISOR"):
        watch.append(asyncio.ensure_future(_gone(int(supervisor))))
    done, _ = await asyncio.wait([work, *watch], return_when=asyncio.FIRST_COMPLETED)
    for other in (work, *watch):
        if other not in done:
            other.cancel()
    with suppress(asyncio.CancelledError):
        await work
    log.info("stopped")


async def _gone(supervisor: int) -> None:
    """Returns when `levada serve` no longer is our parent: after its kill -9 nobody would restart or stop us."""
    while os.getppid() == supervisor:
        await asyncio.sleep(1.0)


# --- all of them ----------------------------------------------------------------------------------------------------


class _Child:
    """A part running as a child process; restarted with back-off when it dies."""

    def __init__(self, part: str) -> None:
        self.part = part
        self.process: asyncio.subprocess.Process | None = None
        self.wait_s = 0.5

    async def keep(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            started = time.monotonic()
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "levada", self.part, env={**os.environ, "LEVADA_SUPERVISOR": str(os.getpid())}, start_new_session=True
            )
            code = await self.process.wait()
            if stop.is_set():
                return
            # A part that ran well for a while starts again at once; one that fails at start-up is given time.
            self.wait_s = 0.5 if time.monotonic() - started > 20 else min(self.wait_s * 2, 15.0)
            log.warning("part ended; starting it again", part=self.part, exit_code=code, in_s=self.wait_s)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), self.wait_s)

    async def end(self) -> None:
        if self.process is None or self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), 15)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def _keep_database(settings: Settings, stop: asyncio.Event) -> None:
    """Start the embedded PostgreSQL again when it has died."""
    while not stop.is_set():
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), 1.0)
        if not stop.is_set() and not await asyncio.to_thread(embedded.is_running, settings.database_dir):
            log.warning("the embedded PostgreSQL is gone; starting it again")
            try:
                await embedded.start(settings.database_dir)
            except SetupError as e:
                log.error("the embedded PostgreSQL does not start", problem=str(e))


async def serve(settings: Settings) -> None:
    """Run all parts until SIGTERM or SIGINT, then stop them and the embedded database in order."""
    _begin("serve", settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await connect(settings)
    children = [_Child(part) for part in ("web", "sftp", "timetable", *["worker"] * settings.workers)]
    keepers = [asyncio.ensure_future(child.keep(stop)) for child in children]
    if settings.database_url is None:
        keepers.append(asyncio.ensure_future(_keep_database(settings, stop)))
    log.info("levada serves", parts=len(children), data=str(settings.data_dir))
    await stop.wait()
    log.info("stopping")
    await asyncio.gather(*(child.end() for child in children))
    await asyncio.gather(*keepers)
    if settings.database_url is None:
        await embedded.stop(settings.database_dir)
    log.info("stopped")
