// The shop's clock, which can be turned. Everything on the page is shown by it, in the shop's time zone.

let offset = 0; // milliseconds
let turns = []; // [seconds by the real clock, seconds it was turned from then on]
let zone = "Europe/Istanbul";

export function setClock(clock) {
  offset = clock.offset * 1000;
  turns = clock.turns;
  zone = clock.zone;
}

export function shopNow() {
  return new Date(Date.now() + offset);
}

// What the shop's clock showed at a moment of the real one, by which Slack counts; both in seconds.
export function asShown(real) {
  return Number(real) + (turns.findLast(([at]) => at <= real)?.[1] || 0);
}

function moment(at) {
  return at instanceof Date ? at : new Date(typeof at === "number" ? (at < 1e12 ? at * 1000 : at) : at);
}

const made = new Map();

// Formats by Intl, each made once: making one takes longer than all its use.
export function shown(at, locale, options) {
  const key = `${locale} ${zone} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new Intl.DateTimeFormat(locale, { ...options, timeZone: zone }));
  return made.get(key).format(moment(at));
}

export function clock(at) {
  return shown(at, "en-GB", { hour: "2-digit", minute: "2-digit" });
}

export function whole(at) {
  return shown(at, "en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

// The date as 2026-11-28, for comparing and for fields.
export function dateOf(at) {
  return shown(at, "en-CA", { year: "numeric", month: "2-digit", day: "2-digit" });
}

export function daysBetween(from, to) {
  return Math.round((Date.parse(dateOf(to)) - Date.parse(dateOf(from))) / 86400000);
}

// Minutes since midnight on the shop's wall.
export function minuteOf(at) {
  const [hour, minute] = clock(at).split(":").map(Number);
  return hour * 60 + minute;
}
