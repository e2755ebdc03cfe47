// What surrounds the round: references, what the agent has learnt, the gallery, who rates.

import { act, ask, onChange, rater, setRater, upload } from "./channel.js";
import { about, number, openDetails, words } from "./details.js";
import { button, drawn, h, icon, picture, place } from "./dom.js";
import { hasPredictions, predicted } from "./predictions.js";

const LATER = 400; // milliseconds of rest before the agent is asked what it has learnt

let insight = null;
let asked = null;
let waiting = null;
let shown = null;
let only = false; // favourites
let ranked = false; // by what is predicted, in place of by round

function draw(seen) {
  drawHead(seen);
  if (!seen) return;
  drawReferences(seen);
  drawInsight(seen);
  drawGallery(seen);
  if (asked !== seen.version) {
    asked = seen.version;
    clearTimeout(waiting);
    waiting = setTimeout(learn, LATER, seen);
  }
}

async function learn() {
  insight = (await ask("insight")) ?? insight;
  draw(shown);
}

function drawHead(seen) {
  shown = seen;
  drawn(place("studio-who"), [rater(), seen?.raters], () => {
    const names = (seen?.raters ?? []).map((name) => h("option", { value: name }));
    const input = h("input", { id: "studio-rater", value: rater(), maxlength: "40", list: "studio-raters", autocomplete: "off",
      onchange: (event) => setRater(event.target.value) });
    return [h("label", { for: "studio-rater" }, "Your name"), input, h("datalist", { id: "studio-raters" }, names)];
  });
}

function drawReferences(seen) {
  const facts = [seen.liked, seen.disliked, seen.uploads];
  drawn(place("studio-references"), facts, () => [
    h("h2", {}, "What steers the next round"),
    strip("liked", "Liked", seen), strip("disliked", "Disliked", seen)]);
}

function strip(sign, label, seen) {
  const names = Object.fromEntries(seen.uploads.map(({ id, name }) => [id, name]));
  const input = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp,image/bmp", multiple: true, id: `studio-upload-${sign}`,
    class: "hidden-file", onchange: (event) => send(event.target.files, sign) });
  const figures = seen[sign].map((id) =>
    h("figure", { title: names[id] ?? seen.images[id]?.prompt ?? "" },
      h("button", { type: "button", class: "thumb", "aria-label": "Details", onclick: () => seen.images[id] && openDetails(id) }, picture(id, names[id] ?? label)),
      button("No longer a reference", "close", () => act("mark", { image: id, sign: null }))));
  const drop = {
    ondragover: (event) => event.preventDefault(),
    ondrop: (event) => { event.preventDefault(); send(event.dataTransfer.files, sign); },
  };
  return h("div", { class: `strip ${sign}`, ...drop }, h("h3", {}, `${label} · ${seen[sign].length}`),
    h("div", { class: "thumbs" }, figures,
      h("label", { class: "add", for: `studio-upload-${sign}`, title: `Add pictures of your own as ${sign}` }, icon("plus"), input)));
}

function send(files, sign) {
  for (const file of files) upload(file, sign);
}

function drawInsight(seen) {
  const trained = insight && (insight.importance.length > 0 || insight.win_rate !== null);
  drawn(place("studio-insight"), [insight, seen.frozen], () => [
    h("header", {}, h("h2", {}, "What the agent has learnt"),
      h("a", { class: "plain", href: "studio/best.yaml", download: "best.yaml", title: "for fabric-bo generate --params" }, icon("down"), "Best settings")),
    insight?.advice && h("p", { class: "advice" }, insight.advice),
    trained ? [chance(), wins()] : h("p", { class: "hint" }, "Rate, like or pick a few images: the settings that work best for you appear here."),
    insight?.best && settings(seen)]);
}

function chance() {
  const { chance: middle, low, high } = insight;
  const percent = (share) => `${Math.round(100 * share)} %`;
  return h("div", { class: "chance", title: "95 % interval" },
    h("span", {}, "Chance that an image of the best settings is preferred to one of the starting settings"),
    h("div", { class: "range" }, h("i", { style: `left:${100 * low}%;width:${100 * (high - low)}%` }), h("b", { style: `left:${100 * middle}%` })),
    h("span", { class: "value" }, `${percent(middle)} (${percent(low)}–${percent(high)})`));
}

