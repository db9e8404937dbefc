// A choice among pictures, for what is tried on one.
import { askJson } from "./api.js";
import { DomainInput, useDomains } from "./domains.js";
import { html, useEffect, useState } from "./html.js";
import { Thumb } from "./thumb.js";
import { ProblemNotice } from "./ui.js";

const SHOWN = 12;
const TYPING_MS = 300;

// `onChoose(image)` is called with the first one as soon as it is known.
export function TryOn({ chosen, onChoose }) {
  const domains = useDomains();
  const [domain, setDomain] = useState("");
  const [found, setFound] = useState({ images: [], problem: null });
  // Marks themselves are no good ground, unless they are asked for.
  const first = domains.filter((each) => each.images > 0 && each.domain !== "watermark").sort((a, b) => b.images - a.images)[0]?.domain;
  const wanted = domain || first || "";

  useEffect(() => {
    const control = new AbortController();
    const timer = setTimeout(async () => {
      if (!wanted) return;
      try {
        const page = await askJson("v1/images", { query: { domain: wanted, limit: SHOWN }, signal: control.signal });
        setFound({ images: page.images, problem: null });
        if (!chosen && page.images.length) onChoose(page.images[0]);
      } catch (problem) {
        if (!control.signal.aborted) setFound({ images: [], problem });
      }
    }, domain ? TYPING_MS : 0);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [wanted]);

  return html`<div class="tryon">
    <label>Try it on pictures of<${DomainInput} domains=${domains} placeholder=${first ?? "domain"} value=${domain} onInput=${(event) => setDomain(event.target.value.trim())} /></label>
    <${ProblemNotice} problem=${found.problem} />
    ${found.images.length === 0 && !found.problem && html`<p class="muted">No picture there yet.</p>`}
    <ul class="plain strip" aria-label="Pictures to try it on">${found.images.map((image) => html`<li key=${image.id}>
      <button type="button" class="pick" aria-pressed=${image.id === chosen?.id} aria-label=${image.dkey} title=${image.dkey} onClick=${() => onChoose(image)}><${Thumb} image=${image} side=${160} /></button>
    </li>`)}</ul>
  </div>`;
}
