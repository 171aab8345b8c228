// All files that answer, of which only those near the window are in the page. They come in chunks, which are laid out
// once they are there and drawn by parts: some rows of them.

import { aspectOf, inParts, laidInGroups } from "./layout.js";
import { make } from "./elements.js";

export const CHUNK = 60;
const GAP = 4;
const REST = 80; // milliseconds without a leap, after which what is in sight is asked for
const COVERED = 64; // pixels of the window that lie under the bar at its top
const AHEAD = 0.4; // of the window's height, drawn above and below it: pictures that nobody scrolls to are not asked for
const KEPT = 1.5; // of the window's height, until what is drawn leaves the page
const PART = 300; // pixels of height, at least, but for the last of a chunk

export class Grid {
  #element;
  #load;
  #tile;
  #chunks = [];
  #total = 0;
  #isExact = true;
  #width = 0;
  #focused = 0;
  #generation = 0;
  #jump = null;
  #seenAt = 0;
  #resting = null;
  #abort = new AbortController();
  #heading;
  #onMove;
  #onGrowth;
  #onFailure;

  /**
   * `load(offset, limit, signal)` gives {hits, total, isExact}; `tile(hit, index, item)` fills an item; `heading(hit)` is what
   * stands over it and those beside it, or null; `moved(index)` is told the last one of the first row in sight, `grown()` that
   * there are more, or fewer, than was known, or what failed is here, and `failed(error)` why some cannot be shown.
   */
  constructor(element, { load, tile, heading, moved, grown, failed }) {
    this.#element = element;
    this.#load = load;
    this.#tile = tile;
    this.#heading = heading;
    [this.#onMove, this.#onGrowth, this.#onFailure] = [moved, grown, failed];
    addEventListener("scroll", () => this.#scrolled(), { passive: true });
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

  /** Whether there are no more than that. */
  get isExact() {
    return this.#isExact;
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
    await this.#filled(chunk, true);
    return chunk.hits?.[index % CHUNK] ?? null;
  }

  /** Shows so many files, of which the first ones are here: as many as one chunk has, or all. */
  show({ hits, total, isExact }) {
    this.#generation += 1;
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#focused = 0;
    this.#chunks = [];
    this.#element.replaceChildren();
    this.#count(total, isExact);
    for (const chunk of this.#chunks.slice(0, Math.max(Math.ceil(hits.length / CHUNK), 1))) {
      this.#put(chunk, hits.slice(chunk.number * CHUNK, (chunk.number + 1) * CHUNK));
    }
    this.#place();
    this.#update();
  }

  /** Scrolls to a file; where it is not here yet, to about where it will be, and then there. */
  async jump(index) {
    const jump = (this.#jump = {});
    const [generation, chunk] = [this.#generation, this.#chunks[Math.floor(index / CHUNK)]];
    if (!chunk) return;
    const within = () => { const box = chunk.boxes?.[index % CHUNK]; return box ? box.top - box.lead : 0; };
    const scroll = () => scrollTo({ top: this.#top() + chunk.top + within() - COVERED, behavior: "instant" });
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

  /** Takes it that there are so many: what ended before, where more are known now, is asked for once more. */
  #count(total, isExact) {
    const last = this.#chunks.at(-1);
    if (last?.hits && total > this.#total && last.hits.length < CHUNK) last.isShort = true;
    [this.#total, this.#isExact] = [total, isExact];
    for (const chunk of this.#chunks.splice(Math.ceil(total / CHUNK))) this.#clear(chunk);
    while (this.#chunks.length * CHUNK < total) this.#chunks.push({ number: this.#chunks.length, hits: null, parts: [], height: 0, top: 0 });
  }

  #put(chunk, hits) {
    Object.assign(chunk, { hits, loading: null, isShort: false, isWanted: false, wait: undefined });
    this.#lay(chunk);
  }

  #lay(chunk) {
    const before = this.#chunks[chunk.number - 1]?.hits?.at(-1);
    const headings = chunk.hits.map((hit) => this.#heading(hit));
    this.#clear(chunk);
    Object.assign(chunk, laidInGroups(chunk.hits.map(aspectOf), headings, before && this.#heading(before), this.#width || this.#element.clientWidth, this.#wanted(), GAP));
    chunk.parts = inParts(chunk.boxes, chunk.height, PART);
  }

  #clear(chunk) {
    for (const part of chunk.parts) part.element?.remove();
    chunk.parts = [];
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
      for (const part of chunk.parts) if (part.element) part.element.style.transform = `translateY(${chunk.top}px)`;
    }
    this.#element.style.height = `${top}px`;
  }

  /** Who drags the scroll bar leaps over chunks that nobody will look at: these are not asked for. */
  #scrolled() {
    const isLeap = Math.abs(scrollY - this.#seenAt) > innerHeight;
    this.#seenAt = scrollY;
    if (isLeap || this.#resting) {
      clearTimeout(this.#resting);
      this.#resting = setTimeout(() => {
        this.#resting = null;
        this.#update();
      }, REST);
    }
    this.#update();
  }

  #update() {
    if (!this.#chunks.length) return;
    const from = scrollY - this.#top();
    const [above, below] = [from - innerHeight, from + 2 * innerHeight];
    for (const chunk of this.#chunks) {
      const near = chunk.top + chunk.height >= above && chunk.top <= below;
      if (near && !this.#resting && (!chunk.hits || chunk.isShort)) this.#filled(chunk);
      if (!near && chunk.loading && !chunk.isWanted) chunk.abort.abort();
      for (const part of chunk.parts) this.#see(chunk, part, from);
    }
    this.#onMove(this.#endOfRow(this.#firstSeen(from)));
  }

  /** Draws a part that is near the window, whose upper edge is at `from`; takes one that is far away out of the page. */
  #see(chunk, part, from) {
    const [begin, end] = [chunk.top + part.top - from, chunk.top + part.bottom - from];
    const within = (share) => end >= -share * innerHeight && begin <= (1 + share) * innerHeight;
    if (!part.element && within(AHEAD)) this.#draw(chunk, part);
    if (part.element && !within(KEPT) && !part.element.contains(document.activeElement)) {
      part.element.remove();
      part.element = null;
    }
  }

  #firstSeen(top) {
    const from = top + COVERED;
    const chunk = this.#chunks.findLast((one) => one.top <= from + 1) ?? this.#chunks[0];
    if (!chunk.boxes) return chunk.number * CHUNK;
    const number = chunk.boxes.findIndex((box) => chunk.top + box.top + box.height > from);
    return chunk.number * CHUNK + Math.max(number, 0);
  }

  #endOfRow(index) {
    const boxes = this.#chunks[Math.floor(index / CHUNK)]?.boxes;
    const at = index % CHUNK;
    return boxes?.[at] ? index - at + boxes.findLastIndex((box) => box.top === boxes[at].top) : index;
  }

  /** Once its hits are here. Where it is `wanted`, it is asked for though it is out of sight. */
  #filled(chunk, wanted = false) {
    if (chunk.hits && !chunk.isShort) return Promise.resolve();
    chunk.isWanted ||= wanted;
    chunk.loading ??= this.#fetch(chunk, this.#generation);
    return chunk.loading;
  }

  async #fetch(chunk, generation) {
    const offset = chunk.number * CHUNK;
    chunk.abort = new AbortController();
    let found;
    try {
      found = await this.#load(offset, CHUNK, AbortSignal.any([this.#abort.signal, chunk.abort.signal]));
    } catch (error) {
      if (error.name === "AbortError") chunk.loading = null;
      if (generation !== this.#generation || error.name === "AbortError") return;
      chunk.wait = Math.min(2 * (chunk.wait ?? 1000), 30_000);
      setTimeout(() => this.#again(chunk, generation), chunk.wait);
      this.#onFailure(error);
      return;
    }
    if (generation !== this.#generation) return;
    const [anchor, before, hasFailed] = [this.#firstSeen(scrollY - this.#top()), chunk.height, chunk.wait !== undefined];
    this.#put(chunk, found.hits);
    // That there are so many or more takes back nothing: an answer that was asked for later may have come before.
    const isNews = found.isExact ? found.total !== this.#total || !this.#isExact : found.total > this.#total;
    if (isNews) this.#count(found.total, found.isExact);
    this.#place();
    // What was above the window and has become higher, or lower, must not move what a person looks at.
    if (chunk.number < Math.floor(anchor / CHUNK)) scrollBy({ top: chunk.height - before, behavior: "instant" });
    this.#update();
    if (isNews || hasFailed) this.#onGrowth();
  }

  /** Who waits at the end of the page does not scroll any more: what could not be had is asked for again. */
  #again(chunk, generation) {
    chunk.loading = null;
    if (generation === this.#generation) this.#update();
  }

  #draw(chunk, part) {
    const drawn = make("div", { class: "part" });
    let list = null;
    for (let number = part.first; number < part.end; number += 1) {
      const [heading, box] = [chunk.headings[number], chunk.boxes[number]];
      if (heading !== null) {
        const title = make("h2", { class: "heading", text: heading });
        title.style.top = `${box.top - box.lead}px`;
        drawn.append(title);
      }
      if (heading !== null || !list) drawn.append(list = make("ul", { role: "list" }));
      const index = chunk.number * CHUNK + number;
      const item = make("li", { "data-index": index, "aria-setsize": this.#total, "aria-posinset": index + 1 });
      Object.assign(item.style, { left: `${box.left}px`, top: `${box.top}px`, width: `${box.width}px`, height: `${box.height}px` });
      this.#tile(chunk.hits[number], index, item);
      list.append(item);
    }
    drawn.style.transform = `translateY(${chunk.top}px)`;
    this.#element.insertBefore(drawn, this.#after(chunk, part)); // in order, for the Tab key and for readers
    part.element = drawn;
  }

  /** What is drawn of the files behind a part, or null. */
  #after(chunk, part) {
    const behind = chunk.parts.find((one) => one.first > part.first && one.element);
    if (behind) return behind.element;
    for (const other of this.#chunks.slice(chunk.number + 1)) {
      const first = other.parts.find((one) => one.element);
      if (first) return first.element;
    }
    return null;
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
