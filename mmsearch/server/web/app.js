// The page: its address says what is shown, each action makes another address.

import * as api from "./api.js";
import { Chosen } from "./chosen.js";
import * as duplicates from "./duplicates.js";
import { $, button, counted, headingOf, make, nameOf, wordsOf } from "./elements.js";
import * as filters from "./filters.js";
import { CHUNK, Grid } from "./grid.js";
import { Jobs } from "./jobs.js";
import { listen } from "./live.js";
import * as score from "./score.js";
import { Scrubber } from "./scrubber.js";
import { changed, compares, isArranged, order, read, request, weighed, write } from "./state.js";
import * as terms from "./terms.js";
import { fill, mark } from "./tiles.js";
import { Viewer } from "./viewer.js";

const MOST_ARRANGED = 500; // a page of the API has no more

let state = read();
let shown = null; // what of the state the grid shows
let asking = new AbortController();
let uncounted = null; // the signal of an answer of which nobody has looked at the counts
let openIndex = null;
let isOpenedHere = false; // so that closing goes back to the entry before, and the back button closes
const wide = matchMedia("(min-width: 900px)");

const say = (text) => { $("summary").textContent = text; };
const jobs = new Jobs();
const scrubber = new Scrubber((index) => grid.jump(index));
const chosen = new Chosen({ changed: () => grid.each((tile, hit) => mark(tile, chosen.has(hit.id))), like: (ids) => go(changed(state, { like: ids, unlike: null, open: null })), say });
const grid = new Grid($("grid"), {
  load: async (offset, limit, signal) => found(await api.search(asked(), offset, limit, signal)),
  heading: (hit) => (state.has("group") ? headingOf(hit.group, state.get("group")) : null),
  tile: (hit, index, item) => fill(item, hit, {
    words: wordsOf(state),
    chosen: chosen.has(hit.id),
    open: (event) => { event.preventDefault(); open(index); },
    choose: (event) => { event.stopPropagation(); chosen.toggle(index, (number) => grid.hit(number), event.shiftKey); },
  }),
  moved: (index) => scrubber.seen(index),
  grown: () => say(manyFound(grid)),
  failed: (error) => say(error.message),
});
const viewer = new Viewer({
  step: (by) => step(by),
  closed: () => closed(),
  more: (id) => judge(id, "like", "unlike"),
  less: (id) => judge(id, "unlike", "like"),
  lineOf: (id) => [...grid.loaded()].find((hit) => hit.id === id)?.line,
  state: () => state,
  say,
});

/** What is asked for, in the order in which it is shown. */
function asked() {
  const parameters = request(state);
  if (state.get("group") === "folder" && order(state) === "name") parameters.set("sort", "name");
  return parameters;
}

const found = ({ hits, total, total_exact }) => ({ hits, total, isExact: total_exact !== false });
const files = (total, isExact) => `${counted(total, "file")}${isExact ? "" : " or more"}`;
const manyFound = ({ total, isExact }) => (compares(state) ? (total ? `${files(total, isExact)} found` : "Nothing found") : files(total, isExact));

/** Searches for more, or less, like a file, of which there was not to be the other. */
function judge(id, kind, other) {
  go(changed(state, { [kind]: [...new Set([...state.getAll(kind), id])], [other]: state.getAll(other).filter((one) => one !== id), open: null, view: null }));
}

/** Shows a state as a new entry of the history. */
function go(next, instead = false) {
  state = next;
  write(state, instead);
  show();
}

function show() {
  const asked = `${state.get("view") ?? ""} ${request(state)}`;
  if (asked !== shown) {
    shown = asked;
    chosen.clear();
    answer();
  }
  const id = state.get("open");
  if (!id) viewer.close();
  else if (id !== viewer.id || !viewer.isOpen) {
    const index = openIndex;
    const hit = index === null ? null : grid.hit(index);
    viewer.id = id;
    viewer.show(id, {
      page: hit?.page ?? (Number(state.get("page")) || null),
      time: hit?.time ?? (state.has("time") ? [Number(state.get("time"))] : null),
      at: index === null ? "" : `${(index + 1).toLocaleString("en")} of ${grid.total.toLocaleString("en")}${grid.isExact ? "" : " or more"}`,
    });
  }
}

