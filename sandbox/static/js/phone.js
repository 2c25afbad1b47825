// The customers' phones: one Telegram chat with the shop's bot, as each of the invented people sees it.

import { h, svg, patch, patchAtEnd, post, fileBody, bytes } from "./dom.js";
import { clock, dateOf, daysBetween, shopNow, shown } from "./time.js";
import { icons, portrait, shopMark } from "./drawings.js";
import { openThreadOf } from "./desk.js";
import { drawMail, unread as unreadMail } from "./mail.js";
import { store, chosenPerson, everybody, redraw, say } from "./app.js";

const here = { reply: null, edit: null, menu: null, attach: false, seen: {}, last: null, files: [] };
const pictures = ["broken.png", "parcel.png", "receipt.png"];

const names = { "broken.png": "A broken money box", "parcel.png": "The parcel", "receipt.png": "The receipt" };

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

export function drawPhone() {
  const person = chosenPerson();
  if (!person) return;
  patch(document.getElementById("people"), [people(person)]);
  document.getElementById("phone").hidden = Boolean(person.address);
  document.getElementById("mailer").hidden = !person.address;
  if (person.address) {
    drawMail(person);
    return;
  }
  patch(document.getElementById("phone-head"), head(person));
  patchAtEnd(document.getElementById("phone-chat"), bubbles(person), { jump: here.last !== person.id });
  here.last = person.id;
  patch(document.getElementById("phone-foot"), foot(person));
}

function unreadOf(person, current) {
  if (person.address) return unreadMail(person);
  const fromShop = chatOf(person).filter((message) => message.from === "bot" && !message.deleted).length;
  if (person.key === current.key) here.seen[person.id] = fromShop;
  return fromShop - (here.seen[person.id] ?? (here.seen[person.id] = fromShop));
}

function people(current) {
  const all = everybody();
  return h("div", { class: "people-row", role: "tablist", "aria-label": "Customers" }, all.map((person) => {
    const unread = unreadOf(person, current);
    return h("button", {
      key: person.key, type: "button", role: "tab", class: "person", "aria-selected": person.key === current.key ? "true" : "false",
      "data-person": person.key, title: `${person.name}, ${person.city}, ${person.address ? "by mail" : "on Telegram"}`,
      on: {
        click: () => choose(person),
        keydown: (event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (!step) return;
          const at = all.findIndex((one) => one.key === current.key);
          choose(all[(at + step + all.length) % all.length]);
          setTimeout(() => document.querySelector(".person[aria-selected=true]")?.focus());
        },
      },
      tabindex: person.key === current.key ? "0" : "-1",
    }, h("span", { class: "person-face" }, svg(portrait(person.look, 40)), person.address ? svg(icons.mail, { class: "person-mail" }) : null), h("span", { class: "person-name" }, person.first_name),
      h("span", { class: "person-language" }, person.language_name),
      unread > 0 ? h("span", { class: "badge", "aria-label": `${unread} new` }, unread) : null);
  }));
}

function choose(person) {
  Object.assign(here, { reply: null, edit: null, menu: null, attach: false });
  store.ui.person = person.key;
  openThreadOf(person);
  redraw();
}

function typing(person) {
  return (store.typing?.[person.id] || 0) > Date.now();
}

