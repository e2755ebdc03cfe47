// How the next images are made, and prompts of before; folded away until somebody asks.

import { act } from "./channel.js";
import { Plain, html, useWritten } from "./html.js";
import { page, say } from "./store.js";

const NOTHING = { images: null, steps: null, size: null, seed: null };

const said = (seen) => ({ ...NOTHING, ...seen?.making });
const tell = (seen, changes) => act("making", { ...said(seen), ...changes });

// The values that hold, whoever said them.
function inForce(seen) {
  const { images, steps, size, seed } = said(seen), start = page.about.making;
  return { images: images ?? start.images, steps: steps ?? start.steps, size: size ?? start.size, seed };
}

export const imagesOfRound = (seen) => inForce(seen).images;
export const lockSeed = (seen, seed) => tell(seen, { seed });

export function Folds({ seen, fill }) {
  if (!seen || !page.about.making.steps) return null;
  return html`<div class="folds"><${Making} seen=${seen} /><${Earlier} seen=${seen} fill=${fill} /></div>`;
}

function Making({ seen }) {
  const now = inForce(seen), { multiple } = page.about.making;
  const [height, width] = now.size;
  const side = { min: multiple, max: 2048 - (2048 % multiple), step: multiple };
  const number = (name, label, value, limits, changes) => html`<${Field} key=${name} type="number" name=${name} label=${label} value=${value} required ...${limits} take=${(text) => tell(seen, changes(Number(text)))} />`;
  return html`<details class="fold making"><summary>How images are made <span>${now.images} images, ${now.steps} steps, ${width} × ${height}${now.seed === null ? "" : `, seed ${now.seed}`}</span></summary>
    <div class="fields">
      ${number("images", "Images", now.images, { min: 2, max: 16 }, (images) => ({ images }))}
      ${number("steps", "Steps", now.steps, { min: 1, max: 1000 }, (steps) => ({ steps }))}
      ${number("width", "Width", width, side, (value) => ({ size: [height, value] }))}
      ${number("height", "Height", height, side, (value) => ({ size: [value, width] }))}
      <${Field} type="text" inputmode="numeric" name="seed" label="Seed" value=${now.seed ?? ""} placeholder="new for each round" autocomplete="off" pattern="[0-9]{1,20}" title="A whole number" take=${(text) => tell(seen, { seed: text || null })} />
      <${Plain} disabled=${Object.values(said(seen)).every((value) => value === null)} onclick=${() => act("making", NOTHING)}>As at the start<//>
    </div>
    <p class="hint">More steps and pixels take longer. With a seed, all rounds begin with the same noise: the first image has this seed, the others those after it.</p></details>`;
}

// A value that may be written anew; what cannot be is said.
function Field({ label, value, take, ...its }) {
  const field = useWritten(value);
  const changed = () => {
    if (field.current.checkValidity()) return take(field.current.value);
    say(`${label}: ${field.current.validationMessage}`, { kind: "making" });
    field.current.value = value;
  };
  return html`<label>${label}<input ref=${field} ...${its} onChange=${changed} /></label>`;
}

// Prompts of this session, the latest first.
function Earlier({ seen, fill }) {
  const rounds = [...seen.aside, ...seen.rounds].reverse();
  const prompts = [...new Map(rounds.map((one) => [`${one.prompt}\n${one.negative}`, one])).values()];
  if (prompts.length < 2) return null;
  const use = (event, one) => {
    event.currentTarget.closest("details").open = false;
    fill(one.prompt, one.negative);
  };
  return html`<details class="fold earlier"><summary>Earlier prompts <span>${prompts.length}</span></summary>
    <ul>${prompts.map((one) => html`<li key="${one.prompt} ${one.negative}"><button type="button" onClick=${(event) => use(event, one)}>${one.prompt}${one.negative && html`<small> without ${one.negative}</small>`}</button></li>`)}</ul></details>`;
}
