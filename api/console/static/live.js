// A picture that follows its URL: the old one stays until the new one is there.
import { Problem, ask } from "./api.js";
import { useEffect, useState } from "./html.js";

const TYPING_MS = 250;

// What `image/read` gives for `query`: {source, width, height, size, type, time, cache, isBusy, problem};
// `time` in milliseconds. `version` changes when the same query gives another picture.
export function useLivePicture(query, version) {
  const [shown, setShown] = useState({ source: "", isBusy: true, problem: null });

  useEffect(() => {
    const control = new AbortController();
    setShown((known) => ({ ...known, isBusy: true }));
    const timer = setTimeout(async () => {
      try {
        const next = await fetchPicture(query, control.signal);
        setShown({ ...next, isBusy: false, problem: null });
      } catch (problem) {
        if (problem instanceof Problem) setShown((known) => ({ ...known, isBusy: false, problem }));
      }
    }, shown.source ? TYPING_MS : 0);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [JSON.stringify(query), version]);

  // The blob of a picture that is shown no more.
  useEffect(() => () => URL.revokeObjectURL(shown.source), [shown.source]);
  return shown;
}

async function fetchPicture(query, signal) {
  const began = performance.now();
  // Not from the browser's cache: the time shall be the service's.
  const answer = await ask("image/read", { query, signal, cache: "no-store" });
  const blob = await answer.blob();
  const time = performance.now() - began;
  const source = URL.createObjectURL(blob);
  const size = { size: blob.size, type: blob.type, time, cache: answer.headers.get("X-Cache") ?? "" };
  try {
    const picture = new Image();
    picture.src = source;
    await picture.decode();
    return { ...size, source, width: picture.naturalWidth, height: picture.naturalHeight };
  } catch {
    return { ...size, source, width: 0, height: 0 };
  }
}
