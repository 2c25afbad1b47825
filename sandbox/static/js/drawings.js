// Everything drawn by hand: icons, portraits, the mark of the product.

const line = (body, size = 20) =>
  `<svg viewBox="0 0 20 20" width="${size}" height="${size}" fill="none" stroke="currentColor" stroke-width="1.6" ` +
  `stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${body}</svg>`;

export const icons = {
  send: `<svg viewBox="0 0 20 20" width="18" height="18" fill="currentColor" aria-hidden="true"><path d="M2.6 3.2 18 10 2.6 16.8 4.4 11l7-1-7-1z"/></svg>`,
  clip: line(`<path d="m14.8 9.3-5 5a3.2 3.2 0 0 1-4.6-4.6l6-6a2.1 2.1 0 0 1 3 3l-5.9 6a1 1 0 0 1-1.5-1.5l5-5"/>`),
  close: line(`<path d="m5.5 5.5 9 9m0-9-9 9"/>`, 16),
  more: `<svg viewBox="0 0 20 20" width="18" height="18" fill="currentColor" aria-hidden="true"><circle cx="10" cy="4.5" r="1.5"/><circle cx="10" cy="10" r="1.5"/><circle cx="10" cy="15.5" r="1.5"/></svg>`,
  reply: line(`<path d="M8 5 3.5 9.5 8 14M4 9.5h6.5c3.5 0 5.5 2 6 5.5"/>`, 18),
  edit: line(`<path d="m4 13.5-.6 3.1 3.1-.6 9.4-9.4a1.7 1.7 0 0 0-2.5-2.5z"/>`, 18),
  trash: line(`<path d="M4 6h12M8 6V4h4v2m-6.5 0 .7 10h7.6l.7-10"/>`, 18),
  smile: line(`<circle cx="10" cy="10" r="7"/><path d="M7 11.8c1.5 2 4.5 2 6 0M7.5 8v.2m5-.2v.2"/>`, 18),
  thread: line(`<path d="M3.5 4.5h13v9h-7L6 16.5v-3H3.5z"/>`, 18),
  back: line(`<path d="M12.5 4.5 7 10l5.5 5.5"/>`),
  play: `<svg viewBox="0 0 20 20" width="14" height="14" fill="currentColor" aria-hidden="true"><path d="M6 3.8v12.4L16.5 10z"/></svg>`,
  stop: `<svg viewBox="0 0 20 20" width="14" height="14" fill="currentColor" aria-hidden="true"><rect x="4.5" y="4.5" width="11" height="11" rx="2"/></svg>`,
  hash: line(`<path d="M8.2 3.5 6.5 16.5M13.5 3.5l-1.7 13M4 7.5h12.5M3.5 12.5H16"/>`, 16),
  home: line(`<path d="M3.5 9.5 10 4l6.5 5.5M5.5 8.5V16h9V8.5"/>`),
  file: line(`<path d="M5.5 3h6l3.5 3.5V17h-9.5zM11.5 3v3.5H15"/>`, 22),
  down: line(`<path d="m5.5 8 4.5 4.5L14.5 8"/>`, 16),
  person: line(`<circle cx="10" cy="7" r="3"/><path d="M4 16.5c.8-3.5 3-5 6-5s5.2 1.5 6 5"/>`, 18),
  block: line(`<circle cx="10" cy="10" r="6.5"/><path d="m5.5 5.5 9 9"/>`, 18),
  picture: line(`<rect x="3" y="4" width="14" height="12" rx="2"/><path d="m4 14 4-4 3 3 2-2 3 3"/><circle cx="13" cy="7.8" r="1"/>`, 18),
  lock: line(`<rect x="5" y="9" width="10" height="7" rx="1.5"/><path d="M7 9V7a3 3 0 0 1 6 0v2"/>`, 14),
  eye: line(`<path d="M2.5 10S5.5 5 10 5s7.5 5 7.5 5-3 5-7.5 5-7.5-5-7.5-5z"/><circle cx="10" cy="10" r="2"/>`, 14),
  again: line(`<path d="M15.800 8A6.300 6.300 0 1 0 16 12M16 3.500V8h-4.500"/>`, 18),
  mail: line(`<rect x="2.5" y="4.500" width="15" height="11" rx="2"/><path d="m3.5 6 6.500 5 6.500-5"/>`),
  clock: line(`<circle cx="10" cy="10" r="6.5"/><path d="M10 6.500V10l2.500 1.500"/>`, 18),
  mask: line(`<path d="M3 6.500c4-1.500 10-1.500 14 0 .3 5-2 8-4.500 8-1.500 0-1.800-1.500-2.500-1.500S9 14.500 7.500 14.500C5 14.500 2.700 11.500 3 6.500z"/><path d="M5.800 9.300c.8-.7 2-.7 2.700 0m3 0c.8-.7 2-.7 2.700 0"/>`, 18),
  tick: `<svg viewBox="0 0 18 12" width="15" height="10" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="m2 6.5 3.3 3.3L12 2.5"/></svg>`,
  ticks: `<svg viewBox="0 0 18 12" width="15" height="10" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="m1 6.5 3.3 3.3L11 2.5m-3.2 6 1.3 1.3 6.8-7.3"/></svg>`,
};

