// The desk: the shop's Slack workspace as the chosen agent sees it.

import { h, svg, patch, patchAtEnd, post, fileBody } from "./dom.js";
import { asShown, clock, dateOf, whole } from "./time.js";
import { icons, portrait, appMark, initials, shopMark } from "./drawings.js";
import { messageBody, blocks, emojiOf, slackDate } from "./blockkit.js";
import { store, redraw, say } from "./app.js";

const quick = ["white_check_mark", "eyes", "raised_hands", "heart", "tada", "thinking_face", "pray", "+1"];
const here = { menu: null, picking: null, editing: null, hidden: new Set(), last: "", files: { channel: [], thread: [] }, values: {}, errors: {}, view: null, read: {}, busy: new Set() };

// Slack forgets what only one person saw as soon as the window is opened anew; half a minute is left for the story.
let opened = null;
const inOrder = (messages) => messages.sort((a, b) => (a.ts < b.ts ? -1 : 1));

const list = (value) => (Array.isArray(value) ? value : Object.values(value || {}));

export function users() {
  const out = {};
  for (const user of list(store.slack?.users)) {
    const known = store.cast.agents.find((agent) => agent.id === user.id);
    out[user.id] = { ...user, look: known?.look, note: known?.note, shown: user.profile?.display_name || user.profile?.real_name || user.real_name || user.name || known?.name || user.id };
  }
  for (const agent of store.cast.agents) out[agent.id] ||= { id: agent.id, shown: agent.name, look: agent.look };
  return out;
}

export function channels() {
  return list(store.slack?.channels);
}

export function currentChannel() {
  const all = channels();
  return all.find((channel) => channel.id === store.ui.channel) || all.find((channel) => channel.id === store.cast.support_channel) || all[0];
}

export function repliesOf(channel, root) {
  if (Array.isArray(root.replies) && root.replies.length && typeof root.replies[0] === "object" && "ts" in root.replies[0] && ("text" in root.replies[0] || "blocks" in root.replies[0])) return root.replies;
  return (channel.messages || []).filter((message) => message.thread_ts === root.ts && message.ts !== root.ts);
}

const isRoot = (message) => !message.thread_ts || message.thread_ts === message.ts || message.subtype === "thread_broadcast" || message.reply_broadcast;

async function act(path, body) {
  try {
    const answer = await post(`/slack/control/${path}`, body);
    // Slack tells the person who pressed, and nobody else, that an app did not answer.
    if (["press", "shortcut", "submit", "command"].includes(path) && answer.status !== undefined && (answer.status < 200 || answer.status > 299)) {
      say(`${store.cast.app_name} did not answer (${answer.reason || answer.status}). Slack shows a warning sign and does not try again.`);
    }
    return answer;
  } catch (error) {
    say(`Slack: ${error.message}`);
    return null;
  }
}

function context(channel, message) {
  const known = users();
  const byId = Object.fromEntries(channels().map((one) => [one.id, one]));
  return {
    users: known, channels: byId, me: store.ui.agent, busy: here.busy,
    fileUrl: (id, file) => fileAddress(file) || `/slack/control/files/${id}`,
    press: message && channel ? async (element, block, choice) => {
      here.busy.add(element.action_id);
      redraw();
      await act("press", { user: store.ui.agent, channel: channel.id, ts: message.ts, action_id: element.action_id, block_id: block.block_id, ...pressed(choice) });
      setTimeout(() => { here.busy.delete(element.action_id); redraw(); }, 250);
    } : null,
  };
}

function pressed(choice) {
  if (!choice) return {};
  const { type, ...rest } = choice;
  if (rest.selected_option) return { selected_option: rest.selected_option };
  return { value: Object.values(rest)[0] };
}

function fileAddress(file) {
  return file?.url?.startsWith("/") ? file.url : null;
}

