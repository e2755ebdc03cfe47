// What keys do, on the board, in the viewer and in the details.

import { compare, favour, mark, other, pick, rate, redo, shownRound, step, undo } from "./acts.js";
import { view } from "./channel.js";
import { startRound } from "./composer.js";
import { change, page } from "./store.js";

const TYPED = "input:not([type=radio], [type=range]), textarea, select, [contenteditable]";

export function onKey(event) {
  if (event.target.closest?.(TYPED) || event.altKey) return;
  const seen = view();
  if (!seen || (page.tab !== "studio" && !page.zoomed && !page.detailed)) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key.toLowerCase() === "z") (event.shiftKey ? redo : undo)();
    return;
  }
  if (pressed(event, seen)) event.preventDefault();
}

function pressed(event, seen) {
  const open = page.zoomed ? "zoomed" : page.detailed ? "detailed" : null;
  const image = seen.images[open ? page[open] : page.selected];
  const digit = Number(/^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1] ?? 0);
  if (page.compared && open) return comparing(event, image);
  if (digit && event.shiftKey) return Boolean(image) && digit <= 5 && done(() => rate(image, digit));
  if (event.key.startsWith("Arrow")) return event.target.type !== "radio" && arrow(event.key, image, open, seen);
  if (digit) return !open && select(seen.rounds[shownRound()]?.images[digit - 1]);
  return letter(event.shiftKey ? `⇧${event.key.toLowerCase()}` : event.key.toLowerCase(), image, open, seen);
}

// What is judged would not be seen: only the second image is chosen.
function comparing({ key, target }, image) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (by && target.type === "range") return false; // which moves the slider
  if (by) return done(() => change({ compared: other(image.id, page.compared, by) ?? page.compared }));
  return key.toLowerCase() === "c" && done(compare);
}

function done(work) {
  change({ touched: Date.now() });
  work();
  return true;
}

function select(id) {
  if (!id) return false;
  return done(() => change({ selected: id }));
}

function arrow(key, image, open, seen) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (!by) return false;
  if (open) {
    const next = step(image.id, by);
    if (next) change({ [open]: next });
    return true;
  }
  const images = seen.rounds[shownRound()]?.images ?? [];
  return select(image ? images[images.indexOf(image.id) + by] : images[0]);
}

function letter(key, image, open, seen) {
  const round = open ? image.within : seen.rounds[shownRound()];
  const compareIt = () => {
    change({ zoomed: image.id });
    compare();
  };
  const anywhere = { u: undo, "⇧u": redo };
  const board = { n: startRound, t: () => round && pick(round, null) };
  const single = {
    l: () => mark(image, "liked"), d: () => mark(image, "disliked"), f: () => favour(image), b: () => pick(round, image.id),
    c: () => open === "detailed" || compareIt(),
    i: () => change({ detailed: image.id, zoomed: null }), z: () => change({ zoomed: image.id, detailed: null }),
  };
  if (anywhere[key]) return done(anywhere[key]);
  if (board[key]) return !open && done(board[key]);
  return Boolean(single[key] && image) && done(single[key]);
}
