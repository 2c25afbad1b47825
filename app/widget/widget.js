// The bubble on the shop's page. The chat itself runs in a frame of another origin: neither side can script the other.
(() => {
  "use strict";
  const settings = "SETTINGS";
  const script = document.currentScript;
  if (!script || window.Santral) return;

  const base = new URL(".", script.src).href;
  const origin = new URL(base).origin;
  const language = [script.dataset.language, document.documentElement.lang, navigator.language, settings.language]
    .map((tag) => String(tag || "").toLowerCase().split(/[-_]/)[0])
    .find((code) => code in settings.texts) || "en";
  const say = settings.texts[language];
  const end = settings.side === "left" ? "left" : "right";

  const CSS = `
    :host { all: initial; position: fixed; z-index: 2147483000; bottom: 0; ${end}: 0; }
    button { all: unset; box-sizing: border-box; position: fixed; bottom: max(20px, env(safe-area-inset-bottom)); ${end}: 20px;
      width: 56px; height: 56px; border-radius: 50%; cursor: pointer; display: grid; place-items: center;
      background: var(--color); color: var(--ink); box-shadow: 0 4px 16px rgb(0 0 0 / .28); transition: transform .15s; }
    button:hover { transform: scale(1.05); }
    button:focus-visible { outline: 3px solid var(--ink); box-shadow: 0 0 0 6px var(--color); }
    svg { width: 26px; height: 26px; fill: currentColor; }
    span { position: absolute; top: -4px; ${end}: -4px; min-width: 22px; height: 22px; box-sizing: border-box; padding: 0 6px;
      border-radius: 11px; background: #c81e1e; color: #fff; font: 600 13px/22px system-ui, sans-serif; text-align: center; }
    p { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
    [hidden] { display: none !important; }
    div { position: fixed; bottom: 88px; ${end}: 20px; width: 384px; height: min(620px, calc(100vh - 108px));
      border-radius: 16px; overflow: hidden; background: Canvas; color-scheme: light dark;
      box-shadow: 0 12px 40px rgb(0 0 0 / .3); }
    iframe { border: 0; width: 100%; height: 100%; display: block; color-scheme: light dark; }
    @media (max-width: 480px) {
      div { inset: 0; width: 100%; height: 100vh; height: 100dvh; border-radius: 0; }
      .shown { visibility: hidden; }
    }
    @media (prefers-reduced-motion: reduce) { button { transition: none; } button:hover { transform: none; } }
    @media print { :host { display: none; } }
  `;

  let frame = null, ready = false, shown = false, unread = 0;
  let identity = script.dataset.identity || null; // a token, or a function that gives one
  const host = document.createElement("santral-chat");
  const root = host.attachShadow({ mode: "open" });
  const button = document.createElement("button");
  const badge = document.createElement("span");
  const panel = document.createElement("div");
  const told = document.createElement("p"); // what a screen reader says of the number on the bubble

  function build() {
    try {
      const sheet = new CSSStyleSheet(); // a page may forbid style elements, but not these
      sheet.replaceSync(CSS);
      root.adoptedStyleSheets = [sheet];
    } catch {
      const style = document.createElement("style");
      style.textContent = CSS;
      root.append(style);
    }
    host.style.setProperty("--color", settings.color);
    host.style.setProperty("--ink", settings.ink);
    button.type = "button";
    button.setAttribute("aria-haspopup", "dialog");
    button.append(icon("M4 3h16a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2h-8l-6 4v-4H4a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2z"), badge);
    button.addEventListener("click", () => (shown ? close() : open()));
    badge.setAttribute("aria-hidden", "true");
    panel.setAttribute("role", "dialog");
    panel.setAttribute("aria-label", settings.title);
    panel.hidden = true;
    told.setAttribute("role", "status");
    root.append(panel, button, told);
    stand();
    // Shops that change pages without loading them replace the body, and us with it.
    new MutationObserver(stand).observe(document.documentElement, { childList: true });
    label();
    if (kept("sessionStorage") && innerWidth > 480) open(false);
    else if (kept("localStorage")) (window.requestIdleCallback || setTimeout)(load);
  }

  let stood = null;
  function stand() {
    if (!document.body) return;
    if (stood !== document.body) new MutationObserver(stand).observe(stood = document.body, { childList: true });
    if (host.isConnected) return;
    ready = false; // a frame that is moved begins anew
    document.body.append(host);
  }

  function icon(path) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("d", path);
    svg.append(line);
    return svg;
  }

  function label() {
    const words = shown ? say.close : unread ? `${say.open}. ${say.unread.replace("{n}", unread)}` : say.open;
    button.setAttribute("aria-label", words);
    button.title = words;
    button.setAttribute("aria-expanded", String(shown));
    button.classList.toggle("shown", shown);
    badge.textContent = unread > 99 ? "99+" : String(unread);
    badge.hidden = !unread || shown;
    const news = badge.hidden ? "" : say.unread.replace("{n}", unread);
    if (told.textContent !== news) told.textContent = news;
  }

  // Only that there is a chat, and whether it is open: what is said in it stays in the frame.
  function kept(where) {
    try { return window[where].getItem(`santral:${settings.channel}`) === "1"; } catch { return false; }
  }
  function keep(where, so) {
    try {
      if (so) window[where].setItem(`santral:${settings.channel}`, "1");
      else window[where].removeItem(`santral:${settings.channel}`);
    } catch { /* a browser without storage forgets */ }
  }

  function load() {
    if (frame) return;
    frame = document.createElement("iframe");
    frame.title = settings.title;
    frame.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms allow-popups allow-popups-to-escape-sandbox allow-downloads");
    frame.src = `${base}frame?lang=${language}`;
    frame.addEventListener("load", () => {
      ready = true;
      introduce(false);
      if (shown) tell({ santral: "open", focus: root.activeElement === frame });
    });
    panel.append(frame);
  }

  function tell(message) {
    if (ready) frame.contentWindow.postMessage(message, origin);
  }

  async function introduce(anew) {
    let token = identity;
    try { if (typeof identity === "function") token = await identity(); } catch { token = null; }
    tell({ santral: "identity", token: typeof token === "string" ? token : null, anew });
  }

  function open(focus = true) {
    load();
    shown = true;
    panel.hidden = false;
    keep("sessionStorage", true);
    label();
    tell({ santral: "open", focus });
    if (focus) frame.focus();
  }

  function close() {
    const inside = root.activeElement === frame;
    shown = false;
    panel.hidden = true;
    keep("sessionStorage", false);
    label();
    tell({ santral: "close" });
    if (inside) button.focus();
  }

  addEventListener("message", (event) => {
    if (!frame || event.source !== frame.contentWindow || event.origin !== origin || !event.data) return;
    switch (event.data.santral) {
      case "identity": introduce(true); break;
      case "close": close(); button.focus(); break;
      case "used": keep("localStorage", true); break;
      case "unread": unread = Number(event.data.count) || 0; label(); break;
    }
  });

  window.Santral = Object.freeze({
    open: () => open(),
    close,
    identify(token) {
      identity = token || null;
      if (identity) load();
      introduce(false);
    },
  });
  if (document.body) build();
  else addEventListener("DOMContentLoaded", build);
  dispatchEvent(new Event("santral"));
})();