function author(message, known) {
  const user = known[message.user];
  const isApp = Boolean(message.bot_id || user?.is_bot);
  const name = message.username || user?.shown || (isApp ? store.cast.app_name : message.user || "Someone");
  let face;
  const pictured = message.icons?.emoji || message.icon_emoji;
  const found = pictured && emojiOf(pictured);
  if (found) face = h("span", { class: "face-emoji" }, found);
  else if (isApp && message.username) face = svg(customerFace(message.username) || initials(message.username.split("·")[0], 36));
  else if (isApp) face = svg(appMark(36));
  else if (user?.look) face = svg(portrait(user.look, 36, false));
  else face = svg(initials(name, 36));
  return { name, isApp, face, guest: Boolean(user?.is_restricted || user?.is_ultra_restricted), deleted: user?.deleted };
}

function customerFace(username) {
  const person = store.cast.people.find((one) => username.startsWith(one.name) || username.startsWith(one.first_name));
  return person ? portrait(person.look, 36, false) : null;
}

function edited(message) {
  return message.edited && !message.bot_id;
}

function oneMessage(channel, message, before, where) {
  const known = users();
  const who = author(message, known);
  const close = before && before.user === message.user && (before.username || "") === (message.username || "") && (before.bot_id || "") === (message.bot_id || "")
    && asShown(message.ts) - asShown(before.ts) < 300 && !before.ephemeral && !message.ephemeral && !(where === "channel" && (repliesOf(channel, before).length || message.reply_count || before.reply_count)) && !message.subtype && (!message.bot_id || message.username);
  const key = `${where}:${message.ts}${message.ephemeral ? "e" : ""}`;
  const own = message.user === store.ui.agent && !message.bot_id;
  const editing = here.editing === key;
  const replies = where === "channel" ? repliesOf(channel, message) : [];
  const count = message.reply_count ?? replies.length;
  if (message.subtype === "tombstone") {
    return h("div", { key, class: "sl-message" }, h("div", { class: "sl-gutter" }), h("div", { class: "sl-main" }, h("em", { class: "quiet" }, "This message was deleted."), threadLine(channel, message, count, replies, known)));
  }
  return h("div", {
    key, fresh: true, "data-ts": message.ts, class: `sl-message ${close ? "close" : ""} ${message.ephemeral ? "ephemeral" : ""} ${here.menu === key || here.picking === key ? "held" : ""} ${store.ui.thread === message.ts && where === "channel" ? "chosen" : ""}`,
    tabindex: "-1",
  },
    h("div", { class: "sl-gutter" }, close ? h("time", { class: "sl-side-time" }, clock(asShown(message.ts))) : who.face),
    h("div", { class: "sl-main" },
      message.ephemeral ? h("div", { class: "sl-only" }, svg(icons.eye), "Only visible to you") : null,
      close ? null : h("div", { class: "sl-who" }, h("strong", {}, who.name), who.isApp ? h("span", { class: "app-badge" }, "APP") : null, who.guest ? h("span", { class: "guest-badge" }, "Guest") : null,
        h("time", { title: whole(asShown(message.ts)) }, clock(asShown(message.ts)))),
      message.subtype === "thread_broadcast" && where === "channel" ? h("div", { class: "sl-only" }, "replied to a thread") : null,
      editing ? editor(channel, message) : h("div", { class: "sl-body" }, messageBody(message, context(channel, message)), edited(message) ? h("span", { class: "sl-edited" }, " (edited)") : null),
      message.ephemeral ? h("button", { type: "button", class: "sl-dismiss", on: { click: () => { here.hidden.add(`${message.channel || channel.id}:${message.ts}`); redraw(); } } }, "Dismiss message") : null,
      reactions(channel, message),
      where === "channel" ? threadLine(channel, message, count, replies, known) : null),
    message.ephemeral || editing ? null : tools(channel, message, key, own, where));
}

function reactions(channel, message) {
  if (!message.reactions?.length) return null;
  const known = users();
  return h("div", { class: "sl-reactions" }, message.reactions.filter((one) => (one.count ?? one.users?.length ?? 1) > 0).map((reaction) => {
    const mine = reaction.users?.includes(store.ui.agent);
    const people = (reaction.users || []).map((id) => known[id]?.shown || id).join(", ");
    return h("button", {
      key: reaction.name, fresh: true, type: "button", class: `sl-reaction ${mine ? "mine" : ""}`, title: `${people} reacted with :${reaction.name}:`, "data-reaction": reaction.name,
      "aria-label": `${reaction.name.replaceAll("_", " ")}, ${reaction.count ?? reaction.users?.length}, ${people}`,
      on: { click: () => act(mine ? "unreact" : "react", { user: store.ui.agent, channel: channel.id, ts: message.ts, name: reaction.name }) },
    }, h("span", { class: "emoji" }, emojiOf(reaction.name) || `:${reaction.name}:`), h("span", {}, reaction.count ?? reaction.users?.length ?? 1));
  }));
}

