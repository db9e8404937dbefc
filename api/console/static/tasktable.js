// Tasks as rows, with what can be done to each.
import { Flag } from "./flags.js";
import { html } from "./html.js";
import { href } from "./router.js";
import { ago, sentence, time } from "./ui.js";

// `onAct(task, "retry" | "withdraw")`; `busy` is the id of the task that is acted upon.
export function TaskTable({ tasks, busy, onAct }) {
  return html`<table class="tasks">
    <thead><tr><th scope="col">Task</th><th scope="col">Flag</th><th scope="col">What</th><th scope="col">When</th><th scope="col"><span class="offscreen">Actions</span></th></tr></thead>
    <tbody>${tasks.map((task) => html`<${Row} key=${task.id} task=${task} isBusy=${busy === task.id} onAct=${onAct} />`)}</tbody>
  </table>`;
}

function Row({ task, isBusy, onAct }) {
  return html`<tr>
    <td class="number"><a href=${href("tasks", [task.id])}>${task.id}</a></td>
    <td class="of-flag"><${Flag} flag=${task.flag} /></td>
    <td class="what">
      <span class="url" title=${task.url}>${task.url ?? `${task.kind} of ${task.domain}`}</span>
      <small>${task.image_id && task.flag !== "failed"
        ? html`<a href=${href("picture", [task.image_id])}>${task.domain}${task.dkey ? `/${task.dkey}` : `: picture ${task.image_id}`}</a>`
        : html`<span class="muted">${task.domain}${task.dkey ? `/${task.dkey}` : ""}</span>`}</small>
      ${task.flag_ext && html`<small class=${`reason ${task.flag}`}>${task.flag === "created" ? "Last try: " : ""}${reason(task)}</small>`}
    </td>
    <td class="when"><time datetime=${task.update_time} title=${time(task.update_time)}>${ago(task.update_time)}</time>
      ${task.attempts > 1 && html`<small class="muted">${task.attempts} tries</small>`}</td>
    <td class="act"><${Act} task=${task} isBusy=${isBusy} onAct=${onAct} /></td>
  </tr>`;
}

export function Act({ task, isBusy, onAct }) {
  if (task.flag === "failed") {
    return html`<button type="button" class="small outline" disabled=${isBusy} aria-label=${`Retry task ${task.id}`} onClick=${() => onAct(task, "retry")}>Retry</button>`;
  }
  if (task.flag === "created") {
    return html`<button type="button" class="small outline secondary" disabled=${isBusy} aria-label=${`Take back task ${task.id}`} onClick=${() => onAct(task, "withdraw")}>Take back</button>`;
  }
  return null;
}

// "http-404: origin answered 404" -> "Origin answered 404."; the word itself stands in the list of reasons.
export function reason(task) {
  const text = task.flag_ext ?? "";
  return sentence(text.startsWith(`${task.problem}: `) ? text.slice(task.problem.length + 2) : text);
}
