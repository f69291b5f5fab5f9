// The operator's page stays true by itself: messages from the server say "look again", and where they stop, it looks by itself.
"use strict";

(() => {
  const live = document.getElementById("live");
  const lost = document.getElementById("lost");
  const tenant = live.dataset.tenant;
  const language = live.dataset.language;
  const charts = LevadaCharts.open(document.getElementById("charts"), language);
  const POLL_MS = 15000;
  const AT_MOST_EVERY_MS = 1500;

  let lookedAt = 0;
  let waiting = null;
  let streaming = false;
  let failedAt = null;

  const say = (text) => { lost.textContent = text; lost.hidden = !text; };

  const report = () => {
    const clock = document.getElementById("clock");
    if (failedAt !== null) say(lost.dataset.lost.replace("{at}", Levada.clock(failedAt, clock.dataset.zone)));
    else say(streaming ? "" : lost.dataset.polling);
  };

  const reached = () => { failedAt = null; report(); };
  const failed = () => { failedAt ??= Levada.now(); report(); };

  const loadCharts = async () => {
    try {
      const answer = await fetch(`/t/${tenant}/board.json`, { headers: { accept: "application/json" } });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) return failed();
      charts.show(await answer.json());
      reached();
    } catch { failed(); }
  };

  /** Take in everything that may have changed, not more often than is useful. */
  const look = () => {
    if (waiting) return;
    waiting = setTimeout(() => {
      waiting = null;
      lookedAt = performance.now();
      htmx.trigger(live, "levada:changed");
      loadCharts();
    }, Math.max(0, lookedAt + AT_MOST_EVERY_MS - performance.now()));
  };

  const listen = () => {
    const source = new EventSource(`/t/${tenant}/events`);
    source.addEventListener("hello", () => { const again = !streaming && lookedAt > 0; streaming = true; report(); if (again) look(); });
    source.addEventListener("changed", look);
    source.addEventListener("error", () => {
      streaming = false;
      // The browser tries again by itself, unless the server refused: then we ask anew later.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, POLL_MS);
      setTimeout(() => { if (!streaming) report(); }, 5000);
    });
  };

  const tick = () => {
    const now = Levada.now();
    const clock = document.getElementById("clock");
    clock.textContent = Levada.clock(now, clock.dataset.zone);
    document.getElementById("day").textContent = Levada.day(now, clock.dataset.zone, language);
    const until = document.querySelector("[data-until]");
    if (until) {
      const left = Number(until.dataset.until) - now;
      const words = left > 0 ? until.dataset.left : until.dataset.over;
      until.textContent = words.replace("{span}", Levada.span(Math.abs(left)));
      // The moment a plan expires, the page must say so without being told.
      if (left <= 0 && !document.querySelector(".strip.mode-expired")) look();
    }
  };

  document.body.addEventListener("htmx:oobAfterSwap", () => {
    const strip = document.getElementById("strip");
    Levada.setNow(Number(strip.dataset.now));
    tick();
  });
  document.body.addEventListener("htmx:sendError", failed);
  document.body.addEventListener("htmx:responseError", failed);

  let fitting = null;
  addEventListener("resize", () => { clearTimeout(fitting); fitting = setTimeout(charts.fit, 150); });
  addEventListener("beforeprint", charts.fit);

  setInterval(tick, 1000);
  setInterval(charts.moveNow, 5000);
  setInterval(() => { if (!streaming || failedAt !== null || performance.now() - lookedAt > 60000) look(); }, POLL_MS);
  tick();
  lookedAt = performance.now();
  loadCharts();
  listen();
})();
