// Images side by side, of which somebody chooses the best one.

import { find } from "./dom.js";

const SIDES = { ArrowLeft: 0, ArrowRight: 1 };

const [GAP, NUMBER, BELOW, LEAST] = [14, 30, 80, 240]; // pixels: between images, their numbers, what is below, least height

let look = null; // that is on the screen, its images loaded

/** Shows a look; what is chosen, or null where one cannot tell, goes to `choose`. */
export async function drawLook(shown, choose) {
  look = null;
  find("look-prompt").textContent = shown.prompt;
  find("question").textContent = shown.options.length === 2 ? "Which is better?" : "Which is best?";
  find("tie").hidden = !shown.tie;
  const options = find("options");
  options.classList.add("coming");
  const pictures = await Promise.all(shown.options.map((id) => loaded(`pictures/${id}`)));
  options.replaceChildren(
    ...pictures.map((picture, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "option";
      button.setAttribute("aria-label", `Image ${place + 1} of ${pictures.length}`);
      const number = document.createElement("kbd");
      number.textContent = place + 1;
      number.setAttribute("aria-hidden", "true");
      button.append(picture, number);
      button.addEventListener("click", () => chosen(shown.options[place]));
      return button;
    }),
  );
  fit();
  options.classList.remove("coming");
  look = shown;
  function chosen(id) {
    if (look === shown) choose(shown, id);
  }
  find("tie").onclick = () => chosen(null);
}

/** What a key chooses: an image, null where one cannot tell, undefined for nothing. */
export function byKey(key) {
  if (!look) return undefined;
  const count = look.options.length;
  const place = count === 2 && key in SIDES ? SIDES[key] : Number.parseInt(key, 10) - 1;
  if (place >= 0 && place < count) return look.options[place];
  return look.tie && (key === "0" || key === "ArrowDown") ? null : undefined;
}

/** The look on the screen; null while it is loading. */
export const shownLook = () => look;

/** Makes all images as large as the window lets them be. */
function fit() {
  const options = find("options");
  const pictures = [...options.querySelectorAll("img")];
  if (!pictures.length || !options.clientWidth) return;
  const ratio = pictures[0].naturalWidth / pictures[0].naturalHeight;
  const height = Math.max(LEAST, window.innerHeight - options.getBoundingClientRect().top - window.scrollY - BELOW);
  const widths = pictures.map((_, more) => {
    const down = Math.ceil(pictures.length / (more + 1));
    return Math.min((options.clientWidth - more * GAP) / (more + 1), (height / down - GAP - NUMBER) * ratio);
  });
  const width = Math.max(...widths);
  options.style.setProperty("--across", widths.indexOf(width) + 1);
  options.style.setProperty("--width", `${Math.floor(width)}px`);
  options.style.setProperty("--ratio", ratio);
}
window.addEventListener("resize", fit);

/** An image that can be shown at once: nobody is to judge one that has not come. */
async function loaded(address) {
  const picture = new Image();
  picture.alt = "";
  picture.draggable = false;
  picture.src = address;
  await picture.decode();
  return picture;
}
