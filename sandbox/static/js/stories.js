// The stories: a row of chips to play, and while one plays its steps, its sentence and what to look at.

import { h, svg, patch, post } from "./dom.js";
import { icons } from "./drawings.js";
import { store, redraw, say } from "./app.js";

async function play(story) {
  try {
    await post(`/demo/stories/${story.id}/play`);
  } catch (error) {
    say(error.message);
  }
}

function countdown(scene) {
  const left = Math.max(0, Math.ceil((scene.until || 0) - Date.now() / 1000));
  return scene.until && left > 0 ? h("span", { key: "countdown", class: "countdown", role: "timer" }, h("strong", {}, left), ` s ${scene.counting || ""}`) : null;
}

export function drawStories() {
  const bar = document.getElementById("stories");
  const scene = store.scene;
  bar.classList.toggle("playing", Boolean(scene));
  if (!scene) {
    const ready = store.health?.ready;
    patch(bar, [h("div", { key: "chips", class: "chips", role: "group", "aria-label": "Stories to play" }, h("span", { class: "chips-label" }, "Stories"), store.stories.map((story) => h("button", {
      key: story.id, type: "button", class: "story", disabled: !ready, "data-story": story.id, title: ready ? story.about : "Santral is still starting", on: { click: () => play(story) },
    }, svg(icons.play, { class: "story-play" }), story.title)))]);
    return;
  }
  const steps = Array.from({ length: scene.steps }, (_, at) => h("span", { class: at < scene.step || scene.over ? "done" : at === scene.step && !scene.over ? "now" : "" }));
  patch(bar, [h("div", { key: "scene", class: `scene ${scene.failed ? "failed" : ""}` },
    h("div", { class: "scene-title" }, h("strong", {}, scene.title), h("div", { class: "scene-steps", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": String(scene.steps), "aria-valuenow": String(scene.over ? scene.steps : scene.step), "aria-label": "Progress of the story" }, steps)),
    h("p", { class: "scene-say", id: "scene-say" }, scene.say),
    countdown(scene),
    h("div", { key: "buttons", class: "scene-buttons" },
      scene.over ? h("button", { type: "button", key: "again", class: "quiet-button", on: { click: () => play({ id: scene.id }) } }, svg(icons.play), "Again") : null,
      scene.over
        ? h("button", { type: "button", key: "close", class: "quiet-button", on: { click: () => { store.scene = null; redraw(); } } }, "Close")
        : h("button", { type: "button", key: "stop", class: "quiet-button", on: { click: () => post("/demo/stories/stop").catch((error) => say(error.message)) } }, svg(icons.stop), "Stop")))]);
}
