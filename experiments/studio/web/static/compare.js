// Two images over each other, and a slider between them.

import { useEffect, useState } from "preact/hooks";

import { inWords, other } from "./acts.js";
import { Picture, Tool, html } from "./html.js";
import { change } from "./store.js";

// The first image on the left of the slider, the second on its right.
export function Over({ first, second }) {
  const [share, setShare] = useState(50), [ratio, setRatio] = useState(1);
  const sized = (event) => setRatio(event.currentTarget.naturalWidth / event.currentTarget.naturalHeight);
  return html`<div class="stage"><div class="over" style=${{ "--share": `${share}%`, "--ratio": String(ratio) }}>
    <${Picture} key="second ${second.id}" id=${second.id} alt="${inWords(second)}: ${second.prompt}" />
    <${Picture} key="first ${first.id}" kind="above" id=${first.id} alt="${inWords(first)}: ${first.prompt}" onload=${sized} />
    <i aria-hidden="true"></i>
    <span class="badges" aria-hidden="true">${inWords(first)}</span><span class="badges second" aria-hidden="true">${inWords(second)}</span>
    <label><span class="unseen">How much of the first image is shown</span>
      <input type="range" min="0" max="100" value=${share} aria-valuetext="${share} % ${inWords(first)}, the rest ${inWords(second)}" onInput=${(event) => setShare(Number(event.currentTarget.value))} /></label>
  </div></div>`;
}

// All images that the first can be compared with; the arrow keys go through them.
export function Others({ first, second, images }) {
  useEffect(() => document.querySelector(`.others [aria-pressed="true"]`)?.scrollIntoView({ block: "nearest", inline: "center" }), [second.id]);
  const go = (by) => change({ compared: other(first.id, second.id, by) ?? second.id });
  return html`<footer><${Tool} icon="left" label="Compare with the previous image (←)" disabled=${!other(first.id, second.id, -1)} onclick=${() => go(-1)} />
    <div class="others" role="group" aria-label="Compare with">${images.filter((image) => image !== first).map((image) =>
      html`<button type="button" key=${image.id} class="thumb" aria-label="Compare with: ${inWords(image)}" aria-pressed=${String(image === second)} onClick=${() => change({ compared: image.id })}>
        <${Picture} id=${image.id} alt="" /></button>`)}</div>
    <${Tool} icon="right" label="Compare with the next image (→)" disabled=${!other(first.id, second.id, 1)} onclick=${() => go(1)} /></footer>`;
}
