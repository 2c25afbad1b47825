// The page works without this. It shows the moments by the visitor's own clock, tells before an upload what is too
// large, and keeps a second click from sending a second time.
"use strict";

(() => {
  const page = document.querySelector("main");
  const language = document.documentElement.lang;
  const spoken = language.startsWith("ar") ? `${language}-u-nu-latn` : language;

  const clock = (at, zone) =>
    new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone }).format(at);
  const day = (at, zone) =>
    new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit", timeZone: zone }).format(at);

  function when(at) {
    const ahead = Math.round((Date.parse(day(at)) - Date.parse(day(new Date(page.dataset.now)))) / 864e5);
    let words;
    if (ahead === 0) words = page.dataset.today;
    else if (ahead === 1) words = page.dataset.tomorrow;
    else {
      const form = ahead > 6 ? { weekday: "long", day: "numeric", month: "long" } : { weekday: "long" };
      words = new Intl.DateTimeFormat(spoken, form).format(at);
    }
    return page.dataset.when.replace("{day}", words).replace("{time}", clock(at));
  }

  function byOwnClock(place) {
    const at = new Date(place.dateTime);
    const zone = page.dataset.zone;
    if (Number.isNaN(at.getTime()) || clock(at) + day(at) === clock(at, zone) + day(at, zone)) return;
    const words = place.dataset.moment === "time" ? clock(at) : when(at);
    place.textContent = place.dataset.moment === "beside"
      ? `(${page.dataset.yours}: ${words})`
      : `${words} (${page.dataset.yours})`;
  }

  if (page.dataset.zone) document.querySelectorAll("time[data-moment]").forEach(byOwnClock);

  const form = document.querySelector("form");
  if (!form) return;
  const files = form.querySelector("#files");
  const button = form.querySelector("button");
  const label = button.textContent;
  let sent = false;

  files.addEventListener("change", () => {
    const bytes = Array.from(files.files).reduce((sum, file) => sum + file.size, 0);
    const many = files.files.length > Number(form.dataset.files);
    const big = bytes > Number(form.dataset.bytes);
    files.setCustomValidity(many ? form.dataset.many : big ? form.dataset.big : "");
    if (many || big) files.reportValidity();
  });

  form.addEventListener("submit", (event) => {
    if (sent) return event.preventDefault();
    sent = true;
    button.setAttribute("aria-disabled", "true");
    button.textContent = form.dataset.sending;
  });

  // A page that comes back from the browser's memory may be sent again.
  addEventListener("pageshow", () => {
    sent = false;
    button.removeAttribute("aria-disabled");
    button.textContent = label;
  });
})();
