// What a predictor of rich feedback says of images; every image is asked for once.

import { ask } from "./channel.js";
import { change, page } from "./store.js";

const MOST = 32; // images asked for at once

const known = new Map(); // by image id
let asking = false;
let there = true; // whether the studio has a predictor

export const predicted = (id) => known.get(id) ?? null;
export const hasPredictions = () => known.size > 0;

export async function predict(seen) {
  if (!page.about.predictor || !there || asking || !seen) return;
  const images = Object.keys(seen.images).filter((id) => !known.has(id)).slice(-MOST);
  if (!images.length) return;
  asking = true;
  const answer = await ask("predictions", { images });
  asking = false;
  if (!answer) return;
  there = answer.predictions !== null;
  for (const [id, view] of Object.entries(answer.predictions ?? {})) known.set(id, view);
  if (there) change();
}

export function asRating({ scores, artifact_points, misalignment_points, misaligned_words }) {
  const rounded = Object.fromEntries(Object.entries(scores).map(([name, value]) => [name, Math.round(value)]));
  return structuredClone({ ...rounded, artifact_points, misalignment_points, misaligned_words });
}
