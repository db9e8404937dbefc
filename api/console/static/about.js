// What is known of a picture, and where to get it.
import { address } from "./api.js";
import { html } from "./html.js";
import { useSigned } from "./signed.js";
import { CopyButton, bytes, number, time } from "./ui.js";

export function About({ image }) {
  const { image_metadata: read } = image;
  const rows = [
    ["Number", image.id],
    ["Domain", image.domain],
    ["Name (dkey)", image.dkey],
    [
      "Format",
      `${image.format.toUpperCase()}${read.frames > 1 ? `, ${number(read.frames)} frames` : ""}${read.truncated ? ", cut short" : ""}`,
    ],
    ["Size", `${number(image.width)} × ${number(image.height)} pixels, ${bytes(image.size)}`],
    ["Stored", time(image.create_time)],
    ["Changed", image.rev > 1 ? `${time(image.update_time)} (revision ${image.rev})` : "never"],
    ["MD5", image.md5sum],
    ["SHA-256", image.sha256],
    ...Object.entries(read)
      .filter(([name, value]) => !["frames", "truncated"].includes(name) && JSON.stringify(value) !== "{}")
      .map(([name, value]) => [
        name.replaceAll("_", " "),
        spoken(value),
      ]),
  ];
  return html`<section aria-labelledby="about"><h2 id="about">About</h2>
    <dl class="about">${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
  </section>`;
}

function spoken(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export function Links({ image }) {
  const links = [
    ["Original by name", address(image.links.original.slice(1))],
    ["Original by number", address("image/read", { id: image.id })],
    ["Original by md5", address("image/read", { sum: image.md5sum })],
    ["Original by sha256", address("image/read", { sum: image.sha256 })],
    ["Description (JSON)", address("image/info", { id: image.id })],
  ];
  const urls = useSigned(links.map(([, url]) => url));
  return html`<section aria-labelledby="links"><h2 id="links">Links</h2>
    <ul class="plain links">${links
      .map(([name], index) => [name, urls[index]])
      .map(
        ([name, url]) => html`<li key=${name}>
      <a href=${url} target="_blank" rel="noreferrer">${name}</a><code
        title=${url}>${url}</code><${CopyButton} text=${url} /></li>`,
      )}</ul>
  </section>`;
}