// Two jacks and the cord between them.
export const mark =
  `<svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true"><rect width="32" height="32" rx="9" fill="var(--accent)"/>` +
  `<path d="M9.5 12.5v3.5c0 7 13 1 13 8" fill="none" stroke="var(--on-accent)" stroke-width="2.4" stroke-linecap="round"/>` +
  `<circle cx="9.5" cy="9.5" r="3.2" fill="none" stroke="var(--on-accent)" stroke-width="2.4"/>` +
  `<circle cx="22.5" cy="9.5" r="3.2" fill="none" stroke="var(--on-accent)" stroke-width="2.4" opacity=".55"/></svg>`;

const hair = {
  bun: (c) => `<circle cx="20" cy="7.5" r="4" fill="${c}"/><path d="M11 19c-1-8 3-11.5 9-11.5S30 11 29 19c-2-4-4.5-6-9-6s-7 2-9 6z" fill="${c}"/>`,
  long: (c) => `<path d="M10 30c-2-16 1-22 10-22s12 6 10 22l-3.5-.5c1-9-1-14-6.5-14.5-5.5.5-7.5 5.5-6.5 14.5z" fill="${c}"/>`,
  short: (c) => `<path d="M11.5 17.5C10.5 10 14.5 7 20 7s9.5 3 8.5 10.5c-1.2-3-2-4.5-3.5-5-3.5 1-7 .8-10-.2-1.8.7-2.6 2.2-3.5 5.2z" fill="${c}"/>`,
  crop: (c) => `<path d="M12 16c0-6 3.5-8.5 8-8.5s8 2.5 8 8.5c-1-2.5-2-3.5-3.5-3.8-3 .4-6 .4-9 0C14 12.5 13 13.5 12 16z" fill="${c}"/>`,
  curly: (c) => `<path d="M10.5 21c-3-3 0-5 .5-6 0-3 2-4 4-4.5C16.5 8 19 7.5 20.5 8c3-.5 5 .5 6 3 2.5 1 3.5 3 3 5 1 2 1 4-.5 5.5-.5-4-2-6.5-4-7.5-3 1-7 1-10 0-2.5 1.5-4 4-4.5 7z" fill="${c}"/>`,
  scarf: (c) => `<path d="M8.5 33C7 17 11 7 20 7s13 10 11.5 26l-5-3c1.5-9-1-15.5-6.5-15.5S12 21 13.5 30z" fill="${c}"/>`,
};

