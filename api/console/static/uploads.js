// The uploads of this tab: a queue that goes on while other pages are shown.
import { Problem, address } from "./api.js";
import { forgetListing } from "./listing.js";
import { key, watchSession } from "./session.js";

const AT_ONCE = 4;
const TRIES = 4;

// Each: {id, file, domain, dkey, overwrite, state, sent, problem, image, isNew, tries}; `state` is waiting,
// sending, done or failed, `sent` is bytes.
export const uploads = [];

const listeners = new Set();
let lastId = 0;
let sending = 0;
let isTold = false;

export function watchUploads(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// `files` as {file, path}; the dkey of each is `prefix` and its path.
export function addUploads(files, { domain, prefix, overwrite }) {
  for (const { file, path } of files) {
    lastId += 1;
    uploads.push({
      id: lastId,
      file,
      domain,
      dkey: prefix + path,
      overwrite,
      state: "waiting",
      sent: 0,
      tries: 0,
    });
  }
  pump();
}

export function retry(upload) {
  Object.assign(upload, { state: "waiting", sent: 0, tries: 0, problem: null });
  pump();
}

export function retryFailed() {
  uploads.filter((each) => each.state === "failed").forEach(retry);
}

// Takes those that are done off the list.
export function clearDone() {
  keep((each) => each.state !== "done");
}

// Takes what has not begun off the list.
export function cancelWaiting() {
  keep((each) => each.state !== "waiting");
}

function keep(condition) {
  uploads.splice(0, uploads.length, ...uploads.filter(condition));
  tell();
}

function pump() {
  while (sending < AT_ONCE) {
    const next = uploads.find((each) => each.state === "waiting" && !(each.notBefore > Date.now()));
    if (!next) break;
    sending += 1;
    next.state = "sending";
    next.tries += 1;
    send(next);
  }
  tell();
}

function send(upload) {
  const form = new FormData();
  form.append("domain", upload.domain);
  form.append("dkey", upload.dkey);
  form.append("overwrite", upload.overwrite ? "1" : "0");
  form.append("file", upload.file);
  // Not fetch, which tells nothing of how far a body has come.
  const request = new XMLHttpRequest();
  request.open("POST", address("v1/images"));
  request.setRequestHeader("Authorization", `Bearer ${key()}`);
  request.upload.onprogress = (event) => {
    upload.sent = Math.min(event.loaded, upload.file.size);
    tell();
  };
  request.onloadend = () => {
    sending -= 1;
    settle(upload, request);
    pump();
  };
  request.send(form);
}

function settle(upload, request) {
  const said = parse(request.responseText);
  if (request.status === 200 || request.status === 201) {
    Object.assign(upload, {
      state: "done",
      sent: upload.file.size,
      image: said,
      isNew: request.status === 201,
    });
    forgetListing();
    return;
  }
  const problem = request.status
    ? Problem.from(request.status, said, request.getResponseHeader("Retry-After"))
    : Problem.unreachable();
  upload.problem = problem;
  if (!problem.isPassing || upload.tries >= TRIES || problem.kind === "insufficient-storage") {
    upload.state = "failed";
    return;
  }
  const wait = 1000 * (problem.retryAfter ?? 1) * upload.tries;
  Object.assign(upload, { state: "waiting", sent: 0, notBefore: Date.now() + wait });
  setTimeout(pump, wait + 20);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// At most once a frame, however many progress events there are.
function tell() {
  if (isTold) return;
  isTold = true;
  setTimeout(() => {
    isTold = false;
    for (const listener of listeners) listener();
  }, 50);
}

// Whoever logs in next has other uploads; what is being sent goes on.
watchSession(() => keep(() => false));

addEventListener("beforeunload", (event) => {
  if (uploads.some((each) => each.state === "sending" || each.state === "waiting")) event.preventDefault();
});
