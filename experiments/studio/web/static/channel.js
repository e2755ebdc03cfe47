// The page's end of the channel: what there is to see comes in by polling, what people do goes out in order.
// Every act has an id of its own, so that it may be sent again until it is answered and still counts once.

import { applied } from "./foresight.js";
import { change, hush, page, say } from "./store.js";

const QUEUE = "fabric-bo studio: acts";
const RATER = "fabric-bo studio: rater";
const BUSY = 300, IDLE = 1500, HIDDEN = 5000; // milliseconds between polls
const AGAIN = 1000; // until an act that did not arrive is sent again

const pending = JSON.parse(sessionStorage.getItem(QUEUE) ?? "[]"); // survives a reload
let sending = null; // a promise, while acts are sent
let answered = 0; // acts so far
let timer = null;
let unseen = []; // acts that were answered, and are not in what was seen last

export const rater = () => localStorage.getItem(RATER) || "me";

export function setRater(name) {
  localStorage.setItem(RATER, name.trim().slice(0, 40) || "me");
  change({ session: null });
  poll();
}

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The session as it will be when all that was done has arrived.
export function view() {
  return page.session && applied(page.session, [...unseen, ...pending]);
}

export const waiting = () => unseen.length + pending.length > 0;

export function act(kind, fields) {
  pending.push({ ...fields, kind, id: newId(), rater: rater() });
  keep();
  change();
  flush();
}

function keep() {
  sessionStorage.setItem(QUEUE, JSON.stringify(pending));
}

function flush() {
  sending ??= send().finally(() => {
    sending = null;
    if (pending.length) flush();
    else poll();
  });
  return sending;
}

async function send() {
  while (pending.length) {
    try {
      const { error } = await call("acts", pending[0]);
      if (error) say(error);
      unseen.push(pending.shift());
      answered += 1;
      keep();
    } catch {
      change({ reachable: false });
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }
}

// What the server answers; throws where it cannot be reached.
async function call(path, body) {
  const sent = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, sent);
  if (answer.status === 304) return null;
  const values = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
  if (answer.status >= 500 && !values.error) throw new Error(answer.statusText);
  return values;
}

// Asks the server; undefined where it cannot be reached or something is wrong, which is said.
export async function ask(path, body) {
  try {
    const answer = await call(path, body);
    if (!answer.error) return answer;
    say(answer.error);
  } catch {
    say("The server cannot be reached. Try again in a moment.", { kind: "server" });
  }
  return undefined;
}

export async function poll() {
  clearTimeout(timer);
  const before = answered, who = rater();
  try {
    const known = new URLSearchParams({ rater: who, version: page.session?.version ?? "", changed: page.progress.changed });
    const seen = await call(`session?${known}`);
    if (seen?.error) say(seen.error);
    else take(seen, answered === before && who === rater());
  } catch {
    change({ reachable: false });
  }
  clearTimeout(timer);
  timer = setTimeout(poll, document.hidden ? HIDDEN : page.progress.job ? BUSY : IDLE);
}

// What was asked before an act was answered may be older than the act, and is left for the next look.
function take(seen, current) {
  const values = page.reachable ? {} : { reachable: true };
  if (seen) {
    values.progress = seen.progress;
    if (seen.progress.error && seen.progress.error !== page.progress.error) say(seen.progress.error, { kind: "job" });
    if (seen.session && current) values.session = seen.session;
  }
  const arrived = current && unseen.length > 0;
  if (current) unseen = [];
  if (arrived || Object.keys(values).length) change(values);
}

export async function generate(prompt, negative) {
  hush((one) => one.wrong); // what was wrong before has been mended, or is said again
  if (pending.length) { // what was done before counts
    await flush();
    await poll();
  }
  const { rounds, aside, line } = page.session;
  const known = { rounds: rounds.length + aside.length, line };
  const answer = await ask("rounds", { kind: "prompt", id: newId(), rater: rater(), prompt, negative_prompt: negative, ...known });
  if (answer?.warning) say(answer.warning, { wrong: false });
  if (answer) await poll();
}

export async function cancel() {
  await ask("cancel", {});
  poll();
}

export async function upload(file, sign) {
  const query = new URLSearchParams({ id: newId(), rater: rater(), sign, name: file.name });
  try {
    const sent = await fetch(`uploads?${query}`, { method: "POST", body: file });
    if (sent.status === 413) say(`${file.name} is too large; up to 10 MB are allowed.`);
    else {
      const { error } = await sent.json();
      if (error) say(`${file.name}: ${error}`);
    }
  } catch {
    say(`${file.name} did not arrive. The server cannot be reached, or the file is too large.`);
  }
  poll();
}

export async function connect() {
  window.addEventListener("storage", (event) => event.key === RATER && setRater(event.newValue ?? "me"));
  document.addEventListener("visibilitychange", () => document.hidden || poll());
  flush();
  const about = await ask("about");
  if (about) change({ about });
}
