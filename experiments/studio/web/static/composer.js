// The prompt, and how far the next round is.

import { useEffect, useRef } from "preact/hooks";

import { takeBack } from "./acts.js";
import { act, cancel, generate } from "./channel.js";
import { Plain, html } from "./html.js";
import { Folds } from "./making.js";
import { change, page, say } from "./store.js";

export function begin(prompt, negative) {
  change({ touched: 0, round: null });
  generate(prompt, negative);
}

// A round of an image's prompt, settings and references, with other seeds.
export function variations(image) {
  act("variations", { image: image.id });
  change({ detailed: null, zoomed: null, tab: "studio" });
  document.getElementById("studio-prompt-text").value = image.prompt;
  document.getElementById("studio-negative-text").value = image.within.negative;
  begin(image.prompt, image.within.negative);
}

export const startRound = () => document.getElementById("studio-next")?.click();

export function Composer({ seen }) {
  const prompt = useRef(null), negative = useRef(null), line = useRef(null);
  const fill = (text, without) => {
    prompt.current.value = text;
    negative.current.value = without;
  };
  useEffect(() => { // the session's prompt, or that of the line which is gone on with, unless the person types already
    if (!seen || seen.line === line.current) return;
    const last = line.current === null ? seen : seen.rounds.at(-1);
    const given = [seen, ...seen.rounds, ...seen.aside].map((one) => one.prompt);
    line.current = seen.line;
    if (!last || (prompt.current.value && !given.includes(prompt.current.value))) return;
    fill(last.prompt, last.negative);
  }, [seen]);
  const go = (event) => {
    event.preventDefault();
    if (prompt.current.value.trim()) begin(prompt.current.value, negative.current.value);
    else {
      say("First write what you want to see.", { kind: "prompt" });
      prompt.current.focus();
    }
  };
  const onKey = (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && go(event);
  const busy = Boolean(page.progress.job);
  const field = (id, label, ref, hint) => html`<div class="field" id=${id}><label for="${id}-text">${label}</label>
    <textarea id="${id}-text" ref=${ref} rows="2" maxlength="2000" placeholder=${hint} onKeyDown=${onKey}></textarea></div>`;
  return html`<form id="studio-composer" onSubmit=${go}>
    ${field("studio-prompt", "Prompt", prompt, "What do you want to see?")}
    ${field("studio-negative", "Leave out (optional)", negative, "What should not be in it?")}
    <button id="studio-next" class="primary" title="Make the next images (N)" disabled=${busy || !page.reachable || !seen}>
      ${busy ? "Generating …" : seen?.rounds.length ? "Next round" : "Generate"}</button>
  </form>
  <${Folds} seen=${seen} fill=${fill} />
  <${Progress} seen=${seen} />`;
}

function Progress({ seen }) {
  const { job, done, steps, left, stopping, previews, changed } = page.progress;
  const following = seen?.wish && seen.images[seen.wish.image];
  if (!job) {
    return html`<div id="studio-progress">${!page.reachable && html`<p class="wrong" role="alert">The server cannot be reached. What you do is kept, and sent when it is back.</p>`}
      ${following && html`<p class="following">${seen.wish.kind === "variations" ? "The next round has variations of" : "The next round stays close to the settings of"} image ${following.place + 1} of round ${following.round + 1}.
        ${seen.wish.record && html`<${Plain} onclick=${() => takeBack(seen.wish)}>Don’t<//>`}</p>`}</div>`;
  }
  const share = steps ? Math.round((100 * done) / steps) : 0;
  const what = job === "next round" ? `Round ${(seen?.rounds.length ?? 0) + 1}` : "Next pair";
  return html`<div id="studio-progress" class="busy ${seen?.rounds.length ? "" : "first"}">
    <div class="line"><b>${what}</b><span role="status">${stopping ? "stopping …" : steps ? `step ${done} of ${steps}${remaining(left)}` : "choosing settings …"}</span>
      <${Plain} kind="cancel" disabled=${stopping} onclick=${cancel}>Cancel<//></div>
    <progress max="100" value=${share} aria-label="Progress of the round">${share} %</progress>
    ${job === "next round" && previews > 0 && html`<div class="previews">
      ${Array.from({ length: previews }, (_, k) => html`<img key=${k} src="previews/${k}?${changed}" alt="Preview of image ${k + 1}" onError=${gone} onLoad=${there} />`)}</div>`}
  </div>`;
}

// There is none of models whose scheduler does not tell it, and none any more where the round has just been finished.
const gone = (event) => event.currentTarget.classList.add("gone");
const there = (event) => event.currentTarget.classList.remove("gone");

function remaining(left) {
  if (left === null) return "";
  if (left >= 90) return `, about ${Math.round(left / 60)} minutes left`;
  const seconds = Math.max(1, Math.round(left));
  return `, about ${seconds} ${seconds === 1 ? "second" : "seconds"} left`;
}
