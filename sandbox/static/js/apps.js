// SMS, WhatsApp, Messenger, Instagram and X on the customers' phones. One drawing; how each looks is the style sheet's.

import { h, svg, post, bytes } from "./dom.js";
import { clock, dateOf } from "./time.js";
import { icons, shopMark } from "./drawings.js";
import { begin, blank, composer } from "./composer.js";
import { closing, dayWord, linked } from "./telegram.js";
import { store, redraw, refresh, say } from "./app.js";

export const here = blank();
const signs = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
const izmir = { latitude: 38.4237, longitude: 27.1428 };
// What somebody in the shop writes with another program than Slack.
const aside = {
  tr: "Merhaba, mesajınızı telefondan gördüm, hemen bakıyorum.",
  ru: "Здравствуйте! Вижу ваше сообщение с телефона, сейчас проверю.",
  en: "Hi, I saw your message on my phone and am looking into it.",
  de: "Hallo, ich habe Ihre Nachricht auf dem Telefon gesehen und schaue gleich nach.",
  ar: "مرحبًا، رأيت رسالتك على الهاتف وسأتحقق من الأمر حالًا.",
};

const facts = (app) => store.cast.apps[app];
const worldOf = (app) => store[facts(app).world] || {};
const nameIn = (app, person) => (facts(app).world === "x" ? String(person.id) : person.key);
const can = (app, what) => facts(app).can.includes(what);
const inside = (app) => app.startsWith("whatsapp"); // the time stands in the bubble

export function chatOf(person, app) {
  return worldOf(app).chats?.[`${facts(app).line}|${nameIn(app, person)}`] || [];
}

const ours = (entry) => entry.from === "shop" || entry.from === "elsewhere";
const arrived = (entry) => !ours(entry) || !["accepted", "queued", "failed"].includes(entry.status);

export function fromShop(person, app) {
  return chatOf(person, app).filter((entry) => entry.from !== "customer" && arrived(entry)).length;
}

async function act(app, path, body) {
  const { world, name } = facts(app);
  try {
    const done = await post(`/${world}/control/${path}`, body);
    refresh[world](); // not everything that people do is told by the stream
    return done;
  } catch (error) {
    say(`${name}: ${error.message}`);
    return null;
  }
}

const to = (person, app, more) => ({ person: nameIn(app, person), line: facts(app).line, ...more });

// Whoever looks at a chat has read it, where the app tells of that.
export function look(person, app) {
  const newest = chatOf(person, app).findLast((entry) => ours(entry) && entry.status === "delivered");
  if (app === "sms" || document.hidden || !newest || here.read === newest.id) return;
  here.read = newest.id;
  act(app, "read", to(person, app));
}

function blocked(person, app) {
  return Boolean(worldOf(app).people?.[nameIn(app, person)]?.blocked?.includes(facts(app).line));
}

function left(person, app) {
  return app === "sms" && Boolean(store.twilio?.left.some(([, phone]) => phone === person.phone));
}

let typingSeen;

function typing(person, app) {
  const { world, line } = facts(app);
  const name = nameIn(app, person);
  const now = world === "meta" ? worldOf(app).people?.[name]?.typing.includes(line) : worldOf(app).lines?.[line]?.typing.includes(name);
  if (now && !typingSeen) typingSeen = setTimeout(() => { typingSeen = null; refresh[world](); }, 3000); // nothing tells that it ended
  return Boolean(now);
}

// the head

export function head(person, app) {
  const { shop, note } = facts(app);
  const now = typing(person, app);
  const item = (key, icon, label, then, danger) => h("button", { type: "button", key, class: danger ? "danger" : "", on: { click: closing(then) } }, svg(icon), label);
  const items = [
    can(app, "stop") ? item("stop", icons.block, "Text STOP", () => act(app, "say", to(person, app, { text: "STOP" })), true) : null,
    can(app, "stop") ? item("start", icons.play, "Text START", () => act(app, "say", to(person, app, { text: "START" }))) : null,
    can(app, "place") ? item("place", icons.home, "Share where I am", () => place(person, app)) : null,
    can(app, "encrypt") ? item("encrypt", icons.lock, "Write in an encrypted chat", () => act(app, "encrypt", to(person, app))) : null,
    can(app, "elsewhere") ? item("elsewhere", icons.person, elsewhereLabel(app), () => elsewhere(person, app)) : null,
    !can(app, "block") ? null : blocked(person, app)
      ? item("unblock", icons.block, `Unblock ${shop}`, () => unblock(person, app))
      : item("block", icons.block, `Block ${shop}`, () => act(app, "block", to(person, app)), true),
  ].filter(Boolean);
  return [
    h("span", { class: "tg-back", drawn: icons.back }),
    svg(shopMark(36), { class: "tg-face" }),
    h("div", { class: "tg-title" }, h("strong", {}, shop), h("small", { class: now ? "tg-typing" : "" }, now ? "typing…" : blocked(person, app) ? "blocked by you" : note)),
    h("details", { class: "tg-menu", key: "menu" }, h("summary", { "aria-label": "Chat menu", title: "Chat menu", drawn: icons.more }), h("div", { class: "menu" }, items)),
  ];
}

