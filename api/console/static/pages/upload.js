// Upload of many files: drop or choose; each tells how far it is, or why it was refused.
import { DomainInput, useDomains } from "../domains.js";
import { chosenFiles, droppedFiles } from "../dropped.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { href } from "../router.js";
import { bytes, number, sentence } from "../ui.js";
import {
  addUploads,
  cancelWaiting,
  clearDone,
  retry,
  retryFailed,
  uploads,
  watchUploads,
} from "../uploads.js";

const ROWS = 100;
const ORDER = ["failed", "sending", "waiting", "done"];

export default function Upload({ query }) {
  const [, redraw] = useState(0);
  useEffect(() => watchUploads(() => redraw((count) => count + 1)), []);
  const domains = useDomains();
  const [target, setTarget] = useState({
    domain: query.domain ?? "default",
    prefix: query.prefix ?? "",
    overwrite: false,
  });
  const form = useRef();

  function add(files) {
    if (form.current.reportValidity()) addUploads(files, target);
  }

  return html`<h1>Upload</h1>
    <form ref=${form} class="toolbar" onSubmit=${(event) => event.preventDefault()}>
      <label>Domain<${DomainInput} domains=${domains} required value=${target.domain}
        onInput=${(event) => setTarget({ ...target, domain: event.target.value.trim() })} /></label>
      <label>Put before each name<input placeholder="2026/holiday/" value=${target.prefix} maxlength="200"
        autocapitalize="none" spellcheck=${false}
        onInput=${(event) => setTarget({ ...target, prefix: event.target.value })} /></label>
      <label class="check"><input type="checkbox" checked=${target.overwrite}
        onChange=${(event) => setTarget({ ...target, overwrite: event.target.checked })} />Replace pictures of the same name</label>
    </form>
    <${DropZone} onFiles=${add} />
    ${uploads.length > 0 && html`<${Queue} />`}`;
}

function DropZone({ onFiles }) {
  const [isOver, setOver] = useState(false);
  const drop = async (event) => {
    event.preventDefault();
    setOver(false);
    onFiles(await droppedFiles(event.dataTransfer));
  };
  const choose = (event) => {
    onFiles(chosenFiles(event.target.files));
    // So that the same file can be chosen again.
    event.target.value = "";
  };
  return html`<div class=${`drop ${isOver ? "over" : ""}`} onDrop=${drop}
      onDragOver=${(event) => {
        event.preventDefault();
        setOver(true);
      }} onDragLeave=${() => setOver(false)}>
    <p><strong>Drop pictures or folders here</strong></p>
    <p class="chosers">
      <label class="file">Choose files<input type="file" multiple accept="image/*"
        onChange=${choose} /></label>
      <label class="file plain">Choose a folder<input type="file" webkitdirectory
        onChange=${choose} /></label>
    </p>
    <small class="muted">JPEG, PNG, GIF, WebP, AVIF, HEIC, TIFF, BMP. Uploads go on while you look at other pages.</small>
  </div>`;
}

function Queue() {
  const counts = Object.fromEntries(
    ORDER.map((state) => [state, uploads.filter((each) => each.state === state).length]),
  );
  const size = uploads.reduce((sum, each) => sum + each.file.size, 0) || 1;
  const sent = uploads.reduce((sum, each) => sum + (each.state === "failed" ? each.file.size : each.sent), 0);
  const isBusy = counts.sending + counts.waiting > 0;
  const rows = [...uploads].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state)).slice(0, ROWS);
  const told = ORDER.filter((state) => counts[state])
    .map((state) => `${number(counts[state])} ${state}`)
    .join(", ");

  return html`<section aria-labelledby="queue">
    <div class="spread">
      <h2 id="queue">${isBusy ? "Uploading" : "Finished"}: <span role="status">${told}</span></h2>
      <div class="buttons">
        ${counts.failed > 0 && html`<button type="button" class="small" onClick=${retryFailed}>Retry all failed</button>`}
        ${counts.waiting > 0 && html`<button type="button" class="small outline secondary" onClick=${cancelWaiting}>Cancel what waits</button>`}
        ${counts.done > 0 && html`<button type="button" class="small outline secondary" onClick=${clearDone}>Clear finished</button>`}
      </div>
    </div>
    <progress value=${sent} max=${size} aria-label="All files"></progress>
    <ul class="plain rows">${rows.map((each) => html`<${Row} key=${each.id} upload=${each} />`)}</ul>
    ${uploads.length > ROWS && html`<p class="muted">and ${number(uploads.length - ROWS)} more</p>`}
  </section>`;
}

function Row({ upload }) {
  const { state, problem, image, file, sent } = upload;
  return html`<li class=${`row ${state}`}>
    <span class="name">${image ? html`<a href=${href("picture", [image.id])}>${upload.dkey}</a>` : upload.dkey}</span>
    <small class="muted">${upload.domain} · ${bytes(file.size)}</small>
    <span class="state">
      ${state === "sending" && html`<progress value=${sent} max=${file.size || 1} aria-label=${upload.dkey}></progress>`}
      ${state === "waiting" && (problem ? "will be tried again" : "waiting")}
      ${state === "done" && html`<span class="good">✓ ${upload.isNew ? "stored" : upload.overwrite ? "stored, or there already" : "there already"}</span>`}
      ${state === "failed" && html`<button type="button" class="small outline" onClick=${() => retry(upload)}>Retry</button>`}
    </span>
    ${state === "failed" && html`<p class="reason"><strong>${problem.title}.</strong> ${sentence(problem.detail ?? "")}</p>`}
  </li>`;
}
