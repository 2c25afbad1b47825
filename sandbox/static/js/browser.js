// A browser on the shop's own site: a page with the chat on it, and the contact page behind.

import { h, svg, patch } from "./dom.js";
import { icons } from "./drawings.js";
import { appGlyph } from "./glyphs.js";
import { store, say } from "./app.js";

const pages = {
  shop: { title: "Kumbara", path: "/kumbara/", shown: "kumbara.example" },
  contact: { title: "Contact", path: "/kumbara/contact", shown: "kumbara.example/contact" },
};
// The frames stay once they were opened, so that a chat goes on while somebody else's phone is looked at.
const opened = new Set();

// Links of the contact page lead to real apps. Here they are told, not followed: nobody of that name is behind them.
function keepInside(frame) {
  const inside = frame.contentDocument;
  inside?.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || new URL(link.href, inside.baseURI).pathname.startsWith(pages.contact.path)) return;
    event.preventDefault();
    say(`On a phone this opens ${link.href}`);
  });
}

function reload(app) {
  document.querySelector(`.br-frame[data-page=${app}]`)?.contentWindow?.location.reload();
}

export function drawBrowser(person, app, turn) {
  if (store.health?.ready) opened.add(app);
  patch(document.getElementById("browser"), [
    h("div", { key: "tabs", class: "br-tabs", role: "tablist", "aria-label": `${person.first_name}'s browser` }, Object.entries(pages).map(([name, page]) => h("button", {
      key: name, type: "button", role: "tab", class: "br-tab", "data-page": name, "aria-selected": name === app ? "true" : "false", on: { click: () => turn(name) },
    }, svg(appGlyph(name, 16)), page.title))),
    h("div", { key: "bar", class: "br-bar" },
      h("button", { type: "button", class: "br-icon", "aria-label": "Load again", title: "Load again", on: { click: () => reload(app) } }, svg(icons.again)),
      h("span", { class: "br-address" }, svg(icons.lock), pages[app].shown)),
    h("div", { key: "pages", class: "br-pages" },
      store.health?.ready || opened.has(app) ? null : h("p", { key: "wait", class: "br-wait" }, "The shop's site is there once Santral is up."),
      Object.entries(pages).filter(([name]) => opened.has(name)).map(([name, page]) => h("iframe", {
        key: name, class: "br-frame", "data-page": name, hidden: name !== app, src: page.path, title: page.title, on: { load: (event) => name === "contact" && keepInside(event.target) },
      }))),
  ]);
}
