// One image with what people say of it.

import { favour, inWords, mark, pick, rate, touch } from "./acts.js";
import { Icon, Picture, Tool, html } from "./html.js";
import { predicted } from "./predictions.js";
import { change, page } from "./store.js";

export function Card({ image, round, number, seen }) {
  const picked = round.picked === image.id;
  const kinds = ["card", picked && "picked", page.selected === image.id && "selected"].filter(Boolean).join(" ");
  const select = () => change({ selected: image.id, touched: Date.now() });
  const followed = seen.wish?.kind === "more like" && seen.wish.image === image.id;
  return html`<article class=${kinds} data-image=${image.id} data-mark=${image.mark ?? ""} onPointerDown=${select}>
    <button type="button" class="frame" aria-label="Zoom: ${inWords(image)}" onClick=${() => change({ zoomed: image.id })}>
      <${Picture} id=${image.id} alt="${inWords(image)}: ${image.prompt}" />
      <span class="number" aria-hidden="true">${number}</span></button>
    <${Notes} image=${image} followed=${followed} />
    <${Judge} image=${image} place="card" details=${true} best=${round.images.length > 1 && { picked, pick: () => pick(round, image.id) }} />
  </article>`;
}

// What others said, what was predicted, and whether the next round follows.
function Notes({ image, followed }) {
  const found = predicted(image.id);
  const others = ["liked", "disliked"].flatMap((sign) => (image.others?.[sign] ?? []).map((name) => [sign, name]));
  if (!others.length && !followed && !found?.broken) return null;
  return html`<p class="notes">
    ${followed && html`<span class="note">The next round follows this</span>`}
    ${found?.broken && html`<span class="note flag" title="A model trained on people’s feedback expects visible faults. Details show where.">Looks faulty</span>`}
    ${others.map(([sign, name]) => html`<span key="${sign} ${name}" class="note ${sign}"><${Icon} name=${sign.slice(0, -1)} />${name} ${sign === "liked" ? "likes it" : "dislikes it"}</span>`)}</p>`;
}

// Like, dislike, favourite, best and stars of an image; `place` tells the stars of one image from each other.
export function Judge({ image, place, best = null, details = false }) {
  return html`<div class="tools" onClick=${touch}>
    <div class="marks">
      <${Tool} icon="like" label="Like (L)" pressed=${image.mark === "liked"} onclick=${() => mark(image, "liked")} />
      <${Tool} icon="dislike" label="Dislike (D)" pressed=${image.mark === "disliked"} onclick=${() => mark(image, "disliked")} />
      ${best && html`<${Tool} icon="best" label="Best of the round (B)" pressed=${best.picked} onclick=${best.pick} />`}
      <${Tool} icon="heart" label="Favourite (F)" pressed=${image.favourite} onclick=${() => favour(image)} />
      ${details && html`<${Tool} icon="more" label="Settings and details (I)" onclick=${() => change({ detailed: image.id })} />`}
    </div>
    <${Stars} image=${image} place=${place} />
  </div>`;
}

function Stars({ image, place }) {
  const name = `stars-${place}-${image.id}`;
  return html`<fieldset class="stars"><legend>Rating of ${inWords(image)}</legend>
    ${[1, 2, 3, 4, 5].map((value) => html`<label key=${value} class="star ${value <= (image.rating ?? 0) ? "on" : ""}" title="${value} of 5 (Shift+${value})">
      <input type="radio" name=${name} value=${value} checked=${image.rating === value} aria-label="${value} of 5" onClick=${() => rate(image, value)} /><${Icon} name="star" /></label>`)}
    ${image.mean && html`<span class="mean" title="Mean of all who rated it">${image.mean[0].toFixed(1)} of ${image.mean[1]}</span>`}
  </fieldset>`;
}
