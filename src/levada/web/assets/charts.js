// The board's charts: tariff, pumps, tanks and demand as panes on one time axis. Data come ready from the server; see views/charts.py.
"use strict";

const LevadaCharts = (() => {
  const HOUR = 3600e3;
  const PANE = { tariff: 62, pump: 24, tank: 84, demand: 100, gap: 32, top: 40, left: 64, right: 14, axis: 46 };

  const ink = () => {
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue(`--${name}`).trim();
    return Object.fromEntries(["text", "muted", "line", "panel", "blue", "measured", "band", "price", "limit", "red", "amber"].map((n) => [n, colour(n)]));
  };

  const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

  /** Instants of full local hours for labels: every 3rd, or 6th where the axis is narrow. */
  const hoursOn = (data, width) => {
    const every = width < 520 ? 6 : width < 900 ? 4 : 3;
    const found = [];
    for (let ms = Math.ceil(data.start / HOUR) * HOUR; ms <= data.end; ms += HOUR / 4) {
      const p = Levada.local(ms, data.time_zone);
      if (p.minute === "00" && Number(p.hour) % every === 0 && (found.length === 0 || ms - found.at(-1) > HOUR / 2)) found.push(ms);
    }
    return found;
  };

  /** Where each pane stands. Returns the panes and the height of all of them. */
  const layout = (data) => {
    const panes = [];
    let top = PANE.top;
    const add = (kind, height, extra) => { panes.push({ kind, top, height, ...extra }); top += height + PANE.gap; };
    if (data.tariff.prices.length) add("tariff", PANE.tariff, { title: `${data.words.tariff} · ${data.tariff.unit}` });
    if (data.pumps.length) add("pumps", PANE.pump * data.pumps.length, { title: data.words.pumps });
    for (const tank of data.tanks) add("tank", PANE.tank, { title: `${data.words.level} ${tank.name} · m`, tank });
    if (data.demand.measured.length || data.demand.q50.length) add("demand", PANE.demand, { title: `${data.words.demand} · ${data.demand.unit}` });
    return { panes, height: top - PANE.gap + PANE.axis };
  };

  const line = (i, name, points, colour, more = {}) => ({
    type: "line", name, xAxisIndex: i, yAxisIndex: i, data: points, showSymbol: false, silent: true, animation: false,
    lineStyle: { width: 1.8, color: colour }, itemStyle: { color: colour }, ...more,
  });

  /** A level held from point to point, as a dashed line over the whole axis. */
  const limits = (tank, c) => ({
    silent: true, symbol: "none", animation: false, label: { show: false },
    lineStyle: { color: c.limit, type: "dashed", width: 1 }, data: [{ yAxis: tank.min_m }, { yAxis: tank.max_m }],
  });

  /** The line for now, carried by a series of its own so that it can move alone. */
  const nowLine = (i, data, c, first) => {
    const now = Levada.now();
    // Two labels that would stand on each other: now is the one that counts.
    const apart = data.expires && Math.abs(data.expires - now) > (data.end - data.start) * 0.07;
    return {
    type: "line", id: `now-${i}`, xAxisIndex: i, yAxisIndex: i, data: [], silent: true, animation: false,
    markLine: {
      silent: true, symbol: "none", animation: false, z: 9,
      data: [
        { xAxis: now, lineStyle: { color: c.text, width: 1.5, type: "solid" }, label: { show: first, formatter: data.words.now, color: c.text, fontWeight: 600, distance: 3 } },
        ...(data.expires && data.expires < data.end ? [{ xAxis: data.expires, lineStyle: { color: c.red, width: 1, type: "dotted" }, label: { show: first && apart, formatter: data.words.expires, color: c.red, distance: 3 } }] : []),
      ],
    },
  }; };

  const bars = (i, rows, colour, expires) => ({
    type: "custom", xAxisIndex: i, yAxisIndex: i, silent: true, animation: false, data: rows, encode: { x: [0, 1], y: 2 },
    renderItem: (_, api) => {
      const [x0, y] = api.coord([api.value(0), api.value(2)]);
      const [x1] = api.coord([api.value(1), api.value(2)]);
      const h = api.size([0, 1])[1] * 0.62;
      // A slower pump is paler: a third of the shade stands for speeds of 60 % and below.
      const shade = Math.min(1, Math.max(0.35, (api.value(3) - 0.6) / 0.4 * 0.65 + 0.35));
      return { type: "rect", shape: { x: x0, y: y - h / 2, width: Math.max(1, x1 - x0), height: h, r: 2 }, style: { fill: colour, opacity: expires && api.value(0) >= expires ? shade * 0.4 : shade } };
    },
  });

  const seriesOf = (pane, i, data, c) => {
    const w = data.words;
    if (pane.kind === "tariff") {
      return [line(i, w.tariff, data.tariff.prices, c.price, { step: "end", areaStyle: { color: c.price, opacity: 0.14 } })];
    }
    if (pane.kind === "pumps") {
      // What lies after the plan's expiry is pale: it is not to be followed.
      const cut = ([a, b, n, speed]) => data.expires && a < data.expires && data.expires < b ? [[a, data.expires, n, speed], [data.expires, b, n, speed]] : [[a, b, n, speed]];
      const rows = (kind) => data.pumps.flatMap((p, n) => p[kind].map(([a, b, speed]) => [a, b, n, speed]));
      return [bars(i, rows("measured"), c.measured, null), bars(i, rows("planned").flatMap(cut), c.blue, data.expires)];
    }
    if (pane.kind === "tank") {
      return [
        line(i, w.measured, pane.tank.measured, c.measured, { markLine: limits(pane.tank, c) }),
        line(i, w.planned, pane.tank.planned, c.blue),
      ];
    }
    const { q10, q50, q90, measured } = data.demand;
    const width = q90.map(([t, v], k) => [t, v - q10[k][1]]);
    const hidden = { lineStyle: { opacity: 0 }, stack: `band-${i}`, step: "end" };
    return [
      line(i, w.band, q10, c.blue, hidden),
      line(i, w.band, width, c.blue, { ...hidden, areaStyle: { color: c.band } }),
      line(i, w.forecast, q50, c.blue, { step: "end" }),
      line(i, w.measured, measured, c.measured, { step: "end" }),
    ];
  };

  const yAxisOf = (pane, i, data, c, language) => {
    const figure = new Intl.NumberFormat(language, { maximumFractionDigits: 3 });
    const base = { gridIndex: i, axisLine: { show: false }, axisTick: { show: false }, axisLabel: { color: c.muted, fontSize: 11, hideOverlap: true, formatter: (v) => figure.format(v) }, splitLine: { lineStyle: { color: c.line, opacity: 0.6 } } };
    if (pane.kind === "pumps") {
      return { ...base, type: "category", inverse: true, data: data.pumps.map((p) => p.name), axisLabel: { interval: 0, color: c.text, fontSize: 12, width: PANE.left - 10, overflow: "truncate" }, splitLine: { show: false }, splitArea: { show: false } };
    }
    if (pane.kind === "tank") {
      const pad = (pane.tank.max_m - pane.tank.min_m) * 0.15;
      const values = [...pane.tank.measured, ...pane.tank.planned].map((p) => p[1]);
      const low = Math.min(pane.tank.min_m - pad, ...values), high = Math.max(pane.tank.max_m + pad, ...values);
      return { ...base, type: "value", min: Math.floor(low * 10) / 10, max: Math.ceil(high * 10) / 10, splitNumber: 2, axisLabel: { ...base.axisLabel, showMinLabel: false, showMaxLabel: false } };
    }
    return { ...base, type: "value", min: pane.kind === "tariff" ? (v) => Math.min(0, v.min) : 0, splitNumber: 2 };
  };

  const pointAt = (points, ms) => {
    let found = null;
    for (const p of points) { if (p[0] > ms) break; found = p; }
    return found && ms - found[0] < 6 * HOUR ? found[1] : null;
  };

  const between = (points, ms) => {
    const k = points.findIndex((p) => p[0] > ms);
    if (k <= 0) return null;
    const [a, b] = [points[k - 1], points[k]];
    return a[1] + (b[1] - a[1]) * (ms - a[0]) / (b[0] - a[0]);
  };

  /** What all panes say of one instant. */
  const tip = (data, ms, language) => {
    const n = (v, d) => v === null ? "–" : new Intl.NumberFormat(language, { minimumFractionDigits: d, maximumFractionDigits: d }).format(v);
    const rows = [];
    const price = pointAt(data.tariff.prices, ms);
    const k = data.tariff.prices.findLastIndex((p) => p[0] <= ms);
    if (price !== null && k >= 0) {
      const name = data.tariff.periods[k] + (data.tariff.assumed[k] ? `, ${data.words.assumed}` : "");
      rows.push([data.words.tariff, `${n(price, 4)} ${data.tariff.unit} (${name})`]);
    }
    for (const p of data.pumps) {
      const bar = [...p.planned, ...p.measured].find(([a, b]) => a <= ms && ms < b);
      rows.push([`${data.words.pump} ${p.name}`, bar ? `${n(100 * bar[2], 0)} %` : "–"]);
    }
    for (const t of data.tanks) {
      const value = ms <= data.now ? pointAt(t.measured, ms) : between(t.planned, ms);
      rows.push([`${data.words.level} ${t.name}`, `${n(value, 2)} m`]);
    }
    const d = data.demand;
    const flow = ms <= data.now ? pointAt(d.measured, ms) : pointAt(d.q50, ms);
    const band = ms > data.now && d.q10.length ? ` (${n(pointAt(d.q10, ms), 1)}–${n(pointAt(d.q90, ms), 1)})` : "";
    rows.push([data.words.demand, `${n(flow, 1)} ${d.unit}${band}`]);
    const when = `${Levada.day(ms, data.time_zone, language)} ${Levada.clock(ms, data.time_zone)} · ${ms <= data.now ? data.words.measured : data.words.planned}`;
    return `<div class="tip"><b>${escape(when)}</b>${rows.map(([a, b]) => `${escape(a)}: ${escape(b)}`).join("<br>")}</div>`;
  };

  const options = (data, width, language) => {
    const c = ink();
    const { panes } = layout(data);
    const hours = hoursOn(data, width - PANE.left - PANE.right);
    const last = panes.length - 1;
    const label = (ms) => { const p = Levada.local(ms, data.time_zone); return p.hour === "00" ? `${p.hour}:${p.minute}\n${Levada.day(ms, data.time_zone, language)}` : `${p.hour}:${p.minute}`; };
    return {
      animation: false,
      textStyle: { fontFamily: "system-ui, sans-serif" },
      title: panes.map((p, i) => ({ text: p.title, left: PANE.left - 2, top: i === 0 ? 2 : p.top - 18, padding: 0, textStyle: { fontSize: 12, fontWeight: 600, color: c.muted } })),
      grid: panes.map((p) => ({ left: PANE.left, right: PANE.right, top: p.top, height: p.height, borderColor: c.line })),
      xAxis: panes.map((_, i) => ({
        type: "value", gridIndex: i, min: data.start, max: data.end, axisLine: { onZero: false, lineStyle: { color: c.line } },
        axisTick: { show: true, customValues: hours, lineStyle: { color: c.line } }, splitLine: { show: true, lineStyle: { color: c.line, opacity: 0.55 } },
        axisLabel: { show: i === last, customValues: hours, formatter: label, color: c.muted, fontSize: 11, lineHeight: 14, hideOverlap: true },
        axisPointer: { show: true, label: { show: false }, lineStyle: { color: c.muted, width: 1, type: "dashed" } },
      })),
      yAxis: panes.map((p, i) => yAxisOf(p, i, data, c, language)),
      axisPointer: { link: [{ xAxisIndex: "all" }] },
      tooltip: {
        trigger: "axis", confine: true, backgroundColor: c.panel, borderColor: c.line, textStyle: { color: c.text, fontSize: 13 },
        formatter: (hits) => { const hit = Array.isArray(hits) ? hits[0] : hits; return hit ? tip(data, hit.axisValue, language) : ""; },
      },
      series: panes.flatMap((p, i) => [...seriesOf(p, i, data, c), nowLine(i, data, c, i === 0)]),
    };
  };

  /** Draw into `element`; returns functions to give new data, to move the line for now, and to fit a new width. */
  const open = (element, language) => {
    let data = null;
    const chart = echarts.init(element, null, { renderer: "canvas" });
    const draw = () => {
      if (!data) return;
      element.closest("section").hidden = layout(data).panes.length === 0;
      element.style.height = `${layout(data).height}px`;
      chart.resize();
      chart.setOption(options(data, element.clientWidth, language), { notMerge: true });
    };
    const moveNow = () => {
      if (!data) return;
      const c = ink();
      chart.setOption({ series: layout(data).panes.map((_, i) => { const s = nowLine(i, data, c, i === 0); return { id: s.id, markLine: s.markLine }; }) });
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    return { show: (fresh) => { data = fresh; draw(); }, moveNow, fit: draw };
  };

  return { open };
})();
