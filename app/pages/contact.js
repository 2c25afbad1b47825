// The page works without this. It shows the moments by the visitor's own clock, tells before an upload what is too
// large, and keeps a second click from sending a second time.
"use strict";

(() => {
  const RESTING = 10e3; // milliseconds in which a second click is none: whoever stopped a slow upload may begin anew
  const page = document.querySelector("main");
  const language = document.documentElement.lang;

  // Twelve hours only where the page's language is written so and the browser is not one of 24. As in the widget.
  const base = (tag) => tag.toLowerCase().split("-")[0];
  const twelve = (tag) => new Intl.DateTimeFormat(tag, { hour: "numeric" }).resolvedOptions().hour12;
  const own = navigator.languages.find((tag) => base(tag) === base(language));
  const hourCycle = twelve(own || language) && twelve(own || navigator.language) ? "h12" : "h23";
  const locale = new Intl.Locale(own || language, { hourCycle, numberingSystem: "latn" });
  const hours = { hour: hourCycle === "h12" ? "numeric" : "2-digit", minute: "2-digit" };

  const clock = (at, zone) => new Intl.DateTimeFormat(locale, { ...hours, timeZone: zone }).format(at);
  const day = (at, zone) =>
    new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit", timeZone: zone }).format(at);

  function when(at, zone) {
    const ahead = Math.round((Date.parse(day(at, zone)) - Date.parse(day(new Date(page.dataset.now), zone))) / 864e5);
    let words;
    if (ahead === 0) words = page.dataset.today;
    else if (ahead === 1) words = page.dataset.tomorrow;
    else {
      const form = ahead > 6 ? { weekday: "long", day: "numeric", month: "long" } : { weekday: "long" };
      words = new Intl.DateTimeFormat(locale, { ...form, timeZone: zone }).format(at);
    }
    return page.dataset.when.replace("{day}", words).replace("{time}", clock(at, zone));
  }

  function byOwnClock(place) {
    const at = new Date(place.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const zone = page.dataset.zone;
    const same = clock(at) + day(at) === clock(at, zone) + day(at, zone);
    const beside = place.dataset.moment === "beside";
    if (same && (beside || hourCycle === "h23")) return; // as it stands there
    const words = place.dataset.moment === "time" ? clock(at) : when(at);
    if (beside) place.textContent = `(${page.dataset.yours}: ${words})`;
    else place.textContent = same ? words : `${words} (${page.dataset.yours})`;
  }

  function byTwelve(place) {
    place.textContent = place.textContent.replace(/\b(\d\d):(\d\d)\b/g, (_, hour, minute) =>
      clock(Date.UTC(2000, 0, 1, hour, minute), "UTC"));
    if (place.dir && document.dir === "rtl") place.dir = "rtl"; // its hours have letters now
  }

  if (hourCycle === "h12") document.querySelectorAll("[data-clock]").forEach(byTwelve);
  if (page.dataset.zone) document.querySelectorAll("time[data-moment]").forEach(byOwnClock);

  const form = document.querySelector("form");
  if (!form) return;
  const files = form.querySelector("#files");
  const button = form.querySelector("button");
  const label = button.textContent;
  let resting = 0;

  function rested() {
    clearTimeout(resting);
    resting = 0;
    button.removeAttribute("aria-disabled");
    button.textContent = label;
  }

  files.addEventListener("change", () => {
    const bytes = Array.from(files.files).reduce((sum, file) => sum + file.size, 0);
    const many = files.files.length > Number(form.dataset.files);
    const big = bytes > Number(form.dataset.bytes);
    files.setCustomValidity(many ? form.dataset.many : big ? form.dataset.big : "");
    if (many || big) files.reportValidity();
  });

  form.addEventListener("submit", (event) => {
    if (resting) return event.preventDefault();
    resting = setTimeout(rested, RESTING);
    button.setAttribute("aria-disabled", "true");
    button.textContent = form.dataset.sending;
  });

  // A page that comes back from the browser's memory may be sent again.
  addEventListener("pageshow", rested);
})();
