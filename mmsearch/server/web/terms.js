// What is asked beside the words in the box: pictures, what to avoid, what there is to be more or less of, filters.

import * as api from "./api.js";
import { $, button, make, nameOf } from "./elements.js";
import { changed, weighed, withWeight } from "./state.js";

const STEP = 0.5;
const LABELS = {
  type: "kind", in: "in", not_in: "not in", ext: "ending", when: "when", after: "from", before: "until", place: "place", near: "near",
  camera: "camera", lens: "lens", keyword: "keyword", rating: "rating", min_score: "score from", lang: "language",
};

/** Draws the chips of a state; `go(state)` shows another one. */
export function draw(state, go) {
  const chips = [];
  const without = (name, index) => go(changed(state, { [name]: state.getAll(name).filter((_, number) => number !== index) }));
  const replaced = (name, index, value) => go(changed(state, { [name]: state.getAll(name).map((old, number) => (number === index ? value : old)) }));
  const [, ...texts] = state.getAll("q");
  texts.forEach((term, number) => chips.push(weighty("and", "q", number + 1, term, without, replaced)));
  state.getAll("not").forEach((term, number) => chips.push(weighty("not", "not", number, term, without, replaced)));
  for (const [name, word] of [["image", "like"], ["like", "more like"], ["unlike", "less like"]]) {
    state.getAll(name).forEach((id, number) => chips.push(pictured(word, weighed(id).text, () => without(name, number))));
  }
  for (const [name, word] of Object.entries(LABELS)) {
    state.getAll(name).forEach((value, number) => {
      const shown = name === "in" || name === "not_in" ? nameOf(value) || value : value;
      chips.push(chip([`${word} `, make("b", { text: shown })], `${word} ${value}`, () => without(name, number), "filter"));
    });
  }
  $("terms").replaceChildren(...chips);
  $("terms").hidden = !chips.length;
}

function chip(content, name, drop, kind = "") {
  return make("li", { class: `chip ${kind}`, title: name }, ...content, button("✕", drop, { "aria-label": `Without: ${name}`, class: "quiet" }));
}

function weighty(word, name, number, term, without, replaced) {
  const { weight, text } = weighed(term);
  const step = (by) => replaced(name, number, withWeight(text, Math.min(Math.max(weight + by, STEP), 5)));
  const content = [
    `${word} `,
    make("b", { text }),
    button("−", () => step(-STEP), { "aria-label": `Less weight for ${text}`, class: "quiet" }),
    make("span", { text: `×${weight}` }),
    button("+", () => step(STEP), { "aria-label": `More weight for ${text}`, class: "quiet" }),
  ];
  return chip(content, `${word} ${text}`, () => without(name, number), name);
}

const previews = new Map();

function pictured(word, id, drop) {
  const image = make("img", { src: previews.get(id) ?? api.pictureOf(id, 64), alt: "" });
  image.addEventListener("error", () => image.remove(), { once: true });
  return chip([`${word} `, image], `${word} a picture`, drop, "pictured");
}

/** A picture of one's own as a term: handed over once; the state has a token that stands for it. */
export async function withPicture(state, file) {
  const { upload } = await api.upload(file);
  previews.set(upload, URL.createObjectURL(file));
  return changed(state, { image: upload, like: null, unlike: null, view: null, open: null, min_score: null });
}

/** The terms that were typed: "dog + 2:beach - people" as the command line has them. */
export function typed(text) {
  const [first, ...rest] = text.trim().split(/\s+(?=[+−-]\s)/u);
  const terms = { q: first ? [first] : [], not: [] };
  for (const one of rest) (one[0] === "+" ? terms.q : terms.not).push(one.slice(1).trim());
  return terms;
}
