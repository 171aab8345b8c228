// One file, large: a picture to zoom, a film at its moment, a page, the words of a text; and what is known of it.

import * as api from "./api.js";
import { $, button, bytes, clock, dateName, folderOf, make, marked, nameOf, wordsOf } from "./elements.js";
import { compares, request } from "./state.js";
import { drawn, told } from "./why.js";

const SIDE = 1600;
const PLAYS = new Set(["video", "audio"]);
const MOST_ZOOM = 12;

export class Viewer {
  #dialog = $("viewer");
  #actions;
  #abort = new AbortController();
  #facts = null;
  #zoom = { scale: 1, x: 0, y: 0 };
  #page = null;

  /** `actions`: step(by), closed(), more(id), less(id), lineOf(id), state(), say(text). */
  constructor(actions) {
    this.#actions = actions;
    this.#dialog.addEventListener("close", () => {
      this.#abort.abort();
      this.#dialog.replaceChildren();
      actions.closed();
    });
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
  }

  get isOpen() {
    return this.#dialog.open;
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  /** Shows a file by its id, at a page or a moment where one is given. */
  async show(id, { page = null, time = null, at = "" } = {}) {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#zoom = { scale: 1, x: 0, y: 0 };
    if (!this.#dialog.open) this.#dialog.showModal();
    const { signal } = this.#abort;
    try {
      const facts = await api.facts(id, signal);
      this.#facts = facts;
      this.#page = page;
      const stage = make("div", { class: "stage" });
      this.#dialog.replaceChildren(this.#bar(facts, at), stage, this.#information(facts));
      await this.#fill(stage, facts, { page, time }, signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      const close = button("Close", () => this.close());
      this.#dialog.replaceChildren(make("p", { class: "trouble", role: "alert", text: error.message }), close);
      close.focus();
    }
  }

  #bar(facts, at) {
    const { step, more, less } = this.#actions;
    return make(
      "div",
      { class: "viewer-bar" },
      button("←", () => step(-1), { "aria-label": "The one before", class: "quiet" }),
      button("→", () => step(1), { "aria-label": "The next one", class: "quiet", autofocus: true }),
      make("h2", { text: nameOf(facts.path), title: facts.path }),
      make("span", { class: "quiet-text", text: at }),
      make("span", { class: "gap" }),
      button("More like this", () => more(facts.id)),
      button("Less", () => less(facts.id), { "aria-label": "Less like this" }),
      make("a", { class: "button", href: api.originalOf(facts.id), target: "_blank", rel: "noopener", text: "Open the file" }),
      button("✕", () => this.close(), { "aria-label": "Close", class: "quiet" }),
    );
  }

  async #fill(stage, facts, { page, time }, signal) {
    const words = wordsOf(this.#actions.state());
    if (PLAYS.has(facts.type)) {
      stage.append(player(facts, time));
      if (facts.type === "video") return;
    }
    if (facts.type === "image") return facts.pages > 1 ? this.#pages(stage, facts, page ?? 1) : this.#picture(stage, facts, {});
    if (facts.type === "document" && (facts.pages || page != null)) {
      this.#pages(stage, facts, page ?? 1);
    }
    const place = { ...(page != null && { page }), ...(time && { time: time[0] }) };
    const line = this.#actions.lineOf(facts.id);
    if (line != null) place.line = line;
    const found = await api.passages(facts.id, place, signal).catch((error) => {
      if (error.name === "AbortError") throw error;
      return null;
    });
    if (found?.passages.length) stage.append(passages(found, words));
    else if (!stage.children.length) this.#picture(stage, facts, { page });
  }

  #picture(stage, facts, place) {
    const image = make("img", { class: "large", src: api.pictureOf(facts.id, SIDE, place), alt: facts.description ?? facts.title ?? nameOf(facts.path), draggable: "false" });
    image.addEventListener("error", () => {
      const why = facts.available ? "There is no picture of this file here." : "This file is not there now: its drive is away, or it is gone.";
      image.replaceWith(make("p", { class: "trouble", text: why }));
    }, { once: true });
    image.addEventListener("dblclick", (event) => this.#scaled(image, this.#zoom.scale > 1 ? 1 : 2.5, event));
    image.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#scaled(image, this.#zoom.scale * Math.exp(-event.deltaY / 300), event);
    }, { passive: false });
    image.addEventListener("pointermove", (event) => {
      if (!event.buttons || this.#zoom.scale === 1) return;
      this.#zoom.x += event.movementX;
      this.#zoom.y += event.movementY;
      this.#moved(image);
    });
    stage.prepend(image);
  }

  #scaled(image, scale, at = null) {
    const next = Math.min(Math.max(scale, 1), MOST_ZOOM);
    const box = image.parentElement.getBoundingClientRect();
    const [x, y] = at ? [at.clientX - box.left - box.width / 2, at.clientY - box.top - box.height / 2] : [0, 0];
    const ratio = next / this.#zoom.scale;
    if (next !== 1) this.#dialog.querySelector(".heat")?.remove();
    this.#zoom = next === 1 ? { scale: 1, x: 0, y: 0 } : { scale: next, x: x - (x - this.#zoom.x) * ratio, y: y - (y - this.#zoom.y) * ratio };
    if (next > 2 && !image.dataset.finer) {
      image.dataset.finer = "yes"; // more pixels, once somebody looks at them
      const finer = new Image();
      finer.onload = () => { image.src = finer.src; };
      finer.src = api.pictureOf(this.#facts.id, 4096, { page: this.#page });
    }
    this.#moved(image);
  }

  #moved(image) {
    const { scale, x, y } = this.#zoom;
    image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    image.classList.toggle("zoomed", scale > 1);
  }

  #pages(stage, facts, page) {
    const last = facts.pages ?? page;
    const figure = make("div", { class: "page" });
    const turn = (to) => {
      this.#page = Math.min(Math.max(to, 1), last);
      figure.replaceChildren(
        make("img", { src: api.pictureOf(facts.id, SIDE, { page: this.#page }), alt: `Page ${this.#page}` }),
        make("p", {}, button("‹", () => turn(this.#page - 1), { "aria-label": "Page before" }), ` page ${this.#page} of ${last} `, button("›", () => turn(this.#page + 1), { "aria-label": "Next page" })),
      );
      figure.querySelector("img").addEventListener("error", (event) => event.target.remove(), { once: true });
    };
    turn(page);
    stage.append(figure);
  }

  #information(facts) {
    const rows = [
      ["Taken", dateName(facts.taken)],
      ["Changed", dateName(facts.modified)],
      ["Place", facts.place],
      ["Position", facts.latitude == null ? null : `${facts.latitude.toFixed(5)}, ${facts.longitude.toFixed(5)}`],
      ["Camera", facts.camera],
      ["Lens", facts.lens],
      ["Settings", [facts.focal_length && `${facts.focal_length} mm`, facts.iso && `ISO ${facts.iso}`].filter(Boolean).join(", ")],
      ["Title", facts.title],
      ["Description", facts.description],
      ["Keywords", facts.keywords.join(", ")],
      ["Rating", facts.rating ? "★".repeat(facts.rating) : null],
      ["Length", facts.duration ? clock(facts.duration) : null],
      ["Pages", facts.pages],
      ["Size", [facts.width && `${facts.width} × ${facts.height}`, bytes(facts.bytes)].filter(Boolean).join(", ")],
      ["Folder", folderOf(facts.path)],
    ].filter(([, value]) => value);
    const list = make("dl", {}, ...rows.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]));
    const copies = facts.copies.length ? [make("h3", { text: "The same file also at" }), make("ul", {}, ...facts.copies.map((path) => make("li", { text: path })))] : [];
    const why = compares(this.#actions.state()) ? button("Why was it found?", (event) => this.#why(event.target)) : null;
    const copy = button("Copy the path", () => navigator.clipboard.writeText(facts.path).then(() => this.#actions.say("Path copied.")));
    return make("aside", { class: "information", "aria-label": "What is known of it" }, facts.available ? null : make("p", { class: "trouble", text: "Not there now." }), why, list, ...copies, copy);
  }

  /** Takes the place of the button by why the file was found, and lays a heat map over its picture. */
  async #why(asked) {
    asked.disabled = true;
    asked.textContent = "Looking…";
    const place = make("div", { class: "why" });
    try {
      const explanation = await api.explain(this.#facts.id, request(this.#actions.state(), true), this.#abort.signal);
      place.append(...told(explanation, (heat, number) => this.#heated(heat, number)));
    } catch (error) {
      if (error.name === "AbortError") return;
      place.append(make("p", { class: "trouble", text: error.message }));
    }
    asked.replaceWith(place);
  }

  #heated(heat, number) {
    const image = this.#dialog.querySelector(".stage > img");
    this.#dialog.querySelector(".heat")?.remove();
    if (!image || number === null) return;
    this.#scaled(image, 1);
    image.after(drawn(heat, number, image.naturalWidth, image.naturalHeight));
  }

  #key(event) {
    if (event.target.matches("video, audio, input")) return;
    const image = this.#dialog.querySelector("img.large");
    const acts = {
      ArrowLeft: () => this.#actions.step(-1),
      ArrowRight: () => this.#actions.step(1),
      "+": () => image && this.#scaled(image, this.#zoom.scale * 1.5),
      "-": () => image && this.#scaled(image, this.#zoom.scale / 1.5),
      0: () => image && this.#scaled(image, 1),
      i: () => this.#dialog.classList.toggle("bare"),
      m: () => this.#facts && this.#actions.more(this.#facts.id),
      l: () => this.#facts && this.#actions.less(this.#facts.id),
    };
    if (!acts[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    acts[event.key]();
  }
}

function player(facts, time) {
  const element = make(facts.type, { controls: true, preload: "metadata", src: api.originalOf(facts.id) + (time ? `#t=${time[0]}` : "") });
  element.addEventListener("error", () => {
    const still = make("img", { src: api.pictureOf(facts.id, SIDE, { time: time?.[0] ?? 0 }), alt: "A moment of it" });
    still.addEventListener("error", () => still.remove(), { once: true });
    element.replaceWith(still, make("p", { class: "trouble", text: "This browser cannot play it: open the file instead." }));
  }, { once: true });
  return element;
}

function passages(found, words) {
  const where = (passage) => [passage.page && `page ${passage.page}`, passage.part_name, passage.line && `line ${passage.line}`, passage.time && clock(passage.time[0])].filter(Boolean).join(", ");
  return make("div", { class: "passages", tabindex: 0, role: "region", "aria-label": "Its text" },
    ...found.passages.map((passage) => make("p", {}, make("small", { text: where(passage) }), ...marked(passage.text, words))));
}
