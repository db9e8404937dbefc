// One control for each parameter of a rendition. A value is the text of the URL; "" is none.
import { html, useId } from "./html.js";
import { controlOf } from "./parameters.js";

const KINDS = { switch: Switch, choice: Choice, number: Numeric, text: Text };

// `suggestions` are words for a text beyond those of its schema.
export function Control({ parameter, value, suggestions = [], onChange }) {
  const id = useId();
  const control = controlOf(parameter.schema);
  return html`<div class="control">
    <label for=${id} title=${parameter.description}>${title(parameter.name)}</label>
    <${KINDS[control.kind]} ...${control} id=${id} name=${parameter.name} value=${value}
      suggestions=${suggestions}
      onChange=${onChange} />
    <small id=${`${id}-means`}>${parameter.description.replaceAll("`", "")}</small>
  </div>`;
}

function Switch({ id, name, value, onChange }) {
  return html`<input id=${id} name=${name} type="checkbox" role="switch" aria-describedby=${`${id}-means`}
    checked=${value === "1" || value === "true"}
    onChange=${(event) => onChange(event.target.checked ? "1" : "")} />`;
}

function Choice({ id, name, value, words, onChange }) {
  return html`<select id=${id} name=${name} aria-describedby=${`${id}-means`} value=${value}
    onChange=${(event) => onChange(event.target.value)}>
    <option value="">default</option>
    ${words.map((word) => html`<option key=${word} value=${word}>${word}</option>`)}
  </select>`;
}

function Numeric({ id, name, value, min, max, step, onChange }) {
  const change = (event) => onChange(event.target.value);
  return html`<span class=${`numeric ${value === "" ? "unset" : ""}`}>
    <input type="range" tabindex="-1" aria-hidden="true" min=${min} max=${max} step=${step}
      value=${value === "" ? min : value} onInput=${change} />
    <input id=${id} name=${name} type="number" inputmode="decimal" aria-describedby=${`${id}-means`}
      min=${min} max=${max} step=${step} value=${value}
      placeholder="default" onInput=${change} />
  </span>`;
}

function Text({ id, name, value, words, hint, suggestions, onChange }) {
  const known = [...words, ...suggestions];
  return html`<input id=${id} name=${name} list=${known.length ? `${id}-words` : null}
    aria-describedby=${`${id}-means`} value=${value}
      placeholder=${hint || "default"} autocapitalize="none" autocomplete="off" spellcheck=${false} onInput=${(event) => onChange(event.target.value.trim())} />
    ${known.length > 0 && html`<datalist id=${`${id}-words`}>${known.map((word) => html`<option key=${word} value=${word} />`)}</datalist>`}`;
}

function title(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}
