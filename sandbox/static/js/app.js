// The page: one state, fetched whole when told that it changed, and one stream that tells so.

import { h, svg, patch } from "./dom.js";
import { mark } from "./drawings.js";
import { knowEmoji } from "./blockkit.js";
import { drawPhone, closeMenus as closePhoneMenus } from "./people.js";
import { drawDesk, closeMenus as closeDeskMenus, currentChannel, followNewest } from "./desk.js";
import { drawTravelled } from "./travelled.js";
import { drawStories } from "./stories.js";
import { drawClock } from "./shopclock.js";
import { clock, setClock, shopNow } from "./time.js";

export const store = {
  cast: null, telegram: null, slack: null, mail: null, twilio: null, meta: null, x: null, health: null, clock: null, stories: [], scene: null, log: [], delivered: {}, typing: {}, troubles: [],
  ui: { person: null, apps: {}, agent: null, channel: null, thread: null, home: false, drawer: localStorage.getItem("drawer") !== "shut", entry: null, tab: "phones" },
};

export function chosenPerson() {
  return everybody().find((person) => person.key === store.ui.person) || store.cast?.people[0];
}

// Those with a phone and those with a mailbox.
export function everybody() {
  return [...(store.cast?.people || []), ...(store.cast?.writers || [])];
}

let due = false;

export function redraw() {
  if (due || !store.cast) return;
  due = true;
  const draw = () => {
    due = false;
    drawTop();
    drawClock();
    drawStories();
    drawPhone();
    drawDesk();
    drawTravelled();
    document.body.dataset.look = store.scene && !store.scene.over ? store.scene.look || "" : "";
  };
  if (document.hidden) setTimeout(draw, 30);
  else requestAnimationFrame(draw);
}

let toast;

export function say(text) {
  const box = document.getElementById("toast");
  box.textContent = text;
  box.classList.add("shown");
  clearTimeout(toast);
  toast = setTimeout(() => box.classList.remove("shown"), 5000);
}

function drawTop() {
  const health = store.health || {};
  const state = health.ready ? "ready" : health.gone ? "gone" : "starting";
  const label = { ready: "Santral is up", gone: "Santral is away", starting: "Santral is starting…" }[state];
  patch(document.getElementById("top"), [
    h("h1", {}, svg(mark, { class: "mark" }), h("span", {}, "Santral", h("small", {}, "Slack as the support desk of a shop"))),
  ]);
  patch(document.getElementById("status"), [
    store.troubles.length ? h("span", { class: "status trouble", key: "trouble" }, h("i"), store.troubles.join(" · ")) : null,
    h("span", { key: "status", class: `status ${state}`, role: "status", title: health.detail || "" }, h("i"), label, state === "starting" ? h("span", { class: "bar", "aria-hidden": "true" }) : null, state !== "ready" && health.detail ? h("small", {}, health.detail) : null),
  ].filter(Boolean));
  for (const tab of document.querySelectorAll("[data-tab]")) tab.setAttribute("aria-selected", tab.dataset.tab === store.ui.tab ? "true" : "false");
  document.body.dataset.side = store.ui.tab;
}

// One fetch at a time per side; whatever is told meanwhile makes one more.
function fetcher(path, take) {
  let running = false;
  let again = false;
  return async function run() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    try {
      const answer = await fetch(path);
      if (answer.ok) take(await answer.json());
    } catch {
      again = false;
    } finally {
      running = false;
    }
    redraw();
    if (again) {
      again = false;
      run();
    }
  };
}

export const refresh = {
  ...Object.fromEntries(["twilio", "meta", "x"].map((side) => [side, fetcher(`/${side}/control/state`, (state) => (store[side] = state))])),
  telegram: fetcher("/telegram/control/state", (state) => (store.telegram = state)),
  mail: fetcher("/mail/control/state", (state) => (store.mail = state)),
  slack: fetcher("/slack/control/state", (state) => { store.slack = state; followNewest(); }),
};

