// Dark or light: the system's choice, until the user makes one.
const NAME = "imagestore.theme";

export const THEMES = { auto: "System", light: "Light", dark: "Dark" };

export function theme() {
  return localStorage.getItem(NAME) ?? "auto";
}

export function setTheme(name) {
  if (name === "auto") localStorage.removeItem(NAME);
  else localStorage.setItem(NAME, name);
  applyTheme();
}

export function applyTheme() {
  const chosen = theme();
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}
