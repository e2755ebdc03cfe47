// What people can do to images, and how it is called.

import { act, newId, view, waiting } from "./channel.js";
import { spoken } from "./html.js";
import { change, page, say } from "./store.js";

export const touch = () => change({ touched: Date.now() });

export const mark = (image, sign) => act("mark", { image: image.id, sign: image.mark === sign ? null : sign });
export const rate = (image, value) => image.rating === value || act("rating", { image: image.id, value });
export const favour = (image) => act("favourite", { image: image.id, kept: !image.favourite });
export const freeze = (knob, value) => act("freeze", { knob, value });

export const pick = (round, chosen) => round.images.length > 1 && act("choice", { options: round.images, chosen });

// A second click takes the first back; nobody takes back what others asked for.
export function moreLike(image) {
  const { wish } = view();
  if (wish?.kind !== "more like" || wish.image !== image.id) act("more like", { image: image.id });
  else takeBack(wish);
}

export const takeBack = (wish) => wish.record && act("withdrawal", { record: wish.record });

export const inWords = (image) => `Round ${image.round + 1}, image ${image.place + 1}${image.aside ? ` on line ${image.line}` : ""}`;

// The next round follows an older one; those after it are set aside.
export function goOnFrom({ line, number }) {
  act("branch", { line: newId(), left: line, round: number });
  change({ round: null, selected: null });
}

export function goToLine(id) {
  act("resume", { line: id });
  change({ round: null, selected: null });
}

export const lineNumber = (id, seen) => seen.lines.findIndex((one) => one.id === id) + 1;

// A record of the person's own in words.
export function described(record, seen) {
  const image = seen.images[record.image];
  const where = image ? `image ${image.place + 1} of round ${image.round + 1}${image.aside ? ` on line ${image.line}` : ""}` : "a picture of your own";
  switch (record.kind) {
    case "mark": return record.sign === null ? `taking back the mark of ${where}` : `${record.sign === "liked" ? "like" : "dislike"} of ${where}`;
    case "rating": return `${record.value} ${record.value === 1 ? "star" : "stars"} for ${where}`;
    case "choice": return record.chosen === null ? "“can’t tell”" : `best of round ${imageOf(record, seen).round + 1}`;
    case "favourite": return `${record.kept ? "" : "no longer "}favourite: ${where}`;
    case "freeze": return `${record.value === null ? "unlocking" : "locking"} ${spoken(record.knob)}`;
    case "more like": return `more like ${where}`;
    case "variations": return `variations of ${where}`;
    case "rich": return `detailed feedback on ${where}`;
    case "making": return "change of how images are made";
    case "branch": return `going on from round ${record.round + 1}`;
    case "resume": return `change to line ${lineNumber(record.line, seen)}`;
    case "upload": return `upload of ${record.name || "a picture"}`;
    case "prompt": return "change of the prompt";
    default: return record.kind;
  }
}

function imageOf(record, seen) {
  return seen.images[record.image ?? record.chosen ?? record.options?.[0]];
}

// Shows the round where something happened.
function goTo(record, seen) {
  const image = imageOf(record, seen);
  if (image && !image.aside) change({ tab: "studio", round: image.round === seen.rounds.length - 1 ? null : image.round });
  else if (record.line !== undefined) change({ tab: "studio", round: null });
}

let queued = 0; // undos asked for before it was known what comes next

export function undo() {
  const seen = view();
  if (!seen?.undo) {
    if (seen && waiting()) queued += 1;
    return;
  }
  const record = seen.undo;
  act("withdrawal", { record: record.id });
  goTo(record, seen);
  say(`Undone: ${described(record, seen)}`, { wrong: false, kind: "undo" });
}

// Once the server has answered, what was asked for meanwhile is done.
export function undoQueued() {
  if (!queued || waiting()) return;
  queued = view()?.undo ? queued - 1 : 0;
  undo();
}

export function redo() {
  const seen = view();
  if (!seen?.redo) return;
  const { kind, id, rater, ...fields } = seen.redo;
  act(kind, fields);
  goTo(seen.redo, seen);
  say(`Done again: ${described(seen.redo, seen)}`, { wrong: false, kind: "undo" });
}

// The images among which one goes to the next and the previous: all of the line, or of those that are set aside.
export function step(id, by) {
  const all = neighbours(id);
  return all[all.indexOf(id) + by] ?? null;
}

export function neighbours(id) {
  const seen = view();
  return (seen.images[id].aside ? seen.aside : seen.rounds).flatMap((round) => round.images);
}

// The image after (or before) the second of those that the first can be compared with.
export function other(first, second, by) {
  const all = neighbours(first).filter((id) => id !== first);
  return all[all.indexOf(second) + by] ?? null;
}

// Begins to compare the image that is seen in full size with its neighbour, or ends it.
export function compare() {
  const second = page.compared ? null : step(page.zoomed, 1) ?? step(page.zoomed, -1);
  change({ compared: second });
}

export const shownRound = () => {
  const count = view()?.rounds.length ?? 0;
  return count ? (page.round ?? count - 1) : null;
};
