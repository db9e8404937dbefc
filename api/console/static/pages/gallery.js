// The pictures of the store, a page of the API at a time.
import { address, askJson, follow } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { ProblemNotice } from "../ui.js";

export default function Gallery({ query }) {
  const [images, setImages] = useState([]);
  const [next, setNext] = useState("v1/images");
  const [problem, setProblem] = useState(null);

  async function more() {
    setProblem(null);
    try {
      const page = await askJson(next, next === "v1/images" ? { query } : {});
      setImages((known) => [...known, ...page.images]);
      setNext(page.next && follow(page.next));
    } catch (error) {
      setProblem(error);
    }
  }
  useEffect(() => void more(), []);

  return html`<h1>Gallery</h1>
    <${ProblemNotice} problem=${problem} onRetry=${more} />
    <ul class="plain">${images.map((image) => html`<li key=${image.id}>
      <img src=${address("image/read", { id: image.id, width: 200, height: 200, fit: "cover" })} alt=${image.dkey} width="200" height="200" loading="lazy" />
    </li>`)}</ul>
    ${next && html`<button type="button" onClick=${more}>More</button>`}`;
}
