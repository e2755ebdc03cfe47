// What steers the next round: liked and disliked images, and pictures of one's own.

import { act, upload } from "./channel.js";
import { inWords } from "./acts.js";
import { Icon, Picture, Tool, html } from "./html.js";
import { change } from "./store.js";

const HOW = { liked: "The next round is drawn towards these.", disliked: "The next round keeps away from these." };
const KINDS = "image/png,image/jpeg,image/webp,image/bmp";

export function References({ seen }) {
  return html`<section id="studio-references" class="panel"><h2>What steers the next round</h2>
    ${["liked", "disliked"].map((sign) => html`<${Strip} key=${sign} sign=${sign} seen=${seen} />`)}</section>`;
}

function Strip({ sign, seen }) {
  const send = (files) => [...files].forEach((file) => upload(file, sign));
  const over = (event) => event.preventDefault();
  const drop = (event) => {
    event.preventDefault();
    send(event.dataTransfer.files);
  };
  const picked = (event) => {
    send(event.currentTarget.files);
    event.currentTarget.value = ""; // the same file may be chosen again
  };
  const label = sign === "liked" ? "Liked" : "Disliked";
  return html`<div class="strip ${sign}" onDragOver=${over} onDrop=${drop}>
    <h3>${label} · ${seen[sign].length}</h3><p class="hint">${HOW[sign]}</p>
    <div class="thumbs">${seen[sign].map((id) => html`<${Reference} key=${id} id=${id} sign=${sign} seen=${seen} />`)}
      <label class="add" title="Add pictures of your own; PNG, JPEG, WebP or BMP up to 10 MB"><${Icon} name="plus" /><span>Add picture</span>
        <input type="file" accept=${KINDS} multiple id="studio-upload-${sign}" aria-label="Add pictures of your own as ${sign}" onChange=${picked} /></label></div></div>`;
}

function Reference({ id, sign, seen }) {
  const image = seen.images[id];
  const name = image ? inWords(image) : seen.uploads[id] || "Picture of your own";
  const others = Object.entries(image?.others ?? seen.others[id] ?? {}).flatMap(([its, names]) => (its === sign ? names : []));
  const mine = seen.marks[id] === sign;
  const title = others.length ? `${name}; ${sign} by ${[...(mine ? ["you"] : []), ...others].join(", ")}` : name;
  const remove = () => act("mark", { image: id, sign: null });
  return html`<figure title=${title}>
    <button type="button" class="thumb" aria-label="${image ? "Zoom" : "Picture"}: ${title}" disabled=${!image} onClick=${() => change({ zoomed: id })}><${Picture} id=${id} alt=${name} /></button>
    ${mine ? html`<${Tool} icon="close" label="No longer ${sign}: ${name}" onclick=${remove} />` : html`<figcaption>${others[0]}</figcaption>`}</figure>`;
}
