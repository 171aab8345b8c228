// Elements are made by function, never from text, so that no name of a file is taken for markup.

export const $ = (id) => document.getElementById(id);

/** An element with attributes (functions are listeners, false and null are left out) and children. */
export function make(kind, attributes = {}, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "text") element.textContent = value;
    else if (name === "class") element.className = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

export const button = (text, click, attributes = {}) => make("button", { type: "button", click, ...attributes, text });

const numbers = new Intl.NumberFormat("en");
export const counted = (count, one, many = `${one}s`) => `${numbers.format(count)} ${count === 1 ? one : many}`;

/** A path as it is shown: bytes that are no UTF-8 come as lone surrogates. */
export const written = (path) => path.replace(/[\ud800-\udfff]/gu, "\ufffd");
export const nameOf = (path) => written(path.slice(path.lastIndexOf("/") + 1));
export const folderOf = (path) => written(path.slice(0, Math.max(path.lastIndexOf("/"), 1)));

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, String(whole % 60).padStart(2, "0")];
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) [count, unit] = [count / 1000, unit + 1];
  return `${unit && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
export const monthName = (value) => `${MONTHS[Number(value.slice(5, 7)) - 1] ?? ""} ${value.slice(0, 4)}`.trim();

/** A day and time as a person writes it: what the file says, in its own time zone. */
export function dateName(moment) {
  const found = /^(\d{4})-(\d\d)-(\d\d)T(\d\d:\d\d)/.exec(moment ?? "");
  return found ? `${Number(found[3])} ${MONTHS[Number(found[2]) - 1]} ${found[1]}, ${found[4]}` : "";
}

/** What stands over files of one group: a day, a folder or a place. */
export function headingOf(group, by) {
  if (by !== "day") return group === null ? "Place not known" : written(group);
  return `${Number(group.slice(8, 10))} ${monthName(group)}`;
}

/** A text in which some words are marked, as nodes. */
export function marked(text, words) {
  if (!words.length) return [text];
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const parts = text.split(new RegExp(`(${escaped.join("|")})`, "giu"));
  return parts.map((part, number) => (number % 2 ? make("mark", { text: part }) : part)).filter((part) => part !== "");
}

/** The words of the texts that are looked for, long enough to mark. */
export function wordsOf(state) {
  const words = state.getAll("q").flatMap((term) => term.match(/[\p{L}\p{N}]+/gu) ?? []);
  return [...new Set(words.filter((word) => word.length > 2))].sort((a, b) => b.length - a.length);
}