function take(entry) {
  const at = store.log.findIndex((one) => one.id === entry.id);
  if (at >= 0) store.log[at] = entry;
  else {
    store.log.push(entry);
    if (store.log.length > 1 && store.log[store.log.length - 2].at > entry.at) store.log.sort((a, b) => a.at - b.at);
  }
  if (store.log.length > 800) store.log.splice(0, store.log.length - 800);
  for (const message of [entry.delivered || []].flat()) store.delivered[message] = true;
  if (entry.typing) {
    store.typing[entry.typing] = Date.now() + 5000;
    setTimeout(redraw, 5050);
  }
}

function direct(scene) {
  const before = store.scene;
  store.scene = scene;
  if (!scene || scene.over) return;
  if (scene.look === "drawer") store.ui.drawer = true;
  const tab = { phone: "phones", desk: "desk", drawer: "travelled" }[scene.look];
  if (tab && innerWidth < 900) store.ui.tab = tab;
  if (scene.person) store.ui.person = scene.person;
  if (scene.person && scene.app) store.ui.apps[scene.person] = scene.app;
  if (scene.agent) store.ui.agent = scene.agent;
  if (scene.channel) {
    store.ui.channel = scene.channel;
    store.ui.home = false;
  }
  if (scene.thread) store.ui.thread = scene.thread;
  if (!before || before.say !== scene.say) document.getElementById("announce").textContent = scene.say;
}

function heard(event) {
  const told = JSON.parse(event.data);
  if (told.type === "changed") refresh[told.side]?.();
  else if (told.type === "went") take(told.entry);
  else if (told.type === "scene") direct(told.scene);
  else if (told.type === "health") store.health = told.health;
  else if (told.type === "clock") takeClock(told.clock);
  else if (told.type === "troubles") store.troubles = told.troubles;
  else if (told.type === "start-over") return start();
  redraw();
  return undefined;
}

function takeClock(told) {
  store.clock = told;
  setClock(told);
}

let stream;

async function start() {
  stream?.close();
  const answer = await fetch("/demo/state");
  const state = await answer.json();
  const first = !store.cast;
  Object.assign(store, { cast: state.cast, telegram: state.telegram, slack: state.slack, mail: state.mail, twilio: state.twilio, meta: state.meta, x: state.x, health: state.health, stories: state.stories, scene: state.scene, troubles: state.troubles, log: [] });
  takeClock(state.clock);
  knowEmoji(state.emoji);
  for (const entry of state.log) take(entry);
  if (first) {
    store.ui.person = state.cast.people[0].key;
    store.ui.agent = state.cast.agents[0].id;
    store.ui.channel = state.cast.support_channel;
    const channel = currentChannel();
    const newest = (channel?.messages || []).filter((message) => message.reply_count || message.replies?.length).at(-1);
    if (newest && innerWidth >= 900) store.ui.thread = newest.ts;
  }
  followNewest();
  direct(state.scene);
  redraw();
  setTimeout(() => (document.body.dataset.painted = "yes"), 300);
  stream = new EventSource(`/demo/stream?since=${encodeURIComponent(state.seq)}`);
  stream.onmessage = heard;
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(start, 1500);
  };
}

document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details[open]")) if (!open.contains(event.target)) open.open = false;
  const phone = closePhoneMenus(event.target);
  const desk = closeDeskMenus(event.target);
  if (phone || desk) redraw();
}, true);

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const open of document.querySelectorAll("details[open]")) open.open = false;
});

document.getElementById("modal").addEventListener("cancel", (event) => {
  event.preventDefault();
  event.target.querySelector("[aria-label=Close]")?.click();
});

for (const tab of document.querySelectorAll("[data-tab]")) {
  tab.addEventListener("click", () => {
    store.ui.tab = tab.dataset.tab;
    redraw();
  });
}

const showTime = () => (document.getElementById("phone-clock").textContent = clock(shopNow()));
showTime();
let minute = "";
setInterval(() => {
  showTime();
  if (minute !== clock(shopNow())) redraw(); // everything that says how long ago
  minute = clock(shopNow());
  if (store.scene?.until || Object.values(store.typing).some((until) => until > Date.now() - 1000)) redraw();
}, 500);

start().catch(() => setTimeout(() => location.reload(), 2000));
