// The page's end of the channel: what there is to see comes in by polling, what people do goes out in order.
// Every act has an id of its own, so that it may be sent again until it is answered and still counts once.

const QUEUE = "fabric-bo studio: acts";
const RATER = "fabric-bo studio: rater";
const BUSY = 300, IDLE = 1500, HIDDEN = 5000; // milliseconds between polls

const listeners = [];
const pending = JSON.parse(sessionStorage.getItem(QUEUE) ?? "[]"); // survives a reload
let server = null;
let session = null;
let sending = false;
let answered = 0; // acts so far
let timer = null;
let unseen = []; // acts that were answered, and are not in what was seen last
let undos = 0; // asked for meanwhile

export const status = { progress: {}, reachable: true, notice: "" };

export function rater() {
  return localStorage.getItem(RATER) || "me";
}

export function setRater(name) {
  localStorage.setItem(RATER, name.trim().slice(0, 40) || "me");
  session = null;
  poll();
}

export function onChange(listener) {
  listeners.push(listener);
}

export function changed() {
  for (const listener of listeners) listener(view());
}

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function say(text) {
  status.notice = text;
  changed();
  setTimeout(() => {
    if (status.notice === text) {
      status.notice = "";
      changed();
    }
  }, 6000);
}

// The session as it will be when all that was done has arrived.
export function view() {
  if (session === null) return null;
  const seen = structuredClone(session);
  for (const act of [...unseen, ...pending]) apply(seen, act);
  return seen;
}

function apply(seen, act) {
  const image = seen.images[act.image];
  if (act.kind === "mark") {
    if (image) image.mark = act.sign;
    for (const sign of ["liked", "disliked"]) {
      seen[sign] = seen[sign].filter((id) => id !== act.image);
      if (act.sign === sign) seen[sign].push(act.image);
    }
  } else if (act.kind === "rating" && image) image.rating = act.value;
  else if (act.kind === "favourite" && image) {
    image.favourite = act.kept;
    seen.favourites = seen.favourites.filter((id) => id !== act.image).concat(act.kept ? [act.image] : []);
  } else if (act.kind === "rich" && image) image.rich = act.rich;
  else if (act.kind === "choice") {
    const round = seen.rounds.find((round) => round.images.every((id) => act.options.includes(id)));
    if (round) Object.assign(round, { picked: act.chosen, passed: act.chosen === null });
  } else if (act.kind === "freeze") {
    if (act.value === null) delete seen.frozen[act.knob];
    else seen.frozen[act.knob] = act.value;
  } else if (act.kind === "more like") seen.more_like = { image: act.image, record: act.id };
  else if (act.kind === "withdrawal" && act.record === seen.more_like?.record) seen.more_like = null;
  seen.undo = act.kind === "withdrawal" ? null : { id: act.id, what: act.kind };
}

export function act(kind, fields) {
  pending.push({ kind, id: newId(), rater: rater(), ...fields });
  keep();
  changed();
  flush();
}

export function undo() {
  const last = view()?.undo;
  if (last) act("withdrawal", { record: last.id });
  else if (withdrawing()) undos += 1; // what comes before is known once the server has answered
}

function withdrawing() {
  return [...unseen, ...pending].some((queued) => queued.kind === "withdrawal");
}

function keep() {
  sessionStorage.setItem(QUEUE, JSON.stringify(pending));
}

async function flush() {
  if (sending || !server) return;
  sending = true;
  while (pending.length) {
    try {
      const answer = await server.act(pending[0]);
      if (answer.error) say(answer.error);
      unseen.push(pending.shift());
      answered += 1;
      keep();
      status.reachable = true;
    } catch {
      unreachable();
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
  sending = false;
  poll();
}

function unreachable() {
  status.reachable = false;
  changed();
}

export async function poll() {
  clearTimeout(timer);
  const before = answered, who = rater();
  try {
    const seen = await server.poll({ rater: who, version: session?.version ?? "" });
    if (seen.error) say(seen.error);
    else {
      const other = JSON.stringify(seen.progress) !== JSON.stringify(status.progress) || !status.reachable;
      if (seen.progress.error && seen.progress.error !== status.progress.error) say(seen.progress.error);
      Object.assign(status, { progress: seen.progress, reachable: true });
      // What was asked before an act was answered may be older than the act.
      const current = answered === before && who === rater();
      if (seen.session && current) session = seen.session;
      const arrived = current && (seen.session || unseen.length);
      if (current) unseen = [];
      if (other || arrived) changed();
      if (undos && !withdrawing()) {
        undos -= 1;
        undo();
      }
    }
  } catch {
    unreachable();
  }
  clearTimeout(timer);
  timer = setTimeout(poll, document.hidden ? HIDDEN : status.progress.job ? BUSY : IDLE);
}

// Calls the server; undefined where it cannot be reached.
export async function ask(name, values = {}) {
  try {
    const answer = await server[name]({ rater: rater(), ...values });
    if (!answer.error) return answer;
    say(answer.error);
  } catch {
    say("The server cannot be reached; try again in a moment.");
  }
  return undefined;
}

export async function generate(prompt, negative) {
  const values = { kind: "prompt", id: newId(), prompt, negative_prompt: negative, rounds: session?.rounds.length ?? 0 };
  status.notice = ""; // what was wrong before has been mended, or is said again
  const answer = await ask("generate", values);
  if (answer?.warning) say(answer.warning);
  if (answer) await poll();
  return answer;
}

export async function upload(file, sign) {
  const query = new URLSearchParams({ id: newId(), rater: rater(), sign, name: file.name });
  try {
    const sent = await fetch(`studio/upload?${query}`, { method: "POST", body: file });
    if (sent.status === 413) say("upload: too large; allowed: up to 10 MB");
    else {
      const answer = await sent.json();
      if (answer.error) say(answer.error);
    }
  } catch {
    say("The upload did not arrive; the server cannot be reached, or the file is too large.");
  }
  poll();
}

export function connect(given) {
  server = given;
  window.addEventListener("storage", (event) => event.key === RATER && setRater(event.newValue ?? "me"));
  document.addEventListener("visibilitychange", () => document.hidden || poll());
  flush();
  if (!pending.length) poll();
}
