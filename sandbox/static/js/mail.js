// The customers' mail programs: a list of mails, one of them open, and a sheet to write on.

import { h, svg, patch, post, fileBody, bytes } from "./dom.js";
import { clock } from "./time.js";
import { icons, portrait, shopMark, initials } from "./drawings.js";
import { store, redraw, say } from "./app.js";

const here = {};
const pictures = { "broken.png": "A broken money box", "parcel.png": "The parcel", "receipt.png": "The receipt" };

function stateOf(writer) {
  return here[writer.key] || (here[writer.key] = { open: null, writing: null, past: {}, files: [], attach: false, newest: undefined });
}

function accountOf(writer) {
  return store.mail?.accounts.find((one) => one.address === writer.address);
}

function mailsOf(writer) {
  return accountOf(writer)?.mails || [];
}

const name = (mail) => `${mail.folder}/${mail.uid}`;

export function unread(writer) {
  return mailsOf(writer).filter((mail) => !mail.mine && !mail.seen).length;
}

async function act(path, body) {
  try {
    return await post(`/mail/control/${path}`, body);
  } catch (error) {
    say(`Mail: ${error.message}`);
    return null;
  }
}

export function drawMail(writer) {
  const state = stateOf(writer);
  const mails = mailsOf(writer);
  const newest = mails[0] && name(mails[0]);
  // While a story plays its mails open by themselves; a visitor opens theirs.
  if (state.newest !== undefined && newest !== state.newest && store.scene && !store.scene.over) Object.assign(state, { open: newest, writing: null });
  state.newest = newest || "";
  const open = mails.find((mail) => name(mail) === state.open);
  if (open && !open.mine && !open.seen) {
    open.seen = true;
    act("seen", { account: writer.address, uid: open.uid, folder: open.folder });
  }
  const box = document.getElementById("mailer");
  box.dataset.client = writer.client;
  patch(box, [head(writer, state, open), state.writing ? sheet(writer, state) : open ? reading(writer, state, open) : list(writer, state, mails)]);
}

function head(writer, state, open) {
  const back = state.writing ? () => { state.writing = null; redraw(); } : open ? () => { state.open = null; redraw(); } : null;
  const away = Boolean(accountOf(writer)?.vacation);
  return h("header", { key: "head", class: "ml-head" },
    back ? h("button", { type: "button", key: "back", class: "ml-icon", "aria-label": state.writing ? "Discard" : "Back to the mails", on: { click: back } }, svg(state.writing ? icons.close : icons.back)) : svg(icons.mail, { key: "mark", class: "ml-mark" }),
    h("div", { class: "ml-title" }, h("strong", {}, state.writing ? { forge: "In her name", reply: "Reply" }[state.writing] || "New mail" : open ? (open.mine ? "Sent" : "Inbox") : "Mails"), h("small", {}, `${writer.address} · ${writer.client_name}${away ? " · on vacation" : ""}`)),
    state.writing ? null : h("button", { type: "button", key: "write", class: "ml-icon", "aria-label": "Write a mail", title: "Write a mail", on: { click: () => write(writer, "new") } }, svg(icons.edit)),
    state.writing ? null : h("details", { class: "tg-menu", key: "menu" }, h("summary", { "aria-label": "Mailbox menu", title: "Mailbox menu", drawn: icons.more }),
      h("div", { class: "menu" },
        h("button", { type: "button", on: { click: closing(() => act("accounts", { address: writer.address, vacation: away ? "" : writer.away })) } }, svg(icons.clock), away ? "Switch the vacation note off" : "Switch a vacation note on"),
        h("button", { type: "button", on: { click: closing(() => write(writer, "forge")) } }, svg(icons.mask), `Write in ${writer.first_name}'s name`),
        h("button", { type: "button", on: { click: closing(() => act("newsletter", { from: "news@basar.example", to: store.cast.mailbox, subject: "Yılın son indirimi", text: "Tüm ürünlerde yüzde 30!" })) } }, svg(icons.mail), "Send the shop a newsletter"))));
}

function closing(then) {
  return (event) => {
    event.target.closest("details").open = false;
    then();
  };
}

