// What a predictor of rich feedback says of images; every image is asked for once.

import { ask, changed, onChange } from "./channel.js";
import { h } from "./dom.js";

const MOST = 32; // images asked for at once
const MAPS = [["artifact", "Where it looks faulty"], ["misalignment", "Where it is not the prompt"]];

const known = new Map(); // by image id
let asking = false;
let there = true; // whether the studio has a predictor
let overlay = null; // the map that is laid over the image in the details

export const predicted = (id) => known.get(id) ?? null;
export const hasPredictions = () => known.size > 0;
export const shownMap = () => overlay;

async function learn(seen) {
  if (!there || asking || !seen) return;
  const missing = Object.keys(seen.images).filter((id) => !known.has(id)).slice(-MOST);
  if (!missing.length) return;
  asking = true;
  const answer = await ask("predictions", { images: missing });
  asking = false;
  if (!answer) return;
  there = answer.predictions !== null;
  for (const [id, view] of Object.entries(answer.predictions ?? {})) known.set(id, view);
  if (there) changed();
}

// In the details: what is predicted, maps to lay over the image, and one click that makes it one's own.
export function prediction(image, labels, redraw, take) {
  const found = predicted(image.id);
  if (!found) return null;
  const scores = labels.map(([name, label]) => `${label} ${found.scores[name].toFixed(1)}`).join(", ");
  const maps = MAPS.map(([kind, label]) =>
    h("button", { type: "button", class: "plain map", "aria-pressed": String(overlay === kind),
      onclick: () => { overlay = overlay === kind ? null : kind; redraw(); } }, label));
  return h("div", { class: "predicted" },
    h("p", { class: "hint" }, `What people would probably say (of 5): ${scores}.`),
    h("div", { class: "acts" }, maps,
      h("button", { type: "button", class: "plain take", onclick: () => take(asRating(found)) }, "Say the same")));
}

function asRating({ scores, artifact_points, misalignment_points, misaligned_words }) {
  const rounded = Object.fromEntries(Object.entries(scores).map(([name, value]) => [name, Math.round(value)]));
  return structuredClone({ ...rounded, artifact_points, misalignment_points, misaligned_words });
}

export function mapOver(image) {
  return overlay && predicted(image.id) && h("img", { class: "overlay", src: `studio/maps/${image.id}/${overlay}`, alt: "" });
}

export function startPredictions() {
  onChange(learn);
}
