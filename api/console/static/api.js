// Asks the API. Every error is thrown as a `Problem`, which has the members of problem+json (RFC 9457).
import { key, logout } from "./session.js";

const ROOT = new URL("../", import.meta.url);

// The absolute URL of a route, as `address("image/read", {id: 7})`; empty parameters are left away.
export function address(path, query = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url.href;
}

export class Problem extends Error {
  constructor({ title, detail, status = 0, type = "", instance = "", parameter = "", retryAfter = null }) {
    super(detail || title);
    Object.assign(this, { title, detail, status, instance, parameter, retryAfter });
    this.kind = type.replace("/problems/", "");
  }

  static async of(answer) {
    let said = {};
    try {
      said = await answer.json();
    } catch {
      // Not ours: a proxy in between, or a connection that broke.
    }
    return Problem.from(answer.status, said, answer.headers.get("Retry-After"));
  }

  static from(status, said, retryAfter = null) {
    const title = said?.title ?? `The server answered with status ${status}`;
    return new Problem({ ...said, title, status, retryAfter: retryAfter && Number(retryAfter) });
  }

  static unreachable() {
    return new Problem({
      title: "The server does not answer",
      detail: "The connection failed; is the server running?",
    });
  }

  // Whether the same request may succeed a little later.
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

// The answer to a request with the key of the session. `path` as `v1/images/7`; `json` becomes the body.
// Throws a Problem, or an AbortError if `signal` ended it.
export async function ask(
  path,
  { method = "GET", query, json, body, headers = {}, signal, cache, as = key() } = {},
) {
  const sent = new Headers(headers);
  if (as) sent.set("Authorization", `Bearer ${as}`);
  if (json !== undefined) {
    body = JSON.stringify(json);
    if (!sent.has("Content-Type")) sent.set("Content-Type", "application/json");
  }
  let answer;
  try {
    answer = await fetch(address(path, query), { method, headers: sent, body, signal, cache });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw Problem.unreachable();
  }
  if (answer.ok) return answer;
  const problem = await Problem.of(answer);
  if (problem.status === 401 && as && as === key()) logout("The server no longer takes this key.");
  throw problem;
}

// The JSON of an answer. A list's `next` is a path from the root: pass it on with `follow`.
export async function askJson(path, options) {
  const answer = await ask(path, options);
  return answer.status === 204 ? null : answer.json();
}

// The path that `ask` takes, from the `next` of a page (`/v1/images?after=...`).
export function follow(next) {
  return next.replace(/^\/+/, "");
}
