// Small pieces that several pages share.
import { html, useEffect, useRef, useState } from "./html.js";

// A problem as sentences; nothing if there is none. `onRetry` adds a button.
export function ProblemNotice({ problem, onRetry }) {
  if (!problem) return null;
  return html`<div class="notice bad" role="alert">
    <strong>${problem.title ?? "Something went wrong"}.</strong>
    ${problem.detail && html` <span>${sentence(problem.detail)}</span>`}
    ${problem.instance && html`<small>Request ${problem.instance}</small>`}
    ${onRetry && html`<button type="button" class="small outline" onClick=${onRetry}>Try again</button>`}
  </div>`;
}

// Good news that goes away with the next render of its owner.
export function Notice({ children }) {
  return html`<div class="notice good" role="status">${children}</div>`;
}

export function CopyButton({ text, label = "Copy" }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return undefined;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  return html`<button type="button" class="small outline secondary copy" aria-live="polite"
    onClick=${async () => setDone(await copy(text))}>${done ? "Copied" : label}</button>`;
}

// A question with two answers, as a modal dialog. `onAnswer` gets true or false.
export function Confirm({ title, children, yes, isHarmless, onAnswer }) {
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  return html`<dialog ref=${dialog} aria-labelledby="confirm-title" onCancel=${() => onAnswer(false)}>
    <article>
      <h2 id="confirm-title">${title}</h2>
      ${children}
      <footer>
        <button type="button" class="secondary" autofocus onClick=${() => onAnswer(false)}>Cancel</button>
        <button type="button" class=${isHarmless ? "" : "danger"} onClick=${() => onAnswer(true)}>${yes}</button>
      </footer>
    </article>
  </dialog>`;
}

// 1234567 -> "1.2 MB"; powers of ten, as shops and systems count today.
export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = count;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function number(value) {
  return value.toLocaleString("en");
}

// A time of the API (seconds since 1970 or ISO 8601) in the reader's own zone.
export function time(value) {
  return value ? new Date(typeof value === "number" ? value * 1000 : value).toLocaleString() : "";
}

// How long ago a time of the API was: "just now", "5 min ago"; a day and more ago the date.
export function ago(value) {
  const seconds = (Date.now() - new Date(value)) / 1000;
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 86400 ? `${Math.round(seconds / 3600)} h ago` : new Date(value).toLocaleDateString();
}

// Seconds as people say them: "3 s", "12 min".
export function duration(seconds) {
  if (seconds < 1) return "under 1 s";
  return seconds < 90 ? `${Math.round(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

// The API's details begin small and end without a stop.
export function sentence(detail) {
  const text = detail.trim();
  return text && text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages of plain http have no clipboard (Secure Contexts §1); the old way still works there.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