function wins() {
  return insight.win_rate !== null && h("p", { class: "wins" }, h("b", {}, `${Math.round(100 * insight.win_rate)} %`),
    " of the rounds that were compared with earlier ones brought something better.");
}

function settings(seen) {
  const importance = Object.fromEntries(insight.importance);
  const names = Object.keys(insight.best).sort((a, b) => (importance[b] ?? 0) - (importance[a] ?? 0));
  return h("table", { class: "knobs" }, names.map((name) => {
    const held = seen.frozen[name] !== undefined;
    const label = held ? `Unfreeze ${words(name)}` : `Freeze ${words(name)} at ${number(insight.best[name])}`;
    return h("tr", { "data-knob": name },
      h("th", { title: about(name) }, words(name)), h("td", {}, number(held ? seen.frozen[name] : insight.best[name])),
      h("td", { class: "importance", title: `importance ${(importance[name] ?? 0).toFixed(2)}` }, h("i", { style: `width:${100 * (importance[name] ?? 0)}%` })),
      h("td", {}, h("button", { type: "button", class: "tool freeze", "aria-pressed": String(held), title: label, "aria-label": label,
        onclick: () => act("freeze", { knob: name, value: held ? null : insight.best[name] }) }, icon(held ? "lock" : "open"))));
  }));
}

function drawGallery(seen) {
  const facts = [only, ranked, Object.keys(seen.images).map(predicted), seen.favourites, seen.rounds.map((round) => [round.images, round.picked]),
    Object.values(seen.images).map((image) => [image.mark, image.rating])];
  drawn(place("studio-gallery"), facts, () => {
    const tab = (label, value) => h("button", { type: "button", class: "plain", "aria-pressed": String(only === value),
      onclick: () => { only = value; draw(shown); } }, label);
    return [
      h("div", { class: "acts" }, tab("All rounds", false), tab(`Favourites (${seen.favourites.length})`, true),
        hasPredictions() && h("button", { type: "button", class: "plain ranked", "aria-pressed": String(ranked),
          title: "By the overall score that people would probably give", onclick: () => { ranked = !ranked; draw(shown); } }, "Best predicted first"),
        h("span", { class: "gap" }),
        h("a", { class: "plain", href: `studio/session.zip${only ? "?favourites" : ""}`, download: "" }, icon("down"), only ? "Favourites as ZIP" : "All as ZIP"),
        h("a", { class: "plain", href: "studio/best.yaml", download: "best.yaml" }, icon("down"), "Best settings")),
      only && !seen.favourites.length && h("p", { class: "empty" }, "No favourites yet. The heart under an image keeps it here."),
      !seen.rounds.length && h("p", { class: "empty" }, "Nothing yet."),
      ranked ? ranking(seen) : seen.rounds.map((round, k) => row(seen, round, k)).reverse()];
  });
}

function row(seen, round, k) {
  const images = round.images.filter((id) => !only || seen.favourites.includes(id));
  if (!images.length) return null;
  return h("section", { class: "row" }, h("h3", {}, `Round ${k + 1}`, h("span", {}, round.prompt)),
    h("div", { class: "thumbs" }, images.map((id) => thumb(seen, id))));
}

// All images, those first that people would probably like most.
function ranking(seen) {
  const overall = (id) => predicted(id)?.scores.overall ?? 0;
  const images = Object.keys(seen.images).filter((id) => !only || seen.favourites.includes(id)).sort((a, b) => overall(b) - overall(a));
  return h("section", { class: "row" }, h("div", { class: "thumbs" }, images.map((id) => thumb(seen, id))));
}

function thumb(seen, id) {
  const image = seen.images[id], found = predicted(id);
  const picked = seen.rounds.some((round) => round.picked === id);
  return h("button", { type: "button", class: "thumb", "data-image": id, "data-mark": image.mark ?? "", "aria-label": "Details", onclick: () => openDetails(id) },
    picture(id, image.prompt),
    ranked && found && h("span", { class: found.broken ? "guess broken" : "guess", title: "predicted overall score, of 5" }, found.scores.overall.toFixed(1)),
    h("span", { class: "badges" }, picked && icon("best"), image.mark && icon(image.mark.slice(0, -1)), seen.favourites.includes(id) && icon("heart"),
      image.rating && `${image.rating}★`));
}

export function startPanels() {
  onChange(draw);
}