function write(writer, how) {
  Object.assign(stateOf(writer), { writing: how, files: [], attach: false });
  redraw();
  setTimeout(() => document.getElementById(how === "reply" ? "mail-text" : "mail-subject")?.focus());
}

function who(writer, mail) {
  return mail.mine ? writer.name : mail.from.name || mail.from.address;
}

function face(writer, mail, size) {
  if (mail.mine) return svg(portrait(writer.look, size));
  return mail.from.address === store.cast.mailbox ? svg(shopMark(size)) : svg(initials(who(writer, mail), size), { class: "ml-round" });
}

function list(writer, state, mails) {
  if (!mails.length) {
    return h("div", { key: "none", class: "ml-none" }, svg(icons.mail, { class: "ml-none-mark" }), h("p", {}, `${writer.first_name} has not written yet.`),
      h("button", { type: "button", class: "ml-hint", on: { click: () => act("deliver", { from: writer.address, to: store.cast.mailbox, subject: writer.subject, text: writer.hint }) } }, h("strong", {}, writer.subject), h("span", {}, writer.hint)));
  }
  return h("ol", { key: "list", class: "ml-list", tabindex: "0", "aria-label": `${writer.first_name}'s mails` }, mails.map((mail) => h("li", { key: name(mail), fresh: true }, h("button", {
    type: "button", class: `ml-row ${mail.mine || mail.seen ? "" : "unread"}`, "data-mail": name(mail), on: { click: () => { state.open = name(mail); redraw(); } },
  }, face(writer, mail, 34),
    h("span", { class: "ml-from" }, mail.mine ? `To: ${mail.to.replace(store.cast.mailbox, store.cast.shop)}` : who(writer, mail)), h("time", {}, clock(mail.at)),
    h("span", { class: "ml-subject" }, mail.subject || "(no subject)"),
    h("span", { class: "ml-snippet" }, mail.text.replace(/\s+/g, " ").slice(0, 90) || " ")))));
}

// A frame knows its height only once it is loaded; nothing in it may run, so we look from outside.
function fit(frame) {
  const inside = frame.contentDocument?.documentElement;
  if (!inside) return;
  frame.style.height = "0"; // a document is never lower than its frame
  frame.style.height = `${inside.scrollHeight + 4}px`;
}

addEventListener("resize", () => document.querySelectorAll(".ml-frame").forEach(fit));

function reading(writer, state, mail) {
  const past = Boolean(state.past[name(mail)]);
  const url = mail.html && `${mail.html}${past ? "?past=1" : ""}`;
  return h("article", { key: `mail${name(mail)}`, class: "ml-open" },
    h("div", { class: "ml-paper", tabindex: "0" },
      h("h2", { class: "ml-about", dir: "auto" }, mail.subject || "(no subject)"),
      h("div", { class: "ml-who" }, face(writer, mail, 36), h("div", {}, h("strong", {}, who(writer, mail)), h("small", {}, `${mail.from.address} → ${mail.mine ? mail.to : "me"}`)), h("time", {}, clock(mail.at))),
      url
        ? h("iframe", { key: url, class: "ml-frame", src: url, title: "The mail", sandbox: "allow-same-origin allow-popups", referrerpolicy: "no-referrer", on: { load: (event) => fit(event.target) } })
        : h("div", { class: "ml-text", dir: "auto" }, mail.text),
      mail.past ? h("button", { type: "button", class: "ml-dots", "aria-expanded": past ? "true" : "false", "aria-label": past ? "Hide what was said before" : "Show what was said before", title: past ? "Hide what was said before" : "Show what was said before", on: { click: () => { state.past[name(mail)] = !past; redraw(); } } }, "…") : null,
      past && !url ? h("div", { key: "past", class: "ml-past", dir: "auto" }, mail.hidden) : null,
      mail.files.length ? h("div", { key: "files", class: "ml-files" }, mail.files.map((file) => h("a", { href: file.url, target: "_blank", rel: "noopener", download: file.media_type.startsWith("image/") ? null : file.name }, svg(file.media_type.startsWith("image/") ? icons.picture : icons.clip), h("span", {}, file.name), h("small", {}, bytes(file.size))))) : null),
    h("div", { class: "ml-foot" }, h("button", { type: "button", class: "ml-answer", disabled: mail.mine, on: { click: () => write(writer, "reply") } }, svg(icons.reply), mail.mine ? "Sent by you" : "Reply")));
}

