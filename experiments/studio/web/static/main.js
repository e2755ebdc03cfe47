// Starts the page once Gradio has put it there.

import { startBlind } from "./blind.js";
import { startBoard } from "./board.js";
import { connect, onChange } from "./channel.js";
import { startDetails } from "./details.js";
import { startPanels } from "./panels.js";
import { startPredictions } from "./predictions.js";

let filled = false;

// The prompt of the session, unless the person types already.
function fill(seen) {
  if (filled || !seen) return;
  filled = true;
  for (const [id, text] of [["studio-prompt", seen.prompt], ["studio-negative", seen.negative]]) {
    const field = document.querySelector(`#${id} textarea, #${id} input`);
    if (!field || field.value || !text) continue;
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

export function start(server) {
  startBoard();
  startDetails();
  startPanels();
  startBlind();
  startPredictions();
  onChange(fill);
  connect(server);
}