function threadLine(channel, message, count, replies, known) {
  if (!count) return null;
  const last = message.latest_reply || replies[replies.length - 1]?.ts;
  const faces = [...new Map(replies.map((reply) => [reply.username || reply.user, reply])).values()].slice(0, 4);
  return h("button", { type: "button", class: "sl-replies", "data-thread": message.ts, on: { click: () => openThread(channel, message) } },
    h("span", { class: "sl-faces" }, faces.map((reply) => h("span", { class: "mini-face" }, author(reply, known).face))),
    h("strong", {}, `${count} ${count === 1 ? "reply" : "replies"}`), last ? h("span", { class: "quiet" }, `Last reply ${slackDate(asShown(last), "{ago}")}`) : null);
}

// A new conversation opens by itself while no thread is, so that whoever writes on a phone sees where to answer.
export function followNewest() {
  const roots = teamRoots();
  const fresh = here.known && roots.findLast(([channel, one]) => !here.known.has(`${channel.id} ${one.ts}`));
  here.known = new Set(roots.map(([channel, one]) => `${channel.id} ${one.ts}`));
  if (fresh && !store.ui.thread && follows()) show(...fresh);
}

// The other side follows when another phone is taken up.
export function openThreadOf(person, app) {
  const known = (text) => text.includes(person.name) || (person.phone && text.replace(/[\s()-]/g, "").includes(person.phone));
  const theirs = teamRoots().filter(([, one]) => one.bot_id && known(JSON.stringify([one.text, one.blocks])));
  const found = theirs.findLast(([, one]) => app && (one.text || "").split(":")[0].includes(app)) || theirs.at(-1);
  if (found && follows()) show(...found);
}

// The heads of conversations in the teams' Slack channels, oldest first.
function teamRoots() {
  return channels().filter((channel) => store.cast.team_channels.includes(channel.id))
    .flatMap((channel) => (channel.messages || []).filter((one) => one.bot_id && isRoot(one)).map((one) => [channel, one]))
    .sort(([, a], [, b]) => (a.ts < b.ts ? -1 : 1));
}

const follows = () => !here.alone && !store.ui.home && store.cast.team_channels.includes(store.ui.channel) && innerWidth >= 900;

function show(channel, root) {
  store.ui.channel = channel.id;
  store.ui.thread = root.ts;
}

export function openThread(channel, message) {
  store.ui.channel = channel.id;
  store.ui.thread = message.thread_ts || message.ts;
  store.ui.home = false;
  here.alone = false;
  redraw();
}

