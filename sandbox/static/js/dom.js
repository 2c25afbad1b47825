// A small keyed renderer: h() describes, patch() makes the page so. Text is always text, never markup.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, props, ...kids) {
  return { tag, props: props || {}, kids: shown(kids) };
}

function shown(kids) {
  const flat = kids.flat(Infinity).filter((kid) => kid !== null && kid !== undefined && kid !== false && kid !== "");
  return flat.map((kid) => (typeof kid === "number" ? String(kid) : kid));
}

export function svg(markup, props) {
  // Only for the drawings in this folder: never for anything a person typed.
  return h("span", { ...props, drawn: markup });
}

function setProp(node, name, value, old) {
  if (name === "key" || name === "born" || name === "fresh") return;
  if (name === "on") {
    const before = node.listeners || (node.listeners = {});
    for (const event of Object.keys(value || {})) {
      if (!(event in before)) node.addEventListener(event, (happened) => node.listeners[event]?.(happened));
    }
    node.listeners = { ...(value || {}) };
  } else if (name === "drawn") {
    if (value !== old) node.innerHTML = value;
  } else if ((name === "value" && node.tagName !== "OPTION") || name === "checked" || name === "disabled" || name === "selected" || name === "open") {
    if (node[name] !== value) node[name] = value ?? "";
  } else if (value === null || value === undefined || value === false) {
    node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value === true ? "" : value)) {
    node.setAttribute(name, value === true ? "" : String(value));
  }
}

function create(vnode, space) {
  if (typeof vnode === "string") return document.createTextNode(vnode);
  const inside = vnode.tag === "svg" ? SVG : space;
  const node = inside ? document.createElementNS(inside, vnode.tag) : document.createElement(vnode.tag);
  for (const [name, value] of Object.entries(vnode.props)) setProp(node, name, value, undefined);
  if (!("drawn" in vnode.props)) for (const kid of vnode.kids) node.append(create(kid, inside));
  if (vnode.tag === "select" && "value" in vnode.props) node.value = vnode.props.value;
  if (vnode.props.fresh && document.body.dataset.painted) node.classList.add("fresh");
  node.vnode = vnode;
  vnode.props.born?.(node);
  return node;
}

function same(node, vnode) {
  if (typeof vnode === "string") return node.nodeType === Node.TEXT_NODE;
  return node.vnode && node.vnode.tag === vnode.tag && node.vnode.props.key === vnode.props.key;
}

function update(node, vnode, space) {
  if (typeof vnode === "string") {
    if (node.data !== vnode) node.data = vnode;
    return;
  }
  const old = node.vnode;
  if (old === vnode) return;
  for (const name of Object.keys(old.props)) if (!(name in vnode.props)) setProp(node, name, null, old.props[name]);
  for (const [name, value] of Object.entries(vnode.props)) {
    if (name === "class" && node.classList.contains("fresh")) setProp(node, name, `${value} fresh`, null);
    else setProp(node, name, value, old.props[name]);
  }
  if (!("drawn" in vnode.props)) patch(node, vnode.kids, vnode.tag === "svg" ? SVG : space);
  node.vnode = vnode;
}

export function patch(parent, vnodes, space) {
  const wished = shown(vnodes);
  const stays = new Set(wished.map((vnode) => vnode.props?.key));
  const keyed = new Map();
  // What goes, goes first: a node that is moved past it loses the keyboard of whoever writes in it.
  for (const node of [...parent.childNodes]) {
    const key = node.vnode?.props?.key;
    if (key === undefined) continue;
    if (stays.has(key)) keyed.set(key, node);
    else node.remove();
  }
  let place = parent.firstChild;
  for (const vnode of wished) {
    const key = typeof vnode === "string" ? undefined : vnode.props.key;
    let node = key !== undefined ? keyed.get(key) : place;
    if (node && key === undefined && node.vnode?.props?.key !== undefined) node = null;
    if (node && same(node, vnode)) {
      if (node !== place) parent.insertBefore(node, place);
      else place = place.nextSibling;
      update(node, vnode, space);
    } else {
      parent.insertBefore(create(vnode, space), place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

// Keep a list at its end while the reader is at its end, also when a picture loads late or the list is resized;
// leave them alone when they scrolled up.
export function stick(node) {
  if (node.sticks !== undefined) return;
  node.sticks = true;
  const toEnd = () => node.sticks && (node.scrollTop = node.scrollHeight);
  let before = node.scrollTop;
  node.addEventListener("scroll", () => {
    // Only a reader moves a list upwards; a list that grew below is no reason to stop following it.
    if (node.scrollHeight - node.scrollTop - node.clientHeight < 40) node.sticks = true;
    else if (node.scrollTop < before) node.sticks = false;
    before = node.scrollTop;
  });
  node.addEventListener("load", toEnd, true);
  new ResizeObserver(toEnd).observe(node);
}

export function patchAtEnd(node, vnodes, { jump = false, scroller = node } = {}) {
  stick(scroller);
  const end = jump || scroller.sticks;
  patch(node, vnodes);
  if (end) {
    scroller.scrollTop = scroller.scrollHeight;
    scroller.sticks = true;
  }
}

export function bytes(size) {
  if (!size && size !== 0) return "";
  if (size < 1024) return `${size} B`;
  if (size < 1024 * 1024) return `${Math.round(size / 1024)} kB`;
  return `${(size / 1024 / 1024).toFixed(1)} MB`;
}

export async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body ?? {}),
  });
  const text = await answer.text();
  let data = {};
  try {
    data = text ? JSON.parse(text) : {};
  } catch {
    data = { detail: text };
  }
  if (!answer.ok) throw new Error(data.error || data.detail || data.description || `${answer.status}`);
  return data;
}

export async function fileBody(file) {
  const data = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let start = 0; start < data.length; start += 32768) {
    binary += String.fromCharCode(...data.subarray(start, start + 32768));
  }
  return { name: file.name, media_type: file.type || "application/octet-stream", data: btoa(binary) };
}
