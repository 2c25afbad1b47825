// The customers: who they are, which of their apps is on top, and the phone, mail program or browser it is seen in.

import { h, svg, patch, patchAtEnd } from "./dom.js";
import { portrait } from "./drawings.js";
import { appGlyph } from "./glyphs.js";
import { blank } from "./composer.js";
import { openThreadOf } from "./desk.js";
import { drawMail, unread as unreadMail } from "./mail.js";
import { drawBrowser } from "./browser.js";
import * as telegram from "./telegram.js";
import * as apps from "./apps.js";
import { store, chosenPerson, everybody, redraw } from "./app.js";

const seen = {}; // how many messages of the shop had been seen, by person and app
let last = "";

const appsOf = (person) => (person.address ? ["mail"] : person.apps);

export function appOf(person) {
  const chosen = store.ui.apps[person.key];
  return appsOf(person).includes(chosen) ? chosen : appsOf(person)[0];
}

const inBrowser = (app) => app === "shop" || app === "contact";

function unreadIn(person, app) {
  if (app === "mail") return unreadMail(person);
  if (inBrowser(app)) return 0;
  const came = app === "telegram" ? telegram.fromShop(person) : apps.fromShop(person, app);
  const key = `${person.key} ${app}`;
  if (person.key === chosenPerson().key && app === appOf(person)) seen[key] = came;
  return came - (seen[key] ?? (seen[key] = came));
}

export function drawPhone() {
  const person = chosenPerson();
  if (!person) return;
  const app = appOf(person);
  const shown = app === "mail" ? "mailer" : inBrowser(app) ? "browser" : "phone";
  patch(document.getElementById("people"), [people(person)]);
  for (const id of ["phone", "mailer", "browser"]) document.getElementById(id).hidden = id !== shown;
  if (shown === "mailer") drawMail(person);
  else if (shown === "browser") drawBrowser(person, app, (chosen) => turn(person, chosen));
  else drawApp(person, app);
}

function drawApp(person, app) {
  const own = app === "telegram";
  const part = own ? telegram : apps;
  const now = `${person.key} ${app}`;
  document.getElementById("phone").dataset.app = app;
  patch(document.getElementById("phone-head"), part.head(person, app));
  patchAtEnd(document.getElementById("phone-chat"), part.bubbles(person, app), { jump: last !== now });
  last = now;
  patch(document.getElementById("phone-foot"), part.foot(person, app));
  patch(document.getElementById("phone-dock"), dock(person, app));
  if (!own) apps.look(person, app);
}

function dock(person, current) {
  if (person.apps.length < 2) return [];
  return person.apps.map((app) => {
    const unread = unreadIn(person, app);
    return h("button", { key: app, type: "button", role: "tab", class: "dock-app", "data-app": app, "aria-selected": app === current ? "true" : "false", on: { click: () => turn(person, app) } },
      svg(appGlyph(app, 22)), store.cast.apps[app].name, unread > 0 ? h("span", { class: "badge", "aria-label": `${unread} new` }, unread) : null);
  });
}

function turn(person, app) {
  store.ui.apps[person.key] = app;
  forget();
  openThreadOf(person, store.cast.apps[app].name);
  redraw();
}

const wayOf = (person) => (person.address ? "by mail" : person.apps.map((app) => store.cast.apps[app].name).join(", "));

function people(current) {
  const all = everybody();
  return h("div", { class: "people-row", role: "tablist", "aria-label": "Customers" }, all.map((person) => {
    const unread = appsOf(person).reduce((sum, app) => sum + unreadIn(person, app), 0);
    return h("button", {
      key: person.key, type: "button", role: "tab", class: "person", "aria-selected": person.key === current.key ? "true" : "false",
      "data-person": person.key, title: `${person.name}, ${person.city}, ${person.language_name}: ${wayOf(person)}`,
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
    }, svg(portrait(person.look, 38), { class: "person-face" }),
      h("span", { class: "person-apps" }, appsOf(person).map((app) => svg(appGlyph(app, 14), { key: app }))),
      h("span", { class: "person-name", dir: "auto" }, person.first_name),
      unread > 0 ? h("span", { class: "badge", "aria-label": `${unread} new` }, unread) : null);
  }));
}

function forget() {
  for (const state of [telegram.here, apps.here]) Object.assign(state, blank());
}

function choose(person) {
  forget();
  store.ui.person = person.key;
  openThreadOf(person, store.cast.apps[appOf(person)]?.name);
  redraw();
}

export function closeMenus(target) {
  let closed = false;
  for (const state of [telegram.here, apps.here]) {
    if (state.menu === null || target.closest?.(".bubble-menu, .bubble-more")) continue;
    state.menu = null;
    closed = true;
  }
  return closed;
}
