// One image as large as the window, with its neighbours a key away.

import { useEffect, useRef, useState } from "preact/hooks";

import { compare, inWords, neighbours, pick, step } from "./acts.js";
import { Judge } from "./card.js";
import { Others, Over } from "./compare.js";
import { Picture, Plain, Tool, html } from "./html.js";
import { change, page } from "./store.js";

export function Viewer({ seen }) {
  const image = seen?.images[page.zoomed];
  return image ? html`<${Open} image=${image} seen=${seen} />` : null;
}

export function useModal(close) {
  const dialog = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current.showModal();
    return () => before?.focus?.();
  }, []);
  return { ref: dialog, onClose: close, onClick: (event) => event.target === dialog.current && close() };
}

function Open({ image, seen }) {
  const [actual, setActual] = useState(false);
  const close = () => change({ zoomed: null, compared: null });
  const second = seen.images[page.compared];
  const modal = useModal(close);
  const go = (by) => step(image.id, by) && change({ zoomed: step(image.id, by) });
  const round = image.within;
  return html`<dialog id="studio-viewer" aria-label="Image in full size" ...${modal}>
    <header><h2>${inWords(image)}</h2><p class="asked">${image.prompt}</p>
      <${Plain} kind="compare" pressed=${Boolean(second)} disabled=${!second && !step(image.id, 1) && !step(image.id, -1)} title="Another image over this one, with a slider (C)" onclick=${compare}>Compare<//>
      ${!second && html`<${Plain} kind="actual" pressed=${actual} title="One pixel of the image for one of the screen" onclick=${() => setActual(!actual)}>Actual size<//>`}
      <a class="plain" href="pictures/${image.id}?download" download="">Save PNG</a>
      <${Tool} icon="more" label="Settings and details (I)" onclick=${() => change({ zoomed: null, compared: null, detailed: image.id })} />
      <${Tool} icon="close" label="Close (Esc)" onclick=${close} /></header>
    ${second ? html`<${Over} first=${image} second=${second} />
      <${Others} first=${image} second=${second} images=${neighbours(image.id).map((id) => seen.images[id])} />`
    : html`<div class="stage ${actual ? "actual" : ""}" tabindex="-1"><${Picture} key=${image.id} id=${image.id} alt="${inWords(image)}: ${image.prompt}" /></div>
    <footer><${Tool} icon="left" label="Previous image (←)" disabled=${!step(image.id, -1)} onclick=${() => go(-1)} />
      <${Judge} image=${image} place="viewer" best=${round.images.length > 1 && { picked: round.picked === image.id, pick: () => pick(round, image.id) }} />
      <${Tool} icon="right" label="Next image (→)" disabled=${!step(image.id, 1)} onclick=${() => go(1)} /></footer>`}
  </dialog>`;
}