/** Asks for the first hits, and what can be filtered by; draws all that goes with the state. */
async function answer({ quietly = false } = {}) {
  asking.abort();
  asking = new AbortController();
  uncounted = null;
  const { signal } = asking;
  const isDuplicates = state.get("view") === "duplicates";
  $("text").value = state.getAll("q")[0] ?? "";
  $("sort").value = state.get("sort") ?? "";
  $("sort").options[0].hidden = !compares(state);
  if (!compares(state) && !state.has("sort")) $("sort").value = order(state);
  $("group").value = state.get("group") ?? "";
  $("duplicates-button").setAttribute("aria-pressed", String(isDuplicates));
  for (const id of ["fresh", "period"]) $(id).hidden = true;
  document.title = [state.getAll("q").join(" + "), "mmsearch"].filter(Boolean).join(" – ");
  terms.draw(state, go);
  message(null);
  duplicates.leave();
  for (const id of ["grid", "sort-label", "group-label"]) $(id).hidden = isDuplicates;
  $("columns").classList.toggle("plain", isDuplicates);
  try {
    if (isDuplicates) {
      scrubber.show(null, 0);
      $("score-label").hidden = true;
      await duplicates.show({ open: (id) => { openIndex = null; isOpenedHere = true; go(changed(state, { open: id })); }, say, copy: (paths) => chosen.copy(paths, say) });
      return;
    }
    if (!quietly) $("grid").classList.add("waiting");
    const result = await api.search(asked(), 0, isArranged(state) ? MOST_ARRANGED : CHUNK, signal);
    if (signal.aborted) return;
    if (!quietly) scrollTo({ top: 0 });
    grid.show(isArranged(state) ? { hits: result.hits, total: result.hits.length, isExact: true } : found(result));
    summarise(result);
    score.draw(state, result, signal);
    $("grid").classList.remove("waiting");
    count(signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    $("grid").classList.remove("waiting");
    grid.show({ hits: [], total: 0, isExact: true });
    say("");
    trouble(error);
  } finally {
    jobs.offer();
  }
}

/** Asks what the files that answer have in common, where the panel or the months show it. */
async function count(signal) {
  const isShown = isByDate() || !$("filters").hidden;
  uncounted = isShown ? null : signal;
  if (!isShown) return scrubber.show(null, 0);
  try {
    const counted_ = await filters.counts(state);
    if (signal.aborted) return;
    filters.draw(state, go, counted_);
    scrubber.show(isByDate() ? (isArranged(state) ? monthsOf(grid.loaded()) : counted_.months) : null, grid.total);
  } catch (error) {
    if (error.name !== "AbortError") scrubber.show(null, 0);
  }
}

/** Whether one month follows the other: within other groups than days they do not. */
const isByDate = () => order(state) === "date" && ["day", null].includes(state.get("group")) && !state.has("random");

/** The months of files that are all here, as the API counts them. */
function monthsOf(hits) {
  const months = new Map();
  for (const hit of hits) {
    const month = (hit.taken ?? hit.modified).slice(0, "2024-05".length);
    months.set(month, (months.get(month) ?? 0) + 1);
  }
  return [...months].map(([value, count]) => ({ value, count }));
}

function summarise(result) {
  const isSearch = compares(state);
  const shownOnly = isArranged(state) && result.hits.length < result.total && `the ${isSearch ? "best" : order(state) === "date" ? "newest" : "first"} ${result.hits.length} are shown`;
  const read_as = result.query?.terms?.find((term) => term.read_as?.english?.length)?.read_as;
  say([manyFound(found(result)), shownOnly, read_as && `read as “${read_as.english[0]}”`].filter(Boolean).join("; "));
  if (result.period) offerPeriod(result.period);
  if (result.total) return;
  if (!isSearch) {
    const none = request(state).toString() === "";
    message(none ? "Nothing is in the library yet." : "No file passes these filters.", none ? make("p", {}, "In a terminal: ", make("code", { text: "mmsearch index ~/Pictures" })) : button("Without filters", () => go(new URLSearchParams())));
  } else {
    const nearest = result.nearest;
    const all = button("Show all the same", () => go(changed(state, { min_score: "0" })));
    const near = nearest && make("p", {}, `The nearest is ${nameOf(nearest.path)}, at ${nearest.score.toFixed(2)}. `);
    message("Nothing close.", near, all, hasFilters() && button("Without filters", () => go(onlyTerms())));
  }
}

/** Offers to choose by the date that the words name, which then are no words to be found. */
function offerPeriod({ when, after, before, files: count, typed, text }) {
  const texts = state.getAll("q").map((one) => one.replace(typed, () => text).trim()).filter((one) => weighed(`${one} `).text.trim());
  $("period").textContent = `Only ${when} (${counted(count, "file")})`;
  $("period").title = `From ${after.slice(0, 10)}, before ${before.slice(0, 10)}`;
  $("period").onclick = () => go(changed(state, { q: texts, when, min_score: null, open: null }));
  $("period").hidden = false;
}

const hasFilters = () => [...request(state).keys()].some((name) => !["q", "not", "image", "like", "unlike", "sort", "group", "min_score"].includes(name));
const onlyTerms = () => new URLSearchParams([...state].filter(([name]) => ["q", "not", "image", "like", "unlike"].includes(name)));

function message(text, ...below) {
  const element = $("message");
  element.hidden = text === null;
  element.replaceChildren(...(text === null ? [] : [make("p", { class: "large-text", text }), ...below.filter(Boolean)]));
}

function trouble(error) {
  if (error.status === 410) return answer(); // the library has moved on: ask at its state of now
  const again = button("Try again", () => answer());
  message(error.message, again);
  $("message").setAttribute("role", "alert");
}

function open(index) {
  const hit = grid.hit(index);
  if (!hit) return;
  openIndex = index;
  isOpenedHere ||= !viewer.isOpen;
  go(changed(state, { open: hit.id, page: hit.page == null ? null : String(hit.page), time: hit.time ? String(hit.time[0]) : null }), viewer.isOpen);
}

async function step(by) {
  if (openIndex === null) return;
  const index = Math.min(Math.max(openIndex + by, 0), grid.total - 1);
  if (index !== openIndex && (await grid.fetched(index))) open(index);
}

function closed() {
  viewer.id = null;
  if (openIndex !== null) grid.focus(openIndex);
  openIndex = null;
  const [wasOpen, here] = [state.has("open"), isOpenedHere];
  isOpenedHere = false;
  if (wasOpen && here) history.back();
  else if (wasOpen) go(changed(state, { open: null, page: null, time: null }), true);
}

async function byPicture(file) {
  try {
    say("Looking at the picture…");
    go(await terms.withPicture(changed(state, { q: null, not: null }), file));
  } catch (error) {
    say("");
    trouble(error);
  }
}

function listenToPerson() {
  $("query").addEventListener("submit", (event) => {
    event.preventDefault();
    const { q, not } = terms.typed($("text").value);
    const [, ...others] = state.getAll("q");
    go(changed(state, { q: [...q, ...(q.length ? others : [])], not: [...new Set([...state.getAll("not"), ...not])], min_score: null, open: null, view: null }));
  });
  let waiting;
  $("text").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const [, ...others] = state.getAll("q");
      const text = $("text").value.trim();
      if (!/\s[+−-]\s/u.test(` ${text} `)) go(changed(state, { q: text ? [text, ...others] : others, min_score: null, view: null, open: null }), state.has("q"));
    }, 300);
  });
  $("picture").addEventListener("change", (event) => event.target.files[0] && byPicture(event.target.files[0]));
  $("sort").addEventListener("change", (event) => go(changed(state, { sort: event.target.value })));
  $("group").addEventListener("change", (event) => go(changed(state, { group: event.target.value || null })));
  $("score").addEventListener("input", (event) => score.preview(Number(event.target.value)));
  $("score").addEventListener("change", (event) => go(changed(state, { min_score: event.target.value }), state.has("min_score")));
  $("duplicates-button").addEventListener("click", () => go(state.get("view") === "duplicates" ? changed(state, { view: null }) : new URLSearchParams({ view: "duplicates" })));
  $("filters-button").addEventListener("click", () => showFilters($("filters").hidden));
  $("keys-button").addEventListener("click", () => $("keys").showModal());
  $("fresh").addEventListener("click", () => answer());
  $("home").addEventListener("click", (event) => { event.preventDefault(); go(new URLSearchParams()); });
  addEventListener("popstate", () => {
    state = read();
    if (!state.has("open")) isOpenedHere = false;
    show();
  });
  addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (file) { event.preventDefault(); byPicture(file); }
  });
  listenToDrops();
  addEventListener("keydown", keys);
}

