"""The operator's page in a real browser, served by the real web process."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.conftest import Installation
from tests.system.product import free_port, wait_for
from tests.web.samples import NOW, fill, plan, publish

from levada.clock import Clock
from levada.domain.run import Accounting
from levada.domain.tenant import Role
from levada.store.accounts import create_account, set_membership
from levada.store.database import Database
from levada.store.runs import fail_run, list_runs, start_run

pytestmark = pytest.mark.system

PASSWORD = "a long enough password"


def chromium() -> str:
    """Debian's browser. Outside CI its absence skips these tests, loudly; in CI it fails them."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is needed for the page tests: apt-get install chromium")
        pytest.skip("NO CHROMIUM: the operator's page was not tested; apt-get install chromium")
    return found


class Web:
    """A `levada web` process against the session's database, its clock at NOW and running as real time does."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.own, self.other = installation.new_tenant(), installation.new_tenant()
        self.clock = Clock(datetime.now(UTC), NOW, 1.0)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {
            **os.environ, "LEVADA_DATABASE_URL": self.installation.admin_url, "LEVADA_HTTP_PORT": str(self.port),
            "LEVADA_CLOCK": self.clock.as_setting(), "LEVADA_LOG": "json",
        }  # fmt: skip
        self.process = subprocess.Popen([sys.executable, "-m", "levada", "web"], env=env, stderr=subprocess.DEVNULL)
        wait_for("web process", self._is_ready, 60)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def _is_ready(self) -> bool:
        try:
            return bool(urllib.request.urlopen(f"{self.address}/readyz", timeout=2).status == 200)
        except OSError:
            return False

    def run(self, work: Any) -> Any:
        async def with_database() -> Any:
            database = await Database.open(self.installation.app_url, max_size=2)
            try:
                return await work(database)
            finally:
                await database.close()

        # In a thread of its own: Playwright's loop runs in this one.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(with_database())).result(60)

    async def furnish(self, database: Database) -> None:
        async with database.registry() as registry:
            for email, tenant in (("page@own.example", self.own), ("page@other.example", self.other)):
                await create_account(registry, email, "Olga", PASSWORD)
                await set_membership(registry, email, tenant, Role.OPERATOR)
        await fill(database, self.own, language="en", name="Serra Water")
        await fill(database, self.other, language="es", name="Ribera", with_plan=False)


@pytest.fixture(scope="module")
def web(installation: Installation) -> Iterator[Web]:
    chromium()
    made = Web(installation)
    made.run(made.furnish)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser(web: Web) -> Iterator[Browser]:
    """After `web`: fixtures that run a loop of their own must have done so before Playwright's begins."""
    with sync_playwright() as playwright:
        # A real browser must not report home, nor need a GPU or a sandbox that root cannot have.
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
        opened = playwright.chromium.launch(executable_path=chromium(), args=flags)
        yield opened
        opened.close()


class Visit:
    """One person's browser window, and everything that went wrong in it."""

    def __init__(self, browser: Browser, web: Web, **context: Any) -> None:
        self.web = web
        # The browser stands in another zone than the utility: what it shows must not depend on that.
        self.context = browser.new_context(timezone_id="America/New_York", locale="en-GB", **context)
        self.page: Page = self.context.new_page()
        self.problems: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.problems.append(str(e)))
        self.page.on("request", lambda r: self.elsewhere.append(r.url) if not r.url.startswith((web.address, "data:")) else None)

    def sign_in(self, email: str, path: str) -> Page:
        self.page.goto(self.web.address + path)
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        return self.page

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def visit(browser: Browser, web: Web) -> Iterator[Visit]:
    made = Visit(browser, web, viewport={"width": 1280, "height": 800})
    yield made
    made.close()


def ink(page: Page) -> int:
    """How many points of the charts are painted."""
    return int(page.evaluate("""() => [...document.querySelectorAll('#charts canvas')].reduce((sum, c) => {
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return sum + n; }, 0)"""))


def test_an_operator_sees_what_to_do_without_anything_from_elsewhere(visit: Visit, web: Web) -> None:
    page = visit.sign_in("page@own.example", f"/t/{web.own}")
    expect(page.locator("#ladder")).to_have_text("New plan")
    expect(page.locator(".headline")).to_contain_text("Follow the plan until 09:00.")
    expect(page.locator("#clock")).to_have_text(f"{web.clock.now():%H:%M}")
    expect(page.locator("table.now tbody tr")).to_have_count(3)
    expect(page.locator("[data-until]")).to_contain_text("left")
    page.wait_for_function("() => document.querySelector('#charts canvas')")
    wait_for("painted charts", lambda: ink(page) > 5000, 10)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert visit.problems == []
    assert visit.elsewhere == []