async function attach(state, files) {
  state.attach = false;
  for (const file of files) state.files.push(await fileBody(file));
  redraw();
}

async function attachPicture(state, picture) {
  const answer = await fetch(`/static/pictures/${picture}`);
  await attach(state, [new File([await answer.blob()], picture, { type: "image/png" })]);
}

async function send(writer, state) {
  const subject = document.getElementById("mail-subject")?.value.trim() || "";
  const box = document.getElementById("mail-text");
  const text = box.value.trim();
  if (!text && !subject && !state.files.length) return;
  const files = state.files.length ? { attachments: state.files } : {};
  const mail = mailsOf(writer).find((one) => name(one) === state.open);
  const done = state.writing === "reply" && mail
    ? await act("reply", { account: writer.address, uid: mail.uid, folder: mail.folder, text, ...files })
    : await act("deliver", { from: writer.address, to: store.cast.mailbox, subject, text, ...files, ...(state.writing === "forge" ? { spoofed: true, name: writer.name } : {}) });
  if (!done) return;
  say(state.writing === "forge" ? `A stranger's mail in ${writer.first_name}'s name is on its way.` : "Sent.");
  Object.assign(state, { writing: null, open: null, files: [], attach: false });
  redraw();
}

function sheet(writer, state) {
  const mail = mailsOf(writer).find((one) => name(one) === state.open);
  const reply = state.writing === "reply" && mail;
  return h("form", { key: `sheet${state.writing}${writer.key}`, class: "ml-sheet", on: { submit: (event) => { event.preventDefault(); send(writer, state); } } },
    state.writing === "forge" ? h("p", { class: "ml-warning" }, `You are a stranger now, far from ${writer.first_name}'s mailbox, and put ${writer.first_name}'s address on your mail. Nobody vouches for it.`) : null,
    h("div", { class: "ml-line" }, h("span", {}, "To"), h("strong", {}, store.cast.shop), h("small", {}, reply ? reply.from.address : store.cast.mailbox)),
    reply
      ? h("div", { class: "ml-line", key: "about" }, h("span", {}, "Subject"), h("strong", {}, /^(re|aw|ynt)\s*:/i.test(reply.subject) ? reply.subject : `Re: ${reply.subject}`))
      : h("label", { class: "ml-line", key: "subject" }, h("span", {}, "Subject"), h("input", { id: "mail-subject", type: "text", maxlength: "200", autocomplete: "off", dir: "auto" })),
    h("textarea", { id: "mail-text", "aria-label": `Write as ${writer.name}`, placeholder: "Write…", dir: "auto", on: { keydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(writer, state); } } } }),
    writer.signature && state.writing !== "forge" ? h("div", { class: "ml-signature" }, writer.signature) : null,
    reply ? h("div", { class: "ml-quoted", key: "quoted" }, "…", h("span", {}, `with what ${store.cast.shop} wrote, as ${writer.client_name} quotes it`)) : null,
    state.files.length ? h("div", { key: "files", class: "ml-files" }, state.files.map((file, at) => h("button", { type: "button", title: "Remove", on: { click: () => { state.files.splice(at, 1); redraw(); } } }, svg(icons.clip), h("span", {}, file.name), svg(icons.close)))) : null,
    state.attach ? h("div", { class: "tg-attach", key: "attach" }, Object.keys(pictures).map((picture) => h("button", { type: "button", title: pictures[picture], on: { click: () => attachPicture(state, picture) } }, h("img", { src: `/static/pictures/${picture}`, alt: pictures[picture] }))),
      h("label", { class: "tg-upload" }, svg(icons.file), "File…", h("input", { type: "file", multiple: true, on: { change: (event) => attach(state, [...event.target.files]) } }))) : null,
    h("div", { class: "ml-foot" },
      h("button", { type: "button", class: "ml-icon", "aria-label": "Attach a picture or file", "aria-expanded": state.attach ? "true" : "false", on: { click: () => { state.attach = !state.attach; redraw(); } } }, svg(icons.clip)),
      h("button", { type: "submit", class: "ml-send" }, "Send", svg(icons.send))));
}
