// Everything that the page shows; whoever changes it says so, and the page is drawn again.

export const page = {
  about: { study: "", knobs: {}, examples: [], blind: false, predictor: false, making: { images: 4, steps: 0, size: [0, 0], multiple: 8 } },
  session: null, // as the server told it last
  progress: { job: "", done: 0, steps: 0, error: "", left: null, stopping: false, changed: "", previews: 0 },
  reachable: true,
  messages: [], // { id, text, wrong, kind }
  tab: "studio",
  round: null, // that is shown; null for the newest
  selected: null, // id of an image
  zoomed: null, // id of the image that fills the window
  compared: null, // id of the image that it is compared with
  detailed: null, // id of the image whose details are open
  touched: 0, // when the person last did something to an image
};

let listener = () => {};
let due = false;

export function onChange(draw) {
  listener = draw;
}

// Takes over values; the page is drawn once for all changes of one moment.
export function change(values = {}) {
  Object.assign(page, values);
  if (due) return;
  due = true;
  queueMicrotask(() => {
    due = false;
    listener();
  });
}

let messages = 0;

// Shows a line until it has been read, or until the next of its kind.
export function say(text, { wrong = true, kind = text } = {}) {
  const id = (messages += 1);
  change({ messages: [...page.messages.filter((one) => one.kind !== kind), { id, text, wrong, kind }].slice(-3) });
  setTimeout(() => hush((one) => one.id === id), wrong ? 12000 : 6000);
}

export function hush(which) {
  if (page.messages.some(which)) change({ messages: page.messages.filter((one) => !which(one)) });
}