def test_a_new_plan_appears_without_reloading(visit: Visit, web: Web) -> None:
    page = visit.sign_in("page@own.example", f"/t/{web.own}")
    expect(page.locator("#ladder")).to_have_text("New plan")
    page.evaluate("window.stayed = true")
    from levada.domain.plan import Ladder

    now = web.clock.now()
    web.run(lambda database: publish(database, web.own, plan(web.own, now, ladder=Ladder.PREVIOUS, hours_valid=3.0), now))
    expect(page.locator("#ladder")).to_have_text("Previous plan, re-checked", timeout=8000)
    expect(page.locator(".headline")).to_contain_text("follow it until 06:00")
    assert page.evaluate("window.stayed") is True
    now = web.clock.now()
    web.run(lambda database: publish(database, web.own, plan(web.own, now), now))
    expect(page.locator("#ladder")).to_have_text("New plan", timeout=8000)
    assert visit.problems == []


def test_plan_now_asks_for_a_run_and_shows_what_becomes_of_it(visit: Visit, web: Web) -> None:
    page = visit.sign_in("page@own.example", f"/t/{web.own}")
    page.get_by_role("button", name="Plan now").click()
    expect(page.locator("#plan-now [role=status]")).to_contain_text("queued")

    async def fail(database: Database) -> str:
        async with database.tenant(web.own) as db:
            run = (await list_runs(db, 1))[0]
            assert (run.cause.value, run.started_by, run.state.value) == ("operator", "Olga", "queued")
            await start_run(db, run.run_id, "test", web.clock.now())
            await fail_run(db, run.run_id, {"code": "input-gap", "message": "no level of tank T1"}, Accounting(wall_s=1.0, cpu_s=1.0, peak_memory_bytes=1, queue_wait_s=0.1), web.clock.now())
            return str(run.run_id)

    run_id = web.run(fail)
    expect(page.locator(f".runs a[href$='{run_id}']")).to_contain_text("failed", timeout=8000)
    expect(page.locator(".side")).to_contain_text("no level of tank T1")
    expect(page.get_by_role("button", name="Plan now")).to_be_enabled()
    assert visit.problems == []


def test_another_utilitys_operator_is_told_that_there_is_nothing(visit: Visit, web: Web) -> None:
    page = visit.sign_in("page@other.example", f"/t/{web.own}")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    answer = page.goto(f"{web.address}/t/{web.own}/board.json")
    assert answer is not None
    assert answer.status == 404
    assert "Serra" not in page.content()


def test_the_page_says_when_the_connection_is_lost_and_recovers(browser: Browser, web: Web) -> None:
    visit = Visit(browser, web)
    try:
        page = visit.sign_in("page@own.example", f"/t/{web.own}")
        expect(page.locator("#ladder")).to_be_visible()
        expect(page.locator("#lost")).to_be_hidden()
        page.wait_for_function("() => document.querySelector('#charts canvas')")
        web.stop()
        expect(page.locator("#lost")).to_be_visible(timeout=15000)
        page.evaluate("htmx.trigger(document.getElementById('live'), 'levada:changed')")
        expect(page.locator("#lost")).to_contain_text("Connection lost at", timeout=15000)
        web.start()
        expect(page.locator("#lost")).to_be_hidden(timeout=40000)
    finally:
        visit.close()
        if web.process is None:
            web.start()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_off(browser: Browser, web: Web, scheme: str) -> None:
    visit = Visit(browser, web, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    try:
        page = visit.sign_in("page@own.example", f"/t/{web.own}")
        expect(page.locator("#ladder")).to_be_visible()
        wait_for("painted charts", lambda: ink(page) > 2000, 10)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert visit.problems == []
    finally:
        visit.close()


def test_all_words_can_be_read_against_what_is_behind_them(browser: Browser, web: Web) -> None:
    """WCAG's contrast (4.5 to 1) of every piece of text on the board, in both schemes, worked out from what the browser paints."""
    for scheme in ("light", "dark"):
        visit = Visit(browser, web, color_scheme=scheme)
        try:
            page = visit.sign_in("page@own.example", f"/t/{web.own}")
            expect(page.locator("#ladder")).to_be_visible()
            assert page.evaluate(CONTRAST) == [], scheme
        finally:
            visit.close()


CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  const poor = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility() || e.closest('.unseen, .skip, :disabled')) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(`${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 30)}`);
  }
  return poor;
}"""


def test_the_whole_page_can_be_walked_through_by_keyboard(visit: Visit, web: Web) -> None:
    page = visit.sign_in("page@own.example", f"/t/{web.own}")
    expect(page.locator("#ladder")).to_be_visible()
    reached: set[str] = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(str(page.evaluate("(document.activeElement.textContent || '').trim()")))
    assert {"Plan now", "Plan", "Runs", "Sign out", "The whole plan and its proof"} <= reached
