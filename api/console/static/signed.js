// URLs as others may use them: signed where the domain demands it.
import { address, askJson } from "./api.js";
import { useEffect, useState } from "./html.js";

// A week, the longest that the server signs for.
const EXPIRES_IN_S = 7 * 24 * 3600;
const TYPING_MS = 300;

// `urls` are absolute, of this server; as they came until the signatures are there, and where none is needed.
export function useSigned(urls) {
  const [signed, setSigned] = useState({});
  const wanted = JSON.stringify(urls);

  useEffect(() => {
    const control = new AbortController();
    const timer = setTimeout(async () => {
      // A null is a URL that this key gets no signature for.
      const found = await sign(urls, control.signal).catch(() => []);
      if (!control.signal.aborted)
        setSigned(Object.fromEntries(urls.map((url, index) => [url, found[index] ?? url])));
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [wanted]);

  return urls.map((url) => signed[url] ?? url);
}

async function sign(urls, signal) {
  // The server signs from its own root on, whatever prefix a proxy in front has.
  const root = address("").slice(0, -1);
  const json = { urls: urls.map((url) => url.slice(root.length)), expires_in_s: EXPIRES_IN_S };
  const said = await askJson("v1/signed-urls", { method: "POST", json, signal });
  return said.urls.map((url) => url && root + url);
}
