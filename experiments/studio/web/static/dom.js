// Elements from names, properties and children; text is always text.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...present(children));
  return element;
}

function present(children) {
  return [children].flat(3).filter((child) => child != null && child !== false);
}

const PATHS = {
  like: "M7 10v11H3V10zM7 10l4-8c1.7 0 3 1.300 3 3v4h5.500a2 2 0 0 1 2 2.300l-1.300 8a2 2 0 0 1-2 1.700H7",
  dislike: "M17 14V3h4v11zM17 14l-4 8c-1.700 0-3-1.300-3-3v-4H4.500a2 2 0 0 1-2-2.300l1.300-8a2 2 0 0 1 2-1.700H17",
  heart: "M12 20.500 4.200 12.700a5 5 0 0 1 7.100-7.100l.7.700.7-.7a5 5 0 0 1 7.100 7.100z",
  star: "m12 3 2.800 5.800 6.200.9-4.500 4.400 1.100 6.300L12 17.400l-5.600 3 1.100-6.300L3 9.700l6.200-.9z",
  more: "M4 6h10M18 6h2M4 12h2M10 12h10M4 18h8M16 18h4M16 4v4M8 10v4M14 16v4",
  best: "M5 20h14M4 7l4 4 4-7 4 7 4-4-2 10H6z",
  undo: "M4 10h11a5 5 0 0 1 0 10h-4M4 10l4-4M4 10l4 4",
  down: "M12 4v11M7 11l5 5 5-5M4 20h16",
  lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3",
  open: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 6.800-1",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

export function button(label, name, onclick, text = "") {
  return h("button", { type: "button", title: label, "aria-label": label, class: `tool ${name}`, onclick }, icon(name), text);
}

export function picture(id, alt) {
  return h("img", { src: `studio/pictures/${id}`, alt, draggable: "false" });
}

// An image in words; the images of a round have one prompt.
export function inWords(image) {
  return `Round ${image.round + 1}, image ${image.place + 1}: ${image.prompt}`;
}

// Draws into a place only when what is drawn changed, so that nothing flickers or loses its focus.
export function drawn(place, facts, draw) {
  const seen = JSON.stringify(facts);
  if (!place || place.dataset.facts === seen) return;
  place.dataset.facts = seen;
  place.replaceChildren(...present(draw()));
}

export const place = (id) => document.getElementById(id);
