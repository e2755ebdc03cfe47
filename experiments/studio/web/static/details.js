// One image: how it was made, what to do with its settings, and detailed feedback.

import { useEffect, useState } from "preact/hooks";

import { inWords, moreLike, step } from "./acts.js";
import { ask } from "./channel.js";
import { Judge } from "./card.js";
import { Icon, Picture, Plain, Tool, html } from "./html.js";
import { Knobs } from "./insight.js";
import { Canvas, Rich, draftOf } from "./rich.js";
import { variations } from "./composer.js";
import { lockSeed } from "./making.js";
import { change, page } from "./store.js";
import { useModal } from "./viewer.js";

const made = new Map(); // by image id how it was made, which never changes

export function Details({ seen }) {
  const image = seen?.images[page.detailed];
  return image ? html`<${Open} image=${image} seen=${seen} />` : null;
}

function Open({ image, seen }) {
  const [, arrived] = useState(null);
  const [pointing, setPointing] = useState(null); // which points a click on the image sets
  const [overlay, setOverlay] = useState(null); // the map that is laid over the image
  const close = () => change({ detailed: null });
  const modal = useModal(close);
  useEffect(() => {
    setPointing(null);
    if (made.has(image.id)) return;
    ask(`details/${image.id}`).then((answer) => {
      if (answer) made.set(image.id, answer);
      arrived(image.id);
    });
  }, [image.id]);
  const go = (by) => step(image.id, by) && change({ detailed: step(image.id, by) });
  const how = made.get(image.id);
  const draft = draftOf(image);
  const followed = seen.wish?.kind === "more like" && seen.wish.image === image.id;
  return html`<dialog id="studio-details" aria-label="Details of ${inWords(image)}" ...${modal}>
    <div class="view"><${Canvas} image=${image} draft=${draft} pointing=${pointing} overlay=${overlay} /></div>
    <div class="facts">
      <header><${Tool} icon="left" label="Previous image (←)" disabled=${!step(image.id, -1)} onclick=${() => go(-1)} />
        <h2>${inWords(image)}</h2><${Tool} icon="right" label="Next image (→)" disabled=${!step(image.id, 1)} onclick=${() => go(1)} />
        <span class="gap"></span><${Tool} icon="close" label="Close (Esc)" onclick=${close} /></header>
      <p class="asked">${image.prompt}</p>
      <${Judge} image=${image} place="details" />
      <div class="acts"><${Plain} kind="more-like" pressed=${followed} title="The next round is made with settings near these" onclick=${() => moreLike(image)}>
          ${followed ? "The next round follows these settings" : "More with these settings"}<//>
        <${Plain} kind="variations" disabled=${Boolean(page.progress.job)} title="A round of the same prompt, settings and references, with other seeds" onclick=${() => variations(image)}>Variations of this<//>
        <a class="plain" href="pictures/${image.id}?download" download=""><${Icon} name="down" />Save PNG</a></div>
      <${Rich} key=${image.id} image=${image} words=${how?.words ?? []} draft=${draft} pointing=${pointing} setPointing=${setPointing} overlay=${overlay} setOverlay=${setOverlay} />
      ${how && html`<${References} how=${how} seen=${seen} />
        <details class="fold"><summary>Settings of this image</summary>
          <div class="acts"><p class="seed">Seed ${how.seed}</p><${Plain} kind="lock-seed" pressed=${seen.making?.seed === how.seed} title="The rounds after begin with this seed" onclick=${() => lockSeed(seen, seen.making?.seed === how.seed ? null : how.seed)}>Keep this seed<//></div>
          <${Knobs} values=${how.knobs} frozen=${seen.frozen} /></details>`}
    </div></dialog>`;
}

function References({ how, seen }) {
  const rows = [["Liked", how.liked], ["Disliked", how.disliked]].filter(([, images]) => images.length);
  if (!rows.length) return html`<p class="hint">Made from the prompt alone.</p>`;
  return html`<div class="references">${rows.map(([label, images]) => html`<div key=${label}><h3>${label} images that steered it</h3><p class="hint">Weight, and share of the attention that it got.</p>
    <div class="strip">${images.map(({ id, weight, attention }) => html`<figure key=${id} style=${{ "--weight": String(Math.min(1, weight)) }}
      title="Weight ${weight.toFixed(2)}${attention === null ? "" : `, ${Math.round(100 * attention)} % of the attention`}">
      <${Picture} id=${id} alt=${seen.images[id] ? inWords(seen.images[id]) : "Picture of your own"} /><figcaption>${weight.toFixed(2)}${attention !== null && html`<small> ${Math.round(100 * attention)} %</small>`}</figcaption></figure>`)}</div></div>`)}</div>`;
}
