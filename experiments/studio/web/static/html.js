// Templates, icons and the small parts that everything is made of.

import htm from "htm";
import { h } from "preact";
import { useEffect, useRef } from "preact/hooks";

export const html = htm.bind(h);

// For a field that shows a value and can be written in: what is being written stays while the page is drawn again.
export function useWritten(value) {
  const field = useRef(null);
  useEffect(() => { field.current.value = value; }, [value]);
  return field;
}

const PATHS = {
  like: "M7 10v11H3V10zM7 10l4-8c1.7 0 3 1.300 3 3v4h5.500a2 2 0 0 1 2 2.300l-1.300 8a2 2 0 0 1-2 1.700H7",
  dislike: "M17 14V3h4v11zM17 14l-4 8c-1.700 0-3-1.300-3-3v-4H4.500a2 2 0 0 1-2-2.300l1.300-8a2 2 0 0 1 2-1.700H17",
  heart: "M12 20.500 4.200 12.700a5 5 0 0 1 7.100-7.100l.7.700.7-.7a5 5 0 0 1 7.100 7.100z",
  star: "m12 3 2.800 5.800 6.200.9-4.500 4.400 1.100 6.300L12 17.400l-5.600 3 1.100-6.300L3 9.700l6.200-.9z",
  more: "M4 6h10M18 6h2M4 12h2M10 12h10M4 18h8M16 18h4M16 4v4M8 10v4M14 16v4",
  best: "M5 20h14M4 7l4 4 4-7 4 7 4-4-2 10H6z",
  undo: "M4 10h11a5 5 0 0 1 0 10h-4M4 10l4-4M4 10l4 4",
  redo: "M20 10H9a5 5 0 0 0 0 10h4M20 10l-4-4M20 10l-4 4",
  down: "M12 4v11M7 11l5 5 5-5M4 20h16",
  lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3",
  open: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 6.800-1",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
};

export const Icon = ({ name }) => html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

// A button that is an icon, with words for those who cannot see it and for whoever rests on it.
export function Tool({ label, icon, kind = icon, pressed, onclick, disabled = false, children }) {
  return html`<button type="button" class="tool ${kind}" title=${label} aria-label=${label} disabled=${disabled}
    aria-pressed=${pressed === undefined ? undefined : String(Boolean(pressed))} onClick=${onclick}><${Icon} name=${icon} />${children}</button>`;
}

export function Plain({ kind = "", pressed, onclick, title, disabled = false, children }) {
  return html`<button type="button" class="plain ${kind}" title=${title} disabled=${disabled}
    aria-pressed=${pressed === undefined ? undefined : String(Boolean(pressed))} onClick=${onclick}>${children}</button>`;
}

// A picture of the session; one whose file was lost leaves a gap.
export function Picture({ id, alt, kind, onclick, onload }) {
  const lost = (event) => event.currentTarget.classList.add("lost");
  return html`<img src="pictures/${id}" alt=${alt} class=${kind} draggable=${false} onClick=${onclick} onLoad=${onload} onError=${lost} />`;
}

// The settings alone would name images that they do not bring along.
export const BestSettings = () => html`<a class="plain" href="best.zip" download="" title="Settings, the images that steer, and the command that uses them"><${Icon} name="down" />Best settings</a>`;

export const spoken = (name) => name.replaceAll("_", " ");
export const number = (value) => String(Number(value.toFixed(value < 1 ? 3 : 2)));
// With a space that does not break.
export const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
