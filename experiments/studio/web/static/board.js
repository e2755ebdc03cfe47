// The round in front of the person.

import { described, goOnFrom, goToLine, lineNumber, pick, redo, shownRound, undo } from "./acts.js";
import { Card } from "./card.js";
import { begin } from "./composer.js";
import { Plain, Tool, html } from "./html.js";
import { imagesOfRound } from "./making.js";
import { change, page } from "./store.js";

const KEYS = [
  ["1–9", "select"], ["L", "like"], ["D", "dislike"], ["F", "favourite"], ["B", "best"], ["⇧1–5", "rate"], ["Z", "zoom"], ["C", "compare"], ["← →", "other image"],
  ["I", "details"], ["T", "can’t tell"], ["U", "undo"], ["⇧U", "redo"], ["N", "next round"],
];

export function Board({ seen }) {
  if (!seen) return null;
  const now = shownRound();
  if (now === null) return page.progress.job ? null : html`<${Welcome} seen=${seen} />`;
  const round = seen.rounds[now];
  const liked = round.images.some((id) => seen.images[id].mark || seen.images[id].rating) || round.picked;
  return html`<${Rounds} seen=${seen} now=${now} />
    <${Begun} seen=${seen} />
    ${seen.rounds.length === 1 && !liked && html`<p class="tip">Like what comes close to what you have in mind, dislike what does not, then ask for the next round.</p>`}
    <div id="studio-board">${round.images.map((id, k) =>
      html`<${Card} key=${id} image=${seen.images[id]} round=${round} number=${k + 1} seen=${seen} />`)}</div>
    <div id="studio-keys">${KEYS.map(([key, what]) => html`<span><kbd>${key}</kbd> ${what}</span>`)}</div>`;
}

// Where a session went on from an older round there are several lines of rounds.
function Lines({ seen }) {
  if (seen.lines.length < 2) return null;
  const about = ({ shared, rounds }) => `${rounds} ${rounds === 1 ? "round" : "rounds"}${shared ? `, goes on from round ${shared}` : ""}`;
  return html`<nav class="which lines" aria-label="Lines of rounds"><span class="label">Line</span><div class="list">${seen.lines.map((one, k) =>
    html`<button type="button" key=${one.id} class="line" aria-label="Line ${k + 1}" title="Line ${k + 1}: ${about(one)}" aria-current=${one.id === seen.line ? "true" : undefined}
      onClick=${() => one.id !== seen.line && goToLine(one.id)}>${k + 1}</button>`)}</div></nav>`;
}

// A line that has no round of its own yet.
function Begun({ seen }) {
  const now = seen.lines.find((one) => one.id === seen.line);
  if (!now?.shared || now.rounds > now.shared || page.round !== null) return null;
  return html`<p class="tip" role="status">You go on from round ${now.shared}. Later rounds stay on line ${lineNumber(seen.rounds[now.shared - 1].line, seen)} and no longer steer. What was learnt about settings is kept.</p>`;
}

function Welcome({ seen }) {
  const { examples } = page.about;
  return html`<section id="studio-welcome">
    <h2>Steer images by looking</h2>
    <ol>
      <li><b>Say what you want to see.</b> You get ${imagesOfRound(seen)} images.</li>
      <li><b>Like and dislike.</b> Liked images pull the next round towards them; disliked ones push it away.</li>
      <li><b>Ask for the next round.</b> The agent tries other settings for every image, and learns from your choices which work for you.</li>
    </ol>
    ${examples.length > 0 && html`<p>Try one:</p><div class="examples">${examples.map((text) =>
      html`<${Plain} key=${text} onclick=${() => tryOut(text)}>${text}<//>`)}</div>`}
    <p class="hint">Or add pictures of your own below, under “What steers the next round”.</p>
  </section>`;
}

function tryOut(text) {
  document.getElementById("studio-prompt-text").value = text;
  begin(text, document.getElementById("studio-negative-text").value);
}

function Rounds({ seen, now }) {
  const round = seen.rounds[now], count = seen.rounds.length;
  const show = (number) => change({ round: number === count - 1 ? null : number, selected: null });
  return html`<div id="studio-rounds">
    <nav class="which" aria-label="Rounds"><span class="label">Round</span><div class="list">${seen.rounds.map((_, k) =>
      html`<button type="button" key=${k} class="round" aria-label="Round ${k + 1}" aria-current=${k === now ? "true" : undefined} onClick=${() => show(k)}>${k + 1}</button>`)}</div></nav>
    <${Lines} seen=${seen} />
    <p class="asked" title=${round.prompt}>${round.prompt}</p>
    <div class="acts">
      ${page.round !== null && html`<${Plain} kind="go-on" title="The next round follows this one; later rounds are kept, on a line of their own" onclick=${() => goOnFrom(round)}>Go on from here<//>
        <${Plain} kind="fresh" onclick=${() => show(count - 1)}>Newest round →<//>`}
      <${Plain} kind="cannot" pressed=${round.passed} title="None is clearly the best (T)" onclick=${() => pick(round, null)}>Can’t tell<//>
      <${Tool} icon="undo" label=${seen.undo ? `Undo: ${described(seen.undo, seen)} (U)` : "Nothing to undo"} disabled=${!seen.undo} onclick=${undo} />
      <${Tool} icon="redo" label=${seen.redo ? `Redo: ${described(seen.redo, seen)} (Shift+U)` : "Nothing to redo"} disabled=${!seen.redo} onclick=${redo} />
    </div></div>`;
}
