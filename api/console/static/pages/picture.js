// One picture: how it looks in every rendition, what is known of it, and what can be done with it.
import { About, Links } from "../about.js";
import { ask } from "../api.js";
import { useAttempt } from "../attempt.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { forgetListing } from "../listing.js";
import { MetadataEditor } from "../metadata.js";
import { Playground } from "../playground.js";
import { href, navigate, replaceQuery } from "../router.js";
import { Confirm, Notice, ProblemNotice } from "../ui.js";

export default function Picture({ args: [id], query }) {
  const [known, setKnown] = useState(null);
  const [problem, setProblem] = useState(null);

  async function load() {
    try {
      const answer = await ask(`v1/images/${encodeURIComponent(id)}`, { cache: "no-store" });
      setKnown({ image: await answer.json(), etag: answer.headers.get("ETag") });
      setProblem(null);
    } catch (error) {
      setProblem(error);
    }
  }
  useEffect(() => {
    setKnown(null);
    load();
  }, [id]);

  if (!known) {
    return html`<${ProblemNotice} problem=${problem} onRetry=${problem?.isPassing ? load : null} />
      ${problem ? html`<p><a href=${href("gallery")}>To the gallery</a></p>` : html`<p aria-busy="true" class="muted">Loading</p>`}`;
  }
  const { image, etag } = known;
  const changed = () => {
    forgetListing();
    return load();
  };
  return html`
    <div class="spread">
      <h1 class="title">
        <a href=${href("gallery", [], { domain: image.domain })}>${image.domain}</a><span>/</span>${image.dkey}
      </h1>
      <${Actions} image=${image} etag=${etag} onReplaced=${changed} />
    </div>
    <${ProblemNotice} problem=${problem} onRetry=${load} />
    <${Playground} key=${image.id} image=${image} wishes=${query} onWishes=${(wishes) => replaceQuery("picture", wishes)} />
    <div class="columns">
      <div><${Links} image=${image} /><${MetadataEditor} key=${image.id} image=${image} etag=${etag}
        onSaved=${changed} onReload=${load} /></div>
      <${About} image=${image} />
    </div>`;
}

function Actions({ image, etag, onReplaced }) {
  const [isAsking, setAsking] = useState(false);
  const { isBusy, problem, told, attempt } = useAttempt();
  const purge = useRef();

  function replace(event) {
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    attempt(async () => {
      const body = new FormData();
      body.append("file", file);
      await ask(`v1/images/${image.id}`, { method: "PUT", body, headers: { "If-Match": etag } });
      await onReplaced();
    }, "Replaced; number and name stay.");
  }

  function answer(isSure) {
    const query = { purge: purge.current?.checked ? "1" : "" };
    setAsking(false);
    if (!isSure) return;
    attempt(async () => {
      await ask(`v1/images/${image.id}`, { method: "DELETE", query, headers: { "If-Match": etag } });
      forgetListing();
      navigate(href("gallery", [], { domain: image.domain }));
    });
  }

  return html`<div class="buttons">
      <label class="file small" aria-busy=${isBusy ? "true" : null}>Replace<input type="file"
        accept="image/*" disabled=${isBusy} onChange=${replace} /></label>
      <button type="button" class="small outline danger-outline" disabled=${isBusy}
        onClick=${() => setAsking(true)}>Delete</button>
    </div>
    ${(problem || told) && html`<div class="wide"><${ProblemNotice} problem=${problem} />${told && html`<${Notice}>${told}<//>`}</div>`}
    ${
      isAsking &&
      html`<${Confirm} title="Delete this picture?" yes="Delete" onAnswer=${answer}>
      <p><b>${image.domain}/${image.dkey}</b> will answer 404 at once, everywhere. This cannot be undone.</p>
      <label><input type="checkbox"
        ref=${purge} /> Remove the stored bytes at once, too (needs the right <i>admin</i>)</label>
    <//>`
    }`;
}
