// Slack's Block Kit and mrkdwn, drawn as Slack draws them. Whatever a message holds is shown as text or not at all:
// nothing is ever parsed as HTML, and pictures are fetched from this page's own address only.

import { h, bytes } from "./dom.js";
import { icons } from "./drawings.js";
import { dateOf, daysBetween, shopNow, shown, whole } from "./time.js";

let names = {};

export function knowEmoji(map) {
  names = map;
}

export function emojiOf(name) {
  const plain = String(name || "").replace(/^:|:$/g, "").split("::")[0];
  return names[plain] || null;
}

const unescape = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

function emojiNode(name) {
  const found = emojiOf(name);
  return found ? h("span", { class: "emoji", title: `:${name}:`, role: "img", "aria-label": name.replaceAll("_", " ") }, found) : `:${name}:`;
}

function withEmoji(text) {
  return text.split(/(:[a-z0-9_+'-]+:)/).map((part) => {
    const name = part.length > 2 && part.startsWith(":") && part.endsWith(":") ? part.slice(1, -1) : null;
    return name && emojiOf(name) ? emojiNode(name) : part;
  });
}

export function slackDate(seconds, format) {
  const when = new Date(Number(seconds) * 1000);
  const today = shopNow();
  const relative = { "-1": "Yesterday", 0: "Today", 1: "Tomorrow" }[daysBetween(today, when)];
  const long = shown(when, "en-US", { weekday: "long", month: "long", day: "numeric", year: "numeric" });
  const middle = shown(when, "en-US", { month: "long", day: "numeric", year: "numeric" });
  const short = shown(when, "en-US", { month: "short", day: "numeric", year: "numeric" });
  const minutes = Math.round((when - today) / 60000);
  const distance = Math.abs(minutes) < 1 ? "just now"
    : Math.abs(minutes) < 60 ? `${Math.abs(minutes)} minute${Math.abs(minutes) === 1 ? "" : "s"}`
    : Math.abs(minutes) < 1440 ? `${Math.round(Math.abs(minutes) / 60)} hour${Math.round(Math.abs(minutes) / 60) === 1 ? "" : "s"}`
    : `${Math.round(Math.abs(minutes) / 1440)} day${Math.round(Math.abs(minutes) / 1440) === 1 ? "" : "s"}`;
  const ago = distance === "just now" ? distance : minutes < 0 ? `${distance} ago` : `in ${distance}`;
  return format
    .replaceAll("{date_num}", dateOf(when))
    .replaceAll("{date_long_full}", long).replaceAll("{date_long_pretty}", relative || long)
    .replaceAll("{date_short_pretty}", relative || short).replaceAll("{date_short}", short)
    .replaceAll("{date_long}", long).replaceAll("{date_pretty}", relative || middle).replaceAll("{date}", middle)
    .replaceAll("{day_divider_pretty}", relative || long.replace(/, \d+$/, ""))
    .replaceAll("{time_secs}", shown(when, "en-US", { hour: "numeric", minute: "2-digit", second: "2-digit" }))
    .replaceAll("{time}", shown(when, "en-US", { hour: "numeric", minute: "2-digit" }))
    .replaceAll("{ago}", ago);
}

function safeHref(url) {
  return /^(https?:|mailto:|tel:)/i.test(url) ? url : null;
}

function link(url, label, key) {
  const href = safeHref(url);
  if (!href) return h("span", { key }, label);
  return h("a", { key, href, target: "_blank", rel: "noreferrer noopener", class: "sl-link" }, label);
}

function angle(inner, ctx) {
  const bar = inner.indexOf("|");
  const head = bar < 0 ? inner : inner.slice(0, bar);
  const label = bar < 0 ? "" : unescape(inner.slice(bar + 1));
  if (head.startsWith("@")) return mention(head.slice(1), ctx, label);
  if (head.startsWith("#")) return channelMention(head.slice(1), ctx, label);
  if (head.startsWith("!date^")) {
    const [, seconds, format, url] = head.split("^");
    const text = slackDate(seconds, unescape(format || "{date}"));
    const title = whole(Number(seconds));
    return url ? link(url, text) : h("time", { title, class: "sl-date" }, text);
  }
  if (head.startsWith("!subteam^")) return h("span", { class: "mention" }, label || `@${head.slice(9)}`);
  if (head.startsWith("!")) return h("span", { class: "mention loud" }, `@${head.slice(1)}`);
  return link(unescape(head), label || unescape(head).replace(/^(mailto|tel):/, ""));
}

function mention(id, ctx, label) {
  const user = ctx.users[id];
  return h("span", { class: id === ctx.me ? "mention loud" : "mention" }, `@${user ? user.shown : label || id}`);
}

function channelMention(id, ctx, label) {
  return h("span", { class: "mention" }, `#${ctx.channels[id]?.name || label || id}`);
}

// *bold* _italic_ ~struck~ `code`, only at word edges, as Slack reads them.
const marks = [
  [/(^|[\s(>"'\u2013\u2014.,;:!?\[{/|-])\*(?=\S)([^*\n]*[^\s*]|[^\s*])\*(?=$|[\s)<"'\u2013\u2014.,;:!?\]}/|-])/, "strong"],
  [/(^|[\s(>"'\u2013\u2014.,;:!?\[{/|*~-])_(?=\S)([^_\n]*[^\s_]|[^\s_])_(?=$|[\s)<"'\u2013\u2014.,;:!?\]}/|*~-])/, "em"],
  [/(^|[\s(>"'\u2013\u2014.,;:!?\[{/|*_-])~(?=\S)([^~\n]*[^\s~]|[^\s~])~(?=$|[\s)<"'\u2013\u2014.,;:!?\]}/|*_-])/, "s"],
];

function styled(text, ctx) {
  const code = /`([^`\n]+)`/.exec(text);
  if (code) {
    return [...styled(text.slice(0, code.index), ctx), h("code", {}, unescape(code[1].replace(/<([^<>|]*\|)?([^<>]*)>/g, "$2"))),
      ...styled(text.slice(code.index + code[0].length), ctx)];
  }
  for (const [pattern, tag] of marks) {
    const found = pattern.exec(text);
    if (found) {
      const start = found.index + found[1].length;
      return [...styled(text.slice(0, start), ctx), h(tag, {}, styled(found[2], ctx)), ...styled(text.slice(found.index + found[0].length), ctx)];
    }
  }
  return text.split(/(<[^<>\n]+>)/).flatMap((part) =>
    part.startsWith("<") && part.endsWith(">") && part.length > 2 ? [angle(part.slice(1, -1), ctx)] : withEmoji(unescape(part)));
}

function lines(text, ctx) {
  const out = [];
  let quote = [];
  const flush = () => {
    if (quote.length) out.push(h("blockquote", {}, quote.flatMap((row, at) => (at ? [h("br"), ...styled(row, ctx)] : styled(row, ctx)))));
    quote = [];
  };
  let fresh = true;
  for (const row of text.split("\n")) {
    const quoted = /^(&gt;|>)\s?(.*)$/.exec(row);
    if (quoted) {
      quote.push(quoted[2]);
      continue;
    }
    if (quote.length) {
      flush();
      fresh = true;
    }
    if (!fresh) out.push(h("br"));
    out.push(...styled(row, ctx));
    fresh = false;
  }
  flush();
  return out;
}

export function mrkdwn(text, ctx) {
  return String(text ?? "").split(/```/).flatMap((part, at) =>
    at % 2 ? [h("pre", {}, unescape(part.replace(/^\n|\n$/g, "")))] : lines(part, ctx));
}

export function textObject(object, ctx) {
  if (!object) return [];
  if (typeof object === "string") return mrkdwn(object, ctx);
  if (object.type === "mrkdwn") return mrkdwn(object.text, ctx);
  const rows = String(object.text ?? "").split("\n");
  return rows.flatMap((row, at) => [at ? h("br") : null, ...(object.emoji === false ? [row] : withEmoji(row))]);
}

function wear(style, kids) {
  let out = kids;
  if (style?.code) out = [h("code", {}, out)];
  if (style?.bold) out = [h("strong", {}, out)];
  if (style?.italic) out = [h("em", {}, out)];
  if (style?.strike) out = [h("s", {}, out)];
  if (style?.underline) out = [h("u", {}, out)];
  return out;
}

function richElement(element, ctx) {
  switch (element.type) {
    case "text":
      return wear(element.style, String(element.text ?? "").split("\n").flatMap((row, at) => (at ? [h("br"), row] : [row])));
    case "link":
      return wear(element.style, [link(element.url || "", element.text || element.url || "")]);
    case "emoji": {
      const points = element.unicode ? element.unicode.split("-").map((hex) => String.fromCodePoint(parseInt(hex, 16))).join("") : null;
      return [points ? h("span", { class: "emoji", title: `:${element.name}:` }, points) : emojiNode(element.name)];
    }
    case "user":
      return wear(element.style, [mention(element.user_id, ctx)]);
    case "channel":
      return wear(element.style, [channelMention(element.channel_id, ctx)]);
    case "usergroup":
      return [h("span", { class: "mention" }, `@${element.usergroup_id}`)];
    case "broadcast":
      return [h("span", { class: "mention loud" }, `@${element.range}`)];
    case "date":
      return [h("time", { class: "sl-date" }, slackDate(element.timestamp, element.format || "{date}"))];
    case "color":
      return [h("span", { class: "swatch", style: /^#[0-9a-f]{3,8}$/i.test(element.value) ? `--swatch:${element.value}` : null }, element.value)];
    default:
      return [element.text || element.fallback || ""];
  }
}

function richBlock(part, ctx) {
  const inside = (part.elements || []).flatMap((element) => richElement(element, ctx));
  switch (part.type) {
    case "rich_text_section":
      return h("div", { class: "rt-section" }, inside);
    case "rich_text_quote":
      return h("blockquote", {}, inside);
    case "rich_text_preformatted":
      return h("pre", {}, inside);
    case "rich_text_list":
      return h(part.style === "ordered" ? "ol" : "ul", { class: `rt-list indent-${Math.min(part.indent || 0, 4)}`, start: part.offset ? part.offset + 1 : null },
        (part.elements || []).map((row) => h("li", {}, (row.elements || []).flatMap((element) => richElement(element, ctx)))));
    default:
      return h("div", {}, inside);
  }
}

function picture(url, alt, className) {
  const address = url && (url.startsWith("/") || url.startsWith(location.origin) || url.startsWith("data:image/")) ? url : null;
  if (!address) return h("span", { class: `${className} no-picture`, title: "Pictures from elsewhere are not fetched here" }, alt || "picture");
  return h("img", { class: className, src: address, alt: alt || "", loading: "lazy" });
}

function confirmed(element, act) {
  return (event) => {
    if (!element.confirm) return act(event);
    const ask = document.getElementById("confirm");
    ask.querySelector("h2").textContent = element.confirm.title?.text || "Are you sure?";
    ask.querySelector("p").textContent = element.confirm.text?.text || "";
    const yes = ask.querySelector(".yes");
    yes.textContent = element.confirm.confirm?.text || "Yes";
    yes.className = `yes sl-button ${element.confirm.style === "danger" ? "danger" : "primary"}`;
    ask.querySelector(".no").textContent = element.confirm.deny?.text || "Cancel";
    ask.returnValue = "";
    ask.onclose = () => ask.returnValue === "yes" && act(event);
    return ask.showModal();
  };
}

const plain = (object) => (object ? textPlain(object.text) : "");
const textPlain = (text) => String(text ?? "").replace(/:([a-z0-9_+-]+):/g, (all, name) => emojiOf(name) || all);

function choicesOf(element) {
  return [...(element.options || []), ...(element.option_groups || []).flatMap((group) => group.options || [])];
}

// ctx.press(element, block, choice) when something interactive is used; in a modal ctx.values collects what is typed.
export function interactive(element, block, ctx) {
  const id = element.action_id || "";
  const key = `${block.block_id || ""}:${id}`;
  const keep = (value) => ctx.values && (ctx.values[block.block_id] = { ...ctx.values[block.block_id], [id]: value });
  const pick = (choice) => {
    keep(choice);
    if (ctx.press && (!ctx.values || block.type !== "input" || block.dispatch_action)) ctx.press(element, block, choice);
  };
  switch (element.type) {
    case "button":
    case "workflow_button":
      return h("button", {
        key, type: "button", class: `sl-button ${element.style || ""}`, "data-action": id,
        "aria-label": element.accessibility_label || null, disabled: ctx.busy?.has(id) || false,
        on: { click: confirmed(element, () => (element.url && safeHref(element.url) ? window.open(element.url, "_blank", "noopener") : 0, ctx.press?.(element, block, { value: element.value }))) },
      }, textObject(element.text, ctx));
    case "static_select":
    case "external_select":
    case "users_select":
    case "conversations_select":
    case "channels_select": {
      const options = element.type === "users_select" ? Object.values(ctx.users).filter((user) => !user.is_bot).map((user) => ({ value: user.id, text: { text: user.shown } }))
        : element.type === "channels_select" || element.type === "conversations_select" ? Object.values(ctx.channels).map((one) => ({ value: one.id, text: { text: `#${one.name}` } }))
        : choicesOf(element);
      const first = element.initial_option?.value || element.initial_user || element.initial_channel || element.initial_conversation || "";
      return h("select", {
        key, class: "sl-select", "data-action": id, "aria-label": plain(element.placeholder) || id,
        born: (node) => { node.value = first; if (first && ctx.values) keep(chosen(element, options, first)); },
        on: { change: (event) => pick(chosen(element, options, event.target.value)) },
      }, [h("option", { value: "", disabled: true }, plain(element.placeholder) || "Choose…"),
        ...options.map((option) => h("option", { value: option.value }, plain(option.text)))]);
    }
    case "overflow":
      return h("details", { key, class: "sl-overflow" }, h("summary", { "aria-label": "More actions", class: "sl-button" }, "⋯"),
        h("div", { class: "sl-menu" }, choicesOf(element).map((option) => h("button", {
          type: "button", on: { click: (event) => { event.target.closest("details").open = false; ctx.press?.(element, block, { selected_option: option }); } },
        }, plain(option.text)))));
    case "multi_static_select":
    case "multi_users_select":
    case "checkboxes": {
      const options = element.type === "multi_users_select" ? Object.values(ctx.users).filter((user) => !user.is_bot).map((user) => ({ value: user.id, text: { text: user.shown } })) : choicesOf(element);
      const chosenFirst = new Set((element.initial_options || []).map((option) => option.value).concat(element.initial_users || []));
      const read = (box) => {
        const on = new Set([...box.querySelectorAll("input:checked")].map((input) => input.value));
        return element.type === "multi_users_select" ? { type: element.type, selected_users: [...on] }
          : { type: element.type, selected_options: options.filter((option) => on.has(option.value)) };
      };
      return h("div", { key, class: `sl-boxes ${options.length > 6 ? "many" : ""}`, "data-action": id, born: (node) => keep(read(node)), on: { change: (event) => pick(read(event.target.closest(".sl-boxes"))) } },
        options.map((option) => h("label", {}, h("input", { type: "checkbox", value: option.value, born: (node) => (node.checked = chosenFirst.has(option.value)) }),
          h("span", {}, textObject(option.text, ctx), option.description ? h("small", {}, textObject(option.description, ctx)) : null))));
    }
    case "radio_buttons":
      return h("div", { key, class: "sl-boxes", "data-action": id, born: () => element.initial_option && keep({ type: element.type, selected_option: element.initial_option }) },
        choicesOf(element).map((option) => h("label", {}, h("input", {
          type: "radio", name: key, value: option.value, born: (node) => (node.checked = element.initial_option?.value === option.value),
          on: { change: () => pick({ type: element.type, selected_option: option }) },
        }), h("span", {}, textObject(option.text, ctx), option.description ? h("small", {}, textObject(option.description, ctx)) : null))));
    case "plain_text_input":
    case "email_text_input":
    case "url_text_input":
    case "number_input":
      return h(element.multiline ? "textarea" : "input", {
        key, class: "sl-input", "data-action": id, rows: element.multiline ? rowsFor(element.initial_value) : null, placeholder: plain(element.placeholder), maxlength: element.max_length,
        type: element.multiline ? null : { email_text_input: "email", url_text_input: "url", number_input: "number" }[element.type] || "text",
        "aria-label": plain(block.label) || id,
        born: (node) => { node.value = element.initial_value || ""; keep({ type: element.type, value: element.initial_value ?? null }); if (element.focus_on_load) setTimeout(() => node.focus()); },
        on: {
          input: (event) => keep({ type: element.type, value: event.target.value || null }),
          keydown: (event) => {
            if (event.key !== "Enter" || element.multiline || !block.dispatch_action) return;
            event.preventDefault();
            ctx.press?.(element, block, { value: event.target.value });
          },
        },
      });
    case "datepicker":
    case "timepicker": {
      const field = element.type === "datepicker" ? "selected_date" : "selected_time";
      return h("input", {
        key, class: "sl-input", type: element.type === "datepicker" ? "date" : "time", "aria-label": plain(element.placeholder) || id,
        born: (node) => { node.value = element.initial_date || element.initial_time || ""; if (node.value) keep({ type: element.type, [field]: node.value }); },
        on: { change: (event) => pick({ type: element.type, [field]: event.target.value }) },
      });
    }
    case "datetimepicker":
      return h("input", { key, class: "sl-input", type: "datetime-local", on: { change: (event) => pick({ type: element.type, selected_date_time: Math.floor(new Date(event.target.value) / 1000) }) } });
    case "image":
      return picture(element.image_url, element.alt_text, "sl-thumb");
    default:
      return h("span", { class: "sl-unknown" }, element.type);
  }
}

// A box in which a whole text stands shows it without scrolling, as Slack's own grows with it.
const rowsFor = (text) => Math.max(4, Math.min(12, Math.ceil((text || "").length / 60) + (text || "").split("\n").length));

function chosen(element, options, value) {
  if (element.type === "users_select") return { type: element.type, selected_user: value };
  if (element.type === "channels_select") return { type: element.type, selected_channel: value };
  if (element.type === "conversations_select") return { type: element.type, selected_conversation: value };
  return { type: element.type, selected_option: options.find((option) => option.value === value) };
}

export function blocks(list, ctx) {
  return (list || []).map((block, at) => oneBlock(block, { ...ctx }, `${block.block_id || ""}#${at}`));
}

function oneBlock(block, ctx, key) {
  switch (block.type) {
    case "header":
      return h("h3", { key, class: "bk-header" }, textObject(block.text, ctx));
    case "section":
      return h("div", { key, class: "bk-section" },
        h("div", { class: "bk-body" },
          block.text ? h("div", { class: "bk-text" }, textObject(block.text, ctx)) : null,
          block.fields ? h("div", { class: "bk-fields" }, block.fields.map((field) => h("div", {}, textObject(field, ctx)))) : null),
        block.accessory ? h("div", { class: "bk-accessory" }, interactive(block.accessory, block, ctx)) : null);
    case "context":
      return h("div", { key, class: "bk-context" }, (block.elements || []).map((element) =>
        element.type === "image" ? picture(element.image_url, element.alt_text, "bk-mini") : h("span", {}, textObject(element, ctx))));
    case "divider":
      return h("hr", { key, class: "bk-divider" });
    case "actions":
      return h("div", { key, class: "bk-actions" }, (block.elements || []).map((element) => interactive(element, block, ctx)));
    case "context_actions":
      return h("div", { key, class: "bk-actions" }, (block.elements || []).map((element) => interactive(element, block, ctx)));
    case "rich_text":
      return h("div", { key, class: "bk-rich" }, (block.elements || []).map((part) => richBlock(part, ctx)));
    case "markdown":
      return h("div", { key, class: "bk-text" }, mrkdwn(String(block.text || "").replace(/\*\*(.+?)\*\*/g, "*$1*"), ctx));
    case "image": {
      const file = block.slack_file ? ctx.fileUrl?.(block.slack_file.id) : null;
      return h("figure", { key, class: "bk-image" }, block.title ? h("figcaption", {}, textObject(block.title, ctx)) : null, picture(file || block.image_url, block.alt_text, "bk-picture"));
    }
    case "file":
      return null;
    case "video":
      return h("div", { key, class: "bk-context" }, `${plain(block.title)} (video)`);
    case "input":
      return h("div", { key, class: `bk-input ${ctx.errors?.[block.block_id] ? "wrong" : ""}` },
        h("label", {}, plain(block.label), block.optional ? h("span", { class: "optional" }, " (optional)") : null),
        interactive(block.element, block, ctx),
        block.hint ? h("small", {}, textObject(block.hint, ctx)) : null,
        ctx.errors?.[block.block_id] ? h("p", { class: "error", role: "alert" }, ctx.errors[block.block_id]) : null);
    default:
      return h("div", { key, class: "bk-context" }, `This page does not draw “${block.type}” blocks.`);
  }
}

export function fileCards(files, ctx) {
  if (!files?.length) return null;
  return h("div", { class: "sl-files" }, files.map((file) => {
    const url = ctx.fileUrl(file.id, file);
    const type = file.mimetype || file.media_type || "";
    const name = file.title || file.name || "file";
    if (file.mode === "tombstone") return h("div", { key: file.id, class: "sl-file gone" }, "This file was deleted.");
    if (type.startsWith("image/")) {
      return h("figure", { key: file.id, class: "sl-picture" }, h("figcaption", {}, name), h("a", { href: url, target: "_blank", rel: "noopener" }, h("img", { src: url, alt: file.alt_txt || name })));
    }
    if (type.startsWith("audio/")) return h("div", { key: file.id, class: "sl-file" }, h("audio", { controls: true, src: url, preload: "none" }));
    return h("a", { key: file.id, class: "sl-file", href: url, target: "_blank", rel: "noopener", download: name },
      h("span", { class: "sl-file-icon", drawn: icons.file }), h("span", {}, h("strong", {}, name), h("small", {}, [file.pretty_type || type.split("/").pop(), bytes(file.size)].filter(Boolean).join(" · "))));
  }));
}

export function messageBody(message, ctx) {
  const body = [];
  if (message.blocks?.length) body.push(...blocks(message.blocks, ctx));
  else if (message.text) body.push(h("div", { class: "bk-text" }, mrkdwn(message.text, ctx)));
  for (const attachment of message.attachments || []) {
    const colour = /^#?[0-9a-f]{6}$/i.test(attachment.color || "") ? `#${attachment.color.replace("#", "")}` : null;
    body.push(h("div", { class: "sl-attachment", style: colour ? `--bar:${colour}` : null },
      attachment.blocks ? blocks(attachment.blocks, ctx) : mrkdwn(attachment.text || attachment.fallback || "", ctx)));
  }
  const cards = fileCards(message.files, ctx);
  if (cards) body.push(cards);
  return body;
}
