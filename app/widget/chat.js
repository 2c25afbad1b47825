// The chat. What the server says is the truth and replaces what stands here; what it has not yet stored is kept and
// sent again, under the same id, until it says so.
"use strict";
(() => {
  const settings = JSON.parse(document.getElementById("settings").textContent);
  const say = settings.texts;
  const $ = (id) => document.getElementById(id);

  // Twelve hours only where the language is written so and the browser is not one of 24. As on the contact page.
  const base = (tag) => tag.toLowerCase().split("-")[0];
  const twelve = (tag) => new Intl.DateTimeFormat(tag, { hour: "numeric" }).resolvedOptions().hour12;
  const own = navigator.languages.find((tag) => base(tag) === settings.language);
  const hourCycle = twelve(own || settings.language) && twelve(own || navigator.language) ? "h12" : "h23";
  const locale = new Intl.Locale(own || settings.language, { hourCycle, numberingSystem: "latn" });
  const HOURS = { hour: hourCycle === "h12" ? "numeric" : "2-digit", minute: "2-digit" };
  const MOST_TEXT = 4000, MOST_FILE = 20 * 1024 * 1024, MOST_FILES = 5;
  const PING = 20e3, PATIENCE = 8e3, LONGEST = 30e3, MINUTE = 60, HOUR = 3600, DAY = 86400, LATE = 7 * DAY * 1000;
  const LINK = /\bhttps?:\/\/[^\s<>"'`\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gi;
  const TAGS = { bold: "b", italic: "i", underline: "u", strike: "s", code: "code", pre: "code", quote: "q", spoiler: "span" };

  const el = (name, props = {}, ...inside) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(props)) {
      if (key.startsWith("aria-")) made.setAttribute(key, value); else made[key] = value;
    }
    made.append(...inside.filter((part) => part != null && part !== ""));
    return made;
  };
  const icon = (path) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    line.setAttribute("d", path);
    svg.append(line);
    return svg;
  };
  const name = (button, words) => { button.title = words; button.setAttribute("aria-label", words); };
  const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const uuid = () => {
    const raw = crypto.getRandomValues(new Uint8Array(16));
    raw[6] = (raw[6] & 15) | 64;
    raw[8] = (raw[8] & 63) | 128;
    const hex = [...raw].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  };

  // --- what this browser remembers, where it may

  const PREFIX = `santral:${settings.channel}:`;
  const memory = new Map();
  const store = {
    get(name) {
      try { return localStorage.getItem(PREFIX + name) ?? memory.get(name) ?? ""; } catch { return memory.get(name) ?? ""; }
    },
    set(name, value) {
      memory.set(name, value);
      try { localStorage.setItem(PREFIX + name, value); } catch { /* then for as long as the page is open */ }
    },
    drop(name) {
      memory.delete(name);
      try { localStorage.removeItem(PREFIX + name); } catch { /* was never there */ }
    },
    outbox() {
      const names = new Set([...memory.keys()].filter((name) => name.startsWith("out:")));
      try {
        for (let at = 0; at < localStorage.length; at++) {
          const name = localStorage.key(at);
          if (name.startsWith(`${PREFIX}out:`)) names.add(name.slice(PREFIX.length));
        }
      } catch { /* only what this page wrote */ }
      const found = [];
      for (const name of names) {
        try { found.push(JSON.parse(store.get(name))); } catch { store.drop(name); }
      }
      return found.sort((one, other) => one.written - other.written);
    },
  };

  // --- state

  const items = new Map(); // id to what the server says of a bubble
  const waiting = new Map(); // key to what it has not stored yet
  const rows = new Map(); // id or key to its element
  let socket = null, welcomed = false, tries = 0, retry = 0, pinging = 0, lost = 0;
  let ticket = "", me = "", account = "", identity = null, blocked = "";
  let shown = !settings.framed, more = false, offset = 0;
  let facts = {}, factsTimer = 0;
  let reply = null, editing = null;
  let flying = null, pausing = 0; // what waits for its answer: one at a time, or what is told to wait is overtaken
  let greeted = "", mine = ""; // the token this line said hello with, and the one it was given
  let filling = false; // history is not news
  let queued = false, done = null; // for the first hello of this browser, and what ends our turn
  const uploads = []; // files of the message being written
  const early = new Set(); // messages written before the server has said who is here
  let known = null; // resolves the promise that uploads wait for
  let knowing = new Promise((resolve) => { known = resolve; });

  // --- the line

  function connect() {
    clearTimeout(retry);
    if (socket || blocked || queued) return;
    if (store.get("token") || !navigator.locks) return dial();
    // Tabs that meet the chat at the same time take turns, so that the next one greets by the token the first was given.
    queued = true;
    const asked = new AbortController(), bored = setTimeout(() => asked.abort(), PATIENCE);
    navigator.locks.request(`${PREFIX}hello`, { signal: asked.signal }, () => new Promise((end) => {
      clearTimeout(bored);
      queued = false;
      done = end;
      if (socket || blocked) turn(); else dial();
    })).catch(() => { // a tab that sleeps in its turn, or a browser that forbids this
      queued = false;
      if (!socket && !blocked) dial();
    });
  }

  function turn() {
    done?.();
    done = null;
  }

  function dial() {
    const url = new URL(`${settings.base}/socket`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const line = socket = new WebSocket(url);
    line.onopen = () => {
      greeted = store.get("token");
      line.send(JSON.stringify({ type: "hello", token: greeted, ticket, identity: identity || "", language: settings.language }));
    };
    line.onmessage = (event) => { if (line === socket) { alive(); hear(JSON.parse(event.data)); } };
    line.onclose = (event) => { if (line === socket) gone(event.code); };
    clearTimeout(lost);
    lost = setTimeout(() => drop(line), PATIENCE);
  }

  function gone(code) {
    socket = null;
    turn();
    welcomed = false;
    land();
    clearTimeout(lost);
    clearTimeout(pinging);
    notice();
    if (blocked) return;
    const room = code === 1012 ? 1500 : code === 4429 || code === 1008 ? LONGEST : Math.min(LONGEST, 500 * 2 ** tries++);
    retry = setTimeout(connect, room * (0.5 + Math.random() / 2));
  }

  function drop(line) {
    if (line !== socket) return;
    line.onclose = null;
    line.close();
    gone(1006);
  }

  function alive() {
    clearTimeout(lost);
    clearTimeout(pinging);
    pinging = setTimeout(ping, PING);
  }

  function ping() {
    const line = socket;
    if (!line) return;
    send({ type: "ping" });
    lost = setTimeout(() => drop(line), PATIENCE);
  }

  function send(frame) {
    if (socket && socket.readyState === 1) socket.send(JSON.stringify(frame));
  }

  function again() { // the network has changed, or the computer was asleep
    tries = 0;
    if (!socket) connect();
    else if (welcomed) { clearTimeout(lost); ping(); }
  }

  function hear(told) {
    switch (told.type) {
      case "welcome": welcome(told); break;
      case "items": take(told.items, told.answering); break;
      case "older":
        more = told.more;
        filling = true;
        const stood = document.activeElement === $("older");
        keepPlace(() => take(told.items));
        filling = false;
        if (stood && !more) $("log").focus();
        break;
      case "facts": learn(told); break;
      case "pong": if (told.ticket) ticket = told.ticket; break;
      case "stored":
      case "refused": {
        const one = flying;
        if (!one || one.id !== told.id) break;
        land();
        if (told.type === "stored") stored(one);
        else { one.failed = true; paintWaiting(one); }
        flush();
        break;
      }
      case "later":
        if (!flying || flying.id !== told.id) break;
        clearTimeout(pausing);
        pausing = setTimeout(() => { land(); flush(); }, Math.max(0.5, told.after) * 1000);
        break;
      case "unknown":
        if (told.code === "identity_expired") { blocked = told.code; ask(); }
        else { console.warn("Santral: the identity token was refused."); identity = null; }
        notice();
    }
  }

  function welcome(told) {
    const kept = store.get("token");
    if (kept && kept !== greeted && kept !== told.token) return hello(); // another tab was here first
    welcomed = true;
    tries = 0;
    const [first, other, was] = [!me, me && me !== told.me, account];
    me = told.me;
    account = told.known ? me : "";
    if (first) claim();
    if (other) { // somebody else, or the same person by another name
      items.clear();
      rows.forEach((row) => row.remove());
      rows.clear();
      for (const one of waiting.values()) if (!one.as) paintWaiting(one); else waiting.delete(one.key);
      for (const file of uploads.splice(0)) file.stop.abort(); // nobody else may send them
      if (was) box.value = "";
      about();
      chips();
    }
    ticket = told.ticket;
    known();
    mine = told.token;
    store.set("token", mine);
    turn();
    learn(told);
    if (!items.size) more = told.more;
    filling = !items.size; // what came while there was no line is news
    take(told.items, told.answering);
    filling = false;
    $("log").setAttribute("aria-busy", "false");
    notice();
    draft();
    unpack();
    flush();
  }

  function claim() { // what was written before is by whoever turns out to be here, and nobody else's later on
    for (const key of early) if (waiting.has(key)) remember(Object.assign(waiting.get(key), { as: account }));
    early.clear();
    if (box.value) begun();
  }

  function hello() { // by the token that stands in the browser by now
    const line = socket;
    ticket = "";
    if (line) { line.onclose = null; line.close(); }
    socket = null;
    welcomed = false;
    turn();
    land();
    connect();
  }

  function ask() {
    if (settings.framed) toPage({ santral: "identity" });
  }

  // --- messages

  function take(news, answering) {
    const last = newest(), heard = [];
    for (const item of news || []) {
      const old = items.has(item.id);
      items.set(item.id, item);
      if (item.key) settle(item.key);
      paint(item);
      if (!old && !item.mine && !filling) heard.push(`${item.name || settings.title}: ${item.text || item.files?.[0]?.name || ""}`);
    }
    if (heard.length) announce(heard.join("\n"));
    if (answering !== undefined) $("typing").hidden = !answering;
    $("older").hidden = !more;
    $("greeting").hidden = items.size > 0 || waiting.size > 0;
    const now = newest();
    if (now && (!last || later(now.id, last.id))) {
      scrollDown();
      if (!now.mine) send({ type: "got", place: place(now.id) });
    }
    if (items.size) toPage({ santral: "used" });
    seen();
  }

  const place = (id) => id.split(".").map(Number);
  const later = (one, other) => {
    const [mine, theirs] = [place(one), place(other)];
    const at = mine.findIndex((part, index) => part !== theirs[index]);
    return at >= 0 && mine[at] > theirs[at];
  };
  const newest = () => [...items.values()].reduce((best, item) => (!best || later(item.id, best.id) ? item : best), null);

  function settle(key) { // what was said stands in a row of the server's by now
    const one = waiting.get(key);
    store.drop(`out:${key}`);
    if (!one) return;
    waiting.delete(key);
    rows.get(key)?.remove();
    rows.delete(key);
  }

  function stored(one) {
    announce(one.type === "withdraw" ? say.gone : say.stored);
    if (waiting.get(one.key) !== one) return; // its row was there first, or it was changed once more
    store.drop(`out:${one.key}`);
    if (one.type === "say") {
      one.stored = true;
      paintWaiting(one);
      return;
    }
    waiting.delete(one.key);
    const item = said(one.id);
    if (!item) return;
    if (one.type === "edit") Object.assign(item, { text: one.text, edited: true });
    else Object.assign(item, { text: "", quoted: "", files: undefined, gone: true });
    paint(item);
  }

  const said = (key) => [...items.values()].find((item) => item.key === key);

  function unpack() { // what an account wrote is nobody else's to see or to send, whoever sits here now
    for (const one of store.outbox()) {
      if (waiting.has(one.key) || (one.as && one.as !== account)) continue;
      one.type ||= "say";
      one.id ||= one.key;
      if (Date.now() - one.written > LATE) one.failed = true; // nobody may want it said by now
      waiting.set(one.key, one);
      paintWaiting(one);
    }
  }

  function flush() { // the next, once the one before it is stored: what is told to wait may not be overtaken
    if (!welcomed || flying) return;
    flying = [...waiting.values()].filter((one) => !one.stored && !one.failed && !(one.as && one.as !== account))
      .reduce((first, one) => (first && first.written <= one.written ? first : one), null);
    if (!flying) return;
    const { type, id, text, files, reply, payload, written } = flying;
    if (type !== "say") send({ type, id, text });
    else send({ type, id, text, files: files.map((file) => file.seal), reply, payload, age: Math.max(0, Date.now() - written) });
  }

  function land() {
    clearTimeout(pausing);
    flying = null;
  }

  function remember(one) {
    store.set(`out:${one.key}`, JSON.stringify(one));
  }

  function keep(one) {
    if (!me) early.add(one.key);
    waiting.set(one.key, one);
    remember(one);
    paintWaiting(one);
    flush();
  }

  function write(text, more = {}) {
    const id = uuid();
    keep({ key: id, id, type: "say", text, files: [], reply: "", payload: "", written: Date.now(), as: account, ...more });
    $("greeting").hidden = true;
    scrollDown();
  }

  function change(type, item, text = "") { // kept like a message, under a key of its own: the last wish counts
    if (type === "withdraw") forgo(waiting.get(`edit:${item.key}`));
    keep({ key: `${type}:${item.key}`, id: item.key, type, text, written: Date.now(), as: account });
  }

  function forgo(one) {
    if (!one) return;
    waiting.delete(one.key);
    store.drop(`out:${one.key}`);
    rows.get(one.key)?.remove();
    rows.delete(one.key);
    if (one.type !== "say" && said(one.id)) paint(said(one.id));
  }

  function announce(words) { // the talk itself is no live region, or its history would be read out and each change again
    $("told").textContent = words;
  }

  function seen() {
    const unread = [...items.values()].filter((item) => !item.mine && !item.read && !item.gone);
    toPage({ santral: "unread", count: unread.length });
    const last = newest();
    if (shown && !document.hidden && unread.length && last && welcomed) send({ type: "seen", place: place(last.id) });
  }

  // --- painting: every word of a person becomes a text node, never markup

  function paint(item) {
    const edit = waiting.get(`edit:${item.key}`), withdraw = waiting.get(`withdraw:${item.key}`);
    const wished = withdraw && !withdraw.failed ? { ...item, text: "", quoted: "", files: undefined, gone: true }
      : edit ? { ...item, text: edit.text } : item;
    const row = bubble(wished, item.key && !item.gone ? withdraw || edit : undefined);
    const old = rows.get(item.id);
    rows.set(item.id, row);
    if (old) swap(old, row);
    else {
      let after = $("items").lastElementChild;
      while (after && (!after.dataset.id || later(after.dataset.id, item.id))) after = after.previousElementSibling;
      if (after) after.after(row); else $("items").prepend(row);
    }
    for (const near of [row, row.nextElementSibling]) days(near);
  }

  function swap(old, row) { // whoever stood on a button of it goes on standing there, or where they write
    const stops = [...old.querySelectorAll("button, a")];
    const at = stops.indexOf(document.activeElement);
    old.replaceWith(row);
    if (at < 0) return;
    const news = [...row.querySelectorAll("button, a")];
    (news.length === stops.length ? news[at] : news[0] || box).focus();
  }

  function paintWaiting(one) {
    if (one.type !== "say") {
      if (said(one.id)) paint(said(one.id));
      return;
    }
    const item = { ...one, id: "", mine: true, at: one.written };
    const row = bubble(item, one);
    const old = rows.get(one.key);
    rows.set(one.key, row);
    if (old) swap(old, row); else $("items").append(row);
    days(row);
  }

  function bubble(item, pending) {
    const row = el("li", { className: item.mine ? "mine" : "theirs" });
    if (item.id) row.dataset.id = item.id;
    row.dataset.at = item.at;
    const body = el("div", { className: "bubble" });
    const head = el("p", { className: item.mine ? "name hidden" : "name" },
      el("bdi", {}, item.mine ? say.you : item.name || settings.title));
    if (item.bot) head.append(` · ${say.automatic}`);
    body.append(head);
    if (item.quoted) body.append(el("blockquote", { dir: "auto" }, item.quoted));
    if (item.gone) body.append(el("p", { className: "gone" }, say.gone));
    if (item.text) body.append(words(item));
    for (const file of item.files || []) body.append(shownFile(file));
    const foot = el("p", { className: "foot" }, el("time", { dateTime: new Date(item.at).toISOString() }, clock(item.at)));
    if (item.edited) foot.append(` · ${say.edited}`);
    if (item.mine && !item.gone) foot.append(mark(pending));
    body.append(foot);
    row.append(body);
    const acts = pending ? again_(pending) : acting(item);
    if (acts) row.append(acts);
    if (item.choices) row.append(choosing(item));
    return row;
  }

  function mark(pending) {
    const said = !pending || pending.stored ? say.stored : pending.failed ? say.failed : say.sending;
    const sign = !pending || pending.stored ? " ✓" : pending.failed ? " ⚠" : " …";
    return el("span", { className: "mark", title: said }, el("span", { "aria-hidden": "true" }, sign), el("span", { className: "hidden" }, ` ${said}`));
  }

  function words(item) {
    const held = el("p", { className: "text", dir: "auto" });
    const letters = Array.from(item.text);
    const spans = item.spans || [];
    const cuts = [...new Set([0, letters.length, ...spans.flatMap(([, start, end]) => [start, end])])]
      .filter((at) => at >= 0 && at <= letters.length).sort((one, other) => one - other);
    for (let at = 0; at + 1 < cuts.length; at++) {
      const [start, end] = [cuts[at], cuts[at + 1]];
      const inside = spans.filter(([, from, to]) => from <= start && to >= end);
      const text = letters.slice(start, end).join("");
      const link = inside.find(([kind]) => kind === "link");
      let part = link ? anchor(link[3], text) : inside.some(([kind]) => kind === "code" || kind === "pre")
        ? document.createTextNode(text) : linked(text);
      for (const [kind] of inside) if (TAGS[kind]) part = el(TAGS[kind], {}, part);
      held.append(part);
    }
    return held;
  }

  function linked(text) {
    const held = document.createDocumentFragment();
    let from = 0;
    for (const found of text.matchAll(LINK)) {
      let url = found[0].replace(/[.,;:!?…'"»”’]+$/u, "");
      while (url.endsWith(")") && url.split("(").length < url.split(")").length) url = url.slice(0, -1);
      held.append(text.slice(from, found.index), anchor(url, url));
      from = found.index + url.length;
    }
    held.append(text.slice(from));
    return held;
  }

  function anchor(address, text) {
    let url;
    try { url = new URL(address); } catch { return document.createTextNode(text); }
    if (!["http:", "https:", "mailto:", "tel:"].includes(url.protocol)) return document.createTextNode(text);
    const link = el("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow ugc" }, text);
    if (text !== address) link.title = url.href; // where it really leads
    return link;
  }

  function shownFile(file) {
    const called = el("bdi", {}, file.name || "?");
    if (!file.url) return el("p", { className: "file" }, called, ` · ${file.seal ? size(file.size) : "…"}`);
    const url = `${settings.base}/${file.url}`;
    const link = el("a", { href: url, target: "_blank", rel: "noopener noreferrer", className: "file" });
    if (/^image\/(png|jpeg|gif|webp)$/.test(file.type)) {
      link.className = "picture";
      const picture = el("img", { src: url, alt: file.name || "", loading: "lazy" });
      picture.onload = () => { if (nearEnd) scrollDown(); };
      link.append(picture);
    } else if (/^(audio|video)\//.test(file.type)) {
      const played = el(file.type.split("/")[0], { src: url, controls: true, preload: "none" });
      played.setAttribute("aria-label", file.name || "");
      return played;
    } else {
      link.download = file.name || "";
      link.append(called, file.size ? ` · ${size(file.size)}` : "");
    }
    return link;
  }

  const size = (bytes) => {
    const [unit, one] = bytes >= 1e6 ? ["megabyte", 1e6] : ["kilobyte", 1e3];
    return new Intl.NumberFormat(locale, { style: "unit", unit, maximumFractionDigits: bytes >= 1e7 ? 0 : 1 })
      .format(Math.max(0.1, bytes / one));
  };

  function acting(item) {
    if (item.gone) return null;
    const held = el("div", { className: "acts" });
    const act = (label, path, does) => {
      const button = el("button", { type: "button", className: "plain", title: label, "aria-label": label }, icon(path));
      button.onclick = does;
      held.append(button);
    };
    act(say.reply, "M10 8V4L3 11l7 7v-4c5 0 8 2 10 5 0-6-3-11-10-11z", () => about("reply", item));
    if (item.mine && item.key) {
      if (!item.files) act(say.edit, "M4 16.5V20h3.5L18 9.5 14.5 6zM16 4.5 19.5 8 21 6.5 17.5 3z", () => about("edit", item));
      act(say.delete, "M6 7h12l-1 14H7zM9 4h6l1 2h4v0H4l1-2z", () => change("withdraw", item));
    }
    return held;
  }

  function again_(pending) {
    if (!pending.failed) return null;
    const retrying = el("button", { type: "button", className: "plain" }, say.again);
    retrying.onclick = () => { pending.failed = false; pending.written = Math.max(pending.written, Date.now() - LATE); paintWaiting(pending); flush(); };
    const dropping = el("button", { type: "button", className: "plain" }, say.delete);
    dropping.onclick = () => { forgo(pending); box.focus(); };
    return el("div", { className: "acts always" }, retrying, dropping);
  }

  function choosing(item) {
    const held = el("div", { className: "choices" });
    for (const choice of item.choices) {
      const button = el("button", { type: "button", dir: "auto" }, choice.label);
      button.onclick = () => write(choice.label, { payload: choice.payload });
      held.append(button);
    }
    return held;
  }

  const clock = (at) => new Intl.DateTimeFormat(locale, HOURS).format(at);
  const dayOf = (at) => new Date(Number(at)).toDateString();

  function days(row) { // a line above the first bubble of each day
    if (!row) return;
    row.querySelector(".day")?.remove();
    const before = row.previousElementSibling;
    if (before && dayOf(before.dataset.at) === dayOf(row.dataset.at)) return;
    row.prepend(el("p", { className: "day" }, relative(Number(row.dataset.at)) ||
      new Intl.DateTimeFormat(locale, { dateStyle: "long" }).format(Number(row.dataset.at))));
  }

  function relative(at) { // "today", "tomorrow", in the calendar of this browser
    const day = (moment) => Math.round(new Date(new Date(moment).toDateString()) / (DAY * 1000));
    const away = day(at) - day(Date.now() + offset);
    return Math.abs(away) > 1 ? "" : new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(away, "day");
  }

  let nearEnd = true;
  $("log").addEventListener("scroll", () => {
    const log = $("log");
    nearEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  });
  function scrollDown() { $("log").scrollTop = $("log").scrollHeight; }
  function keepPlace(doing) {
    const log = $("log"), below = log.scrollHeight - log.scrollTop;
    doing();
    log.scrollTop = log.scrollHeight - below;
  }

  // --- hours, usual time, trouble

  function learn(told) {
    facts = { open: told.open, turns: told.turns || [], usual: told.usual, zone: told.zone, place: told.place };
    offset = told.now - Date.now();
    hours();
  }

  function hours() {
    clearTimeout(factsTimer);
    const now = Date.now() + offset;
    while (facts.turns?.length && facts.turns[0] <= now) { facts.turns.shift(); facts.open = !facts.open; }
    const opens = facts.open ? undefined : facts.turns?.[0];
    const theirs = opens ? there(opens) : "";
    if (facts.open === undefined) $("hours").textContent = "";
    else if (facts.open) $("hours").textContent = say.open_now;
    else $("hours").textContent = opens ? fill(say.opens, { when: moment(opens) }) + (theirs && ` ${say.yours}`) : say.closed;
    $("hours").className = facts.open ? "open" : "";
    $("there").replaceChildren(...theirs ? [el("bdi", {}, facts.place), ": ", el("bdi", {}, theirs)] : []); // as we write it in messages
    $("usual").textContent = facts.usual === undefined ? "" : facts.usual < 5 * MINUTE ? say.usual_soon : fill(say.usual, { time: lasting(facts.usual) });
    const next = facts.turns?.[0];
    if (next) factsTimer = setTimeout(() => { hours(); if (facts.turns.length < 2) send({ type: "facts" }); }, Math.min(next - now + 500, 2 ** 31 - 1));
  }

  function moment(at) {
    const near = relative(at);
    const time = clock(at);
    if (near) return `${near} ${time}`;
    const within = at - Date.now() - offset < 6 * DAY * 1000;
    return new Intl.DateTimeFormat(locale, { ...(within ? { weekday: "long" } : { day: "numeric", month: "long" }), ...HOURS }).format(at);
  }

  function there(at) { // what the shop's clock shows then, where it is another than this one
    if (!facts.zone) return "";
    const date = (timeZone) => new Intl.DateTimeFormat("en", { dateStyle: "short", timeZone }).format(at);
    const time = (timeZone, day) => new Intl.DateTimeFormat(locale, { ...day, ...HOURS, timeZone }).format(at);
    try {
      const same = date() === date(facts.zone);
      return same && time() === time(facts.zone) ? "" : time(facts.zone, same ? {} : { weekday: "long" });
    } catch { return ""; } // a zone this browser does not know
  }

  function lasting(seconds) {
    const [unit, one] = seconds < HOUR ? ["minute", 5 * MINUTE] : seconds < 22 * HOUR ? ["hour", HOUR] : ["day", DAY];
    const count = Math.ceil(seconds / one) * (unit === "minute" ? 5 : 1);
    return count === 60 && unit === "minute" ? lasting(HOUR) :
      new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(count);
  }

  let silent = 0;
  function notice(words) {
    clearTimeout(silent);
    if (words) { $("notice").textContent = words; silent = setTimeout(notice, 8000); }
    else if (blocked) $("notice").textContent = say.expired;
    else if (!welcomed && (tries > 1 || !navigator.onLine)) $("notice").textContent = say.offline;
    else $("notice").textContent = "";
  }

  // --- writing

  const box = $("text");
  function grow() {
    box.dir = box.value ? "auto" : ""; // what is typed goes its own way, the words before it go the page's
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, 140)}px`;
    const many = Array.from(box.value.trim()).length - MOST_TEXT;
    if (many > 0) notice(fill(say.too_long, { n: many }));
    $("send").disabled = many > 0 || uploads.some((file) => !file.seal) || (!box.value.trim() && !uploads.length);
  }

  function submit() {
    grow();
    if ($("send").disabled) return;
    const text = box.value.trim();
    if (editing) {
      if (text && text !== editing.text) change("edit", editing, text);
    } else {
      write(text, {
        files: uploads.splice(0).map(({ seal, name, type, size }) => ({ seal, name, type, size })),
        reply: reply ? reply.id : "", quoted: reply ? reply.text : "",
      });
      store.drop("draft");
    }
    box.value = "";
    about();
    chips();
    box.focus();
  }

  function begun() {
    if (box.value) store.set("draft", JSON.stringify({ text: box.value, as: account }));
    else store.drop("draft");
  }

  function draft() { // what was begun on the page before
    let found = null;
    try { found = JSON.parse(store.get("draft") || "null"); } catch { store.drop("draft"); }
    if (!found || box.value || editing || (found.as && found.as !== account)) return;
    box.value = found.text;
    grow();
  }

  function about(what, item) {
    reply = what === "reply" ? item : null;
    if (editing && what !== "edit") box.value = "";
    editing = what === "edit" ? item : null;
    $("about").hidden = !what;
    $("about-what").textContent = what === "edit" ? say.editing : say.replying;
    $("about-text").textContent = what ? (item.text || item.files?.[0]?.name || "").slice(0, 120) : "";
    name($("send"), editing ? say.save : say.send);
    $("attach").disabled = Boolean(editing);
    if (editing) box.value = item.text; else if (!what) draft();
    if (what) box.focus();
    grow();
  }

  function chips() {
    $("files").replaceChildren(...uploads.map((file) => {
      const label = fill(say.remove, { name: file.name });
      const button = el("button", { type: "button", className: "round small", title: label, "aria-label": label }, icon("M6 6l12 12M18 6L6 18"));
      button.onclick = () => { file.stop.abort(); uploads.splice(uploads.indexOf(file), 1); chips(); box.focus(); };
      return el("li", {}, el("bdi", {}, file.name), ` · ${file.seal ? size(file.size) : say.uploading}`, button);
    }));
    grow();
  }

  function attach(files) {
    for (const file of files) {
      if (editing) return;
      if (uploads.length >= MOST_FILES) return notice(say.too_many);
      if (file.size > MOST_FILE) notice(fill(say.too_big, { name: file.name }));
      else if (!file.size) notice(fill(say.empty, { name: file.name }));
      else upload(file);
    }
  }

  async function upload(file) {
    const one = { name: file.name || "image.png", size: file.size, seal: "", type: file.type, stop: new AbortController() };
    uploads.push(one);
    chips();
    try {
      await knowing; // by then there is a ticket
      const answer = await fetch(`${settings.base}/files`, {
        method: "POST", body: file, signal: one.stop.signal, credentials: "omit",
        headers: { "X-Santral-Ticket": ticket, "X-Santral-Name": encodeURIComponent(one.name) },
      });
      if (!answer.ok) throw new Error(answer.status);
      const told = await answer.json();
      Object.assign(one, { seal: told.file, name: told.name, type: told.type, size: told.size });
      announce(`${one.name} · ${size(one.size)}`);
    } catch {
      if (one.stop.signal.aborted) return;
      uploads.splice(uploads.indexOf(one), 1);
      notice(fill(say.not_uploaded, { name: one.name }));
    }
    chips();
  }

  // --- the shop's page around us

  let parentOrigin = "";
  function toPage(message) {
    if (settings.framed && parentOrigin) parent.postMessage(message, parentOrigin);
  }

  addEventListener("message", (event) => {
    const ours = event.origin === location.origin || settings.origins.includes(event.origin);
    if (!settings.framed || event.source !== parent || !ours || !event.data) return;
    parentOrigin = event.origin;
    switch (event.data.santral) {
      case "identity": {
        const token = event.data.token;
        if (event.data.anew && (!token || token === identity)) { notice(); break; }
        const changed = token !== identity;
        identity = token;
        blocked = "";
        if (changed && !event.data.anew) ticket = ""; // who was logged in may be somebody else now
        if (socket && changed) { socket.onclose = null; socket.close(); socket = null; welcomed = false; turn(); land(); }
        connect();
        break;
      }
      case "open":
        shown = true;
        scrollDown();
        if (event.data.focus) box.focus();
        seen();
        break;
      case "close": shown = false;
    }
  });

  function leave() { if (settings.framed) toPage({ santral: "close" }); }

  // --- wiring

  document.documentElement.style.setProperty("--color", settings.color);
  document.documentElement.style.setProperty("--ink", settings.ink);
  document.documentElement.style.setProperty("--edge-light", settings.edges[0]);
  document.documentElement.style.setProperty("--edge-dark", settings.edges[1]);
  const named = (id, words, path) => { name($(id), words); $(id).append(icon(path)); };
  named("close", say.close, "M6 6l12 12M18 6L6 18");
  named("about-cancel", say.cancel, "M6 6l12 12M18 6L6 18");
  named("attach", say.attach, "M8 12.5l6-6a3.2 3.2 0 0 1 4.6 4.6l-8 8a5 5 0 0 1-7.1-7.1l7.5-7.5");
  named("send", say.send, "M4 12l16-8-5 17-3.5-7z");
  $("log").setAttribute("aria-label", say.log);
  $("greeting").textContent = say.greeting;
  $("typing-words").textContent = say.typing;
  $("older").textContent = say.older;
  $("drop").textContent = say.drop;
  box.placeholder = say.placeholder;
  box.setAttribute("aria-label", say.label);
  $("close").hidden = !settings.framed;
  $("close").onclick = leave;
  $("about-cancel").onclick = () => { about(); box.focus(); };
  $("attach").onclick = () => $("pick").click();
  $("pick").onchange = () => { attach($("pick").files); $("pick").value = ""; };
  $("older").onclick = () => {
    const first = [...items.keys()].reduce((best, id) => (!best || later(best, id) ? id : best), "");
    if (first) send({ type: "older", place: place(first) });
  };
  $("form").onsubmit = (event) => { event.preventDefault(); submit(); };
  box.oninput = () => {
    grow();
    if (!editing) begun();
  };
  box.onkeydown = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && matchMedia("(pointer: fine)").matches) {
      event.preventDefault();
      submit();
    }
  };
  box.onpaste = (event) => {
    const files = event.clipboardData?.files;
    if (files?.length) { event.preventDefault(); attach(files); }
  };
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) {
      if (!$("about").hidden) { about(); box.focus(); } else leave();
    }
    if (event.key === "Tab" && settings.framed) { // whoever is in the chat stays in it until they close it
      const stops = [...document.querySelectorAll("button, textarea, a[href], audio, video, [tabindex='0']")]
        .filter((stop) => !stop.disabled && stop.getClientRects().length);
      const [first, last] = [stops[0], stops[stops.length - 1]];
      const turn = event.shiftKey ? document.activeElement === first && last : document.activeElement === last && first;
      if (turn) { event.preventDefault(); turn.focus(); }
    }
  });
  let over = 0;
  addEventListener("dragenter", () => { over++; $("drop").hidden = false; });
  addEventListener("dragleave", () => { if (--over <= 0) { over = 0; $("drop").hidden = true; } });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    over = 0;
    $("drop").hidden = true;
    attach(event.dataTransfer.files);
  });
  addEventListener("storage", (event) => { // two tabs that meet the chat for the first time are one visitor
    if (event.key !== `${PREFIX}token` || !welcomed || account || items.size || waiting.size) return;
    if (store.get("token") && store.get("token") !== mine) hello();
  });
  addEventListener("online", again);
  addEventListener("offline", () => { if (socket) drop(socket); notice(); });
  addEventListener("pageshow", again);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { again(); seen(); hours(); } });

  unpack();
  $("greeting").hidden = waiting.size > 0;
  $("chat").hidden = false;
  about();
  notice();
  if (settings.framed) {
    setTimeout(connect, 1000); // a page that never answers still has its chat
  } else connect();
})();