function tools(channel, message, key, own, where) {
  const press = (name) => () => {
    here.picking = here.menu = null;
    const mine = message.reactions?.some((one) => one.name === name && one.users?.includes(store.ui.agent));
    act(mine ? "unreact" : "react", { user: store.ui.agent, channel: channel.id, ts: message.ts, name });
    redraw();
  };
  return h("div", { class: "sl-tools", role: "toolbar", "aria-label": "Message actions" },
    ["white_check_mark", "eyes"].map((name) => h("button", { key: name, type: "button", title: `:${name}:`, "aria-label": `React with ${name.replaceAll("_", " ")}`, on: { click: press(name) } }, h("span", { class: "emoji" }, emojiOf(name) || name))),
    h("button", { key: "smile", type: "button", title: "Add reaction", "aria-label": "Add reaction", on: { click: () => { here.picking = here.picking === key ? null : key; here.menu = null; redraw(); } } }, svg(icons.smile)),
    where === "channel" ? h("button", { key: "thread", type: "button", title: "Reply in thread", "aria-label": "Reply in thread", on: { click: () => openThread(channel, message) } }, svg(icons.thread)) : null,
    h("button", { key: "more", type: "button", title: "More actions", "aria-label": "More actions", "aria-expanded": here.menu === key ? "true" : "false", on: { click: () => { here.menu = here.menu === key ? null : key; here.picking = null; redraw(); } } }, svg(icons.more)),
    here.picking === key ? h("div", { class: "menu emoji-menu", key: "pick" }, quick.map((name) => h("button", { type: "button", "aria-label": name, on: { click: press(name) } }, h("span", { class: "emoji" }, emojiOf(name) || name)))) : null,
    here.menu === key ? h("div", { class: "menu tool-menu", key: "menu" },
      own ? [h("button", { key: "edit", type: "button", on: { click: () => { here.editing = key; here.menu = null; redraw(); } } }, svg(icons.edit), "Edit message"),
        h("button", { key: "delete", type: "button", class: "danger", on: { click: () => { here.menu = null; act("delete", { user: store.ui.agent, channel: channel.id, ts: message.ts }); redraw(); } } }, svg(icons.trash), "Delete message…"), h("hr", { key: "line" })] : null,
      h("div", { class: "menu-title", key: "title" }, store.cast.app_name),
      store.cast.shortcuts.map((one) => h("button", { key: one.callback_id, type: "button", "data-shortcut": one.callback_id, on: { click: () => { here.menu = null; act("shortcut", { user: store.ui.agent, channel: channel.id, ts: message.ts, callback_id: one.callback_id }); redraw(); } } }, svg(appMark(18)), one.name))) : null);
}

function editor(channel, message) {
  const save = async (box) => {
    const text = box.value.trim();
    here.editing = null;
    redraw();
    if (text && text !== message.text) await act("edit", { user: store.ui.agent, channel: channel.id, ts: message.ts, text });
  };
  return h("div", { class: "sl-editor" },
    h("textarea", { rows: "2", "aria-label": "Edit message", born: (node) => { node.value = plainOf(message.text); setTimeout(() => node.focus()); },
      on: { keydown: (event) => { if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); save(event.target); } if (event.key === "Escape") { here.editing = null; redraw(); } } } }),
    h("div", {}, h("button", { type: "button", class: "sl-button", on: { click: () => { here.editing = null; redraw(); } } }, "Cancel"),
      h("button", { type: "button", class: "sl-button primary", on: { click: (event) => save(event.target.closest(".sl-editor").querySelector("textarea")) } }, "Save")));
}

const plainOf = (text) => String(text || "").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

function ephemerals(channel, thread) {
  opened ??= Date.now() / 1000 - 30;
  return list(store.slack?.ephemerals)
    .filter((one) => one.channel === channel.id && one.user === store.ui.agent && (one.thread_ts || "") === (thread || "") && !here.hidden.has(`${channel.id}:${one.ts}`) && Number(one.ts) > opened)
    .map((one) => ({ ...one, ephemeral: true, user: "", bot_id: one.bot_id || store.slack.app.bot_id }));
}

function withDays(messages, draw) {
  return messages.flatMap((message, at) => {
    const before = messages[at - 1];
    if (before && dateOf(asShown(before.ts)) === dateOf(asShown(message.ts))) return [draw(message, before)];
    return [h("div", { key: `day${message.ts}`, class: "sl-day" }, h("span", {}, slackDate(asShown(message.ts), "{date_long_pretty}"))), draw(message, null)];
  });
}

