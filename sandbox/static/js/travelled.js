// What travelled: every request, row and answer of this demo, drawn as it went between four lines.

import { h, svg, patch, patchAtEnd } from "./dom.js";
import { icons } from "./drawings.js";
import { shown } from "./time.js";
import { store, redraw } from "./app.js";

// Everything customers write with shares one line.
const customers = ["telegram", "mail", "twilio", "meta", "x"];
const lines = { ...Object.fromEntries(customers.map((side) => [side, 26])), santral: 92, database: 158, slack: 224 };
const width = 250;
const here = { filter: "all", shown: 250 };

function arrow(entry) {
  const from = lines[entry.from];
  const to = lines[entry.to];
  const kind = entry.lane;
  const state = entry.ok === false ? "failed" : entry.ok === null || entry.ok === undefined ? "open" : "";
  const rails = Object.entries(lines).filter(([name]) => name === "telegram" || !customers.includes(name)).map(([name, x]) => h("line", { class: `rail-${name}`, x1: x, x2: x, y1: 0, y2: 26 }));
  if (from === undefined || to === undefined) return h("svg", { class: "lanes", width, height: 26, viewBox: `0 0 ${width} 26` }, rails);
  const step = to > from ? 1 : -1;
  const body = from === to
    ? [h("circle", { cx: from, cy: 13, r: 5, class: `dot ${kind} ${state}` })]
    : [h("line", { class: `arrow ${kind} ${state}`, x1: from + 4 * step, x2: to - 9 * step, y1: 13, y2: 13 }), h("circle", { cx: from, cy: 13, r: 3.5, class: `dot ${kind} ${state}` }),
      state === "failed" ? h("path", { class: `cross ${kind}`, d: `M${to - 9 * step - 4} 9l8 8m0-8l-8 8` }) : h("path", { class: `head ${kind} ${state}`, d: `M${to - 2 * step} 13l${-8 * step} -4.5v9z` })];
  return h("svg", { class: "lanes", width, height: 26, viewBox: `0 0 ${width} 26`, "aria-hidden": "true" }, rails, body);
}

// Rows are in the order of the real clock and show the shop's, as it stood then.
function stamp(entry) {
  const when = new Date((entry.at + (entry.turned || 0)) * 1000);
  return `${shown(when, "en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" })}.${String(when.getMilliseconds()).padStart(3, "0")}`;
}

const words = { telegram: "Telegram", mail: "Mail", twilio: "Twilio", meta: "Meta", x: "X", santral: "Santral", database: "PostgreSQL", slack: "Slack" };

function row(entry, before) {
  const gap = before && entry.at - before.at > 2;
  const since = before ? Math.round((entry.at - before.at) * 1000) : 0;
  return h("li", { key: entry.id, fresh: true, class: gap ? "gap" : "" }, h("button", {
    type: "button", class: `went ${store.ui.entry === entry.id ? "chosen" : ""} ${entry.ok === false ? "failed" : ""}`, "data-lane": entry.lane,
    on: { click: () => { store.ui.entry = store.ui.entry === entry.id ? null : entry.id; redraw(); } },
  },
    h("time", {}, stamp(entry)), h("span", { class: "since" }, before && since < 60000 && !gap ? `+${since}` : ""),
    arrow(entry),
    h("span", { class: "went-name" }, h("span", { class: "hidden" }, `${words[entry.from]} to ${words[entry.to]}: `), entry.name, entry.repeat ? h("span", { class: "again" }, `retry ${entry.repeat}`) : null),
    h("span", { class: "went-text" }, entry.text || ""),
    h("span", { class: "went-status" }, entry.status || (entry.ok === null ? "…" : "")),
    h("span", { class: "went-ms" }, entry.ms === null || entry.ms === undefined ? "" : `${entry.ms < 10 ? Number(entry.ms).toFixed(1) : Math.round(entry.ms)} ms`)));
}

