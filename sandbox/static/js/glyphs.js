// The marks of the apps on people's phones, drawn for this page: none is any company's.

const shapes = {
  telegram: ["#2a8bd0", `<rect x="6" y="8" width="12" height="9" rx="3"/><path d="M12 8V5m-2.500 7v.6m5-.6v.6"/>`],
  sms: ["#2f9e5b", `<path d="M5 7.500A2.500 2.500 0 0 1 7.500 5h9A2.500 2.500 0 0 1 19 7.500v5a2.500 2.500 0 0 1-2.500 2.500H11l-4 3.500V15A2.500 2.500 0 0 1 5 12.500zM9 10h.1M12 10h.1M15 10h.1"/>`],
  whatsapp: ["#178a5c", `<path d="m4 12.500 3.500 3.500L14 8.500m-2.500 6.500 1.500 1 7-8"/>`],
  messenger: ["#4c5fe0", `<path d="M4.500 6h9v6.500h-5L6 15v-2.500H4.500zM16 9h3.500v6.500H18V18l-2.500-2.500H11V15"/>`],
  instagram: ["#b8387f", `<path d="M12 18.500C6.500 15 4.500 12.300 4.500 9.600a3.600 3.600 0 0 1 7.500-1.400 3.600 3.600 0 0 1 7.500 1.400c0 2.700-2 5.400-7.500 8.900z"/>`],
  x: ["#2b2d31", `<circle cx="12" cy="12" r="3.200"/><path d="M15.200 9v4.500a2 2 0 0 0 4 0V12a7.200 7.200 0 1 0-3 5.800"/>`],
  mail: ["#b03a48", `<rect x="4.500" y="6.500" width="15" height="11" rx="2"/><path d="m5.500 8 6.500 5 6.500-5"/>`],
  shop: ["#b8481f", `<path d="M5 9.500 6.500 5h11L19 9.500M6 10v9h12v-9M5 9.500c.8 2 3.300 2 4.600 0 1.200 2 3.600 2 4.800 0 1.200 2 3.800 2 4.600 0"/>`],
  contact: ["#6a5a8c", `<rect x="5.500" y="4.500" width="13" height="15" rx="2"/><path d="M8.500 9h7m-7 3.500h7m-7 3.500h3.500"/>`],
};
shapes["whatsapp-twilio"] = shapes.whatsapp;

export function appGlyph(app, size = 18) {
  const [color, body] = shapes[app] || shapes.sms;
  return `<svg viewBox="0 0 24 24" width="${size}" height="${size}" aria-hidden="true" style="display:block"><rect width="24" height="24" rx="6.500" fill="${color}"/>` +
    `<g fill="none" stroke="#fff" stroke-width="1.900" stroke-linecap="round" stroke-linejoin="round">${body}</g></svg>`;
}
