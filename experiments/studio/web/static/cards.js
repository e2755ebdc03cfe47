// One image with what people say of it.

import { act } from "./channel.js";
import { button, h, icon, picture } from "./dom.js";

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
  let one = cards.get(image.id);
  if (!one) cards.set(image.id, (one = make(image)));
  one.image = image;
  one.context = context;
  const { round, selected, number } = context;
  one.root.classList.toggle("picked", round.picked === image.id);
  one.root.classList.toggle("selected", selected);
  one.root.dataset.mark = image.mark ?? "";
  one.number.textContent = number;
  pressed(one.best, round.picked === image.id);
  one.tools.show(image);
  return one.root;
}

function pressed(element, on) {
  element.setAttribute("aria-pressed", String(Boolean(on)));
}

function make(image) {
  const one = { image, context: null };
  one.number = h("span", { class: "number" });
  one.tools = tools(() => one.image, () => one.context.open(one.image.id));
  one.best = button("Best of the batch (B)", "best", () => pick(one.context.round, one.image.id), "Best");
  const shown = picture(image.id, image.prompt);
  shown.addEventListener("click", () => one.context.open(one.image.id));
  one.root = h(
    "article",
    { class: "card", "data-image": image.id, onpointerdown: () => one.context.select(one.image.id) },
    h("div", { class: "frame" }, shown, one.number, one.best),
    one.tools.root,
  );
  return one;
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
  const show = (one) => {
    pressed(like, one.mark === "liked");
    pressed(dislike, one.mark === "disliked");
    pressed(heart, one.favourite);
    stars.forEach((star, k) => {
      star.classList.toggle("on", k < (one.rating ?? 0));
      star.setAttribute("aria-checked", String(one.rating === k + 1));
    });
    mean.textContent = one.raters > 1 ? `${one.mean.toFixed(1)} of ${one.raters}` : "";
  };
  return { root, show };
}