function json(value, depth = 0) {
  const pad = "  ".repeat(depth + 1);
  if (value === null) return [h("span", { class: "j-null" }, "null")];
  if (typeof value === "string") return [h("span", { class: "j-string" }, JSON.stringify(value.length > 3000 ? `${value.slice(0, 3000)}…` : value))];
  if (typeof value !== "object") return [h("span", { class: "j-number" }, String(value))];
  const many = Array.isArray(value);
  const items = many ? value.map((one, at) => [at, one]) : Object.entries(value);
  if (!items.length) return [many ? "[]" : "{}"];
  return [many ? "[\n" : "{\n", ...items.flatMap(([name, one], at) => [pad, many ? "" : h("span", { class: "j-key" }, `${JSON.stringify(name)}`), many ? "" : ": ", ...json(one, depth + 1), at < items.length - 1 ? ",\n" : "\n"]), "  ".repeat(depth), many ? "]" : "}"];
}

const filters = [["all", "Everything"], ["telegram", "Telegram"], ["mail", "Mail"], ["twilio", "Twilio"], ["meta", "Meta"], ["x", "X"], ["database", "Database"], ["slack", "Slack"]];

function passes(entry) {
  return here.filter === "all" || entry.from === here.filter || entry.to === here.filter;
}

export function drawTravelled() {
  const drawer = document.getElementById("drawer");
  drawer.classList.toggle("shut", !store.ui.drawer);
  const all = store.log.filter(passes);
  const newest = store.log[store.log.length - 1];
  patch(document.getElementById("drawer-head"), [
    h("button", { type: "button", key: "toggle", class: "drawer-toggle", "aria-expanded": store.ui.drawer ? "true" : "false", "aria-controls": "drawer-body", on: { click: () => { store.ui.drawer = !store.ui.drawer; localStorage.setItem("drawer", store.ui.drawer ? "open" : "shut"); redraw(); } } },
      svg(icons.down, { class: "chevron" }), h("strong", {}, "What travelled"), h("span", { class: "count" }, store.log.length)),
    store.ui.drawer
      ? h("div", { key: "filters", class: "filters", role: "group", "aria-label": "Show" }, filters.map(([name, label]) => h("button", { key: name, type: "button", "aria-pressed": here.filter === name ? "true" : "false", class: `filter ${name}`, on: { click: () => { here.filter = name; redraw(); } } }, label)))
      : h("span", { key: "newest", class: "newest" }, newest ? `${words[newest.from]} → ${words[newest.to]}  ${newest.name} ${newest.text || ""}` : "nothing yet"),
    store.ui.drawer ? h("button", { key: "clear", type: "button", class: "clear", on: { click: () => { store.log.length = 0; store.ui.entry = null; redraw(); } } }, "Clear") : null,
  ].filter(Boolean));
  if (!store.ui.drawer) return;
  const part = all.slice(-here.shown);
  const rows = part.length ? part.map((entry, at) => row(entry, part[at - 1])) : [h("li", { key: "nothing", class: "went-nothing" }, "Write as a customer, or play a story: each request, row and answer is drawn here as it goes.")];
  patchAtEnd(document.getElementById("went"), rows, { scroller: document.getElementById("went-list") });
  const entry = store.log.find((one) => one.id === store.ui.entry);
  const inspector = document.getElementById("inspector");
  inspector.hidden = !entry;
  if (entry) {
    patch(inspector, [h("header", { key: "head" }, h("div", {}, h("strong", {}, entry.name), h("span", { class: "quiet" }, `${words[entry.from]} → ${words[entry.to]}`)),
      h("button", { type: "button", class: "sl-icon", "aria-label": "Close", on: { click: () => { store.ui.entry = null; redraw(); } } }, svg(icons.close))),
      h("div", { key: `body${entry.id}`, class: "inspector-body", tabindex: "0" }, Object.entries(entry.detail || {}).filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => h("section", { key: name }, h("h4", {}, name), h("pre", {}, json(value)))))]);
  }
}
