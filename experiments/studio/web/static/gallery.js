// All rounds at a glance, or the favourites, or the best first.

import { useState } from "preact/hooks";

import { inWords, lineNumber } from "./acts.js";
import { BestSettings, Icon, Picture, Plain, html } from "./html.js";
import { hasPredictions, predicted } from "./predictions.js";
import { change } from "./store.js";

export function Gallery({ seen }) {
  const [only, setOnly] = useState(false), [ranked, setRanked] = useState(false);
  const named = (round) => `Round ${round.number + 1}${seen.aside.includes(round) ? ` on line ${lineNumber(round.line, seen)}` : ""}`;
  const kept = (id) => !only || seen.favourites.includes(id);
  return html`<section id="studio-gallery"><h2 class="unseen">Gallery</h2>
    <div class="acts"><${Plain} pressed=${!only} onclick=${() => setOnly(false)}>All rounds<//>
      <${Plain} pressed=${only} onclick=${() => setOnly(true)}>Favourites (${seen.favourites.length})<//>
      ${hasPredictions() && html`<${Plain} kind="ranked" pressed=${ranked} title="By the overall score that people would probably give" onclick=${() => setRanked(!ranked)}>Best predicted first<//>`}
      <span class="gap"></span>
      <a class="plain" href="session.zip${only ? "?favourites" : ""}" download=""><${Icon} name="down" />${only ? "Favourites as ZIP" : "All as ZIP"}</a>
      <${BestSettings} /></div>
    ${only && !seen.favourites.length && html`<p class="empty">No favourites yet. The heart under an image keeps it here.</p>`}
    ${!seen.rounds.length && html`<p class="empty">Your images will be here, round by round.</p>`}
    ${ranked ? html`<${Row} images=${best(Object.keys(seen.images).filter(kept))} seen=${seen} guessed=${true} />`
      : [...[...seen.rounds].reverse(), ...[...seen.aside].reverse()].map((round) =>
        html`<${Row} key="${round.line} ${round.number}" title=${named(round)} prompt=${round.prompt} images=${round.images.filter(kept)} seen=${seen} />`)}
  </section>`;
}

const best = (images) => images.sort((a, b) => (predicted(b)?.scores.overall ?? 0) - (predicted(a)?.scores.overall ?? 0));

function Row({ title, prompt, images, seen, guessed = false }) {
  if (!images.length) return null;
  return html`<section class="row">${title && html`<h3>${title}<span>${prompt}</span></h3>`}
    <div class="thumbs">${images.map((id) => html`<${Thumb} key=${id} image=${seen.images[id]} guess=${guessed ? predicted(id) : null} />`)}</div></section>`;
}

function Thumb({ image, guess }) {
  const badges = [image.picked && html`<${Icon} name="best" />`, image.mark && html`<${Icon} name=${image.mark.slice(0, -1)} />`,
    image.favourite && html`<${Icon} name="heart" />`, image.rating && `${image.rating}★`].filter(Boolean);
  const said = [guess?.scores.overall.toFixed(1), image.mark, image.rating && `${image.rating}★`].filter(Boolean);
  return html`<button type="button" class="thumb" data-image=${image.id} data-mark=${image.mark ?? ""} aria-label=${["Zoom: " + inWords(image), ...said].join(", ")}
    onClick=${() => change({ zoomed: image.id })}>
    <${Picture} id=${image.id} alt="${inWords(image)}: ${image.prompt}" />
    ${guess && html`<span class=${guess.broken ? "guess broken" : "guess"} title="Predicted overall score, of 5">${guess.scores.overall.toFixed(1)}</span>`}
    ${badges.length > 0 && html`<span class="badges">${badges}</span>`}</button>`;
}
