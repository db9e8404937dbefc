// The domains that the key may see, with what each holds: for suggestions in forms.
import { askJson } from "./api.js";
import { html, useEffect, useState } from "./html.js";

export function useDomains() {
  const [domains, setDomains] = useState([]);
  useEffect(() => {
    askJson("v1/domains", { query: { limit: 1000 } })
      .then((page) => setDomains(page.domains))
      .catch(() => {}); // Only suggestions.
  }, []);
  return domains;
}

// An input with the known domains as suggestions; `...input` goes to the element.
export function DomainInput({ domains, ...input }) {
  return html`<input list="known-domains" autocapitalize="none" autocomplete="off" spellcheck=${false}
      pattern="[a-z0-9][a-z0-9._\\-]{0,15}" title="1 to 16 of a-z 0-9 . _ -" ...${input} />
    <datalist id="known-domains">
      ${domains.map(({ domain }) => html`<option key=${domain} value=${domain} />`)}
    </datalist>`;
}
