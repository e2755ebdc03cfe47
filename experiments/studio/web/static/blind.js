// Two images of one prompt and seed; which is made with which settings, only the server knows.

import { ask, onChange } from "./channel.js";
import { drawn, h, picture, place } from "./dom.js";

const AGAIN = 500; // milliseconds until a pair that is being made is asked for again
const SIDES = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: null };

let pair = null;
let done = 0;
let stopped = ""; // why no more pairs are made
let result = null;
let asking = false; // the server, of which one thing is asked at a time: a verdict must be in before the next pair

const visible = () => Boolean(place("studio-blind")?.offsetParent);

async function next() {
  if (asking || pair) return;
  asking = true;
  const answer = await ask("pair");
  asking = false;
  if (answer) ({ pair, done, stopped } = answer);
  draw();
  if (!pair && visible()) setTimeout(next, AGAIN);
}

async function judge(side) {
  if (!pair) return;
  const judged = pair.number;
  asking = true;
  pair = null;
  draw();
  const taken = await ask("judge", { pair: judged, side });
  asking = false;
  if (taken) next();
  else setTimeout(next, AGAIN);
}

function draw() {
  drawn(place("studio-blind"), [pair, done, stopped, result], () => {
    if (!pair) return h("p", { class: "empty" }, stopped ? `No more pairs: ${stopped}.` : "The next pair is being made …");
    const side = (name) => h("button", { type: "button", class: `side ${name}`, "aria-label": `The ${name} one is better`, onclick: () => judge(name) }, picture(pair[name], name));
    return [
      h("p", { class: "asked" }, pair.prompt),
      h("div", { class: "pair" }, side("left"), side("right")),
      h("div", { class: "acts" },
        h("button", { type: "button", class: "plain left", onclick: () => judge("left") }, "← Left is better"),
        h("button", { type: "button", class: "plain neither", onclick: () => judge(null) }, "↓ Can’t tell"),
        h("button", { type: "button", class: "plain right", onclick: () => judge("right") }, "Right is better →"),
        h("span", { class: "gap" }), h("span", { class: "hint" }, `${done} judged`),
        h("button", { type: "button", class: "plain result", onclick: show }, "Show the result")),
      result && h("p", { class: "advice" }, result)];
  });
}

async function show() {
  result = (await ask("result"))?.text ?? null;
  draw();
}

export function startBlind() {
  onChange(() => {
    if (visible() && !pair) next();
  });
  document.addEventListener("keydown", (event) => {
    if (!visible() || event.target.closest?.("input, textarea") || !(event.key in SIDES)) return;
    event.preventDefault();
    judge(SIDES[event.key]);
  });
}
