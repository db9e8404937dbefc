// The frame of the console: login, navigation, the page that the hash names.
import { html, render, useEffect, useRef, useState } from "./html.js";
import { Login } from "./login.js";
import { PAGES } from "./pages.js";
import { href, useRoute } from "./router.js";
import { key, logout, watchSession } from "./session.js";
import { THEMES, applyTheme, setTheme, theme } from "./theme.js";

const START = Object.keys(PAGES)[0];

function App() {
  const [isIn, setIn] = useState(Boolean(key()));
  useEffect(() => watchSession(() => setIn(Boolean(key()))), []);
  return isIn ? html`<${Frame} />` : html`<${Login} />`;
}

function Frame() {
  const route = useRoute();
  const name = route.name || START;
  const page = PAGES[name];
  const main = useRef();
  const isFirst = useRef(true);

  useEffect(() => {
    document.title = `${page?.title ?? page?.heading ?? "Not found"} · Image store`;
    // Whoever follows a link with the keyboard goes on in the new page.
    if (!isFirst.current) main.current.focus({ preventScroll: true });
    isFirst.current = false;
  }, [name, ...route.args]);

  // The hash belongs to the router, so the link does its work itself.
  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };

  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href=${href(START)} aria-label="Image store: start page"><img src="logo.svg" alt=""
        width="28" height="28" /><span>Image store</span></a>
      <nav aria-label="Pages">
        ${Object.entries(PAGES)
          .filter(([, each]) => each.title)
          .map(
            ([each, { title }]) =>
              html`<a key=${each} href=${href(each)}
                aria-current=${each === name ? "page" : null}>${title}</a>`,
          )}
      </nav>
      <div class="session">
        <${ThemeSwitch} />
        <button type="button" class="small outline secondary" onClick=${() => logout()}>Log out</button>
      </div>
    </header>
    <main id="main" ref=${main} tabindex="-1">
      ${
        page
          ? html`<${page.component} key=${name} args=${route.args} query=${route.query} />`
          : html`<h1>Not found</h1>
              <p>There is no page “${name}”. <a href=${href(START)}>To the start page</a></p>`
      }
    </main>`;
}

function ThemeSwitch() {
  const [chosen, setChosen] = useState(theme());
  const change = (event) => {
    setTheme(event.target.value);
    setChosen(theme());
  };
  return html`<select class="small" aria-label="Colours" value=${chosen} onChange=${change}>
    ${Object.entries(THEMES).map(([each, text]) => html`<option key=${each} value=${each}>${text}</option>`)}
  </select>`;
}

applyTheme();
render(html`<${App} />`, document.getElementById("app"));
