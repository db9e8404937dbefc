// A small rendition of a picture, made by the service itself.
import { Problem, address, ask } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";

const WAIT_MS = 70;
const TRIES = 4;

// Domains whose pictures nobody sees without a signature; they are asked for with the key.
const closed = new Set();

// A still, also of an animation, which would be made and sent frame by frame; each of these counts as one with alpha.
function thumbQuery(image, side, fit = "cover") {
  const { alpha, frames } = image.image_metadata;
  const format = alpha && frames === 1 ? "webp" : "jpeg";
  return { width: side, height: side, fit, format };
}

// `image` has id, domain, sha256, and of its image_metadata frames and alpha. `side` in pixels of the result.
export function Thumb({ image, side = 320, fit }) {
  const [shown, setShown] = useState({ source: "", problem: null });
  const picture = useRef();
  const [viaKey, setViaKey] = useState(closed.has(image.domain));

  useEffect(() => {
    const control = new AbortController();
    let url = "";
    const begin = async () => {
      if (!viaKey) {
        // By its hash: such a URL never shows another picture, so that browsers may keep it.
        setShown({ source: address("image/read", { sum: image.sha256, ...thumbQuery(image, side, fit) }), problem: null });
        return;
      }
      try {
        url = URL.createObjectURL(await fetchThumb(image.id, thumbQuery(image, side, fit), control.signal));
        closed.add(image.domain);
        setShown({ source: url, problem: null });
      } catch (problem) {
        if (problem instanceof Problem) setShown({ source: "", problem });
      }
    };
    // Who scrolls past it needs no picture.
    const timer = setTimeout(begin, WAIT_MS);
    return () => {
      clearTimeout(timer);
      control.abort();
      URL.revokeObjectURL(url);
    };
  }, [image.id, image.sha256, side, viaKey]);

  // A browser goes on loading what is no longer in the page, ahead of what is.
  useEffect(() => {
    const loading = picture.current;
    return () => loading?.removeAttribute("src");
  }, [shown.source]);

  if (shown.problem) {
    return html`<span class="thumb missing" title=${shown.problem.message}>${shown.problem.title}</span>`;
  }
  return html`<span class="thumb">${shown.source && html`<img key=${shown.source} ref=${picture} src=${shown.source} alt="" decoding="async"
    onError=${() => setViaKey(true)} />`}</span>`;
}

async function fetchThumb(id, wish, signal) {
  for (let tries = 1; ; tries += 1) {
    try {
      const answer = await ask("image/read", { query: { id, ...wish }, signal });
      return await answer.blob();
    } catch (problem) {
      if (!(problem instanceof Problem && problem.isPassing) || tries === TRIES) throw problem;
      await new Promise((resume) => setTimeout(resume, 1000 * (problem.retryAfter ?? 1) * tries));
      signal.throwIfAborted();
    }
  }
}
