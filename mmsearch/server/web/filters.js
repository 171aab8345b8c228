// The panel of filters: what there is among the files that answer, and how many of each.

import * as api from "./api.js";
import { $, button, make, monthName, written } from "./elements.js";
import { changed, request } from "./state.js";

const MOST = 12;
const TYPES = { image: "Pictures", video: "Videos", document: "Documents", text: "Texts", audio: "Sound" };
const isOpen = new Map([["Kind", true], ["Folder", true], ["Date", true]]);
let abort = new AbortController();

/** Draws the panel for a state; `go(state)` shows another one. Returns what was counted, or null. */
export async function draw(state, go, facets) {
  const panel = $("filters");
  const groups = [
    group("Kind", state, "type", facets.types.map(({ value, count }) => [value, TYPES[value] ?? value, count]), go),
    group("Folder", state, "in", null, go, tree(facets.folders, state, go)),
    dates(state, facets.months, go),
    group("Place", state, "place", facets.places.map(same), go),
    group("Camera", state, "camera", facets.cameras.map(same), go),
    group("Ending", state, "ext", facets.extensions.map(({ value, count }) => [value.replace(/^\./, ""), value || "none", count]), go),
  ];
  panel.replaceChildren(make("h2", { text: "Filters" }), ...groups.filter(Boolean));
}

export async function counts(state) {
  abort.abort();
  abort = new AbortController();
  return api.facets(request(changed(state, { sort: null, random: null })), abort.signal);
}

const same = ({ value, count }) => [value, value, count];

function group(title, state, name, values, go, content = null) {
  if (!content && (!values || values.length < 1)) return null;
  const body = content ?? list(values, state, name, go);
  return section(title, body);
}

/** A part of the panel, which stays open or shut as a person has left it. */
function section(title, ...body) {
  const toggle = (event) => isOpen.set(title, event.target.open);
  return make("details", { open: isOpen.get(title) ?? false, toggle }, make("summary", { text: title }), ...body);
}

function list(values, state, name, go) {
  const items = values.map(([value, shown, count]) => make("li", {}, choice(state, name, value, shown, count, go)));
  const rest = items.splice(MOST);
  const all = make("ul", {}, ...items);
  if (rest.length) {
    const more = make("li", {}, button(`${rest.length} more`, () => more.replaceWith(...rest), { class: "quiet" }));
    all.append(more);
  }
  return all;
}

function choice(state, name, value, shown, count, go) {
  const chosen = state.getAll(name).includes(value);
  const next = () => go(changed(state, { [name]: chosen ? null : value, open: null }));
  return facet(shown, count, chosen, next);
}

/** What can be chosen, and how many files it would leave. */
function facet(shown, count, chosen, click) {
  return make("button", { type: "button", class: "facet", "aria-pressed": String(chosen), click }, make("span", { text: shown }), make("small", { text: count.toLocaleString("en") }));
}

/** Folders below the one that all have in common, each with what lies below it. */
function tree(folders, state, go) {
  const root = { path: "", name: "", count: 0, below: new Map() };
  for (const { value, count } of folders) {
    let node = root;
    node.count += count;
    const begin = /^\w+:\/\//.exec(value)?.[0] ?? "/"; // s3://, of a bucket
    let path = begin;
    for (const part of value.slice(begin.length).split("/")) {
      const name = path === begin && begin !== "/" ? begin + part : part;
      path += path === begin ? part : `/${part}`;
      if (!node.below.has(name)) node.below.set(name, { path, name, count: 0, below: new Map() });
      node = node.below.get(name);
      node.count += count;
    }
    node.own = count;
  }
  let top = root;
  while (top.below.size === 1 && !top.own) [top] = top.below.values();
  if (!top.below.size) return null;
  return branches(top, state, go);
}

function branches(node, state, go) {
  const sorted = [...node.below.values()].sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  return make("ul", {}, ...sorted.map((below) => {
    const own = choice(state, "in", below.path, written(below.name), below.count, go);
    if (!below.below.size) return make("li", {}, own);
    const chosen = state.getAll("in").some((path) => path === below.path || path.startsWith(`${below.path}/`));
    const inner = make("ul", { hidden: !chosen });
    const fill = () => { if (!inner.childElementCount) inner.replaceWith(Object.assign(branches(below, state, go), { hidden: false })); };
    const toggle = button(chosen ? "▾" : "▸", () => {
      const open = toggle.getAttribute("aria-expanded") !== "true";
      toggle.setAttribute("aria-expanded", String(open));
      toggle.textContent = open ? "▾" : "▸";
      fill();
      item.querySelector(":scope > ul").hidden = !open;
    }, { class: "quiet twig", "aria-expanded": String(chosen), "aria-label": `Folders in ${below.name}` });
    const item = make("li", { class: "branch" }, toggle, own, inner);
    if (chosen) fill();
    return item;
  }));
}

function dates(state, months, go) {
  const day = (name, title) => make("label", {}, `${title} `, make("input", {
    type: "date",
    value: state.get(name) ?? "",
    change: (event) => go(changed(state, { [name]: event.target.value || null, open: null })),
  }));
  const years = new Map();
  for (const { value, count } of months) years.set(value.slice(0, 4), [...(years.get(value.slice(0, 4)) ?? []), { value, count }]);
  const items = [...years].map(([year, all]) => {
    const total = all.reduce((sum, { count }) => sum + count, 0);
    const inner = make("ul", { hidden: true }, ...all.map(({ value, count }) => make("li", {}, span(state, monthName(value), count, `${value}-01`, after(value), go))));
    const toggle = button("▸", () => {
      inner.hidden = !inner.hidden;
      toggle.textContent = inner.hidden ? "▸" : "▾";
      toggle.setAttribute("aria-expanded", String(!inner.hidden));
    }, { class: "quiet twig", "aria-expanded": "false", "aria-label": `Months of ${year}` });
    return make("li", { class: "branch" }, toggle, span(state, year, total, `${year}-01-01`, `${Number(year) + 1}-01-01`, go), inner);
  });
  const when = make("label", {}, "when ", make("input", {
    type: "text",
    placeholder: "last summer",
    value: state.get("when") ?? "",
    change: (event) => go(changed(state, { when: event.target.value.trim() || null, open: null })),
  }));
  return section("Date", make("div", { class: "days" }, when, day("after", "from"), day("before", "before")), make("ul", {}, ...items));
}

function span(state, shown, count, from, before, go) {
  const chosen = state.get("after") === from && state.get("before") === before;
  const next = () => go(changed(state, { after: chosen ? null : from, before: chosen ? null : before, open: null }));
  return facet(shown, count, chosen, next);
}

function after(month) {
  const [year, number] = month.split("-").map(Number);
  return number === 12 ? `${year + 1}-01-01` : `${year}-${String(number + 1).padStart(2, "0")}-01`;
}
