// The installation's clock in the browser: it may run faster than real time (a demo), and the browser's own may be wrong.
"use strict";

const Levada = (() => {
  const body = document.body;
  const rate = Number(body.dataset.rate) || 1;
  let told = Number(body.dataset.now);
  let heard = performance.now();

  /** The present instant as the server tells it, in epoch milliseconds. */
  const now = () => told + (performance.now() - heard) * rate;

  /** Take the server's newest word on what time it is. */
  const setNow = (ms) => { told = ms; heard = performance.now(); };

  const formats = new Map();
  /** Parts of an instant on the wall clocks of a zone. Offsets come from the zone's rules, so days of 23 and 25 hours are right. */
  const local = (ms, zone) => {
    if (!formats.has(zone)) {
      formats.set(zone, new Intl.DateTimeFormat("en-GB", {
        timeZone: zone, hourCycle: "h23", weekday: "short", year: "numeric", month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit",
      }));
    }
    const parts = {};
    for (const { type, value } of formats.get(zone).formatToParts(ms)) parts[type] = value;
    return parts;
  };

  const clock = (ms, zone) => { const p = local(ms, zone); return `${p.hour}:${p.minute}`; };

  /** `ter 17 mar`: weekday, day and month without the language's little words, as the server writes them. */
  const day = (ms, zone, language) => {
    const parts = {};
    const format = new Intl.DateTimeFormat(language, { timeZone: zone, weekday: "short", day: "numeric", month: "short" });
    for (const { type, value } of format.formatToParts(ms)) parts[type] = value.replace(".", "");
    return `${parts.weekday} ${parts.day} ${parts.month}`;
  };

  /** A span in at most two units, as the server writes them. */
  const span = (ms) => {
    const s = Math.max(0, Math.round(ms / 1000));
    if (s < 90) return `${s} s`;
    const m = Math.floor(s / 60);
    if (m < 60) return `${m} min`;
    const h = Math.floor(m / 60);
    return h < 48 ? `${h} h ${String(m % 60).padStart(2, "0")} min` : `${Math.floor(h / 24)} d ${h % 24} h`;
  };

  return { now, setNow, local, clock, day, span, rate };
})();
