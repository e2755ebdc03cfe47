// The round in front of the person: cards, rounds, progress, keys.

import { changed, generate, onChange, status, undo } from "./channel.js";
import { card, favour, mark, pick, rate } from "./cards.js";
import { button, drawn, h, place } from "./dom.js";
import { detailed, openDetails } from "./details.js";

const QUIET = 1500; // milliseconds since the last touch after which a new round may take the stage
const KEYS = [
  ["1–9", "select"], ["L", "like"], ["D", "dislike"], ["F", "favourite"], ["B", "best"], ["⇧1–5", "rate"],
  ["I", "details"], ["T", "can’t tell"], ["U", "undo"], ["N", "next"],
];

const IN_DETAILS = ["l", "d", "f", "u"]; // keys that work there too, with the stars

const ACTS = { // in words, as undo names them
  rating: "rating", choice: "best of the round", withdrawal: "undo", mark: "like or dislike", upload: "upload", prompt: "prompt",
  favourite: "favourite", freeze: "freezing of a knob", "more like": "more like this", rich: "rich feedback",
};

const at = { round: null, selected: null, touched: 0, known: 0 };
let seen = null;

export function current() {
  return seen && seen.rounds.length ? (at.round ?? seen.rounds.length - 1) : null;
}

function show(number) {
  at.round = number === seen.rounds.length - 1 ? null : number;
  at.selected = null;
  draw(seen);
}

function select(image) {
  at.selected = image;
  at.touched = Date.now();
  draw(seen);
}

function draw(given) {
  seen = given;
  drawProgress();
  if (!seen) return;
  const count = seen.rounds.length;
  if (at.known && count > at.known && at.round === null && Date.now() - at.touched < QUIET) at.round = at.known - 1;
  if (count > at.known) at.selected = at.round === null ? null : at.selected;
  at.known = count;
  drawRounds();
  drawCards();
}

function drawProgress() {
  const { progress, reachable, notice } = status;
  place("studio-progress")?.classList.toggle("busy", Boolean(progress.job));
  const next = place("studio-next");
  if (next) {
    const label = progress.job ? "Generating…" : seen?.rounds.length ? "Next round" : "Generate";
    if (next.textContent !== label) next.textContent = label;
    next.disabled = Boolean(progress.job) || !reachable;
  }
  const share = progress.steps ? progress.done / progress.steps : 0;
  const text = progress.job ? `${progress.job}: step ${progress.done} of ${progress.steps || "…"}` : "";
  drawn(place("studio-progress"), [share, text, reachable, notice], () => [
    h("div", { class: "bar", role: "progressbar", "aria-label": "Progress of what is being generated", "aria-valuenow": Math.round(share * 100) },
      h("i", { style: `width:${progress.job ? 4 + 96 * share : 0}%` })),
    h("div", { class: "said", role: "status" },
      reachable ? (notice ? h("b", {}, notice) : text) : h("b", {}, "The server cannot be reached. What you do is kept and sent later.")),
  ]);
}

function drawRounds() {
  const now = current(), count = seen.rounds.length;
  const round = now === null ? null : seen.rounds[now];
  const facts = [now, count, round?.prompt, round?.passed, round?.picked, seen.undo, at.round !== null];
  drawn(place("studio-rounds"), facts, () => {
    if (round === null) return h("p", { class: "empty" }, "Write what you want to see, and generate the first round. ",
      "Then like, dislike or rate its images: every later round learns from that.");
    const tabs = seen.rounds.map((_, k) =>
      h("button", { type: "button", class: "round", "aria-current": k === now ? "true" : false, onclick: () => show(k) }, k + 1));
    return [
      h("div", { class: "which" }, h("span", { class: "label" }, "Round"), h("div", { class: "list" }, tabs)),
      h("p", { class: "asked", title: round.prompt }, round.prompt),
      h("div", { class: "acts" },
        at.round !== null && h("button", { type: "button", class: "plain fresh", onclick: () => show(count - 1) }, "Newest round →"),
        h("button", { type: "button", class: "plain cannot", "aria-pressed": String(round.passed), title: "None is clearly the best (T)",
          onclick: () => pick(round, null) }, "Can’t tell"),
        undoButton()),
    ];
  });
  if (place("studio-keys")) drawn(place("studio-keys"), [count > 0], () => count > 0 && KEYS.map(([key, what]) => h("span", {}, h("kbd", {}, key), what)));
}

function undoButton() {
  const element = button(seen.undo ? `Undo: ${ACTS[seen.undo.what]} (U)` : "Undo: nothing to undo", "undo", undo, "Undo");
  element.disabled = !seen.undo;
  return element;
}

function drawCards() {
  const board = place("studio-board"), now = current();
  if (!board || now === null) return;
  const round = seen.rounds[now];
  const elements = round.images.map((id, k) =>
    card(seen.images[id], { round, number: k + 1, selected: at.selected === id, select, open: openDetails }));
  const same = board.children.length === elements.length && elements.every((element, k) => board.children[k] === element);
  if (!same) board.replaceChildren(...elements);
}

function onKey(event) {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  const open = detailed();
  if (typing || event.altKey || (!open && !place("studio-board")?.offsetParent)) return;
  const now = current();
  const round = now === null ? null : seen.rounds[now];
  const digit = /^(Digit|Numpad)([1-9])$/.exec(event.code)?.[2];
  const image = seen?.images[open ?? at.selected];
  if (event.ctrlKey || event.metaKey) {
    if (event.key === "z") undo();
    return;
  }
  if (digit && event.shiftKey) image && digit <= 5 && rate(image, Number(digit));
  else if (open && !IN_DETAILS.includes(event.key.toLowerCase())) return;
  else if (digit) round?.images[digit - 1] && select(round.images[digit - 1]);
  else if (!press(event.key.toLowerCase(), round, image)) return;
  event.preventDefault();
}

function press(key, round, image) {
  at.touched = key === "n" ? 0 : Date.now();
  const general = { u: undo, n: () => place("studio-next")?.click(), t: () => round && pick(round, null) };
  const single = {
    l: () => mark(image, "liked"),
    d: () => mark(image, "disliked"),
    f: () => favour(image),
    b: () => pick(round, image.id),
    i: () => openDetails(image.id),
  };
  if (general[key]) general[key]();
  else if (single[key] && image) single[key]();
  else return false;
  return true;
}

export function startBoard() {
  window.studio = {
    generate: (prompt, negative) => {
      Object.assign(at, { touched: 0, round: null });
      generate(prompt, negative);
    },
    changed, // a place to draw into has appeared
  };
  document.addEventListener("keydown", onKey);
  onChange(draw);
}
