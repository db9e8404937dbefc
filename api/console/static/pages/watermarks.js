// Marks, which are pictures of the domain `watermark`: upload one, try it on a picture, keep its defaults.
import { ask, askJson, follow } from "../api.js";
import { useAttempt } from "../attempt.js";
import { html, useEffect, useState } from "../html.js";
import { forgetListing } from "../listing.js";
import { MarkEditor } from "../markeditor.js";
import { navigate, href } from "../router.js";
import { Thumb } from "../thumb.js";
import { Notice, ProblemNotice, bytes } from "../ui.js";

const DOMAIN = "watermark";

export default function Watermarks({ args: [name] }) {
  const [marks, setMarks] = useState(null);
  const [problem, setProblem] = useState(null);

  async function load() {
    try {
      setMarks(await allMarks());
      setProblem(null);
    } catch (error) {
      setProblem(error);
    }
    // Marks are pictures of the gallery too.
    forgetListing();
  }
  useEffect(() => { load(); }, []);

  const chosen = marks?.find((mark) => mark.dkey === name) ?? marks?.[0];
  return html`<h1>Watermarks</h1>
    <${ProblemNotice} problem=${problem} onRetry=${load} />
    <${UploadMark} onStored=${async (mark) => { await load(); navigate(href("watermarks", [mark.dkey])); }} />
    ${!marks && !problem && html`<p class="muted" aria-busy="true">Loading</p>`}
    ${marks?.length === 0 && html`<p class="empty">No watermark yet. A PNG with a transparent background makes a good one.</p>`}
    ${marks?.length > 0 && html`<ul class="plain marks" aria-label="Watermarks">
      ${marks.map((mark) => html`<li key=${mark.id}><a href=${href("watermarks", [mark.dkey])} aria-current=${mark === chosen ? "true" : null}>
        <${Thumb} image=${mark} side=${160} fit="inside" /><span class="name">${mark.dkey}</span>
        <small class="muted">${mark.width}×${mark.height} · ${bytes(mark.size)}</small></a></li>`)}
    </ul>`}
    ${chosen && html`<${MarkEditor} key=${chosen.id} mark=${chosen} onChanged=${load} />`}`;
}

function UploadMark({ onStored }) {
  const [name, setName] = useState("");
  const { isBusy, problem, told, attempt } = useAttempt();

  function upload(event) {
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    const dkey = name || file.name.replace(/\.[^.]*$/, "");
    const body = new FormData();
    for (const [field, value] of Object.entries({ domain: DOMAIN, dkey, file })) body.append(field, value);
    attempt(async () => {
      const mark = await askJson("v1/images", { method: "POST", body });
      setName("");
      await onStored(mark);
      return mark;
    }, (mark) => `Stored. Pictures get it by watermark=${mark.dkey}`);
  }

  return html`<div class="toolbar">
      <label>Name<input value=${name} maxlength="255" placeholder="as the file's" autocapitalize="none" spellcheck=${false} onInput=${(event) => setName(event.target.value.trim())} /></label>
      <label class="file" aria-busy=${isBusy ? "true" : null}>Upload a watermark<input type="file" accept="image/*" disabled=${isBusy} onChange=${upload} /></label>
    </div>
    <${ProblemNotice} problem=${problem} />
    ${told && html`<${Notice}>${told}<//>`}`;
}

async function allMarks() {
  const marks = [];
  for (let page = `v1/images?domain=${DOMAIN}&limit=1000`; page;) {
    const said = await (await ask(page, { cache: "no-store" })).json();
    marks.push(...said.images);
    page = said.next && follow(said.next);
  }
  return marks;
}
