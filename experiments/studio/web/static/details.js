// One image in full: how it was made, what to do with its settings, and rich feedback.

import { act, onChange, rater, view } from "./channel.js";
import { tools } from "./cards.js";
import { button, drawn, h, icon, inWords, picture, place } from "./dom.js";
import { mapOver, predicted, prediction, shownMap } from "./predictions.js";

const SCORES = [
  ["plausibility", "Plausibility"], ["alignment", "Fits the prompt"], ["aesthetics", "Aesthetics"], ["overall", "Overall"],
];
const MARKS = [["artifact_points", "Artifact"], ["misalignment_points", "Does not match the prompt"]];

const dialog = h("dialog", { id: "studio-details", "aria-label": "Details of the image" });
let shown = null; // id of the image
let draft = null; // rich feedback that is not sent yet
let opened = ""; // the draft as it was when the dialog opened
const drafts = new Map(); // by image id, of dialogs that were closed
let pointing = null; // which points a click on the image sets

export function openDetails(id) {
  shown = id;
  draft = drafts.get(id) ?? null;
  opened = "";
  pointing = null;
  delete dialog.dataset.facts;
  draw(view());
  if (!dialog.open) dialog.showModal();
}

function draw(seen) {
  if (shown === null || !seen) return;
  const image = seen.images[shown];
  if (!image) return;
  draft ??= structuredClone(image.rich ?? { artifact_points: [], misalignment_points: [], misaligned_words: [] });
  opened ||= JSON.stringify(draft);
  const facts = [image, seen.frozen, seen.more_like, draft, pointing, predicted(image.id), shownMap()];
  drawn(dialog, facts, () => {
    const followed = seen.more_like?.image === image.id;
    const open = dialog.querySelector("details")?.open ?? Boolean(image.rich);
    return [
      h("div", { class: "view" }, canvas(image)),
      h("div", { class: "facts" },
        h("header", {},
          h("h2", {}, `Round ${image.round + 1}, image ${image.place + 1}`),
          button("Close (Esc)", "close", () => dialog.close())),
        h("p", { class: "asked" }, image.prompt),
        judged(image),
        h("div", { class: "acts" },
          h("button", { type: "button", class: "plain more-like", "aria-pressed": String(followed),
            onclick: () => moreLike(image, seen.more_like) }, followed ? "The next round follows these settings" : "More like these settings"),
          h("a", { class: "plain", href: `studio/pictures/${image.id}?download`, download: "" }, icon("down"), "PNG")),
        references(image), knobs(image, seen.frozen), rich(image, open),
        h("p", { class: "seed" }, `seed ${image.seed}`)),
    ];
  });
}

// A second click takes the first back; nobody takes back what others asked for.
function moreLike(image, active) {
  if (active?.image !== image.id) act("more like", { image: image.id });
  else if (active.record) act("withdrawal", { record: active.record });
}

function judged(image) {
  const shared = tools(() => image);
  shared.show(image);
  return shared.root;
}

