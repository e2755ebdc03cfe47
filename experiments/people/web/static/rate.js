// Shows one question after the other and sends what somebody answers.

import { byKey, drawLook, shownLook } from "./choices.js";
import { find } from "./dom.js";

const WORDS = ["bad", "poor", "fair", "good", "great"];
const POLL = 2000; // milliseconds

const show = (id) => ["welcome", "turn", "look", "wait"].forEach((name) => (find(name).hidden = name !== id));

let item = null; // that is on the screen
let busy = false;
let waiting = 0;

function rater() {
  return find("rater").value.trim();
}

async function ask(path, options) {
  const answer = await fetch(path, options);
  const values = await answer.json().catch(() => ({ error: `the page's server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(values.error);
  return values;
}

async function draw(turn) {
  clearTimeout(waiting);
  item = turn.item ?? null;
  if (item) drawItem();
  else if (turn.look) {
    const drawn = drawLook(turn.look, choose);
    show("look");
    await drawn;
  } else {
    show("wait");
    waiting = setTimeout(next, POLL);
  }
  const done = `${turn.given} ${document.body.dataset.kind === "stars" ? "rated" : "chosen"}`;
  find("count").textContent = item || turn.look ? `${done}, ${turn.left} to go` : done;
}

function drawItem() {
  const picture = find("picture");
  picture.classList.add("coming");
  picture.src = `pictures/${item.id}`;
  picture.alt = `Image for: ${item.prompt}`;
  find("prompt").textContent = item.prompt;
  show("turn");
}

async function tell(work) {
  if (busy) return;
  busy = true;
  buttons().forEach((button) => (button.disabled = true));
  try {
    await draw(await work());
    find("error").textContent = "";
  } catch (error) {
    find("error").textContent = `Not saved: ${error.message}. Try again.`;
    // With something to judge on the screen the message stays until that is judged again.
    if (find("turn").hidden && find("look").hidden) waiting = setTimeout(next, POLL * 2);
  } finally {
    busy = false;
    buttons().forEach((button) => (button.disabled = false));
  }
}

function next() {
  if (!rater()) return;
  tell(() => ask(`next?rater=${encodeURIComponent(rater())}`));
}

function send(path, answer) {
  const body = JSON.stringify({ rater: rater(), ...answer });
  tell(() => ask(path, { method: "POST", headers: { "content-type": "application/json" }, body }));
}

function rate(stars) {
  if (item && !busy && !find("turn").hidden) send("ratings", { item: item.id, stars });
}

function choose(look, chosen) {
  if (!busy && !find("look").hidden) send("choices", { look: look.id, chosen });
}

function begin() {
  if (!rater()) {
    find("error").textContent = "Enter your name first, so that your ratings are told from those of others.";
    find("rater").focus();
    return;
  }
  try {
    localStorage.setItem("rater", rater());
  } catch {
    // A browser that keeps nothing asks for the name again.
  }
  find("error").textContent = "";
  next();
}

function buttons() {
  return [...document.querySelectorAll(".star, .option, #tie")];
}

WORDS.forEach((word, place) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "star";
  button.innerHTML = `<b aria-hidden="true">${"★".repeat(place + 1)}</b><small>${place + 1} ${word}</small>`;
  button.setAttribute("aria-label", `${place + 1} of 5 stars, ${word}`);
  button.addEventListener("click", () => rate(place + 1));
  find("stars").append(button);
});

const picture = find("picture");
picture.addEventListener("load", () => {
  picture.style.setProperty("--ratio", picture.naturalWidth / picture.naturalHeight);
  picture.classList.remove("coming");
});
find("begin").addEventListener("submit", (event) => {
  event.preventDefault();
  begin();
});
find("rater").addEventListener("change", () => {
  if (find("welcome").hidden) begin();
});
document.addEventListener("keydown", (event) => {
  if (event.target === find("rater") || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const stars = Number(event.key);
  if (stars >= 1 && stars <= WORDS.length) rate(stars);
  const chosen = byKey(event.key);
  if (chosen !== undefined && !find("look").hidden) {
    event.preventDefault();
    choose(shownLook(), chosen);
  }
});
try {
  find("rater").value = localStorage.getItem("rater") ?? "";
} catch {
  // Likewise.
}
