// The caller's own JSON of a picture: edited as text, sent as a merge patch (RFC 7396) of what changed.
import { askJson } from "./api.js";
import { html, useEffect, useId, useRef, useState } from "./html.js";
import { Notice, ProblemNotice } from "./ui.js";

// The patch that makes `after` of `before`.
function mergePatch(before, after) {
  const patch = {};
  for (const name of Object.keys(before)) {
    if (!(name in after)) patch[name] = null;
  }
  for (const [name, value] of Object.entries(after)) {
    const old = before[name];
    if (isObject(old) && isObject(value)) {
      const inner = mergePatch(old, value);
      if (Object.keys(inner).length) patch[name] = inner;
    } else if (JSON.stringify(old) !== JSON.stringify(value)) {
      patch[name] = value;
    }
  }
  return patch;
}

// What is wrong with a text that shall be a JSON object, edited from `before`; "" if nothing is.
function fault(text, before) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `This is no JSON: ${error.message}`;
  }
  if (!isObject(value)) return "Metadata is an object: {…}";
  return addsNull(before, value) ? "A member cannot be null: in a merge patch that means that it goes." : "";
}

export function MetadataEditor({ image, etag, onSaved, onReload }) {
  const id = useId();
  const stored = JSON.stringify(image.user_metadata, null, 2);
  const [text, setText] = useState(stored);
  const [problem, setProblem] = useState(null);
  const [isSaved, setSaved] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const wrong = fault(text, image.user_metadata);
  const isChanged = text !== stored;

  // Who has typed nothing sees what is stored; who has keeps his text.
  const before = useRef(stored);
  useEffect(() => {
    if (text === before.current) setText(stored);
    before.current = stored;
  }, [stored]);

  function type(event) {
    setText(event.target.value);
    setSaved(false);
  }

  async function save(event) {
    event.preventDefault();
    if (wrong) return;
    setBusy(true);
    try {
      const patch = mergePatch(image.user_metadata, JSON.parse(text));
      const saved = await askJson(`v1/images/${image.id}`, {
        method: "PATCH",
        headers: { "If-Match": etag, "Content-Type": "application/merge-patch+json" },
        json: { user_metadata: patch },
      });
      setText(JSON.stringify(saved.user_metadata, null, 2));
      setProblem(null);
      setSaved(true);
      onSaved();
    } catch (error) {
      setProblem(
        error.status === 412
          ? {
              title: "Somebody changed this picture meanwhile",
              detail: "Your text is still here. Load what is stored now, and save again",
            }
          : error,
      );
    }
    setBusy(false);
  }

  return html`<form class="metadata" onSubmit=${save}>
    <label for=${id}><h2>Metadata</h2></label>
    <textarea id=${id} rows=${Math.min(16, Math.max(5, text.split("\n").length + 1))} spellcheck=${false}
      value=${text} onInput=${type}
      aria-invalid=${wrong ? "true" : null} aria-describedby=${`${id}-fault`}></textarea>
    <small id=${`${id}-fault`} class=${wrong ? "bad" : ""}
      aria-live="polite">${wrong || "Your own JSON object, up to 64 KiB."}</small>
    <${ProblemNotice} problem=${problem} />
    ${isSaved && html`<${Notice}>Saved.<//>`}
    <div class="buttons">
      <button class="small" disabled=${Boolean(wrong) || !isChanged || isBusy}
        aria-busy=${isBusy ? "true" : null}>Save metadata</button>
      ${
        isChanged &&
        html`<button type="button" class="small outline secondary" onClick=${() => {
          setText(stored);
          setProblem(null);
        }}>Undo</button>`
      }
      ${problem && html`<button type="button" class="small outline secondary" onClick=${onReload}>Load what is stored</button>`}
    </div>
  </form>`;
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

// A null that is stored already is left alone.
function addsNull(before, after) {
  if (after === null) return before !== null;
  return (
    isObject(after) &&
    Object.entries(after).some(([name, value]) =>
      addsNull(isObject(before) ? before[name] : undefined, value),
    )
  );
}
