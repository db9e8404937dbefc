// Downloads: hand URLs in, see what becomes of them, and try again.
import { askJson } from "../api.js";
import { DomainInput, useDomains } from "../domains.js";
import { FlagTabs } from "../flags.js";
import { html, useEffect, useState } from "../html.js";
import { usePolling } from "../polling.js";
import { href } from "../router.js";
import { Submit } from "../submit.js";
import { TaskDetail } from "../taskdetail.js";
import { TaskTable } from "../tasktable.js";
import { Confirm, ProblemNotice, number } from "../ui.js";

const STEP = 50;
const MOST = 1000;

export default function Tasks({ args: [id], query }) {
  return id ? html`<${TaskDetail} key=${id} id=${id} />` : html`<${Overall} query=${query} />`;
}

function Overall({ query }) {
  const { flag = "", reason = "", domain = "" } = query;
  const [limit, setLimit] = useState(STEP);
  const [acted, setActed] = useState({ busy: null, problem: null });
  const [isAsking, setAsking] = useState(false);

  const { value, problem, poke } = usePolling(async (signal) => {
    const [summary, page] = await Promise.all([
      askJson("v1/tasks/summary", { query: { domain }, signal, cache: "no-store" }),
      askJson("v1/tasks", { query: { order: "newest", flag, reason, domain, limit }, signal, cache: "no-store" }),
    ]);
    return { summary, page };
  }, JSON.stringify([flag, reason, domain, limit]));

  // What was shown stays until the tasks of another filter are there.
  const [shown, setShown] = useState(null);
  useEffect(() => { if (value) setShown(value); }, [value]);
  useEffect(() => setLimit(STEP), [flag, reason, domain]);

  async function attempt(busy, work) {
    setActed({ busy, problem: null });
    try {
      await work();
      setActed({ busy: null, problem: null });
    } catch (found) {
      setActed({ busy: null, problem: found });
    }
    poke();
  }

  const act = (task, what) => attempt(task.id, () => (what === "retry"
    ? askJson(`v1/tasks/${task.id}/retry`, { method: "POST" })
    : askJson(`v1/tasks/${task.id}`, { method: "DELETE" })));
  const retryAll = (isSure) => {
    setAsking(false);
    if (isSure) attempt("all", () => askJson("v1/tasks/retry", { method: "POST", query: { flag: "failed", reason, domain } }));
  };

  const now = value ?? shown;
  const failed = now?.summary.problems.failed ?? {};
  const count = reason ? failed[reason] ?? 0 : now?.summary.flags.failed ?? 0;
  return html`<h1>Tasks</h1>
    <${Submit} onTaken=${poke} />
    <section aria-label="Tasks">
      <div class="spread">
        ${now ? html`<${FlagTabs} flags=${now.summary.flags} chosen=${flag} query=${query} />` : html`<p class="muted" aria-busy="true">Loading</p>`}
        <${Filters} query=${query} problems=${now?.summary.problems} />
      </div>
      <${ProblemNotice} problem=${acted.problem} />
      <${ProblemNotice} problem=${problem} onRetry=${poke} />
      ${flag === "failed" && count > 0 && html`<p><button type="button" class="small" disabled=${acted.busy === "all"} onClick=${() => setAsking(true)}>
        Retry ${count === 1 ? "the one" : `all ${number(count)}`}${reason && ` with ${reason}`}</button></p>`}
      ${now && (now.page.tasks.length
        ? html`<${TaskTable} tasks=${now.page.tasks} busy=${acted.busy} onAct=${act} />`
        : html`<p class="empty">${flag || reason || domain ? html`No task is like that. <a href=${href("tasks")}>Show all</a>` : "No tasks yet. Put URLs above, and watch them come in."}</p>`)}
      ${now?.page.next && (limit < MOST
        ? html`<p class="more"><button type="button" class="outline secondary" onClick=${() => setLimit(limit + STEP)}>Show more</button></p>`
        : html`<p class="muted">There are more; a filter shows others.</p>`)}
    </section>
    ${isAsking && html`<${Confirm} title="Try again?" yes="Retry" isHarmless onAnswer=${retryAll}>
      <p>${number(count)} failed ${count === 1 ? "task starts" : "tasks start"} over${reason && html`, those with <b>${reason}</b>`}${domain && html`, in the domain <b>${domain}</b>`}.</p>
    <//>`}`;
}

function Filters({ query, problems }) {
  const domains = useDomains();
  const { flag = "", reason = "", domain = "" } = query;
  const [typed, setTyped] = useState(domain);
  const set = (changes) => { location.hash = href("tasks", [], { ...query, ...changes }); };
  const words = Object.entries({ ...(flag === "warning" ? {} : problems?.failed), ...(flag === "failed" ? {} : problems?.warning) });
  useEffect(() => setTyped(domain), [domain]);
  return html`<search class="toolbar filters">
    <label>Reason<select class="small" value=${reason} onChange=${(event) => set({ reason: event.target.value })}>
      <option value="">any</option>
      ${reason && !words.some(([word]) => word === reason) && html`<option value=${reason}>${reason}</option>`}
      ${words.map(([word, count]) => html`<option key=${word} value=${word}>${word} (${number(count)})</option>`)}
    </select></label>
    <label>Domain<${DomainInput} domains=${domains} class="small" placeholder="all" value=${typed}
      onInput=${(event) => setTyped(event.target.value.trim())} onChange=${(event) => event.target.checkValidity() && set({ domain: event.target.value.trim() })} /></label>
  </search>`;
}
