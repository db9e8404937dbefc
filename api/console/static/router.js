// Routes are in the hash: `#/picture/7?width=300` is the page `picture`, its arguments ["7"], and a query.
import { useEffect, useState } from "./html.js";

function parseHash(hash) {
  const [path, query = ""] = hash.replace(/^#?\/?/, "").split(/\?(.*)/s);
  const [name, ...args] = path.split("/").map(decode);
  return { name, args, query: Object.fromEntries(new URLSearchParams(query)) };
}

// `href("picture", [7], {width: 300})`; empty values are left away.
export function href(name, args = [], query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  const path = [name, ...args].map(encodeURIComponent).join("/");
  return `#/${path}${kept.length ? `?${new URLSearchParams(kept)}` : ""}`;
}

export function navigate(target) {
  location.hash = target;
}

// The page `of` under another query, without a step in the history; nothing if another one is there already.
export function replaceQuery(of, query) {
  const { name, args } = parseHash(location.hash);
  if (name !== of && name !== "") return;
  history.replaceState(history.state, "", href(of, args, query));
  // Which the browser does not tell by itself.
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return parseHash(hash);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
