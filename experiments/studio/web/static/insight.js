// What the agent has learnt: asked for when people rest, shown in words first and in numbers for those who unfold them.

import { useEffect, useState } from "preact/hooks";

import { freeze } from "./acts.js";
import { ask } from "./channel.js";
import { BestSettings, Tool, html, number, percent, spoken } from "./html.js";
import { page } from "./store.js";

const LATER = 400; // milliseconds of rest before the agent is asked

export function Insight({ seen }) {
  const [learnt, setLearnt] = useState(null);
  useEffect(() => {
    const timer = setTimeout(async () => {
      const answer = await ask("insight");
      if (answer) setLearnt(answer);
    }, LATER);
    return () => clearTimeout(timer);
  }, [seen.version]);
  const trained = learnt && (learnt.importance.length > 0 || learnt.win_rate !== null);
  return html`<section id="studio-insight" class="panel">
    <header><h2>What the agent has learnt</h2><${BestSettings} /></header>
    ${learnt?.advice && html`<p class="advice">${learnt.advice}</p>`}
    ${trained ? html`<${Chance} ...${learnt} /><${Wins} share=${learnt.win_rate} />` : html`<p class="hint">Nothing yet. Like, rate or pick images in a few rounds, and the agent finds out which settings serve you.</p>`}
    ${learnt && (trained || Object.keys(seen.frozen).length > 0) && html`<details class="fold"><summary>Settings in numbers</summary>
      <p class="hint">The settings that served you best so far. The bar says how much each one matters to you; a locked setting stays as it is.</p>
      <${Knobs} values=${learnt.best} frozen=${seen.frozen} importance=${Object.fromEntries(learnt.importance)} /></details>`}
  </section>`;
}

function Chance({ chance, low, high }) {
  const interval = `95 % interval: ${percent(low)} to ${percent(high)}`;
  const clear = low > 0.5 || high < 0.5;
  return html`<div class="chance"><p>${clear ? html`You would prefer an image made with the best settings to one made with the starting settings in about <b>${percent(chance)}</b> of cases.`
    : "Your choices do not tell yet whether you would prefer the best settings to the starting ones."}</p>
    <div class="range" title=${interval}><i style=${{ left: `${100 * low}%`, width: `${100 * (high - low)}%` }}></i><b style=${{ left: `${100 * chance}%` }}></b></div>
    <p class="hint">Chance to be preferred: ${percent(chance)}, likely between ${percent(low)} and ${percent(high)}; 50 % would be no difference.</p></div>`;
}

const Wins = ({ share }) => share !== null && html`<p class="wins"><b>${percent(share)}</b> of the rounds that you compared brought something better than before.</p>`;

// Knobs with values, what each does, and a lock; the most important first.
export function Knobs({ values, frozen, importance = null }) {
  const names = Object.keys(values).sort((a, b) => (importance?.[b] ?? 0) - (importance?.[a] ?? 0));
  return html`<table class="knobs"><tbody>${names.map((name) => {
    const held = frozen[name] !== undefined, value = held && importance ? frozen[name] : values[name];
    const label = held ? `Unlock ${spoken(name)}` : `Lock ${spoken(name)} at ${number(value)}`;
    return html`<tr key=${name} data-knob=${name}><th scope="row">${spoken(name)}<small>${page.about.knobs[name]}</small></th><td>${number(value)}</td>
      ${importance ? html`<td class="importance" title="Importance ${percent(importance[name] ?? 0)}"><i style=${{ width: `${100 * (importance[name] ?? 0)}%` }}></i></td>`
        : html`<td class="held">${held && `locked at ${number(frozen[name])}`}</td>`}
      <td><${Tool} icon=${held ? "lock" : "open"} kind="freeze" label=${label} pressed=${held} onclick=${() => freeze(name, held ? null : value)} /></td></tr>`;
  })}</tbody></table>`;
}
