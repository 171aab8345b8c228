// Files that are chosen, to do something with them together.

import * as api from "./api.js";
import { $, counted } from "./elements.js";

export class Chosen {
  #paths = new Map();
  #last = null;
  #changed;

  /** `changed()` is called whenever others are chosen; `like(ids)` searches for more like some; `say(text)` tells. */
  constructor({ changed, like, say }) {
    this.#changed = changed;
    $("chosen-copy").addEventListener("click", () => this.copy([...this.#paths.values()], say));
    $("chosen-zip").addEventListener("click", () => api.downloadZip([...this.#paths.keys()]));
    $("chosen-like").addEventListener("click", () => like([...this.#paths.keys()]));
    $("chosen-none").addEventListener("click", () => this.clear());
  }

  get size() {
    return this.#paths.size;
  }

  has(id) {
    return this.#paths.has(id);
  }

  /** Chooses a file, or not any more; with `through`, all from the last one on, which `hit(index)` gives. */
  toggle(index, hit, through = false) {
    const chosen = hit(index);
    if (!chosen) return;
    if (through && this.#last !== null) {
      const [from, to] = [Math.min(this.#last, index), Math.max(this.#last, index)];
      for (let number = from; number <= to; number += 1) if (hit(number)) this.#paths.set(hit(number).id, hit(number).path);
    } else if (!this.#paths.delete(chosen.id)) this.#paths.set(chosen.id, chosen.path);
    this.#last = index;
    this.#tell();
  }

  all(hits) {
    for (const hit of hits) this.#paths.set(hit.id, hit.path);
    this.#tell();
  }

  clear() {
    this.#paths.clear();
    this.#last = null;
    this.#tell();
  }

  async copy(paths, say) {
    try {
      await navigator.clipboard.writeText(paths.join("\n"));
      say(`${counted(paths.length, "path")} copied.`);
    } catch {
      say("The browser does not let this page copy (it does at localhost, and by https).");
    }
  }

  #tell() {
    $("chosen").hidden = !this.size;
    $("chosen-count").textContent = `${counted(this.size, "file")} chosen`;
    this.#changed();
  }
}
