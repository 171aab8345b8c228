// All files that answer, of which only those near the window are in the page: chunks, laid out once they are there.

import { laid, aspectOf } from "./layout.js";
import { make } from "./elements.js";

export const CHUNK = 60;
const GAP = 4;
const COVERED = 64; // pixels of the window that lie under the bar at its top

export class Grid {
  #element;
  #load;
  #tile;
  #chunks = [];
  #total = 0;
  #width = 0;
  #focused = 0;
  #generation = 0;
  #jump = null;
  #abort = new AbortController();
  #onMove;

  /** `load(offset, limit, signal)` gives hits; `tile(hit, index)` makes an element; `moved(index)` is told the last one of the first row in sight. */
  constructor(element, { load, tile, moved }) {
    this.#element = element;
    this.#load = load;
    this.#tile = tile;
    this.#onMove = moved;
    addEventListener("scroll", () => this.#update(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(element);
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("focusin", (event) => {
      const tile = event.target.closest("[data-index]");
      if (tile) this.#focused = Number(tile.dataset.index);
    });
  }

  get total() {
    return this.#total;
  }

  get focused() {
    return this.#focused;
  }

  /** The hits that are here, by their number. */
  hit(index) {
    return this.#chunks[Math.floor(index / CHUNK)]?.hits?.[index % CHUNK];
  }

  *loaded() {
    for (const chunk of this.#chunks) yield* chunk.hits ?? [];
  }

  /** The hit of that number, fetched where it is not here yet. */
  async fetched(index) {
    if (index < 0 || index >= this.#total) return null;
    const chunk = this.#chunks[Math.floor(index / CHUNK)];
    await this.#filled(chunk);
    return chunk.hits?.[index % CHUNK] ?? null;
  }

  show(total, first) {
    this.#generation += 1;
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#total = total;
    this.#focused = 0;
    this.#chunks = Array.from({ length: Math.ceil(total / CHUNK) }, (_, number) => ({ number, hits: null, element: null, height: 0, top: 0 }));
    this.#element.replaceChildren();
    if (this.#chunks.length) this.#put(this.#chunks[0], first);
    this.#place();
    this.#update();
  }

  /** Scrolls to a file; where it is not here yet, to about where it will be, and then there. */
  async jump(index) {
    const jump = (this.#jump = {});
    const [generation, chunk] = [this.#generation, this.#chunks[Math.floor(index / CHUNK)]];
    if (!chunk) return;
    const scroll = () => scrollTo({ top: this.#top() + chunk.top + (chunk.boxes?.[index % CHUNK].top ?? 0) - COVERED, behavior: "instant" });
    scroll();
    this.#update();
    if (chunk.hits) return;
    await this.#filled(chunk);
    if (this.#jump === jump && this.#generation === generation && chunk.hits) scroll();
    this.#update();
  }

  /** Puts the focus on a file, and into sight. */
  async focus(index) {
    const hit = await this.fetched(index);
    if (!hit) return;
    this.#focused = index;
    this.#update();
    if (!this.#tileOf(index)) await this.jump(index);
    const tile = this.#tileOf(index);
    tile?.querySelector("a").focus({ preventScroll: true });
    tile?.scrollIntoView({ block: "nearest" });
  }

  /** Calls `see(tile, hit)` for each file that is in the page now. */
  each(see) {
    for (const tile of this.#element.querySelectorAll("[data-index]")) see(tile, this.hit(Number(tile.dataset.index)));
  }

  #tileOf(index) {
    return this.#element.querySelector(`[data-index="${index}"]`);
  }

  #top() {
    return this.#element.getBoundingClientRect().top + scrollY;
  }

  #wanted() {
    return this.#width < 600 ? 120 : 190;
  }

  #put(chunk, hits) {
    chunk.hits = hits;
    chunk.loading = null;
    this.#lay(chunk);
  }

  #lay(chunk) {
    const { boxes, height } = laid(chunk.hits.map(aspectOf), this.#width || this.#element.clientWidth, this.#wanted(), GAP);
    Object.assign(chunk, { boxes, height });
    if (chunk.element) this.#draw(chunk);
  }

  /** Where each chunk begins. One that is not here yet is taken to be as high as the others are. */
  #place() {
    const known = this.#chunks.filter((chunk) => chunk.boxes);
    const each = known.length ? known.reduce((sum, chunk) => sum + chunk.height / chunk.boxes.length, 0) / known.length : 60;
    let top = 0;
    for (const chunk of this.#chunks) {
      chunk.top = top;
      if (!chunk.boxes) chunk.height = each * Math.min(CHUNK, this.#total - chunk.number * CHUNK);
      top += chunk.height;
      if (chunk.element) chunk.element.style.transform = `translateY(${chunk.top}px)`;
    }
    this.#element.style.height = `${top}px`;
  }

  #update() {
    if (!this.#chunks.length) return;
    const from = scrollY - this.#top();
    const [above, below] = [from - innerHeight, from + 2 * innerHeight];
    for (const chunk of this.#chunks) {
      const near = chunk.top + chunk.height >= above && chunk.top <= below;
      if (near && chunk.hits && !chunk.element) this.#draw(chunk);
      if (near && !chunk.hits) this.#filled(chunk);
      if (!near && chunk.element && !chunk.element.contains(document.activeElement)) {
        chunk.element.remove();
        chunk.element = null;
      }
    }
    this.#onMove(this.#endOfRow(this.#firstSeen(from)));
  }

  #firstSeen(top) {
    const from = top + COVERED;
    const chunk = this.#chunks.findLast((one) => one.top <= from + 1) ?? this.#chunks[0];
    if (!chunk.boxes) return chunk.number * CHUNK;
    const number = chunk.boxes.findIndex((box) => chunk.top + box.top + box.height > from);
    return chunk.number * CHUNK + Math.max(number, 0);
  }

  #endOfRow(index) {
    const { boxes } = this.#chunks[Math.floor(index / CHUNK)];
    const at = index % CHUNK;
    return boxes ? index - at + boxes.findLastIndex((box) => box.top === boxes[at].top) : index;
  }

  #filled(chunk) {
    if (chunk.hits) return Promise.resolve();
    chunk.loading ??= this.#fetch(chunk, this.#generation);
    return chunk.loading;
  }

  async #fetch(chunk, generation) {
    const offset = chunk.number * CHUNK;
    const hits = await this.#load(offset, Math.min(CHUNK, this.#total - offset), this.#abort.signal).catch(() => null);
    if (generation !== this.#generation) return;
    if (!hits) {
      setTimeout(() => { chunk.loading = null; }, 2000); // the next scroll asks once more
      return;
    }
    const [anchor, before] = [this.#firstSeen(scrollY - this.#top()), chunk.height];
    this.#put(chunk, hits);
    this.#place();
    // What was above the window and has become higher, or lower, must not move what a person looks at.
    if (chunk.number < Math.floor(anchor / CHUNK)) scrollBy({ top: chunk.height - before, behavior: "instant" });
    this.#update();
  }

  #draw(chunk) {
    const list = make("ul", { class: "chunk", role: "list" });
    chunk.hits.forEach((hit, number) => {
      const index = chunk.number * CHUNK + number;
      const box = chunk.boxes[number];
      const item = make("li", { "data-index": index, "aria-setsize": this.#total, "aria-posinset": index + 1 });
      Object.assign(item.style, { left: `${box.left}px`, top: `${box.top}px`, width: `${box.width}px`, height: `${box.height}px` });
      this.#tile(hit, index, item);
      list.append(item);
    });
    list.style.transform = `translateY(${chunk.top}px)`;
    if (chunk.element) chunk.element.replaceWith(list);
    else {
      const after = this.#chunks.find((one) => one.number > chunk.number && one.element);
      this.#element.insertBefore(list, after?.element ?? null); // in order, for the Tab key and for readers
    }
    chunk.element = list;
  }

  #resized() {
    const width = this.#element.clientWidth;
    if (!width || width === this.#width) return;
    const seen = this.#chunks.length ? this.#firstSeen(scrollY - this.#top()) : 0;
    this.#width = width;
    for (const chunk of this.#chunks) if (chunk.hits) this.#lay(chunk);
    this.#place();
    if (seen) this.jump(seen);
    this.#update();
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !event.target.closest("[data-index]")) return;
    const to = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (to) this.focus(this.#focused + to);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") this.focus(this.#beyond(event.key === "ArrowDown" ? 1 : -1));
    else if (event.key === "Home") this.focus(0);
    else if (event.key === "End") this.focus(this.#total - 1);
    else return;
    event.preventDefault();
  }

  /** The file in the next row, or the one before it, that lies nearest. */
  #beyond(step) {
    const at = (index) => {
      const chunk = this.#chunks[Math.floor(index / CHUNK)];
      const box = chunk?.boxes?.[index % CHUNK];
      return box && { top: chunk.top + box.top, middle: box.left + box.width / 2 };
    };
    const here = at(this.#focused);
    let best = this.#focused + step;
    let row = null;
    for (let index = best; here && index >= 0 && index < this.#total; index += step) {
      const there = at(index);
      if (!there) break;
      if (there.top === here.top) continue;
      row ??= there.top;
      if (there.top !== row) break;
      const nearer = !at(best) || at(best).top !== row || Math.abs(there.middle - here.middle) < Math.abs(at(best).middle - here.middle);
      if (nearer) best = index;
    }
    return Math.min(Math.max(best, 0), this.#total - 1);
  }
}
