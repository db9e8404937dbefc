// One task: all that is known of it.
import { askJson } from "./api.js";
import { useAttempt } from "./attempt.js";
import { Flag } from "./flags.js";
import { html, useEffect, useState } from "./html.js";
import { usePolling } from "./polling.js";
import { href, navigate } from "./router.js";
import { Act, reason } from "./tasktable.js";
import { Thumb } from "./thumb.js";
import { ProblemNotice, time } from "./ui.js";

export function TaskDetail({ id }) {
  const { value: task, problem, poke } = usePolling((signal) => askJson(`v1/tasks/${encodeURIComponent(id)}`, { signal, cache: "no-store" }), id);
  const acted = useAttempt();
  const image = useImage(task?.flag === "failed" ? null : task?.image_id);

  function act(_, what) {
    acted.attempt(async () => {
      if (what === "retry") {
        await askJson(`v1/tasks/${task.id}/retry`, { method: "POST" });
        poke();
      } else {
        await askJson(`v1/tasks/${task.id}`, { method: "DELETE" });
        navigate(href("tasks"));
      }
    });
  }

  return html`<nav aria-label="Up"><a href=${href("tasks")}>← All tasks</a></nav>
    <div class="spread"><h1>Task ${id}</h1>${task && html`<div class="buttons"><${Flag} flag=${task.flag} /><${Act} task=${task} isBusy=${acted.isBusy} onAct=${act} /></div>`}</div>
    <${ProblemNotice} problem=${acted.problem} />
    <${ProblemNotice} problem=${problem} onRetry=${problem?.isPassing ? poke : null} />
    ${!task && !problem && html`<p class="muted" aria-busy="true">Loading</p>`}
    ${task && html`<div class="task">
      ${image && html`<a class="preview" href=${href("picture", [image.id])} aria-label="The picture"><${Thumb} image=${image} /></a>`}
      <dl class="about">${rows(task).filter(([, value]) => value).map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    </div>`}`;
}

function useImage(id) {
  const [image, setImage] = useState(null);
  useEffect(() => {
    const control = new AbortController();
    setImage(null);
    // It may have been removed since.
    if (id) askJson(`v1/images/${id}`, { signal: control.signal }).then(setImage, () => {});
    return () => control.abort();
  }, [id]);
  return image;
}

function rows(task) {
  const { callback, progress } = task;
  const link = (url) => url && html`<a href=${url} rel="noreferrer noopener" target="_blank">${url}</a>`;
  return [
    [task.flag === "created" ? "Last try" : "Reason", task.flag_ext && html`${reason(task)} <small class="muted">${task.problem}</small>`],
    ["Picture", task.image_id && html`<a href=${href("picture", [task.image_id])}>${task.domain}${task.dkey ? `/${task.dkey}` : `: picture ${task.image_id}`}</a>`],
    ["Kind", task.kind],
    ["URL", link(task.url)],
    ["After redirects", task.final_url !== task.url && link(task.final_url)],
    ["Found on", link(task.page_url)],
    ["Domain", task.domain],
    ["Name", task.dkey],
    ["SHA-256", task.sha256 && html`<code>${task.sha256}</code>`],
    ["Tries", String(task.attempts)],
    ["Last one took", task.duration_ms !== null && `${task.duration_ms} ms`],
    ["Handed in", time(task.create_time)],
    ["Changed", time(task.update_time)],
    ["Ended", time(task.end_time)],
    ["Next try", time(task.next_time)],
    ["Callback", callback && html`${link(callback.url)} <small>${callback.flag}, ${callback.attempts} tries ${callback.problem ?? ""}</small>`],
    ["Metadata", Object.keys(task.metadata).length > 0 && html`<code>${JSON.stringify(task.metadata)}</code>`],
    ["Progress", progress && Object.keys(progress).length > 0 && html`<code>${JSON.stringify(progress)}</code>`],
  ];
}