const elsewhereLabel = (app) => ({ whatsapp: "The shop answers from its phone", x: "The shop answers in X itself" })[app] || "The shop answers in Meta's inbox";

function elsewhere(person, app) {
  const path = { whatsapp: "write_from_phone_app", x: "elsewhere" }[app] || "write_from_page_inbox";
  return act(app, path, to(person, app, { text: aside[person.language] || aside.en }));
}

function place(person, app) {
  if (facts(app).world === "meta") return act(app, "share_location", to(person, app, izmir));
  return act(app, "say", to(person, app, { location: izmir }));
}

async function unblock(person, app) {
  if (facts(app).world !== "meta") return act(app, "unblock", to(person, app));
  say("Writing to them unblocks them, as in the app.");
  return document.getElementById("phone-text")?.focus();
}

// the bubbles

const placed = /^(?:.*, )?(-?\d{1,2}\.\d+), ?(-?\d{1,3}\.\d+)$/;

function bodyOf(entry) {
  const { file, text } = entry;
  const type = file?.media_type || "";
  const out = [];
  if (type.startsWith("image/")) {
    out.push(h("a", { href: file.url, target: "_blank", rel: "noopener", class: `tg-picture ${type === "image/webp" ? "tg-sticker" : ""}` }, h("img", { src: file.url, alt: file.filename || "Picture" })));
  } else if (type.startsWith("audio/")) {
    out.push(h("div", { class: "tg-file" }, h("audio", { controls: true, src: file.url, preload: "none" })));
  } else if (type.startsWith("video/")) {
    out.push(h("video", { class: "app-video", controls: true, src: file.url, preload: "metadata" }));
  } else if (file) {
    out.push(h("a", { class: "tg-file", href: file.url, target: "_blank", rel: "noopener", download: file.filename || "file" }, svg(icons.file, { class: "tg-file-icon" }),
      h("span", {}, h("strong", {}, file.filename || "file"), h("small", {}, bytes(file.size)))));
  }
  if (text && placed.test(text)) {
    out.push(h("div", { class: "app-place" }, h("span", { class: "app-map", "aria-hidden": "true" }, h("i")), h("span", { class: "tg-text" }, `📍 ${text}`)));
  } else if (text) {
    out.push(h("div", { class: "tg-text", dir: "auto" }, linked(text)));
  }
  return out;
}

function choices(person, app, entry) {
  if (!entry.choices.length || entry.withdrawn) return null;
  return h("div", { class: "app-choices" }, entry.choices.map((choice, at) => h("button", {
    type: "button", disabled: !can(app, "press"), "data-choice": choice.label, on: { click: () => press(person, app, entry, choice, at) },
  }, choice.label)));
}

function press(person, app, entry, choice, at) {
  if (facts(app).world === "twilio") return act(app, "press", to(person, app, { message: entry.id, number: at + 1 }));
  return act(app, "press", to(person, app, { entry: entry.id, choice: choice.payload || choice.label }));
}

function menu(person, app, entry) {
  const mine = entry.from === "customer";
  const items = [
    can(app, "react") ? h("div", { key: "signs", class: "app-signs" }, signs.map((sign) => h("button", { type: "button", "aria-label": `React with ${sign}`, on: { click: () => react(person, app, entry, sign) } }, sign))) : null,
    can(app, "reply") ? h("button", { type: "button", key: "reply", on: { click: () => begin(here, { reply: entry }) } }, svg(icons.reply), "Reply") : null,
    mine && entry.text && can(app, "edit") ? h("button", { type: "button", key: "edit", on: { click: () => begin(here, { edit: entry }) } }, svg(icons.edit), "Edit") : null,
    mine && can(app, "unsend") ? h("button", { type: "button", key: "unsend", class: "danger", on: { click: () => unsend(person, app, entry) } }, svg(icons.trash), "Unsend") : null,
  ].filter(Boolean);
  return items.length && !entry.withdrawn ? items : null;
}

function react(person, app, entry, sign) {
  here.menu = null;
  redraw();
  return act(app, "react", to(person, app, { entry: entry.id, emoji: entry.reactions.includes(sign) ? "" : sign }));
}

function unsend(person, app, entry) {
  here.menu = null;
  redraw();
  return act(app, "unsend", to(person, app, facts(app).world === "x" ? { id: entry.id } : { entry: entry.id }));
}

function meta(person, app, entry, last) {
  const mine = entry.from === "customer";
  const taken = Boolean(store.delivered?.[`${facts(app).world}:${entry.id}`]);
  const words = taken ? "The shop has it" : `With ${facts(app).name}`;
  const mark = !mine ? null : inside(app)
    ? svg(taken ? icons.ticks : icons.tick, { class: "tg-ticks", title: words })
    : last ? h("span", { class: "app-status", title: words }, taken ? "Delivered" : "Sent") : null;
  return h("span", { class: "tg-meta" }, entry.edited ? "edited " : "", clock(entry.at), mark);
}

const strange = { elsewhere: "not from Slack", template: "approved template" };