function head(person) {
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

function closing(then) {
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

function linked(text) {
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

function dayWord(at) {
  const known = { "-1": "Yesterday", 0: "Today" }[daysBetween(shopNow(), at)];
  return known || shown(at, "en-GB", { weekday: "long", day: "numeric", month: "long" });
}

function bubbles(person) {
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
        h("button", { type: "button", on: { click: () => start({ reply: message }) } }, svg(icons.reply), "Reply"),
        mine && (message.text || message.caption) && !message.kind.endsWith("contact") ? h("button", { type: "button", on: { click: () => start({ edit: message }) } }, svg(icons.edit), "Edit") : null) : null));
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

function start(what) {
  here.menu = null;
  here.reply = what.reply || null;
  here.edit = what.edit || null;
  redraw();
  const box = document.getElementById("phone-text");
  if (!box) return;
  if (here.edit) box.value = here.edit.text || here.edit.caption || "";
  grow(box);
  box.focus();
}

export function grow(box) {
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, 110)}px`;
}

async function send(person) {
  const box = document.getElementById("phone-text");
  const text = box.value.trim();
  const files = here.files;
  if (!text && !files.length) return;
  box.value = "";
  grow(box);
  const { reply, edit } = here;
  here.reply = here.edit = null;
  here.files = [];
  redraw();
  const done = edit
    ? await act("edit", { user: person.id, message_id: edit.message_id, text })
    : files.length
      ? await act("say", { user: person.id, kind: files.every((file) => file.media_type.startsWith("image/")) ? "photo" : "document", caption: text || undefined, files, reply_to: reply?.message_id })
      : await act("say", { user: person.id, kind: "text", text, reply_to: reply?.message_id });
  if (!done) {
    box.value = text;
    here.files = files;
    redraw();
  }
}

async function attach(files) {
  here.attach = false;
  for (const file of files) here.files.push(await fileBody(file));
  redraw();
  document.getElementById("phone-text")?.focus();
}

async function attachPicture(name) {
  const answer = await fetch(`/static/pictures/${name}`);
  await attach([new File([await answer.blob()], name, { type: "image/png" })]);
}

function foot(person) {
  const off = blocked(person);
  const about = here.edit || here.reply;
  return [
    about ? h("div", { class: "tg-about", key: "about" }, svg(here.edit ? icons.edit : icons.reply),
      h("div", {}, h("strong", {}, here.edit ? "Edit message" : `Reply to ${here.reply.from === "customer" ? person.first_name : store.cast.bot.name}`), h("span", {}, about.text || about.caption || about.kind)),
      h("button", { type: "button", "aria-label": "Cancel", on: { click: () => { if (here.edit) document.getElementById("phone-text").value = ""; here.edit = here.reply = null; redraw(); } } }, svg(icons.close))) : null,
    here.files.length ? h("div", { class: "tg-about", key: "files" }, svg(icons.picture), h("div", {}, h("strong", {}, `${here.files.length} attached`), h("span", {}, here.files.map((file) => file.name).join(", "))),
      h("button", { type: "button", "aria-label": "Remove the attachments", on: { click: () => { here.files = []; redraw(); } } }, svg(icons.close))) : null,
    here.attach ? h("div", { class: "tg-attach", key: "attach" }, pictures.map((name) => h("button", { type: "button", title: names[name], on: { click: () => attachPicture(name) } }, h("img", { src: `/static/pictures/${name}`, alt: names[name] }))),
      h("label", { class: "tg-upload" }, svg(icons.file), "File…", h("input", { type: "file", multiple: true, on: { change: (event) => attach([...event.target.files]) } }))) : null,
    off
      ? h("div", { class: "tg-composer off", key: "off" }, h("button", { type: "button", class: "tg-restart", on: { click: () => act("unblock", { user: person.id }) } }, "Unblock and restart"))
      : h("form", { class: "tg-composer", key: "composer", on: { submit: (event) => { event.preventDefault(); send(person); } } },
        h("button", { type: "button", class: "tg-clip", "aria-label": "Attach a picture or file", "aria-expanded": here.attach ? "true" : "false", on: { click: () => { here.attach = !here.attach; redraw(); } } }, svg(icons.clip)),
        h("textarea", {
          id: "phone-text", rows: "1", placeholder: "Message", "aria-label": `Write as ${person.name}`, dir: "auto",
          on: {
            input: (event) => grow(event.target),
            paste: (event) => { const files = [...(event.clipboardData?.files || [])]; if (files.length) attach(files); },
            keydown: (event) => {
              if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(person); }
              if (event.key === "Escape") { here.reply = here.edit = null; here.attach = false; redraw(); }
            },
          },
        }),
        h("button", { type: "submit", class: "tg-send", "aria-label": "Send" }, svg(icons.send))),
  ];
}

export function closeMenus(target) {
  if (here.menu !== null && !target.closest?.(".bubble-menu, .bubble-more")) {
    here.menu = null;
    return true;
  }
  return false;
}
