// A list of pictures that grows by pages (keyset: each page says where the next one begins).
import { askJson, follow } from "./api.js";
import { watchSession } from "./session.js";

const FIRST = "v1/images";
const PAGE = 200;
const FRESH_MS = 5 * 60 * 1000;
// Pages in a row that are not full: a search in metadata reads 10,000 pictures for each, found or not.
const THIN_PAGES = 5;

// What the gallery shows of a picture; the rest is left to the garbage, since there may be 100,000.
function slim({ id, domain, dkey, sha256, width, height, size, format, image_metadata: { frames, alpha } }) {
  return { id, domain, dkey, sha256, width, height, size, format, image_metadata: { frames, alpha } };
}

class Listing {
  constructor(query) {
    this.query = query;
    this.items = [];
    this.next = FIRST;
    this.problem = null;
    this.isBusy = false;
    this.thin = 0;
    this.onChange = () => {};
    this.began = Date.now();
    // Where the reader was, for when he comes back.
    this.scroll = 0;
    this.active = 0;
  }

  get isWhole() {
    return this.next === null;
  }

  // Whether the search goes on only if the reader wants it to.
  get isPaused() {
    return !this.isBusy && !this.isWhole && this.thin >= THIN_PAGES;
  }

  searchOn() {
    this.thin = 0;
    return this.more();
  }

  // Fetches the next page, unless one is on its way.
  async more() {
    if (this.isBusy || this.isWhole || this.isPaused) return;
    this.isBusy = true;
    this.problem = null;
    this.onChange();
    try {
      const isFirst = this.next === FIRST;
      // A page may be empty and yet not the last: a search in metadata reads a part of the rows at a time.
      const page = await askJson(this.next, isFirst ? { query: { ...this.query, limit: PAGE } } : {});
      for (const image of page.images) this.items.push(slim(image));
      this.thin = page.images.length < PAGE ? this.thin + 1 : 0;
      this.next = page.next ? follow(page.next) : null;
    } catch (problem) {
      this.problem = problem;
    }
    this.isBusy = false;
    this.onChange();
  }
}

let last = null;

// The listing of a query: the one that was shown last if it is that and young enough, else a new one.
export function listingOf(query) {
  const isSame = last && JSON.stringify(last.query) === JSON.stringify(query);
  if (!isSame || Date.now() - last.began > FRESH_MS) last = new Listing(query);
  return last;
}

// After something was stored, changed or removed.
export function forgetListing() {
  last = null;
}

// Another key may see other pictures.
watchSession(forgetListing);
