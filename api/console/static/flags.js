// The flags of tasks as people read them.
import { html } from "./html.js";
import { href } from "./router.js";
import { number } from "./ui.js";

export const FLAGS = {
  created: { title: "Waiting", sign: "…" },
  succeed: { title: "Succeeded", sign: "✓" },
  warning: { title: "Warning", sign: "!" },
  failed: { title: "Failed", sign: "✕" },
};

export function Flag({ flag }) {
  const { title, sign } = FLAGS[flag];
  return html`<span class=${`flag ${flag}`}><b aria-hidden="true">${sign}</b> ${title}</span>`;
}

// Flags with their numbers, each a link to its tasks; `chosen` is "" for all.
export function FlagTabs({ flags, chosen, query }) {
  const total = Object.values(flags).reduce((sum, each) => sum + each, 0);
  const tab = (flag, title, count) => html`<li key=${flag}><a href=${href("tasks", [], { ...query, flag, reason: "" })} class=${`tab ${flag}`}
    aria-current=${chosen === flag ? "true" : null}>${title} <b>${number(count)}</b></a></li>`;
  return html`<ul class="plain tabs" aria-label="Flags">
    ${tab("", "All", total)}
    ${Object.entries(FLAGS).map(([flag, { title }]) => tab(flag, title, flags[flag] ?? 0))}
  </ul>`;
}
