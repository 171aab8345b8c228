// One file in the grid: its picture, or a card of its words.

import { clock, counted, dateName, folderOf, make, marked, nameOf } from "./elements.js";

const WORDS = new Set(["text", "audio"]);

/** Fills `item` with what is shown of a hit. */
export function fill(item, hit, { words, chosen, open, choose }) {
  const name = nameOf(hit.path);
  const score = hit.score == null ? "" : `, score ${hit.score.toFixed(2)}`;
  const label = [name, dateName(hit.taken ?? hit.modified), hit.available ? "" : "not there now"].filter(Boolean).join(", ") + score;
  const link = make("a", { href: "#", "aria-label": label, title: `${name}\n${folderOf(hit.path)}`, click: open });
  link.append(hit.thumb && !WORDS.has(hit.type) ? picture(hit, name, words) : card(hit, name, words));
  const box = make("input", { type: "checkbox", "aria-label": `Choose ${name}`, click: choose });
  item.classList.toggle("away", !hit.available);
  item.replaceChildren(link, make("label", { class: "choice" }, box), ...[badges(hit)].filter(Boolean));
  mark(item, chosen);
}

/** Shows whether the file is chosen. */
export function mark(item, chosen) {
  item.querySelector("input").checked = chosen;
  item.classList.toggle("chosen", chosen);
}

function picture(hit, name, words) {
  const image = make("img", { src: hit.thumb, alt: "", decoding: "async", draggable: "false" });
  // What cannot be drawn (an extra that is not installed, a file that is away) is shown by its words.
  image.addEventListener("error", () => image.replaceWith(card(hit, name, words)), { once: true });
  return image;
}

function card(hit, name, words) {
  const text = hit.snippet ?? hit.description ?? hit.title ?? [dateName(hit.taken ?? hit.modified), folderOf(hit.path)].join("\n");
  return make("span", { class: "card" }, make("strong", {}, ...marked(name, words)), make("span", {}, ...marked(text.slice(0, 400), words)));
}

function badges(hit) {
  const said = [];
  if (hit.time && (hit.type === "video" || hit.type === "audio")) said.push(clock(hit.time[0]));
  else if (hit.type === "video") said.push("video");
  if (hit.page != null) said.push(`page ${hit.page}`);
  if (hit.copies.length) said.push(counted(hit.copies.length + 1, "copy", "copies"));
  if (hit.score != null) said.push(hit.score.toFixed(2));
  if (hit.channels?.includes("words")) said.push("words");
  if (!hit.available) said.push("away");
  return said.length > 0 && make("span", { class: "badges", "aria-hidden": "true" }, ...said.map((text) => make("span", { text })));
}

