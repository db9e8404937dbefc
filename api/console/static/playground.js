// Every rendition parameter as a control, and the picture that they make.
import { address, askJson } from "./api.js";
import { Control } from "./controls.js";
import { html, useEffect, useState } from "./html.js";
import { useLivePicture } from "./live.js";
import { renditionParameters } from "./parameters.js";
import { useSigned } from "./signed.js";
import { CopyButton, ProblemNotice, bytes } from "./ui.js";

// Of the first look: an original may have 50 megapixels.
const FIRST = { width: "800" };

// `wishes` are the parameters of the page's address; `onWishes` gets each change.
export function Playground({ image, wishes, onWishes }) {
  const [values, setValues] = useState(() => (Object.keys(wishes).length ? wishes : FIRST));
  const [parameters, setParameters] = useState([]);
  const [problem, setProblem] = useState(null);
  const marks = useMarks();
  const query = { id: image.id, ...values };
  const picture = useLivePicture(image, values);

  useEffect(() => {
    renditionParameters().then(setParameters, setProblem);
  }, []);

  function change(name, value) {
    const next = { ...values, [name]: value };
    if (value === "") delete next[name];
    setValues(next);
    onWishes(next);
  }
  function reset() {
    setValues({});
    onWishes({});
  }

  return html`<section class="playground" aria-label="Playground">
    <div class="stage">
      <${Stage} image=${image} picture=${picture} />
      <${ProblemNotice} problem=${picture.problem} />
      <${Facts} picture=${picture} />
      <${Address} query=${query} />
    </div>
    <form class="controls" aria-label="Rendition" onSubmit=${(event) => event.preventDefault()}>
      <div class="spread"><h2>Playground</h2>
        <button type="button" class="small outline secondary" onClick=${reset}>Original</button></div>
      <${ProblemNotice} problem=${problem} />
      <div class="control-list">
      ${parameters.map(
        (each) => html`<${Control} key=${each.name} parameter=${each} value=${values[each.name] ?? ""}
        suggestions=${each.name === "watermark" ? marks : []} onChange=${(value) => change(each.name, value)} />`,
      )}
      </div>
    </form>
  </section>`;
}

function Stage({ image, picture }) {
  const cannotShow = picture.source && !picture.width;
  return html`<div class=${`canvas ${picture.isBusy ? "busy" : ""}`}
    aria-busy=${picture.isBusy ? "true" : null}>
    ${picture.source && !cannotShow && html`<img src=${picture.source} alt=${`${image.dkey}, as the controls say`} />`}
    ${cannotShow && html`<p>This browser shows no ${picture.type}; choose a format such as webp.</p>`}
  </div>`;
}

function Facts({ picture }) {
  if (!picture.source) return null;
  const caches = { miss: "made just now", redis: "from Redis", memory: "from memory" };
  const from = caches[picture.cache] ?? picture.cache;
  const kind = picture.type.replace("image/", "").toUpperCase();
  return html`<p class="facts" role="status">
    ${picture.width > 0 && html`<span><b>${picture.width}×${picture.height}</b> pixels</span>`}
    <span><b data-bytes=${picture.size}>${bytes(picture.size)}</b> ${kind}</span>
    <span><b>${Math.round(picture.time)}</b> ms${from && html` <small>(${from})</small>`}</span>
  </p>`;
}

function Address({ query }) {
  const [url] = useSigned([address("image/read", query)]);
  return html`<div class="copyable"><label class="offscreen" for="made-url">URL of this picture</label>
    <input id="made-url" readonly value=${url} onFocus=${(event) => event.target.select()} />
    <${CopyButton} text=${url} label="Copy URL" /></div>`;
}

// The names of watermarks, as suggestions.
function useMarks() {
  const [marks, setMarks] = useState([]);
  useEffect(() => {
    askJson("v1/images", { query: { domain: "watermark", limit: 100 } })
      .then((page) => setMarks(page.images.map((each) => each.dkey)))
      .catch(() => {});
  }, []);
  return marks;
}
