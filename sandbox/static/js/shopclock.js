// The shop's clock in the masthead: the time, whether somebody answers, and a week of support hours to turn it in.

import { h, svg, patch, post } from "./dom.js";
import { icons } from "./drawings.js";
import { clock, dateOf, daysBetween, minuteOf, setClock, shopNow, shown } from "./time.js";
import { store, redraw, say } from "./app.js";

const DAY = 1440; // minutes
const STEP = 10; // minutes a click into the week is rounded to
const here = { open: false, moment: "" };

async function turn(wish) {
  try {
    store.clock = await post("/demo/clock", wish);
    setClock(store.clock);
    redraw();
  } catch (error) {
    say(`The clock: ${error.message}`);
  }
}

const turned = () => Math.abs(store.clock.offset) >= 1;
const weekday = (at) => shown(at, "en-GB", { weekday: "short" });
const longDate = (at) => shown(at, "en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });

// "09:00", "Mon 09:00", "Mon 7 Dec 09:00": as much as it takes to know when.
function when(at) {
  const days = daysBetween(shopNow(), at);
  if (days === 0) return clock(at);
  return days < 7 ? `${weekday(at)} ${clock(at)}` : `${shown(at, "en-GB", { weekday: "short", day: "numeric", month: "short" })} ${clock(at)}`;
}

function standing() {
  const { open, until } = store.clock;
  if (open === null) return "";
  if (!until) return open ? "open" : "closed";
  return open ? `open until ${when(until)}` : `closed, opens ${when(until)}`;
}

function dial(at, size) {
  const minute = minuteOf(at);
  const hand = (angle, length, width) => {
    const turnedBy = (angle - 90) * Math.PI / 180;
    return h("line", { x1: 20, y1: 20, x2: (20 + length * Math.cos(turnedBy)).toFixed(2), y2: (20 + length * Math.sin(turnedBy)).toFixed(2), "stroke-width": width, "stroke-linecap": "round", stroke: "currentColor" });
  };
  const ticks = Array.from({ length: 12 }, (_, hour) => h("line", { x1: 20, x2: 20, y1: 4.2, y2: hour % 3 ? 5.6 : 7, transform: `rotate(${hour * 30} 20 20)`, stroke: "currentColor", "stroke-width": hour % 3 ? 0.8 : 1.4, opacity: hour % 3 ? 0.45 : 0.8, "stroke-linecap": "round" }));
  return h("svg", { class: "dial", width: size, height: size, viewBox: "0 0 40 40", "aria-hidden": "true" },
    h("circle", { class: "dial-face", cx: 20, cy: 20, r: 18, "stroke-width": 2 }), size > 30 ? ticks : null, hand((minute % 720) / 2, 9, size > 30 ? 2.6 : 3.6), hand((minute % 60) * 6, 13, size > 30 ? 1.8 : 2.8), h("circle", { cx: 20, cy: 20, r: size > 30 ? 1.8 : 2.4, fill: "currentColor" }));
}

function weekDays() {
  const monday = Date.parse(`${store.clock.monday}T12:00:00Z`);
  return Array.from({ length: 7 }, (_, day) => new Date(monday + day * 86400000).toISOString().slice(0, 10));
}

// What of a span lies on a day, in percent of the day.
function parts(date) {
  return store.clock.week.flatMap(([opens, closes]) => {
    const first = dateOf(opens);
    const last = dateOf(closes - 1);
    if (date < first || date > last) return [];
    const from = date === first ? minuteOf(opens) : 0;
    const to = date === last ? minuteOf(closes) || DAY : DAY;
    return [[(from / DAY) * 100, ((to - from) / DAY) * 100]];
  });
}

function pointed(event) {
  const box = event.currentTarget.getBoundingClientRect();
  const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 0.999);
  const minute = Math.floor((share * DAY) / STEP) * STEP;
  return `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
}

function week(now) {
  const today = dateOf(now);
  return h("div", { class: "week", key: "week" },
    weekDays().map((date) => {
      const at = new Date(`${date}T12:00:00Z`);
      const open = parts(date);
      return h("div", { key: date, class: `week-day ${date === today ? "today" : ""}` },
        h("span", { class: "week-name" }, at.toLocaleDateString("en-GB", { weekday: "short", timeZone: "UTC" }), h("small", {}, Number(date.slice(8)))),
        h("div", {
          class: "week-bar", title: "Click to turn the clock to this moment",
          on: {
            click: (event) => turn({ to: `${date}T${pointed(event)}` }),
            mousemove: (event) => { here.moment = `${at.toLocaleDateString("en-GB", { weekday: "short", timeZone: "UTC" })} ${pointed(event)}`; redraw(); },
            mouseleave: () => { here.moment = ""; redraw(); },
          },
        }, open.map(([from, length]) => h("i", { style: `left:${from}%;width:${length}%` })), date === today ? h("b", { style: `left:${(minuteOf(now) / DAY) * 100}%` }) : null));
    }),
    h("div", { class: "week-scale", key: "scale", "aria-hidden": "true" }, h("span", {}), h("div", {}, [0, 6, 12, 18, 24].map((hour) => h("small", { style: `left:${(hour / 24) * 100}%` }, hour)))));
}

function panel(now) {
  const state = store.clock.open === null ? "" : store.clock.open ? "open" : "closed";
  const button = (label, wish, more = {}) => h("button", { type: "button", class: "turn", on: { click: () => turn(wish) }, ...more }, label);
  return h("div", { class: "menu clock-panel", key: "panel", role: "group", "aria-label": "Turn the shop's clock" },
    h("div", { class: "clock-now", key: "now" }, dial(now, 64),
      h("div", {}, h("strong", { class: "clock-time" }, clock(now)), h("span", {}, longDate(now)), state ? h("span", { class: `clock-state ${state}` }, h("i"), `${store.cast.shop} is ${standing()}`) : null)),
    store.clock.week.length ? week(now) : null,
    h("div", { class: "clock-turns", key: "turns" }, button("+10 min", { by: 600 }), button("+1 h", { by: 3600 }), store.clock.open === null ? null : button("Next opening", { to: "opening" }), button("Saturday 23:40", { to: "saturday" })),
    h("form", {
      class: "clock-form", key: "form", on: { submit: (event) => { event.preventDefault(); const field = event.target.querySelector("input"); if (field.value) turn({ to: field.value }); } },
    }, h("label", {}, h("span", { class: "hidden" }, "Date and time in the shop"), h("input", { key: `at${store.clock.offset}`, type: "datetime-local", required: true, born: (node) => { node.value = `${dateOf(now)}T${clock(now)}`; } })), h("button", { type: "submit", class: "turn" }, "Turn to"), h("button", { type: "button", class: "turn back", disabled: !turned(), on: { click: () => turn({ to: "now" }) } }, "Real time")),
    h("p", { class: "clock-note", key: "note" }, here.moment ? `Turn to ${here.moment}` : store.clock.hours ? `Support hours: ${store.clock.hours}. ${zoneWords()}` : zoneWords()));
}

function zoneWords() {
  return `Everybody here goes by the clock of ${store.clock.zone.split("/").at(-1).replaceAll("_", " ")}.`;
}

export function drawClock() {
  const box = document.getElementById("shop-clock");
  if (!store.clock) return;
  const now = shopNow();
  const state = store.clock.open === null ? "" : store.clock.open ? "open" : "closed";
  patch(box, [h("details", { key: "clock", class: `shop-clock ${state} ${turned() ? "turned" : ""}`, on: { toggle: (event) => { here.open = event.target.open; redraw(); } } },
    h("summary", { "aria-label": `The shop's clock: ${longDate(now)}, ${clock(now)}. ${standing()}`, title: "Turn the shop's clock" },
      dial(now, 22), h("strong", {}, `${weekday(now)} ${clock(now)}`), h("span", { class: "clock-words" }, standing() || longDate(now)), h("i", { class: "clock-dot" }), svg(icons.down, { class: "chevron" })),
    here.open ? panel(now) : null)]);
}
