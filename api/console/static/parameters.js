// The parameters of a rendition as the OpenAPI document describes them, so that a new one appears by itself.
import { askJson } from "./api.js";

let known = null;

// Each: {name, description, schema}; without other names for one, and without what is not of the picture.
export function renditionParameters() {
  known ??= askJson("openapi.json").then((document) =>
    document.paths["/image/read"].get.parameters.filter(
      (each) => each.name && each.in === "query" && !each["x-short-for"],
    ),
  );
  known.catch(() => {
    known = null;
  });
  return known;
}

// What kind of control a schema needs, and with what: {kind: "switch" | "choice" | "number" | "text", ...}.
export function controlOf(schema) {
  const [plain, ...others] = schema.anyOf ?? [schema];
  const words = plain.enum?.filter((word) => !plain["x-synonyms"]?.includes(word));
  if (words?.join() === "1,0") return { kind: "switch" };
  // Some take a word or something else: the words become suggestions.
  if (words) return others.length ? { kind: "text", words, hint: "" } : { kind: "choice", words };
  if (plain.type === "integer" || plain.type === "number") {
    const step = plain.type === "integer" ? 1 : plain.maximum <= 4 ? 0.01 : 0.1;
    return { kind: "number", min: plain.minimum, max: plain.maximum, step };
  }
  return { kind: "text", words: plain.examples ?? [], hint: plain.examples?.[0] ?? "" };
}
