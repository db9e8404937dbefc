// A picture that follows its URL: the old one stays until the new one is there.
import { Problem, ask } from "./api.js";
import { useEffect, useState } from "./html.js";

const TYPING_MS = 250;

// What `image/read` gives of `image` for `wishes`: {source, width, height, size, type, time, cache, isBusy,
// problem}; `time` in milliseconds. Another `version` is another picture under the same wishes.
export function useLivePicture(image, wishes, version = "") {
  const [shown, setShown] = useState({ source: "", problem: null, of: "" });
  const wanted = JSON.stringify([image.id, image.sha256, wishes, version]);

  useEffect(() => {
    const control = new AbortController();
    const timer = setTimeout(
      async () => {
        try {
          const next = await fetchPicture(image, wishes, control.signal);
          setShown({ ...next, problem: null, of: wanted });
        } catch (problem) {
          if (problem instanceof Problem) setShown((known) => ({ ...known, problem, of: wanted }));
        }
      },
      shown.source ? TYPING_MS : 0,
    );
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [wanted]);

  // The blob of a picture that is shown no more.
  useEffect(() => () => URL.revokeObjectURL(shown.source), [shown.source]);
  return { ...shown, isBusy: shown.of !== wanted };
}

async function fetchPicture(image, wishes, signal) {
  const began = performance.now();
  const answer = await read(image, wishes, signal);
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

async function read(image, wishes, signal) {
  // Not from the browser's cache: the time shall be the service's.
  const options = { signal, cache: "no-store" };
  try {
    // By its hash: for a second after a replacement nginx may answer the old picture to the number.
    return await ask("image/read", { ...options, query: { sum: image.sha256, ...wishes } });
  } catch (problem) {
    // Another image that has the same bytes may be none of this key's business.
    if (problem.status !== 403 && problem.status !== 404) throw problem;
    return ask("image/read", { ...options, query: { id: image.id, ...wishes } });
  }
}