function bubble(person, app, entry, tail, last, byId) {
  const mine = entry.from === "customer";
  const quoted = entry.reply_to && byId.get(entry.reply_to);
  const open = here.menu === entry.id;
  const items = menu(person, app, entry);
  const tag = entry.template ? strange.template : strange[entry.from];
  const stamp = meta(person, app, entry, last);
  const gone = mine ? "You unsent a message" : "This message was unsent";
  return h("div", {
    key: `e${entry.id}`, fresh: true, class: `bubble-row ${mine ? "mine" : "theirs"} ${tail ? "tail" : ""} ${entry.reactions.length ? "reacted" : ""}`, "data-message": entry.id,
    on: { contextmenu: (event) => { if (!items) return; event.preventDefault(); here.menu = entry.id; redraw(); } },
  }, h("div", { class: `bubble ${entry.withdrawn ? "withdrawn" : ""}` },
    quoted && !entry.withdrawn ? h("div", { class: "tg-quote" }, h("strong", {}, quoted.from === "customer" ? person.first_name : facts(app).shop), h("span", {}, quoted.text || quoted.file?.filename || "file")) : null,
    entry.withdrawn ? h("div", { class: "tg-text" }, gone) : bodyOf(entry),
    tag && !entry.withdrawn ? h("span", { class: "app-tag" }, tag) : null,
    inside(app) ? stamp : null),
    entry.reactions.length ? h("div", { class: "app-reactions" }, entry.reactions.join(" ")) : null,
    choices(person, app, entry),
    !inside(app) && (tail || entry.edited) ? stamp : null,
    items ? h("button", { type: "button", class: "bubble-more", "aria-label": "What to do with this message", on: { click: () => { here.menu = open ? null : entry.id; redraw(); } } }, svg(icons.down)) : null,
    open && items ? h("div", { class: "menu bubble-menu" }, items) : null);
}

function service(entry, text) {
  return h("div", { class: "tg-service", key: `e${entry.id}` }, text);
}

export function bubbles(person, app) {
  const chat = chatOf(person, app);
  const { name, shop } = facts(app);
  const out = [];
  if (!chat.length) {
    out.push(h("div", { class: "tg-empty", key: "empty" }, svg(shopMark(56)), h("p", {}, `${person.first_name} has not written here yet.`),
      h("button", { type: "button", class: "tg-hint", dir: "auto", on: { click: () => act(app, "say", to(person, app, { text: person.hint })) } }, person.hint)));
  }
  const byId = new Map(chat.map((entry) => [entry.id, entry]));
  const lastMine = chat.findLast((entry) => entry.from === "customer");
  chat.forEach((entry, at) => {
    if (ours(entry) && (entry.status === "accepted" || entry.status === "queued")) return;
    if (!at || dateOf(chat[at - 1].at) !== dateOf(entry.at)) out.push(h("div", { class: "tg-day", key: `day${entry.id}` }, dayWord(entry.at)));
    if (entry.status === "failed") return out.push(service(entry, `${name} did not bring a message of ${shop} here${entry.code ? ` (${entry.code})` : ""}.`));
    if (entry.from === "system" && app !== "sms") return out.push(service(entry, entry.text));
    const next = chat[at + 1];
    return out.push(bubble(person, app, entry, !next || next.from !== entry.from, entry === lastMine, byId));
  });
  if (blocked(person, app)) out.push(h("div", { class: "tg-service", key: "blocked" }, `You blocked ${shop}. What they write does not reach you.`));
  if (left(person, app)) out.push(h("div", { class: "tg-service", key: "left" }, `You texted STOP: ${shop} may not text you until you text START.`));
  return out;
}

// writing

async function deliver(person, app, { text, files, reply, edit }) {
  if (edit) return act(app, "edit", to(person, app, { entry: edit.id, text }));
  const more = reply ? { reply_to: reply.id } : {};
  if (!files.length) return act(app, "say", to(person, app, { text, ...more }));
  const captioned = inside(app) || app === "x";
  let done = null;
  for (const [at, { name, media_type, data }] of files.entries()) {
    const words = captioned && !at && text ? { text } : {};
    done = await act(app, "say", to(person, app, { file: { data, media_type, filename: name }, ...words, ...(at ? {} : more) }));
    if (!done) return null;
  }
  return text && !captioned ? act(app, "say", to(person, app, { text })) : done;
}

export function foot(person, app) {
  if (blocked(person, app) && facts(app).world !== "meta") {
    return [h("div", { class: "tg-composer off", key: "off" }, h("button", { type: "button", class: "tg-restart", on: { click: () => unblock(person, app) } }, `Unblock ${facts(app).shop}`))];
  }
  if (left(person, app)) {
    return [h("div", { class: "tg-composer off", key: "left" }, h("button", { type: "button", class: "tg-restart", on: { click: () => act(app, "say", to(person, app, { text: "START" })) } }, "Text START"))];
  }
  const placeholder = { sms: "Text message", messenger: "Aa", instagram: "Message…", x: "Start a message" }[app];
  return composer(here, { person, shop: facts(app).shop, files: can(app, "files"), placeholder, deliver: (what) => deliver(person, app, what) });
}
