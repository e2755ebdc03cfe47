// One image with what people say of it.

import { act } from "./channel.js";
import { button, h, icon, inWords, picture } from "./dom.js";
import { predicted } from "./predictions.js";

const cards = new Map(); // by image id; a card is made once and kept, so that a click changes a class and no more

export function mark(image, sign) {
  act("mark", { image: image.id, sign: image.mark === sign ? null : sign });
}

export function rate(image, value) {
  if (image.rating !== value) act("rating", { image: image.id, value });
}

export function favour(image) {
  act("favourite", { image: image.id, kept: !image.favourite });
}

export function pick(round, chosen) {
  if (round.images.length > 1) act("choice", { options: round.images, chosen });
}

export function card(image, context) {
  let entry = cards.get(image.id);
  if (!entry) cards.set(image.id, (entry = make(image)));
  entry.image = image;
  entry.context = context;
  const { round, selected, number } = context;
  entry.root.classList.toggle("picked", round.picked === image.id);
  entry.root.classList.toggle("selected", selected);
  entry.root.dataset.mark = image.mark ?? "";
  entry.number.textContent = number;
  pressed(entry.best, round.picked === image.id);
  entry.flag.hidden = !predicted(image.id)?.broken;
  entry.tools.show(image);
  return entry.root;
}

function pressed(element, on) {
  element.setAttribute("aria-pressed", String(Boolean(on)));
}

function make(image) {
  const entry = { image, context: null };
  entry.number = h("span", { class: "number" });
  entry.tools = tools(() => entry.image, () => entry.context.open(entry.image.id));
  entry.best = button("Best of the round (B)", "best", () => pick(entry.context.round, entry.image.id), "Best");
  entry.flag = h("span", { class: "flag", title: "A predictor of rich feedback finds faults; details show where", hidden: true }, "Looks faulty");
  const shown = picture(image.id, inWords(image));
  shown.addEventListener("click", () => entry.context.open(entry.image.id));
  entry.root = h(
    "article",
    { class: "card", "data-image": image.id, onpointerdown: () => entry.context.select(entry.image.id) },
    h("div", { class: "frame" }, shown, entry.number, entry.flag, entry.best),
    entry.tools.root,
  );
  return entry;
}

// Like, dislike, favourite and stars of an image.
export function tools(image, open = null) {
  const like = button("Like (L)", "like", () => mark(image(), "liked"));
  const dislike = button("Dislike (D)", "dislike", () => mark(image(), "disliked"));
  const heart = button("Favourite (F)", "heart", () => favour(image()));
  const details = open && button("Settings and details (I)", "more", open);
  const mean = h("span", { class: "mean", title: "mean rating of all raters" });
  const stars = [1, 2, 3, 4, 5].map((value) =>
    h("button", { type: "button", role: "radio", class: "star", title: `${value} of 5 (Shift+${value})`, "aria-label": `${value} of 5`,
      onclick: () => rate(image(), value) }, icon("star")));
  const root = h("div", { class: "tools" },
    h("div", { class: "marks" }, like, dislike, heart, details),
    h("div", { class: "stars", role: "radiogroup", "aria-label": "Rating" }, stars, mean));
  const show = (facts) => {
    pressed(like, facts.mark === "liked");
    pressed(dislike, facts.mark === "disliked");
    pressed(heart, facts.favourite);
    stars.forEach((star, k) => {
      star.classList.toggle("on", k < (facts.rating ?? 0));
      star.setAttribute("aria-checked", String(facts.rating === k + 1));
    });
    mean.textContent = facts.raters > 1 ? `${facts.mean.toFixed(1)} of ${facts.raters}` : "";
  };
  return { root, show };
}
