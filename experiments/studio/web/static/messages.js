// Lines that tell what went wrong or was done; they cover nothing that is looked at, and are always on the screen.

import { useLayoutEffect, useRef } from "preact/hooks";

import { Tool, html } from "./html.js";
import { hush, page } from "./store.js";

export function Messages() {
  const box = useRef(null);
  useLayoutEffect(() => raise(box.current), [page.messages, page.zoomed, page.detailed]);
  return html`<div id="studio-messages" popover="manual" ref=${box}>
    <div role="alert">${page.messages.filter((one) => one.wrong).map(line)}</div>
    <div role="status">${page.messages.filter((one) => !one.wrong).map(line)}</div></div>`;
}

// Above an open dialog too.
function raise(element) {
  if (element.matches(":popover-open")) element.hidePopover();
  if (page.messages.length) element.showPopover();
}

const line = (one) => html`<p key=${one.id} class="message ${one.wrong ? "wrong" : ""}"><span>${one.text}</span>
  <${Tool} icon="close" label="Close this message" onclick=${() => hush((other) => other.id === one.id)} /></p>`;
