// Small charts as SVG: no library, no style in attributes (the policy of the page forbids it).
import { html } from "./html.js";

const WIDTH = 240;
const HEIGHT = 48;

// A line through values over time, the last one at the right; `label` says it to those who do not see it.
export function Sparkline({ values, label }) {
  const top = Math.max(1, ...values);
  const step = values.length > 1 ? WIDTH / (values.length - 1) : 0;
  const points = values.map((value, index) => [index * step, HEIGHT - 3 - (value / top) * (HEIGHT - 8)]);
  const line = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  return html`<svg class="spark" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
    ${points.length > 1 && html`<polygon points=${`0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}`} /><polyline points=${line} />`}
  </svg>`;
}

// Parts of a whole beside each other, with their names and numbers below: [{name, value, text, kind}].
export function Parts({ parts, label }) {
  const sum = parts.reduce((all, each) => all + each.value, 0);
  let x = 0;
  const bars = parts.filter((each) => each.value > 0).map((each) => {
    const width = (each.value / sum) * 100;
    x += width;
    return html`<rect key=${each.name} class=${each.kind} x=${x - width} y="0" width=${width} height="10" />`;
  });
  const said = parts.map((each) => `${each.name} ${each.text}`).join(", ");
  return html`<svg class="parts" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=${`${label}: ${said}`}>
      ${sum ? bars : html`<rect class="none" x="0" y="0" width="100" height="10" />`}
    </svg>
    <ul class="plain legend">${parts.map((each) => html`<li key=${each.name}><i class=${each.kind} aria-hidden="true"></i>${each.name} <b>${each.text}</b></li>`)}</ul>`;
}

// Names with a bar each, the largest first: [{name, value, target}].
export function Bars({ bars, format }) {
  const most = Math.max(1, ...bars.map((each) => each.value));
  return html`<ul class="plain bars">${[...bars].sort((a, b) => b.value - a.value).map((each) => html`<li key=${each.name}>
    <span class="name">${each.target ? html`<a href=${each.target}>${each.name}</a>` : each.name}</span>
    <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect x="0" y="0" width=${(each.value / most) * 100} height="10" /></svg>
    <b>${format(each.value)}</b></li>`)}</ul>`;
}
