// Telegram on the customers' phones: one chat with the shop's bot, as each of the invented people sees it.

import { h, svg, post, bytes } from "./dom.js";
import { clock, dateOf, daysBetween, shopNow, shown } from "./time.js";
import { icons, shopMark } from "./drawings.js";
import { begin, blank, composer } from "./composer.js";
import { store, redraw, say } from "./app.js";

export const here = blank();

export function chatOf(person) {
  return store.telegram?.chats?.[String(person.id)] || [];
}

function userOf(person) {
  return store.telegram?.users.find((user) => user.id === person.id) || {};
}

function blocked(person) {
  return Boolean(userOf(person).blocked?.length);
}

async function act(path, body) {
  try {
    return await post(`/telegram/control/${path}`, body);
  } catch (error) {
    say(`Telegram: ${error.message}`);
    return null;
  }
}

function typing(person) {
  return (store.typing?.[person.id] || 0) > Date.now();
}

export function head(person) {
  return [
    h("span", { class: "tg-back", drawn: icons.back }),
    svg(shopMark(36), { class: "tg-face" }),
    h("div", { class: "tg-title" }, h("strong", {}, store.cast.bot.name), h("small", { class: typing(person) ? "tg-typing" : "" }, typing(person) ? "typing…" : blocked(person) ? "blocked by you" : "bot")),
    h("details", { class: "tg-menu", key: "menu" }, h("summary", { "aria-label": "Chat menu", title: "Chat menu", drawn: icons.more }),
      h("div", { class: "menu" },
        h("button", { type: "button", on: { click: closing(() => act("say", { user: person.id, kind: "own_contact" })) } }, svg(icons.person), "Share my phone number"),
        h("button", { type: "button", on: { click: closing(() => act("say", { user: person.id, start: "" })) } }, svg(icons.play), "Press Start"),
        blocked(person)
          ? h("button", { type: "button", key: "unblock", on: { click: closing(() => act("unblock", { user: person.id })) } }, svg(icons.block), "Unblock the bot")
          : h("button", { type: "button", key: "block", class: "danger", on: { click: closing(() => act("block", { user: person.id })) } }, svg(icons.block), "Block the bot"))),
  ];
}

export function closing(then) {
  return (event) => {
    event.target.closest("details").open = false;
    then();
  };
}

function entityNodes(text, entities) {
  if (!entities?.length) return linked(text);
  const points = [...new Set([0, text.length, ...entities.flatMap((one) => [one.offset, one.offset + one.length])])]
    .filter((point) => point >= 0 && point <= text.length).sort((a, b) => a - b);
  return points.slice(0, -1).flatMap((start, at) => {
    const end = points[at + 1];
    const over = entities.filter((one) => one.offset <= start && one.offset + one.length >= end);
    let kids = over.length ? [text.slice(start, end)] : linked(text.slice(start, end));
    for (const one of over) {
      const tag = { bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", pre: "pre", blockquote: "blockquote" }[one.type];
      if (tag) kids = [h(tag, {}, kids)];
      else if (one.type === "spoiler") kids = [h("span", { class: "spoiler", tabindex: "0" }, kids)];
      else if (one.type === "text_link" && /^https?:/i.test(one.url)) kids = [h("a", { href: one.url, target: "_blank", rel: "noreferrer noopener" }, kids)];
      else if (one.type === "url") kids = linked(text.slice(start, end));
      else if (["mention", "bot_command", "hashtag", "email", "phone_number"].includes(one.type)) kids = [h("span", { class: "tg-entity" }, kids)];
    }
    return kids;
  });
}

export function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"]+)/).map((part, at) => (at % 2 ? h("a", { href: part, target: "_blank", rel: "noreferrer noopener" }, part) : part));
}

function bodyOf(message) {
  const out = [];
  const file = message.file;
  const type = file?.media_type || "";
  if (file && (message.kind === "photo" || message.kind === "sticker" || type.startsWith("image/"))) {
    out.push(h("a", { href: file.url, target: "_blank", rel: "noopener", class: `tg-picture ${message.kind === "sticker" ? "tg-sticker" : ""}` }, h("img", { src: file.url, alt: file.name || "Picture" })));
  } else if (file && (message.kind === "voice" || type.startsWith("audio/"))) {
    out.push(h("div", { class: "tg-file" }, h("audio", { controls: true, src: file.url, preload: "none" })));
  } else if (file) {
    out.push(h("a", { class: "tg-file", href: file.url, target: "_blank", rel: "noopener", download: file.name || "file" }, svg(icons.file, { class: "tg-file-icon" }),
      h("span", {}, h("strong", {}, file.name || message.kind), h("small", {}, bytes(file.size)))));
  } else if (message.kind.endsWith("contact")) {
    out.push(h("div", { class: "tg-file" }, svg(icons.person, { class: "tg-file-icon" }), h("span", {}, h("strong", {}, message.contact?.first_name || message.text || "Contact"), h("small", {}, message.contact?.phone_number || "own phone number shared"))));
  } else if (message.kind && message.kind !== "text" && !message.text) {
    out.push(h("div", { class: "tg-service-inline" }, message.kind));
  }
  const text = message.kind.endsWith("contact") ? "" : message.text || message.caption || "";
  if (text) out.push(h("div", { class: "tg-text", dir: "auto" }, entityNodes(text, message.entities || message.caption_entities)));
  return out;
}

