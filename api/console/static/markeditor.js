// One watermark: its defaults as controls, tried on a picture while they change; replace and delete.
import { ask } from "./api.js";
import { useAttempt } from "./attempt.js";
import { Control } from "./controls.js";
import { html, useEffect, useState } from "./html.js";
import { useLivePicture } from "./live.js";
import { renditionParameters } from "./parameters.js";
import { TryOn } from "./tryon.js";
import { Confirm, CopyButton, Notice, ProblemNotice, bytes } from "./ui.js";

const FIELDS = ["position", "opacity", "scale", "margin"];
const WIDTH = 900;
// For a second nginx may answer as before a mark was changed (docs/cache.md).
const SETTLED_MS = 1200;

export function MarkEditor({ mark, onChanged }) {
  const [values, setValues] = useState(() => defaultsOf(mark));
  const [picture, setPicture] = useState(null);
  const parameters = useMarkParameters();
  const [settled, setSettled] = useState(mark.rev);
  useEffect(() => {
    setValues(defaultsOf(mark));
    const timer = setTimeout(() => setSettled(mark.rev), SETTLED_MS);
    return () => clearTimeout(timer);
  }, [mark.rev]);

  const given = Object.fromEntries(FIELDS.map((field) => [`watermark_${field}`, values[field]]));
  const query = { width: WIDTH, watermark: mark.dkey, ...given };
  return html`<section class="playground mark" aria-label=${`Watermark ${mark.dkey}`}>
    <div class="preview">
      ${picture && html`<${Preview} picture=${picture} query=${query} version=${`${mark.rev} ${settled}`} />`}
    </div>
    <div class="side">
      <h2 class="title">${mark.dkey}</h2>
      <${Defaults} mark=${mark} values=${values} parameters=${parameters} onChange=${setValues} onSaved=${onChanged} />
      <${Actions} mark=${mark} onChanged=${onChanged} />
    </div>
    <${TryOn} chosen=${picture} onChoose=${setPicture} />
  </section>`;
}

function Preview({ picture, query, version }) {
  const live = useLivePicture(picture, query, version);
  return html`<div class=${`canvas ${live.isBusy ? "busy" : ""}`} aria-busy=${live.isBusy && !live.source ? "true" : null}>
      ${live.source && html`<img src=${live.source} alt=${`${picture.dkey} with the watermark`} />`}
    </div>
    <${ProblemNotice} problem=${live.problem} />
    ${live.source && html`<p class="facts muted"><span>${live.width}×${live.height}</span><span>${bytes(live.size)}</span><span>${Math.round(live.time)} ms</span></p>`}`;
}

function Defaults({ mark, values, parameters, onChange, onSaved }) {
  const { isBusy, problem, told, attempt, hush } = useAttempt();
  const isChanged = FIELDS.some((field) => values[field] !== defaultsOf(mark)[field]);

  function save(event) {
    event.preventDefault();
    // A merge patch: null takes a default away; what else the metadata holds stays.
    const patch = Object.fromEntries(FIELDS.map((field) => [field, typed(field, values[field])]));
    attempt(async () => {
      await ask(`v1/images/${mark.id}`, { method: "PATCH", json: { user_metadata: patch } });
      await onSaved();
    }, "Saved. Every picture with this watermark shows it within a second.");
  }

  return html`<form class="controls" onSubmit=${save}>
    ${FIELDS.map((field) => parameters[field] && html`<${Control} key=${field} parameter=${parameters[field]} value=${values[field]}
      onChange=${(value) => { onChange({ ...values, [field]: value }); hush(); }} />`)}
    <div class="buttons">
      <button class="small" disabled=${!isChanged || isBusy} aria-busy=${isBusy ? "true" : null}>Save as defaults</button>
      <button type="button" class="small outline secondary" disabled=${!isChanged} onClick=${() => onChange(defaultsOf(mark))}>Undo</button>
    </div>
    <${ProblemNotice} problem=${problem} />
    ${told && html`<${Notice}>${told}<//>`}
  </form>`;
}

function Actions({ mark, onChanged }) {
  const [isAsking, setAsking] = useState(false);
  const { isBusy, problem, told, attempt } = useAttempt();

  function change(options, told) {
    attempt(async () => {
      await ask(`v1/images/${mark.id}`, options);
      await onChanged();
    }, told);
  }

  function replace(event) {
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    const body = new FormData();
    body.append("file", file);
    change({ method: "PUT", body }, "Replaced.");
  }

  return html`<div class="buttons actions">
      <label class="file small" aria-busy=${isBusy ? "true" : null}>Replace<input type="file" accept="image/*" disabled=${isBusy} onChange=${replace} /></label>
      <button type="button" class="small outline danger-outline" disabled=${isBusy} onClick=${() => setAsking(true)}>Delete</button>
      <${CopyButton} text=${`watermark=${encodeURIComponent(mark.dkey)}`} label="Copy its parameter" />
    </div>
    <${ProblemNotice} problem=${problem} />
    ${told && html`<${Notice}>${told}<//>`}
    ${isAsking && html`<${Confirm} title="Delete this watermark?" yes="Delete"
        onAnswer=${(isSure) => { setAsking(false); if (isSure) change({ method: "DELETE" }); }}>
      <p>URLs with <b>watermark=${mark.dkey}</b> will answer 404. Those without it are as they were.</p>
    <//>`}`;
}

// Of the rendition's parameters those that a mark may have defaults for, named as its metadata has them.
function useMarkParameters() {
  const [found, setFound] = useState({});
  useEffect(() => {
    renditionParameters().then((all) => setFound(Object.fromEntries(FIELDS.map((field) => {
      const parameter = all.find((each) => each.name === `watermark_${field}`);
      return [field, parameter && { ...parameter, name: field }];
    }))), () => {});
  }, []);
  return found;
}

function defaultsOf(mark) {
  return Object.fromEntries(FIELDS.map((field) => [field, String(mark.user_metadata[field] ?? "")]));
}

function typed(field, text) {
  if (text === "") return null;
  return field === "position" ? text : Number(text);
}
