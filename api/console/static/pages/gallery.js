// The pictures of the store: search, and a grid that holds 100,000 as well as ten.
import { DomainInput, useDomains } from "../domains.js";
import { Grid } from "../grid.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { listingOf } from "../listing.js";
import { href, replaceQuery } from "../router.js";
import { Thumb } from "../thumb.js";
import { ProblemNotice, bytes, number } from "../ui.js";

const TYPING_MS = 350;
const AHEAD = 400;

const FIELDS = ["domain", "prefix", "sum", "metadata"];

export default function Gallery({ query }) {
  const [typed, setTyped] = useState(() => only(query));
  const [wanted, setWanted] = useState(typed);

  // The address may change by a link or the history too.
  const written = useRef(null);
  useEffect(() => {
    if (JSON.stringify(only(query)) === written.current) return;
    setTyped(only(query));
    setWanted(only(query));
  }, [JSON.stringify(only(query))]);

  useEffect(() => {
    const timer = setTimeout(() => {
      setWanted(typed);
      written.current = JSON.stringify(only(typed));
      replaceQuery("gallery", typed);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);

  return html`<h1 class="offscreen">Gallery</h1>
    <${Search} typed=${typed} onType=${setTyped} onSubmit=${() => setWanted(typed)} />
    <${Results} key=${JSON.stringify(asked(wanted))} query=${asked(wanted)} />`;
}

function Search({ typed, onType, onSubmit }) {
  const domains = useDomains();
  const input = (name) => ({
    name,
    value: typed[name] ?? "",
    onInput: (event) => onType({ ...typed, [name]: event.target.value.trim() }),
  });
  const submit = (event) => {
    event.preventDefault();
    onSubmit();
  };
  return html`<search><form class="search" onSubmit=${submit}>
    <label>Domain<${DomainInput} domains=${domains} placeholder="all" ...${input("domain")} /></label>
    <label>Name begins with<input type="search" ...${input("prefix")} disabled=${!typed.domain}
      placeholder=${typed.domain ? "2026/holiday/" : "choose a domain first"} autocapitalize="none" spellcheck=${false} /></label>
    <label>Sum<input type="search" ...${input("sum")} placeholder="md5 or sha256" autocapitalize="none"
      spellcheck=${false} /></label>
    <label>Metadata<input type="search" ...${input("metadata")} placeholder="artist:Ada, or any word"
      title="name:value at the top level, or a word anywhere" autocapitalize="none" spellcheck=${false} /></label>
  </form></search>`;
}

function Results({ query }) {
  const [listing] = useState(() => listingOf(query));
  const [, redraw] = useState(0);
  const [end, setEnd] = useState(0);

  useEffect(() => {
    listing.onChange = () => redraw((count) => count + 1);
    return () => {
      listing.onChange = () => {};
    };
  }, []);

  // Back to where the reader was; kept while he scrolls, since the page is gone when this is.
  useLayoutEffect(() => {
    scrollTo(0, listing.scroll);
    const keep = () => {
      listing.scroll = scrollY;
    };
    addEventListener("scroll", keep, { passive: true });
    return () => removeEventListener("scroll", keep);
  }, []);

  const { items, isWhole, isBusy, isPaused, problem } = listing;
  const more = () => listing.more();
  // Fetched ahead of the reader, and on through pages that hold nothing.
  useEffect(() => {
    if (end + AHEAD > items.length && !problem) more();
  }, [end, items.length, isBusy]);

  if (isWhole && !items.length) {
    const upload = href("upload", [], { domain: query.domain });
    return html`<p class="empty">No picture is like that. <a href=${upload}>Upload some</a></p>`;
  }
  const count = `${number(items.length)}${isWhole ? "" : "+"} ${items.length === 1 ? "picture" : "pictures"}`;
  return html`<p class="muted count">${items.length ? count : isBusy && "Searching"}
      ${items.length > 0 && html`<span class="hint"> · arrow keys move, Enter opens${isWhole ? "" : ", End goes to the last one loaded"}</span>`}</p>
    <${Grid} items=${items} label="Pictures" target=${(image) => href("picture", [image.id])}
      start=${listing.active}
      onActive=${(index) => {
        listing.active = index;
      }}
      onShown=${setEnd}
      draw=${(image) => html`<${Cell} image=${image} />`} />
    <${ProblemNotice} problem=${problem} onRetry=${more} />
    ${
      isPaused &&
      html`<p class="empty" role="status">${items.length ? "No more" : "Nothing"} found yet, and not all pictures are searched.
      <button type="button" class="secondary" onClick=${() => listing.searchOn()}>Search on</button></p>`
    }
    ${isBusy && html`<p aria-busy="true" class="muted">Loading</p>`}`;
}

function Cell({ image }) {
  return html`<${Thumb} image=${image} />
    <span class="name">${image.dkey}</span>
    <small>${image.width}×${image.height} · ${bytes(image.size)} · ${image.format.toUpperCase()}</small>`;
}

function only(query) {
  return Object.fromEntries(FIELDS.filter((name) => query[name]).map((name) => [name, query[name]]));
}

// What the API is asked: without a domain it has no prefix.
function asked({ domain, prefix, ...others }) {
  return only({ domain, prefix: domain ? prefix : "", ...others });
}
