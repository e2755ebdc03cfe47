// Draws the page, and again whenever something changed.

import { render } from "preact";

import { undoQueued } from "./acts.js";
import { Blind } from "./blind.js";
import { Board } from "./board.js";
import { connect, rater, setRater, view } from "./channel.js";
import { Composer } from "./composer.js";
import { Details } from "./details.js";
import { Gallery } from "./gallery.js";
import { html, useWritten } from "./html.js";
import { Insight } from "./insight.js";
import { onKey } from "./keys.js";
import { Messages } from "./messages.js";
import { predict } from "./predictions.js";
import { References } from "./references.js";
import { change, onChange, page } from "./store.js";
import { Viewer } from "./viewer.js";

const QUIET = 1500; // milliseconds since the last touch after which a new round may take the stage

let known = 0; // rounds
let line = null; // that they are on

function App({ seen }) {
  const tabs = [["studio", "Studio"], ["gallery", "Gallery"], ...(page.about.blind ? [["blind", "Blind comparison"]] : [])];
  return html`<header id="studio-head"><h1>FABRIC <span>studio</span></h1>${page.about.study && html`<p>${page.about.study}</p>`}
      <div role="tablist" aria-label="Views">${tabs.map(([name, label]) =>
        html`<button type="button" role="tab" key=${name} id="tab-${name}" aria-controls="studio-main" aria-selected=${String(page.tab === name)} onClick=${() => change({ tab: name })}>${label}</button>`)}</div>
      <${Who} seen=${seen} /></header>
    <main><div id="studio-main" role="tabpanel" aria-labelledby="tab-${page.tab}">
      <div hidden=${page.tab !== "studio"}><${Composer} seen=${seen} /><${Board} seen=${seen} />
        ${seen && html`<div class="panels"><${References} seen=${seen} /><${Insight} seen=${seen} /></div>`}</div>
      ${seen && page.tab === "gallery" && html`<${Gallery} seen=${seen} />`}
      ${page.tab === "blind" && html`<${Blind} />`}
    </div></main>
    <${Viewer} seen=${seen} /><${Details} seen=${seen} /><${Messages} />`;
}

function Who({ seen }) {
  const field = useWritten(rater());
  return html`<div id="studio-who"><label for="studio-rater">Your name</label>
    <input ref=${field} id="studio-rater" maxlength="40" list="studio-raters" autocomplete="off" onChange=${(event) => setRater(event.target.value)} />
    <datalist id="studio-raters">${(seen?.raters ?? []).map((name) => html`<option key=${name} value=${name} />`)}</datalist></div>`;
}

// A new round takes the stage unless the person is busy with the one before.
function follow(seen) {
  const count = seen?.rounds.length ?? known;
  if (seen && seen.line !== line) [line, known] = [seen.line, count];
  if (count > known && known && page.round === null && Date.now() - page.touched < QUIET) page.round = known - 1;
  else if (count > known && page.round === null) page.selected = null;
  known = count;
}

function draw() {
  const seen = view();
  follow(seen);
  render(html`<${App} seen=${seen} />`, document.getElementById("app"));
  predict(seen);
  undoQueued();
}

onChange(draw);
document.addEventListener("keydown", onKey);
document.getElementById("app").textContent = "";
draw();
connect();