function listenToDrops() {
  let depth = 0;
  const over = (by) => { depth = Math.max(depth + by, 0); $("drop").hidden = depth === 0; };
  const has = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => { if (has(event)) over(1); });
  addEventListener("dragleave", (event) => { if (has(event)) over(-1); });
  addEventListener("dragover", (event) => { if (has(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    over(-depth);
    const file = event.dataTransfer?.files[0];
    if (file) { event.preventDefault(); byPicture(file); }
  });
}

function keys(event) {
  if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target.matches("input:not([type=checkbox]):not([type=range]), select");
  if (event.key === "Escape" && chosen.size) return chosen.clear();
  if (isTyping) return;
  if (event.key === "/") { event.preventDefault(); $("text").focus(); $("text").select(); }
  if (event.key === "?") $("keys").showModal();
  const isOnFile = event.target.closest("[data-index]");
  if (!isOnFile) return;
  const hit = grid.hit(grid.focused);
  if (event.key.toLowerCase() === "x") chosen.toggle(grid.focused, (number) => grid.hit(number), event.shiftKey);
  if (event.key === "m" && hit) judge(hit.id, "like", "unlike");
  if (event.key === "l" && hit) judge(hit.id, "unlike", "like");
}

function showFilters(open) {
  $("filters").hidden = !open;
  $("filters-button").setAttribute("aria-expanded", String(open));
  if (open && uncounted) count(uncounted);
}

function libraryChanged() {
  const isAtTop = scrollY < 10 && !viewer.isOpen && !chosen.size && state.get("view") !== "duplicates";
  if (isAtTop) answer({ quietly: true });
  else $("fresh").hidden = false;
}

listenToPerson();
showFilters(wide.matches);
show();
listen({ changed: libraryChanged, job: (job) => jobs.seen(job), back: () => jobs.look() });
