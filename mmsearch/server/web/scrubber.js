// The months of what is listed by date, beside it: a press goes there, the arrow keys go from month to month.

import { $, make, monthName } from "./elements.js";

export class Scrubber {
  #element = $("scrubber");
  #months = [];
  #total = 0;
  #at = 0;

  constructor(jump) {
    const to = (event) => {
      const box = this.#element.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientY - box.top) / box.height, 0), 0.9999);
      jump(Math.floor(share * this.#total));
    };
    this.#element.addEventListener("pointerdown", (event) => {
      this.#element.setPointerCapture(event.pointerId);
      to(event);
    });
    this.#element.addEventListener("pointermove", (event) => { if (event.buttons) to(event); });
    this.#element.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12 }[event.key];
      const next = event.key === "Home" ? 0 : event.key === "End" ? this.#months.length - 1 : step && this.#at + step;
      if (next == null) return;
      event.preventDefault();
      const month = this.#months[Math.min(Math.max(next, 0), this.#months.length - 1)];
      if (month) jump(month.first);
    });
  }

  /** `months` as counted, the newest first; without them, or with few files, there is nothing to scrub. */
  show(months, total) {
    this.#total = total;
    let first = 0;
    this.#months = (months ?? []).map(({ value, count }) => {
      const month = { value, first };
      first += count;
      return month;
    });
    this.#element.hidden = this.#months.length < 2 || total < 30 || first !== total;
    let [year, height] = ["", -Infinity];
    const labels = [];
    for (const month of this.#months) {
      const share = month.first / total;
      if (month.value.slice(0, 4) === year || share - height < 0.03) continue;
      [year, height] = [month.value.slice(0, 4), share];
      const label = make("span", { text: year });
      label.style.top = `${share * 100}%`;
      labels.push(label);
    }
    this.#element.replaceChildren(...labels, make("i", { class: "here" }, make("b")));
    this.#element.setAttribute("aria-valuemin", "1");
    this.#element.setAttribute("aria-valuemax", String(Math.max(this.#months.length, 1)));
    this.seen(0);
  }

  /** The first file in the window has this number. */
  seen(index) {
    if (this.#element.hidden) return;
    this.#at = Math.max(this.#months.findLastIndex((month) => month.first <= index), 0);
    const name = monthName(this.#months[this.#at].value);
    const here = this.#element.querySelector(".here");
    here.style.top = `${(index / this.#total) * 100}%`;
    here.firstChild.textContent = name;
    this.#element.setAttribute("aria-valuenow", String(this.#at + 1));
    this.#element.setAttribute("aria-valuetext", name);
  }
}