function composer(channel, thread, label) {
  const spot = thread ? "thread" : "channel";
  const id = `${spot}-text`;
  const me = users()[store.ui.agent];
  const send = async () => {
    const box = document.getElementById(id);
    const text = box.value.trim();
    const files = here.files[spot];
    if (!text && !files.length) return;
    box.value = "";
    box.style.height = "auto";
    here.files[spot] = [];
    redraw();
    const typed = files.length ? null : text.match(/^(\/[a-z][\w-]*)\s*(.*)$/s);
    if (typed && thread) say(`${typed[1]} cannot be used in threads: Slack takes an app's commands in channels only.`);
    const done = typed
      ? !thread && await act("command", { user: store.ui.agent, channel: channel.id, command: typed[1], text: typed[2] })
      : await act("post", { user: store.ui.agent, channel: channel.id, text, thread_ts: thread || undefined, files: files.length ? files : undefined });
    if (!done) {
      box.value = text;
      here.files[spot] = files;
    }
    document.getElementById(`${spot}-list`).sticks = true;
    redraw();
  };
  const add = async (files) => {
    for (const file of files) here.files[spot].push(await fileBody(file));
    redraw();
    document.getElementById(id)?.focus();
  };
  return h("form", {
    key: `composer-${spot}`, class: "sl-composer",
    on: {
      submit: (event) => { event.preventDefault(); send(); },
      dragover: (event) => { event.preventDefault(); event.currentTarget.classList.add("over"); },
      dragleave: (event) => event.currentTarget.classList.remove("over"),
      drop: (event) => { event.preventDefault(); event.currentTarget.classList.remove("over"); add([...event.dataTransfer.files]); },
    },
  },
    here.files[spot].length ? h("div", { class: "sl-chips", key: "chips" }, here.files[spot].map((file, at) => h("span", { class: "chip" }, svg(icons.file), file.name,
      h("button", { type: "button", "aria-label": `Remove ${file.name}`, on: { click: () => { here.files[spot].splice(at, 1); redraw(); } } }, svg(icons.close))))) : null,
    h("div", { class: "sl-bar", key: "bar" },
      h("label", { class: "sl-icon", title: "Attach a file" }, svg(icons.clip), h("span", { class: "hidden" }, "Attach a file"), h("input", { type: "file", multiple: true, class: "hidden", on: { change: (event) => { add([...event.target.files]); event.target.value = ""; } } })),
      h("textarea", {
        key: "text", id, rows: "1", placeholder: `${label} as ${me?.shown || ""}`, "aria-label": `${label} as ${me?.shown || ""}`, dir: "auto",
        on: {
          input: (event) => { event.target.style.height = "auto"; event.target.style.height = `${Math.min(event.target.scrollHeight, 140)}px`; },
          paste: (event) => { const files = [...(event.clipboardData?.files || [])]; if (files.length) add(files); },
          keydown: (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); } },
        },
      }),
      h("button", { type: "submit", class: "sl-send", "aria-label": "Send" }, svg(icons.send))));
}

function sidebar(channel) {
  const known = users();
  const there = (agent) => known[agent.id]?.presence !== "away";
  const item = (one) => {
    const newest = (one.messages || []).filter(isRoot).length + list(one.messages).reduce((sum, message) => sum + (message.reply_count || 0), 0);
    if (one.id === channel?.id && !store.ui.home) here.read[one.id] = newest;
    const unread = newest > (here.read[one.id] ?? (here.read[one.id] = newest));
    return h("button", { key: one.id, type: "button", class: `sl-item ${one.id === channel?.id && !store.ui.home ? "chosen" : ""} ${unread ? "unread" : ""}`, "data-channel": one.id, "aria-current": one.id === channel?.id ? "true" : null,
      on: { click: () => { store.ui.channel = one.id; store.ui.thread = null; store.ui.home = false; redraw(); } } }, svg(one.is_private ? icons.lock : icons.hash), h("span", {}, one.name));
  };
  return [
    h("div", { class: "sl-team", key: "team" }, store.slack?.team?.name || store.cast.shop),
    h("div", { class: "sl-group", key: "channels" }, h("div", { class: "sl-label" }, "Channels"), channels().filter((one) => !one.is_im && !/^D/.test(one.id)).map(item)),
    h("div", { class: "sl-group", key: "people" }, h("div", { class: "sl-label" }, "People"), store.cast.agents.map((agent) => h("button", { key: agent.id, type: "button", class: "sl-item still", "data-presence": agent.id, "aria-pressed": there(agent) ? "true" : "false", title: there(agent) ? "Active. Press to show them as away." : "Away. Press to show them as active.",
      on: { click: () => act("presence", { user: agent.id, presence: there(agent) ? "away" : "active" }) } }, svg(portrait(agent.look, 20, false)), h("span", {}, h("span", { "aria-hidden": "true" }, there(agent) ? "● " : "○ "), known[agent.id]?.shown || agent.name, agent.id === store.ui.agent ? h("span", { class: "quiet" }, " you") : null), agent.guest ? h("span", { class: "guest-dot" }, "guest") : null))),
    h("div", { class: "sl-group", key: "apps" }, h("div", { class: "sl-label" }, "Apps"), h("button", { type: "button", class: `sl-item ${store.ui.home ? "chosen" : ""}`, on: { click: () => { store.ui.home = true; store.ui.thread = null; act("home", { user: store.ui.agent }); redraw(); } } }, svg(appMark(20)), h("span", {}, store.cast.app_name))),
  ];
}

