// Detailed feedback: four scores, places on the image, words of the prompt that are missing.

import { act, rater } from "./channel.js";
import { inWords } from "./acts.js";
import { Picture, Plain, html } from "./html.js";
import { asRating, predicted } from "./predictions.js";
import { change } from "./store.js";

const SCORES = [
  ["plausibility", "Free of faults"], ["alignment", "Fits the prompt"], ["aesthetics", "Looks good"], ["overall", "Overall"],
];
const MARKS = [["artifact_points", "Looks faulty"], ["misalignment_points", "Not the prompt"]];
const MAPS = [["artifact", "Where it looks faulty"], ["misalignment", "Where it is not the prompt"]];
const DRAFTS = "fabric-bo studio: drafts";

const drafts = JSON.parse(sessionStorage.getItem(DRAFTS) ?? "{}"); // by image id, of what is not saved yet; survives a reload

export const draftOf = (image) => drafts[image.id] ?? image.rich ?? { artifact_points: [], misalignment_points: [], misaligned_words: [] };

function edit(image, changes) {
  drafts[image.id] = { ...structuredClone(draftOf(image)), ...changes };
  keep();
}

function keep() {
  sessionStorage.setItem(DRAFTS, JSON.stringify(drafts));
  change();
}

function save(image, draft) {
  act("rich", { image: image.id, rich: { ...draft, rater: rater(), prompt: image.prompt } });
  discard(image);
}

function discard(image) {
  delete drafts[image.id];
  keep();
}

// The image with the points that were set and, where it is asked for, a map of what is predicted.
export function Canvas({ image, draft, pointing, overlay }) {
  const set = (event) => {
    if (!pointing) return;
    const box = event.currentTarget.getBoundingClientRect();
    const point = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((part) => Math.round(part * 1000) / 1000);
    edit(image, { [pointing]: [...draft[pointing], point] });
  };
  return html`<div class=${pointing ? "canvas pointing" : "canvas"}>
    <${Picture} id=${image.id} alt="${inWords(image)}: ${image.prompt}" onclick=${set} />
    ${overlay && predicted(image.id) && html`<img class="overlay" src="maps/${image.id}/${overlay}" alt="" />`}
    ${MARKS.flatMap(([name, label]) => draft[name].map(([x, y], k) => html`<button type="button" key="${name} ${k}" class="point ${name}" aria-label="Remove the point “${label}” ${k + 1}"
      title="Remove this point" style=${{ left: `${100 * x}%`, top: `${100 * y}%` }} onClick=${() => edit(image, { [name]: draft[name].filter((_, other) => other !== k) })}></button>`))}</div>`;
}

export function Rich({ image, words, draft, pointing, setPointing, overlay, setOverlay }) {
  const missing = SCORES.filter(([name]) => !draft[name]).map(([, label]) => label.toLowerCase());
  const unsaved = image.id in drafts;
  const toggled = (k) => (draft.misaligned_words.includes(k) ? draft.misaligned_words.filter((other) => other !== k) : [...draft.misaligned_words, k]);
  return html`<details class="rich fold" open=${unsaved || Boolean(image.rich)}><summary>Detailed feedback${unsaved ? " (not saved yet)" : ""}</summary>
    <${Prediction} image=${image} overlay=${overlay} setOverlay=${setOverlay} />
    ${SCORES.map(([name, label]) => html`<div class="score" key=${name}><span>${label}</span><div class="choices">${[1, 2, 3, 4, 5].map((value) =>
      html`<button type="button" key=${value} aria-pressed=${String(draft[name] === value)} aria-label="${label}: ${value} of 5" onClick=${() => edit(image, { [name]: value })}>${value}</button>`)}</div></div>`)}
    <p class="hint">Choose a kind of mark, then click places on the image. Marked places of a liked image are left out; of a disliked image only marked places are kept away from.</p>
    <div class="acts">${MARKS.map(([name, label]) => html`<${Plain} key=${name} kind=${name} pressed=${pointing === name} onclick=${() => setPointing(pointing === name ? null : name)}>${label} (${draft[name].length})<//>`)}</div>
    ${words.length > 0 && html`<p class="hint">Words that the image does not show:</p><div class="words">${words.map((word, k) =>
      html`<button type="button" key=${k} class="word" aria-pressed=${String(draft.misaligned_words.includes(k))} onClick=${() => edit(image, { misaligned_words: toggled(k) })}>${word}</button>`)}</div>`}
    <div class="acts"><${Plain} kind="save" disabled=${missing.length > 0 || !unsaved} onclick=${() => save(image, draft)}>Save feedback<//>
      ${unsaved && html`<${Plain} kind="discard" onclick=${() => discard(image)}>Discard<//>`}
      ${unsaved && missing.length > 0 && html`<span class="hint">Still to score: ${missing.join(", ")}.</span>`}</div>
  </details>`;
}

// What is predicted, maps to lay over the image, and one click that makes it one's own.
function Prediction({ image, overlay, setOverlay }) {
  const found = predicted(image.id);
  if (!found) return null;
  const scores = SCORES.map(([name, label]) => `${label.toLowerCase()} ${found.scores[name].toFixed(1)}`).join(", ");
  return html`<div class="predicted"><p class="hint">What people would probably say, of 5: ${scores}.</p>
    <div class="acts">${MAPS.map(([kind, label]) => html`<${Plain} key=${kind} kind="map" pressed=${overlay === kind} onclick=${() => setOverlay(overlay === kind ? null : kind)}>${label}<//>`)}
      <${Plain} kind="take" onclick=${() => save(image, asRating(found))}>Say the same<//></div></div>`;
}
