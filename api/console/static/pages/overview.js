// How much there is and how it goes, followed live.
import { askJson } from "../api.js";
import { Bars, Parts, Sparkline } from "../charts.js";
import { FLAGS } from "../flags.js";
import { html } from "../html.js";
import { usePolling } from "../polling.js";
import { href } from "../router.js";
import { remember, samples } from "../samples.js";
import { ProblemNotice, bytes, duration, number } from "../ui.js";

const LAYERS = [["memory", "nginx' memory", "good"], ["redis", "Redis", "fine"], ["miss", "API", "slow"]];
const KINDS = { created: "fine", succeed: "good", warning: "slow", failed: "wrong" };

export default function Overview() {
  const { value, problem, poke } = usePolling(async (signal) => {
    const found = await askJson("v1/overview", { signal, cache: "no-store" });
    remember(found);
    return found;
  }, "overview");

  return html`<h1>Overview</h1>
    <${ProblemNotice} problem=${problem} onRetry=${poke} />
    ${!value && !problem && html`<p class="muted" aria-busy="true">Loading</p>`}
    ${value && html`<div class="cards">
      <${Pictures} now=${value} />
      ${value.store && html`<${Store} store=${value.store} />`}
      <${Hits} now=${value} />
      ${value.queues && html`<${Queue} now=${value} />`}
      <${Tasks} now=${value} />
      ${value.cache && html`<${Memory} cache=${value.cache} />`}
      <${Problems} title="Why tasks failed" counts=${value.reasons.failed} none="No task has failed."
        target=${(reason) => href("tasks", [], { flag: "failed", reason })} />
      ${value.problems && html`<${Problems} title="Answers that are problems" counts=${value.problems} none="No request was refused since the start." />`}
    </div>
    ${!value.queues && !value.cache && !value.store && html`<p class="muted">This key is for some domains, and these are their numbers. Those of the whole server are for keys of all domains.</p>`}`}`;
}

function Card({ title, name, figure, unit, children }) {
  return html`<article class="card" aria-labelledby=${`card-${name}`}>
    <h2 id=${`card-${name}`}>${title}</h2>
    ${figure !== undefined && html`<p class="figure"><b data-figure=${name}>${figure}</b> <span class="muted">${unit}</span></p>`}
    ${children}
  </article>`;
}

function Pictures({ now }) {
  return html`<${Card} title="Pictures" name="images" figure=${number(now.images)} unit=${`${bytes(now.bytes)} in ${number(now.domains)} ${now.domains === 1 ? "domain" : "domains"}`}>
    <${Sparkline} values=${grown(samples().map((each) => each.images))} label="Pictures that were added or removed while this is open" />
  <//>`;
}

function Store({ store }) {
  const used = store.size_bytes - store.free_bytes;
  const part = used / store.size_bytes;
  return html`<${Card} title="Room for originals" name="free" figure=${bytes(store.free_bytes)} unit=${`free of ${bytes(store.size_bytes)}`}>
    <${Parts} label="Disk" parts=${[
      { name: "used", value: used, text: percent(part), kind: part > 0.9 ? "wrong" : part > 0.75 ? "slow" : "fine" },
      { name: "free", value: store.free_bytes, text: percent(1 - part), kind: "none" }]} />
  <//>`;
}

function Hits({ now }) {
  if (now.nginx === null && now.pictures === null) return null;
  const layers = now.nginx
    ? LAYERS.map(([word, name, kind]) => ({ name, value: now.nginx[word] ?? 0, kind }))
    : [{ name: "Redis", value: now.pictures.cache ?? 0, kind: "fine" }, { name: "rendered", value: now.pictures.render ?? 0, kind: "slow" }];
  const all = layers.reduce((sum, each) => sum + each.value, 0);
  const ratio = all ? 1 - layers.at(-1).value / all : null;
  return html`<${Card} title="Hit ratio" name="hits" figure=${ratio === null ? "–" : percent(ratio)} unit=${`of ${number(all)} pictures since the start`}>
    <${Parts} label="Where pictures came from" parts=${layers.map((each) => ({ ...each, text: number(each.value) }))} />
  <//>`;
}

function Queue({ now }) {
  const { downloads, pictures, callbacks, workers, oldest_s: oldest } = now.queues;
  const jobs = downloads + pictures + callbacks;
  return html`<${Card} title="Queue" name="jobs" figure=${number(jobs)} unit=${jobs ? `${jobs === 1 ? "job waits" : "jobs wait"}, the oldest for ${duration(oldest)}` : "jobs wait"}>
    <${Sparkline} values=${samples().map((each) => each.waiting)} label="Tasks that wait, while this is open" />
    ${workers === 0
      ? html`<p class="bad"><b>No worker is alive:</b> nothing is fetched.</p>`
      : html`<p class="muted">${number(now.tasks.created)} ${now.tasks.created === 1 ? "task waits" : "tasks wait"} in all · ${number(workers)} ${workers === 1 ? "worker" : "workers"}</p>`}
  <//>`;
}

function Tasks({ now }) {
  const all = Object.values(now.tasks).reduce((sum, each) => sum + each, 0);
  return html`<${Card} title=${html`<a href=${href("tasks")}>Tasks</a>`} name="tasks" figure=${number(all)} unit="handed in">
    <${Parts} label="Tasks" parts=${Object.entries(FLAGS).map(([flag, { title }]) =>
      ({ name: title, value: now.tasks[flag], text: number(now.tasks[flag]), kind: KINDS[flag] }))} />
  <//>`;
}

function Memory({ cache }) {
  const { used_bytes: used, bound_bytes: bound } = cache;
  return html`<${Card} title="Redis" name="redis" figure=${bytes(used)} unit=${bound ? `used of ${bytes(bound)}` : "used, without a bound"}>
    ${bound > 0 && html`<${Parts} label="Memory" parts=${[
      { name: "used", value: used, text: percent(used / bound), kind: "fine" },
      { name: "free", value: Math.max(0, bound - used), text: bytes(Math.max(0, bound - used)), kind: "none" }]} />`}
    <p class="muted">${number(cache.keys)} keys · ${number(cache.evicted)} pushed out for want of room</p>
  <//>`;
}

function Problems({ title, counts, none, target }) {
  const bars = Object.entries(counts).map(([name, value]) => ({ name, value, target: target?.(name) }));
  return html`<${Card} title=${title} name=${title.replaceAll(" ", "-")}>
    ${bars.length ? html`<${Bars} bars=${bars} format=${number} />` : html`<p class="muted">${none}</p>`}
  <//>`;
}

// From the least on, since a line through 100,000 and 100,001 would be flat.
function grown(values) {
  const least = Math.min(...values);
  return values.map((value) => value - least);
}

function percent(part) {
  return `${(part * 100).toFixed(part > 0.995 && part < 1 ? 1 : 0)} %`;
}