function canvas(image) {
  const points = MARKS.flatMap(([name]) =>
    draft[name].map(([x, y], k) => h("button", {
      type: "button", class: `point ${name}`, title: "Remove this point", style: `left:${100 * x}%;top:${100 * y}%`,
      onclick: (event) => { event.stopPropagation(); draft[name].splice(k, 1); draw(view()); },
    })));
  return h("div", { class: pointing ? "canvas pointing" : "canvas", onclick: (event) => {
    if (!pointing) return;
    const box = event.currentTarget.getBoundingClientRect();
    draft[pointing].push([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((part) => Math.round(part * 1000) / 1000));
    draw(view());
  } }, picture(image.id, inWords(image)), mapOver(image), points);
}

function references(image) {
  const rows = [["Liked", image.liked], ["Disliked", image.disliked]].filter(([, images]) => images.length);
  if (!rows.length) return h("p", { class: "hint" }, "Made without references.");
  return h("div", { class: "references" }, rows.map(([label, images]) =>
    h("div", {}, h("h3", {}, `${label} references: weight, and share of the attention`), h("div", { class: "strip" }, images.map(({ id, weight, attention }) =>
      h("figure", { style: `--weight:${Math.min(1, weight)}` }, picture(id, label),
        h("figcaption", {}, weight.toFixed(2), attention !== null && h("small", {}, ` ${Math.round(100 * attention)} %`))))))));
}

function knobs(image, frozen) {
  return h("table", { class: "knobs" }, Object.entries(image.knobs).map(([name, value]) => {
    const held = frozen[name] !== undefined;
    const label = held ? `Unfreeze ${words(name)}` : `Freeze ${words(name)} at ${number(value)}`;
    return h("tr", { "data-knob": name }, h("th", { title: about(name) }, words(name)), h("td", {}, number(value)),
      h("td", {}, held && h("span", { class: "held" }, `frozen at ${number(frozen[name])}`)),
      h("td", {}, lock(label, held, () => act("freeze", { knob: name, value: held ? null : value }))));
  }));
}

function lock(label, held, onclick) {
  return h("button", { type: "button", class: "tool freeze", title: label, "aria-label": label, "aria-pressed": String(held), onclick },
    icon(held ? "lock" : "open"));
}

function rich(image, open) {
  const scores = SCORES.map(([name, label]) =>
    h("div", { class: "score" }, h("span", {}, label), h("div", { class: "choices" }, [1, 2, 3, 4, 5].map((value) =>
      h("button", { type: "button", "aria-pressed": String(draft[name] === value), "aria-label": `${label}: ${value} of 5`,
        onclick: () => { draft[name] = value; draw(view()); } }, value)))));
  const marks = MARKS.map(([name, label]) =>
    h("button", { type: "button", class: `plain ${name}`, "aria-pressed": String(pointing === name),
      onclick: () => { pointing = pointing === name ? null : name; draw(view()); } }, `${label} (${draft[name].length})`));
  const chips = image.words.map((word, k) =>
    h("button", { type: "button", class: "word", "aria-pressed": String(draft.misaligned_words.includes(k)),
      onclick: () => { toggle(draft.misaligned_words, k); draw(view()); } }, word));
  const missing = SCORES.filter(([name]) => !draft[name]).length;
  const save = h("button", { type: "button", class: "plain save", onclick: () => send(image) }, missing ? "Give all four scores, then save" : "Save rich feedback");
  save.disabled = missing > 0;
  return h("details", { class: "rich", open },
    h("summary", {}, "Rich feedback"), prediction(image, SCORES, () => draw(view()), (rating) => { draft = rating; send(image); }), scores,
    h("p", { class: "hint" }, "Mark places on the image: choose a kind, then click. Of a liked image, marked places are left out; of a disliked one, only marked places are steered away from."),
    h("div", { class: "acts" }, marks),
    chips.length > 0 && [h("p", { class: "hint" }, "Words of the prompt that the image does not show:"), h("div", { class: "words" }, chips)],
    save);
}

function send(image) {
  act("rich", { image: image.id, rich: { ...draft, rater: rater(), prompt: image.prompt } });
  drafts.delete(image.id);
  opened = JSON.stringify(draft);
  pointing = null;
  draw(view());
}

function toggle(values, value) {
  const index = values.indexOf(value);
  if (index < 0) values.push(value);
  else values.splice(index, 1);
}

// What a knob is and does; the server wrote it into the page.
export const about = (name) => JSON.parse(place("studio-head").dataset.knobs)[name];

export const words = (name) => name.replaceAll("_", " ");
export const number = (value) => String(Number(value.toFixed(value < 1 ? 3 : 2)));

// The id of the image whose details are open, or null.
export const detailed = () => shown;

export function startDetails() {
  document.querySelector(".gradio-container").append(dialog);
  dialog.addEventListener("close", () => {
    if (JSON.stringify(draft) !== opened) drafts.set(shown, draft);
    shown = null;
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  onChange(draw);
}
