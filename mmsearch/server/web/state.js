// What the page shows is what its address says: the query, the filters, the view and the file that is open.

const VIEW = ["view", "open", "page", "time"];

const PAGE = ["sort", "group", "random"];

/** The terms and filters of an address, as the API takes them; with how they are arranged, unless they are `bare`. */
export function request(state, bare = false) {
  const asked = new URLSearchParams(state);
  for (const name of bare ? [...VIEW, ...PAGE] : VIEW) asked.delete(name);
  return asked;
}

/** Whether anything is compared: else files are listed. */
export function compares(state) {
  return ["q", "not", "image", "like", "unlike"].some((name) => state.has(name));
}

/** The order in which files are shown: "score", "date" or "name". */
export function order(state) {
  if (state.has("sort")) return state.get("sort");
  if (compares(state)) return "score";
  return state.get("group") === "folder" ? "name" : "date";
}

/**
 * Whether files are put into an order, or groups, that only those of one page have: the best by date, the newest by place.
 * Then as many as a page may have are shown, and no more.
 */
export function isArranged(state) {
  const [by, group] = [order(state), state.get("group")];
  if (compares(state)) return by !== "score" || group !== null;
  return group !== null && !(group === "day" && by === "date") && !(group === "folder" && by === "name");
}

export function read() {
  return new URLSearchParams(location.search);
}

/** Puts a state into the address, as a new entry of the history or instead of the last one. */
export function write(state, instead = false) {
  const text = state.toString();
  const address = text ? `?${text}` : ".";
  if (address === (location.search || ".")) return;
  history[instead ? "replaceState" : "pushState"](null, "", address);
}

/** The same state with some values changed: a text, a list of texts, or null for none. */
export function changed(state, values) {
  const next = new URLSearchParams(state);
  for (const [name, value] of Object.entries(values)) {
    next.delete(name);
    for (const one of value === null ? [] : [value].flat()) if (one !== "") next.append(name, one);
  }
  return next;
}

/** The weight that stands before a term, and the term: "2:at night". */
export function weighed(term) {
  const found = /^(\d+(?:\.\d+)?):(?=\D)(.+)$/s.exec(term);
  return found ? { weight: Number(found[1]), text: found[2] } : { weight: 1, text: term };
}

export function withWeight(text, weight) {
  return weight === 1 ? text : `${weight}:${text}`;
}
