// What is there more than once, side by side, with the one to keep. Nothing is deleted here.

import * as api from "./api.js";
import { $, button, bytes, counted, dateName, folderOf, make, nameOf } from "./elements.js";

const CLASSES = { bytes: "The same file", picture: "The same picture", shots: "Taken within a minute", text: "The same text" };
let abort = new AbortController();

export function leave() {
  abort.abort();
  $("pairs").hidden = true;
  $("pairs").replaceChildren();
}

/** Shows the groups; `open(id)` shows a file, `say(text)` a sentence. */
export async function show({ open, say, copy }) {
  abort.abort();
  abort = new AbortController();
  const { signal } = abort;
  const pairs = $("pairs");
  pairs.hidden = false;
  pairs.replaceChildren();
  let [cursor, shown] = [null, 0];
  const more = button("More groups", () => next());
  async function next() {
    more.disabled = true;
    const found = await api.duplicates(cursor, signal);
    cursor = found.cursor;
    shown += found.groups.length;
    pairs.append(...found.groups.map((group) => drawn(group, open, copy)));
    more.remove();
    more.disabled = false;
    if (cursor) pairs.append(more);
    say(found.total ? `${counted(found.total, "group")} of files that are there more than once` : "Nothing is there more than once.");
  }
  say("Comparing…");
  await next();
}

function drawn(group, open, copy) {
  const others = group.files.slice(1);
  const head = make("header", {},
    make("h2", { text: CLASSES[group.class] ?? group.class }),
    make("span", { class: "quiet-text", text: `${group.why}; the others take ${bytes(group.bytes)}` }),
    button("Copy the others' paths", () => copy(others.map((file) => file.path))));
  const files = group.files.map((file) => {
    const image = make("img", { src: file.thumb ?? api.pictureOf(file.id, 320), alt: "", loading: "lazy" });
    image.addEventListener("error", () => image.remove(), { once: true });
    const size = [file.width && `${file.width} × ${file.height}`, bytes(file.bytes)].filter(Boolean).join(", ");
    return make("figure", { class: file.keep ? "keep" : "" },
      make("a", { href: "#", "aria-label": `Open ${nameOf(file.path)}`, click: (event) => { event.preventDefault(); open(file.id); } }, image),
      make("figcaption", {}, make("strong", { text: file.keep ? `Keep: ${nameOf(file.path)}` : nameOf(file.path) }), make("span", { text: size }), make("span", { text: dateName(file.taken ?? file.modified) }), make("span", { text: folderOf(file.path) })));
  });
  return make("section", { class: "pair" }, head, make("div", { class: "side-by-side" }, ...files));
}
