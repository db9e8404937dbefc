// The form that asks for an API key, and tries it.
import { askJson } from "./api.js";
import { html, useState } from "./html.js";
import { login, logoutReason } from "./session.js";
import { ProblemNotice } from "./ui.js";

export function Login() {
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const reason = logoutReason();

  async function submit(event) {
    event.preventDefault();
    const secret = new FormData(event.target).get("key").trim();
    setBusy(true);
    try {
      // Any route for readers would do: a key with any right may ask this.
      await askJson("v1/domains", { query: { limit: 1 }, as: secret });
      login(secret);
    } catch (error) {
      setProblem(error.status === 401 ? { title: "This key is wrong", detail: error.detail } : error);
      setBusy(false);
    }
  }

  return html`<main id="main" class="login" tabindex="-1">
    <article>
      <header><img src="logo.svg" alt="" width="40" height="40" /><h1>Image store</h1></header>
      ${reason && !problem && html`<div class="notice bad" role="alert">${reason}</div>`}
      <${ProblemNotice} problem=${problem} />
      <form onSubmit=${submit}>
        <label>API key
          <input name="key" type="password" required autofocus autocomplete="current-password"
            spellcheck=${false}
            aria-describedby="key-hint" aria-invalid=${problem?.title === "This key is wrong" ? "true" : null} />
        </label>
        <small id="key-hint">The first start of the server made one and said where it is. It stays in this tab
          alone, until you log out or close it.</small>
        <button aria-busy=${busy ? "true" : null} disabled=${busy}>Log in</button>
      </form>
    </article>
  </main>`;
}
