// Where people write on their phones: text, what is attached to it, and what it answers or changes. One for all apps.

import { h, svg, fileBody } from "./dom.js";
import { icons } from "./drawings.js";
import { redraw, say } from "./app.js";

const pictures = { "broken.png": "A broken money box", "parcel.png": "The parcel", "receipt.png": "The receipt" };

export function blank() {
  return { reply: null, edit: null, menu: null, attach: false, files: [] };
}

export function grow(box) {
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, 110)}px`;
}

// Begin to answer a message, or to change one of one's own.
export function begin(state, what) {
  Object.assign(state, { menu: null, reply: what.reply || null, edit: what.edit || null });
  redraw();
  const box = document.getElementById("phone-text");
  if (!box) return;
  if (state.edit) box.value = state.edit.text || state.edit.caption || "";
  grow(box);
  box.focus();
}

// What is being attached: whoever sends before it is read sends it all the same.
let attaching = Promise.resolve();

function attach(state, files) {
  state.attach = false;
  const chosen = state.files;
  attaching = attaching.then(async () => {
    for (const file of files) chosen.push(await fileBody(await file));
    redraw();
    document.getElementById("phone-text")?.focus();
  }).catch((error) => say(`The file could not be read: ${error.message}`));
}

async function picture(name) {
  const answer = await fetch(`/static/pictures/${name}`);
  return new File([await answer.blob()], name, { type: "image/png" });
}

// `deliver` gets what was written and answers whether it went out; else it stands there again.
async function send(state, deliver) {
  const box = document.getElementById("phone-text");
  const text = box.value.trim();
  const { reply, edit, files } = state;
  box.value = "";
  grow(box);
  Object.assign(state, { reply: null, edit: null, files: [] });
  redraw();
  await attaching;
  if (!text && !files.length) return;
  if (await deliver({ text, files, reply, edit })) return;
  box.value = text;
  state.files = files;
  redraw();
}

export function composer(state, { person, shop, deliver, files = true, placeholder = "Message" }) {
  const about = state.edit || state.reply;
  const mine = about?.from === "customer";
  return [
    about ? h("div", { class: "tg-about", key: "about" }, svg(state.edit ? icons.edit : icons.reply),
      h("div", {}, h("strong", {}, state.edit ? "Edit message" : `Reply to ${mine ? person.first_name : shop}`), h("span", {}, about.text || about.caption || about.file?.filename || about.kind || "file")),
      h("button", { type: "button", "aria-label": "Cancel", on: { click: () => { if (state.edit) document.getElementById("phone-text").value = ""; state.edit = state.reply = null; redraw(); } } }, svg(icons.close))) : null,
    state.files.length ? h("div", { class: "tg-about", key: "files" }, svg(icons.picture), h("div", {}, h("strong", {}, `${state.files.length} attached`), h("span", {}, state.files.map((file) => file.name).join(", "))),
      h("button", { type: "button", "aria-label": "Remove the attachments", on: { click: () => { state.files = []; redraw(); } } }, svg(icons.close))) : null,
    state.attach ? h("div", { class: "tg-attach", key: "attach" }, Object.keys(pictures).map((name) => h("button", { type: "button", title: pictures[name], on: { click: () => attach(state, [picture(name)]) } }, h("img", { src: `/static/pictures/${name}`, alt: pictures[name] }))),
      h("label", { class: "tg-upload" }, svg(icons.file), "File…", h("input", { type: "file", multiple: true, on: { change: (event) => attach(state, [...event.target.files]) } }))) : null,
    h("form", { class: "tg-composer", key: "composer", on: { submit: (event) => { event.preventDefault(); send(state, deliver); } } },
      files ? h("button", { type: "button", class: "tg-clip", key: "clip", "aria-label": "Attach a picture or file", "aria-expanded": state.attach ? "true" : "false", on: { click: () => { state.attach = !state.attach; redraw(); } } }, svg(icons.clip)) : null,
      h("textarea", {
        id: "phone-text", key: "text", rows: "1", placeholder, "aria-label": `Write as ${person.name}`, dir: "auto",
        on: {
          input: (event) => grow(event.target),
          paste: (event) => { const pasted = [...(event.clipboardData?.files || [])]; if (files && pasted.length) attach(state, pasted); },
          keydown: (event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(state, deliver); }
            if (event.key === "Escape") { state.reply = state.edit = null; state.attach = false; redraw(); }
          },
        },
      }),
      h("button", { type: "submit", class: "tg-send", key: "send", "aria-label": "Send" }, svg(icons.send))),
  ];
}