function homeView() {
  const homes = store.slack?.home || {};
  const view = homes[store.ui.agent]?.view || homes[store.ui.agent] || (homes.blocks ? homes : null);
  return view?.blocks ? blocks(view.blocks, context(null, null))
    : [h("div", { class: "sl-nothing" }, svg(appMark(48)), h("p", {}, `${store.cast.app_name} posts every conversation into the support channel. It has no page of its own yet.`))];
}

// Links to a message of the workspace are opened here, as Slack opens them, and not in another tab.
document.getElementById("desk").addEventListener("click", (event) => {
  const [, id, seconds, rest] = /\/archives\/(\w+)\/p(\d{10})(\d{6})/.exec(event.target.closest?.("a")?.href || "") || [];
  const channel = channels().find((one) => one.id === id);
  if (!channel) return;
  event.preventDefault();
  openThread(channel, { ts: `${seconds}.${rest}` });
});

export function drawDesk() {
  const channel = currentChannel();
  const known = users();
  patch(document.getElementById("acting"), [h("div", { class: "acting", role: "radiogroup", "aria-label": "Act as" }, h("span", { class: "acting-label" }, "You are"),
    store.cast.agents.map((agent) => h("button", { key: agent.id, type: "button", role: "radio", class: "act-as", "aria-checked": agent.id === store.ui.agent ? "true" : "false", "data-agent": agent.id, title: agent.note,
      on: { click: () => { store.ui.agent = agent.id; here.editing = here.menu = null; redraw(); } } }, svg(portrait(agent.look, 22, false)), agent.first_name)))]);
  patch(document.getElementById("sl-rail"), [svg(shopMark(36, false), { key: "team" }), h("span", { key: "home", class: "rail-item chosen" }, svg(icons.home), "Home"), h("span", { key: "threads", class: "rail-item" }, svg(icons.thread), "DMs"),
    h("span", { key: "gap", class: "rail-gap" }), known[store.ui.agent]?.look ? svg(portrait(known[store.ui.agent].look, 34, false), { key: `me${store.ui.agent}`, class: "rail-me" }) : null]);
  patch(document.getElementById("sl-side"), sidebar(channel));
  if (!channel) return;
  const roots = (channel.messages || []).filter(isRoot);
  const members = channel.members?.length ?? channel.num_members;
  patch(document.getElementById("channel-head"), store.ui.home
    ? [svg(appMark(20)), h("strong", {}, store.cast.app_name)]
    : [svg(channel.is_private ? icons.lock : icons.hash), h("strong", {}, channel.name), h("span", { class: "quiet topic" }, channel.topic?.value || store.cast.topics?.[channel.id] || ""), members ? h("span", { class: "members" }, svg(icons.person), members) : null]);
  const box = document.getElementById("channel-list");
  const rows = store.ui.home ? homeView() : [
    roots.length ? null : h("div", { class: "sl-nothing", key: "nothing" }, svg(appMark(48)), h("p", {}, channel.id === store.cast.support_channel
      ? "Nobody has written yet. Write as a customer on the left: the conversation appears here as one thread." : `This is the beginning of #${channel.name}.`)),
    ...withDays(inOrder([...roots, ...ephemerals(channel, null)]), (message, before) => oneMessage(channel, message, before, "channel"))];
  const spot = `${channel.id}${store.ui.home}`;
  patchAtEnd(box, rows, { jump: here.last !== spot });
  here.last = spot;
  patch(document.getElementById("channel-foot"), store.ui.home ? [] : [composer(channel, null, `Message #${channel.name}`)]);
  drawThread(channel);
  drawView();
}