function albumOf(album) {
  const said = album.find((one) => one.caption);
  return [h("div", { class: `tg-album of-${Math.min(album.length, 4)}` }, album.map((one) => bodyOf({ ...one, caption: "" }))),
    said ? h("div", { class: "tg-text", dir: "auto" }, entityNodes(said.caption, said.entities)) : null];
}

function arrived(person, message) {
  return Boolean(store.delivered?.[`${person.id}:${message.message_id}`]);
}

export function dayWord(at) {
  const known = { "-1": "Yesterday", 0: "Today" }[daysBetween(shopNow(), at)];
  return known || shown(at, "en-GB", { weekday: "long", day: "numeric", month: "long" });
}

export function bubbles(person) {
  const chat = chatOf(person).filter((message) => !message.deleted);
  const out = [];
  if (!chat.length) {
    out.push(h("div", { class: "tg-day", key: "day" }, "Today"));
    out.push(h("div", { class: "tg-empty", key: "empty" }, svg(shopMark(56)), h("p", {}, `${person.first_name} has not written yet.`), blocked(person) ? null : h("button", { type: "button", class: "tg-hint", on: { click: () => act("say", { user: person.id, kind: "text", text: person.hint }) } }, person.hint)));
  }
  const byId = new Map(chat.map((message) => [message.message_id, message]));
  chat.forEach((message, at) => {
    if (message.album && chat[at - 1]?.album === message.album) return;
    const album = message.album ? chat.filter((one) => one.album === message.album) : [];
    const day = dateOf(message.at);
    if (!at || dateOf(chat[at - 1].at) !== day) out.push(h("div", { class: "tg-day", key: `day${message.message_id}` }, dayWord(message.at)));
    if (message.kind === "service" || message.from === "service") {
      out.push(h("div", { class: "tg-service", key: `m${message.message_id}` }, message.text));
      return;
    }
    const mine = message.from === "customer";
    const answered = message.reply_to && byId.get(message.reply_to?.message_id || message.reply_to);
    const next = chat[at + Math.max(1, album.length)];
    const open = here.menu === message.message_id;
    out.push(h("div", {
      key: `m${message.message_id}`, fresh: true, class: `bubble-row ${mine ? "mine" : "theirs"} ${next && next.from === message.from ? "" : "tail"}`, "data-message": message.message_id,
      on: { contextmenu: (event) => { event.preventDefault(); here.menu = message.message_id; redraw(); } },
    }, h("div", { class: `bubble ${album.length > 1 ? "album" : ""}` },
      answered ? h("div", { class: "tg-quote" }, h("strong", {}, answered.from === "customer" ? person.first_name : store.cast.bot.name), h("span", {}, answered.text || answered.caption || answered.kind)) : null,
      album.length > 1 ? albumOf(album) : bodyOf(message),
      h("span", { class: "tg-meta" }, message.edited ? "edited " : "", clock(message.at), mine ? svg(arrived(person, message) ? icons.ticks : icons.tick, { class: "tg-ticks", title: arrived(person, message) ? "The shop has it" : "With Telegram" }) : null)),
      keyboard(person, message),
      h("button", { type: "button", class: "bubble-more", "aria-label": "Reply or edit", on: { click: () => { here.menu = open ? null : message.message_id; redraw(); } } }, svg(icons.down)),
      open ? h("div", { class: "menu bubble-menu" },
        h("button", { type: "button", on: { click: () => begin(here, { reply: message }) } }, svg(icons.reply), "Reply"),
        mine && (message.text || message.caption) && !message.kind.endsWith("contact") ? h("button", { type: "button", on: { click: () => begin(here, { edit: message }) } }, svg(icons.edit), "Edit") : null) : null));
  });
  if (blocked(person)) out.push(h("div", { class: "tg-service", key: "blocked" }, "You blocked this bot. It cannot write to you."));
  return out;
}

function keyboard(person, message) {
  const rows = message.markup?.inline_keyboard || [];
  if (!rows.length) return null;
  return h("div", { class: "tg-keyboard" }, rows.map((row) => h("div", {}, row.map((button) => h("button", {
    type: "button", on: { click: () => act("press", { user: person.id, message_id: message.message_id, data: button.callback_data }) } }, button.text)))));
}

async function deliver(person, { text, files, reply, edit }) {
  if (edit) return act("edit", { user: person.id, message_id: edit.message_id, text });
  if (!files.length) return act("say", { user: person.id, kind: "text", text, reply_to: reply?.message_id });
  const kind = files.every((file) => file.media_type.startsWith("image/")) ? "photo" : "document";
  return act("say", { user: person.id, kind, caption: text || undefined, files, reply_to: reply?.message_id });
}

export function foot(person) {
  if (!blocked(person)) return composer(here, { person, shop: store.cast.bot.name, deliver: (what) => deliver(person, what) });
  return [h("div", { class: "tg-composer off", key: "off" }, h("button", { type: "button", class: "tg-restart", on: { click: () => act("unblock", { user: person.id }) } }, "Unblock and restart"))];
}

export function fromShop(person) {
  return chatOf(person).filter((message) => message.from === "bot" && !message.deleted).length;
}
