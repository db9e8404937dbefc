// The API key of this tab: in sessionStorage, so that it is gone with the tab; never in a URL.
const NAME = "imagestore.key";

const listeners = new Set();
let why = "";

export function key() {
  return sessionStorage.getItem(NAME);
}

export function login(secret) {
  why = "";
  sessionStorage.setItem(NAME, secret);
  tell();
}

// `reason` is shown above the form, when it was not the user's own wish.
export function logout(reason = "") {
  why = reason;
  sessionStorage.removeItem(NAME);
  tell();
}

export function logoutReason() {
  return why;
}

// Calls `listener` at each login and logout; gives the function that ends this.
export function watchSession(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell() {
  for (const listener of listeners) listener();
}
