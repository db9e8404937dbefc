// The form that hands URLs in: one a line, or downloads as JSON (NDJSON), in any mixture.
import { askJson } from "./api.js";
import { DomainInput, useDomains } from "./domains.js";
import { html, useRef, useState } from "./html.js";
import { Notice, ProblemNotice, number, sentence } from "./ui.js";

const SHOWN = 50;

export function Submit({ onTaken }) {
  const domains = useDomains();
  const [domain, setDomain] = useState("default");
  const [text, setText] = useState("");
  const [state, setState] = useState({ isBusy: false, problem: null, taken: null, refused: [] });
  // The same text that is sent twice, since an answer was lost, makes no second tasks.
  const attempt = useRef({ text: "", key: "" });

  async function submit(event) {
    event.preventDefault();
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    if (!lines.some(Boolean)) return;
    setState({ isBusy: true, problem: null, taken: null, refused: [] });
    const body = lines.map((line) => wish(line, domain)).join("\n");
    if (attempt.current.text !== body) attempt.current = { text: body, key: random() };
    try {
      const headers = { "Content-Type": "application/x-ndjson", "Idempotency-Key": attempt.current.key };
      const said = await askJson("v1/tasks", { method: "POST", body, headers });
      attempt.current = { text: "", key: "" };
      const refused = said.rejected.map((each) => ({ ...each, text: lines[each.line - 1] }));
      setState({ isBusy: false, problem: null, taken: said.tasks.length, refused });
      // What was refused stays, to be mended.
      setText(refused.map((each) => each.text).join("\n"));
      onTaken(said.tasks);
    } catch (problem) {
      setState({ isBusy: false, problem, taken: null, refused: [] });
    }
  }

  async function read(event) {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) setText(await file.text());
  }

  const count = text.split("\n").filter((line) => line.trim()).length;
  return html`<form class="submit" onSubmit=${submit}>
    <label>URLs of pictures
      <textarea name="urls" rows="5" value=${text} onInput=${(event) => setText(event.target.value)} autocapitalize="none" spellcheck=${false}
        aria-describedby="urls-hint" placeholder=${"https://example.org/one.jpg\nhttps://example.org/two.jpg"}></textarea></label>
    <small id="urls-hint" class="muted">One a line; or a line of JSON, as <code>${'{"url": "https://…", "dkey": "holiday/1.jpg", "metadata": {"artist": "Ada"}}'}</code></small>
    <div class="toolbar">
      <label>Into domain<${DomainInput} domains=${domains} required value=${domain} onInput=${(event) => setDomain(event.target.value.trim())} /></label>
      <label class="file plain">Take a file<input type="file" accept=".txt,.csv,.ndjson,.jsonl,.json,text/plain" onChange=${read} /></label>
      <button disabled=${state.isBusy || !count} aria-busy=${state.isBusy ? "true" : null}>Fetch ${count > 1 ? `${number(count)} pictures` : ""}</button>
    </div>
    <${ProblemNotice} problem=${state.problem} />
    ${state.taken !== null && (state.taken > 0 || state.refused.length === 0) && html`<${Notice}>${number(state.taken)} ${state.taken === 1 ? "task" : "tasks"} taken.<//>`}
    ${state.refused.length > 0 && html`<${Refused} lines=${state.refused} />`}
  </form>`;
}

function Refused({ lines }) {
  return html`<div class="notice bad refused" role="alert">
    <strong>${number(lines.length)} ${lines.length === 1 ? "line was" : "lines were"} refused.</strong> <span>They stay above, to be mended.</span>
    <ol class="plain">${lines.slice(0, SHOWN).map((each) => html`<li key=${each.line}><code>${each.text}</code><span>${sentence(each.detail)}</span><small>Line ${each.line} · ${each.problem}</small></li>`)}</ol>
    ${lines.length > SHOWN && html`<small>and ${number(lines.length - SHOWN)} more</small>`}
  </div>`;
}

// A line as the API takes it. JSON that cannot be read goes as it is: the API says what is wrong.
function wish(line, domain) {
  if (!line) return "";
  if (!line.startsWith("{")) return JSON.stringify({ url: line, domain });
  try {
    return JSON.stringify({ domain, ...JSON.parse(line) });
  } catch {
    return line;
  }
}

// crypto.randomUUID is for secure contexts alone.
function random() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
