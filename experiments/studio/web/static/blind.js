// Two images of one prompt and seed; which is made with which settings, only the server knows.

import { useEffect, useRef, useState } from "preact/hooks";

import { ask, rater } from "./channel.js";
import { Picture, Plain, html, percent } from "./html.js";

const AGAIN = 500; // milliseconds until a pair that is being made is asked for again
const SIDES = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: null };

export function Blind() {
  const [shown, setShown] = useState({ pair: null, done: 0, stopped: "" });
  const [result, setResult] = useState(null);
  const latest = useRef(shown), there = useRef(true), timer = useRef(null), asking = useRef(false);
  const take = (values) => {
    latest.current = { ...latest.current, ...values };
    if (there.current) setShown(latest.current);
  };
  const next = async () => {
    if (asking.current || latest.current.pair || !there.current) return; // a verdict must be in before the next pair
    asking.current = true;
    const answer = await ask(`blind/pair?${new URLSearchParams({ rater: rater() })}`);
    asking.current = false;
    if (answer) take(answer);
    if (!latest.current.pair && there.current) timer.current = setTimeout(next, latest.current.stopped ? 4 * AGAIN : AGAIN);
  };
  const judge = async (side) => {
    const { pair } = latest.current;
    if (!pair || asking.current) return;
    asking.current = true;
    take({ pair: null });
    await ask("blind/verdicts", { rater: rater(), pair: pair.number, side });
    asking.current = false;
    next();
  };
  const tell = async () => setResult((await ask("blind/result")) ?? null);
  useEffect(() => {
    const onKey = (event) => {
      if (event.target.closest?.("input, textarea") || !(event.key in SIDES)) return;
      event.preventDefault();
      judge(SIDES[event.key]);
    };
    document.addEventListener("keydown", onKey);
    next();
    return () => {
      there.current = false;
      clearTimeout(timer.current);
      document.removeEventListener("keydown", onKey);
    };
  }, []);
  return html`<section id="studio-blind"><h2 class="unseen">Blind comparison</h2>
    ${shown.pair ? html`<${Pair} pair=${shown.pair} judge=${judge} />` : html`<p class="empty" role="status">${shown.stopped ? `No more pairs: ${shown.stopped}.` : "The next pair is being made …"}</p>`}
    <div class="acts"><span class="hint">${shown.done} judged. Which settings made which image is not shown.</span><span class="gap"></span>
      <${Plain} kind="result" disabled=${!shown.done} title=${shown.done ? "" : "Judge a pair first"} onclick=${tell}>Show the result<//></div>
    ${result && html`<${Result} ...${result} />`}</section>`;
}

function Result({ arms, decided, ties, equal, share, low, high }) {
  const pairs = (count, what) => count > 0 && ` ${count} ${count === 1 ? "pair" : "pairs"} ${what}.`;
  return html`<div class="advice" role="status"><p><b>${arms[0]}</b> was preferred to <b>${arms[1]}</b> in <b>${percent(share)}</b> of ${decided} decided ${decided === 1 ? "verdict" : "verdicts"}.
    ${decided > 0 && ` Likely between ${percent(low)} and ${percent(high)} (95 % interval), so ${low > 0.5 || high < 0.5 ? "the difference is real" : "this does not tell them apart yet"}.`}</p>
    <p class="hint">${pairs(ties, "could not be told apart")}${pairs(equal, "came out identical and count as ties")} Looking at the result before you have judged all the pairs that you planned makes it less reliable.</p></div>`;
}

function Pair({ pair, judge }) {
  const side = (name) => html`<button type="button" class="side ${name}" aria-label="The ${name} image is better" onClick=${() => judge(name)}><${Picture} key=${pair[name]} id=${pair[name]} alt="${name} image for: ${pair.prompt}" /></button>`;
  return html`<p class="asked">Which is better for “${pair.prompt}”?</p><div class="pair">${side("left")}${side("right")}</div>
    <div class="acts verdicts"><${Plain} kind="left" onclick=${() => judge("left")}>← Left is better<//><${Plain} kind="neither" onclick=${() => judge(null)}>↓ Can’t tell<//>
      <${Plain} kind="right" onclick=${() => judge("right")}>Right is better →<//></div>`;
}