function drawThread(channel) {
  const pane = document.getElementById("sl-thread");
  const root = store.ui.thread && (channel.messages || []).find((message) => message.ts === store.ui.thread);
  document.getElementById("desk").classList.toggle("with-thread", Boolean(root) && !store.ui.home);
  pane.hidden = !root || store.ui.home;
  if (pane.hidden) return;
  patch(document.getElementById("thread-head"), [h("strong", {}, "Thread"), h("span", { class: "quiet" }, `#${channel.name}`),
    h("button", { type: "button", class: "sl-icon", "aria-label": "Close thread", on: { click: () => { store.ui.thread = null; redraw(); } } }, svg(icons.close))]);
  const replies = repliesOf(channel, root);
  const rows = [oneMessage(channel, root, null, "thread"),
    replies.length ? h("div", { class: "sl-count", key: "count" }, h("span", {}, `${replies.length} ${replies.length === 1 ? "reply" : "replies"}`)) : null,
    ...inOrder([...replies, ...ephemerals(channel, root.ts)]).map((message, at, all) => oneMessage(channel, message, all[at - 1], "thread"))].filter(Boolean);
  const box = document.getElementById("thread-list");
  patchAtEnd(box, rows, { jump: box.dataset.root !== root.ts });
  if (box.dataset.root !== root.ts) {
    box.dataset.root = root.ts;
    const list = document.getElementById("channel-list");
    list.querySelector(`[data-ts="${CSS.escape(root.ts)}"]`)?.scrollIntoView({ block: "nearest" });
    list.sticks = list.scrollHeight - list.scrollTop - list.clientHeight < 40; // what comes next must not carry it away
  }
  patch(document.getElementById("thread-foot"), [composer(channel, root.ts, "Reply")]);
}

function openView() {
  return list(store.slack?.views).filter((one) => one.user === store.ui.agent && one.type === "modal").at(-1);
}

function drawView() {
  const dialog = document.getElementById("modal");
  const entry = openView();
  if (!entry) {
    if (dialog.open) dialog.close();
    here.view = null;
    return;
  }
  const view = entry;
  const id = view.id;
  const version = `${id}:${view.hash || ""}`;
  if (here.view !== id) {
    here.values = {};
    here.errors = {};
    patch(dialog, []);
  }
  here.view = id;
  const ctx = { ...context(null, null), values: here.values, errors: here.errors,
    press: (element, block, choice) => act("press", { user: store.ui.agent, view_id: id, action_id: element.action_id, block_id: block.block_id, ...pressed(choice) }) };
  const title = view.title?.text || view.title || "";
  patch(dialog, [h("form", {
    key: `form${id}`, class: "modal-form", "data-version": version,
    on: { submit: async (event) => {
      event.preventDefault();
      const shown = new Set(view.blocks.map((block) => block.block_id));
      const values = Object.fromEntries(Object.entries(here.values).filter(([block]) => shown.has(block)));
      const answer = await act("submit", { user: store.ui.agent, view_id: id, values });
      here.errors = answer?.body?.errors || {};
      redraw();
    } },
  },
    h("header", {}, svg(appMark(28)), h("h2", {}, title), h("button", { type: "button", class: "sl-icon", "aria-label": "Close", on: { click: () => closeView(id) } }, svg(icons.close))),
    h("div", { class: "modal-body" }, blocks(view.blocks, ctx)),
    h("footer", {}, h("button", { type: "button", class: "sl-button", on: { click: () => closeView(id) } }, view.close?.text || view.close || "Cancel"),
      view.submit ? h("button", { type: "submit", class: "sl-button primary" }, view.submit.text || view.submit) : null))]);
  if (!dialog.open) dialog.showModal();
}

function closeView(id) {
  act("dismiss", { user: store.ui.agent, view_id: id });
}

export function closeMenus(target) {
  if ((here.menu || here.picking) && !target.closest?.(".sl-tools")) {
    here.menu = here.picking = null;
    return true;
  }
  return false;
}