export function portrait(look, size = 40, round = true) {
  const [from, to] = look.sky;
  const id = `sky${look.sky.join("").replaceAll("#", "")}`;
  const beard = look.beard ? `<path d="M13.5 21c.5 6 3 8.5 6.5 8.5s6-2.5 6.5-8.5c-1.5 2-2.5 2.5-4 2.5h-5c-1.5 0-2.5-.5-4-2.5z" fill="${look.beard}"/>` : "";
  const glasses = look.glasses ? `<g fill="none" stroke="#2b2b33" stroke-width="1"><circle cx="16.5" cy="19" r="2.4"/><circle cx="23.5" cy="19" r="2.4"/><path d="M18.9 19h2.2"/></g>` : "";
  return (
    `<svg viewBox="0 0 40 40" width="${size}" height="${size}" aria-hidden="true" style="display:block;border-radius:${round ? "50%" : "22%"}">` +
    `<defs><linearGradient id="${id}" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="${from}"/><stop offset="1" stop-color="${to}"/></linearGradient></defs>` +
    `<rect width="40" height="40" fill="url(#${id})"/>` +
    `<path d="M6 42c0-9 6-13 14-13s14 4 14 13z" fill="${look.shirt}"/><path d="M17 26h6v4.5c-1.5 2-4.5 2-6 0z" fill="${look.skin}" style="filter:brightness(.92)"/>` +
    `<ellipse cx="20" cy="19" rx="7.3" ry="8.6" fill="${look.skin}"/>${beard}${hair[look.hair](look.tint)}` +
    `<g fill="#2b2b33"><circle cx="16.8" cy="19.2" r=".9"/><circle cx="23.2" cy="19.2" r=".9"/></g>` +
    `<path d="M17.5 23.4c1.4 1.3 3.6 1.3 5 0" fill="none" stroke="#8a4b3c" stroke-width="1.1" stroke-linecap="round"/>${glasses}</svg>`
  );
}

// Kumbara's own mark: a money box with a coin.
export function shopMark(size = 40, round = true) {
  return (
    `<svg viewBox="0 0 40 40" width="${size}" height="${size}" aria-hidden="true" style="display:block;border-radius:${round ? "50%" : "22%"}">` +
    `<rect width="40" height="40" fill="#f3c26b"/><circle cx="22.5" cy="9.5" r="4" fill="#fff3d6" stroke="#b9772a" stroke-width="1.4"/>` +
    `<path d="M8 23c0-6 5-10 12-10 2.5 0 4.5.4 6.5 1.4L30 12l.3 5c1 1 1.7 2 2.2 3.2H35v6h-3c-1 1.7-2 2.8-3.5 3.7V34h-4v-2.4h-8V34h-4v-4c-2.8-1.5-4.5-4-4.5-7z" fill="#c2583f"/>` +
    `<path d="M17 17.2c2-.7 4.5-.7 6.5 0" stroke="#7c2f20" stroke-width="1.8" fill="none" stroke-linecap="round"/><circle cx="29" cy="20.5" r="1.1" fill="#40160e"/></svg>`
  );
}

export function appMark(size = 36) {
  return (
    `<svg viewBox="0 0 32 32" width="${size}" height="${size}" aria-hidden="true" style="display:block;border-radius:22%"><rect width="32" height="32" fill="#c8552b"/>` +
    `<path d="M9.5 12.5v3.5c0 7 13 1 13 8" fill="none" stroke="#fff" stroke-width="2.4" stroke-linecap="round"/><circle cx="9.5" cy="9.5" r="3.2" fill="none" stroke="#fff" stroke-width="2.4"/>` +
    `<circle cx="22.5" cy="9.5" r="3.2" fill="none" stroke="#fff" stroke-width="2.4" opacity=".6"/></svg>`
  );
}

export function initials(name, size = 36) {
  const words = (name || "?").replace(/[^\p{L}\p{N} ]/gu, "").trim().split(/\s+/);
  const letters = (words[0]?.[0] || "?") + (words.length > 1 ? words[words.length - 1][0] : "");
  let sum = 0;
  for (const sign of name || "") sum = (sum * 31 + sign.codePointAt(0)) % 360;
  const safe = letters.toUpperCase().replace(/[<>&]/g, "");
  return (
    `<svg viewBox="0 0 40 40" width="${size}" height="${size}" aria-hidden="true" style="display:block;border-radius:22%"><rect width="40" height="40" fill="hsl(${sum} 42% 46%)"/>` +
    `<text x="20" y="26" text-anchor="middle" font-size="15" font-weight="700" fill="#fff" font-family="Arial, sans-serif">${safe}</text></svg>`
  );
}
