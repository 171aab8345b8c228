// Runs of index: how far one is; and, where the server lets the page start them, a dialog that starts and stops them
// and tells what came of the last one.

import * as api from "./api.js";
import { $, button, counted, make, written } from "./elements.js";

const MOST_LISTED = 100;
const COUNTS = [["added", "new"], ["updated", "changed"], ["encoded", "encoded anew"], ["moved", "moved or copied"], ["removed", "gone"], ["failed", "could not be read"], ["unchanged", "as before"]];
const LISTS = [["failures", "Could not be read"], ["incomplete", "Read in part"], ["problems", "Could not be taken"]];

export class Jobs {
  #job = null;
  #dialog = null;
  #isAsked = false;
  #roots = make("select", { id: "index-root" });
  #start = button("Start", () => this.#begin(), { class: "first" });
  #stop = button("Stop", () => this.#end());
  #bar = make("progress", { "aria-label": "How far it is", hidden: true });
  #far = make("p", { class: "quiet-text" });
  #said = make("p", { role: "status" });
  #outcome = make("div", { class: "outcome" });

  /** Asks whether this page may start runs; only then there is a button for it. */
  async offer() {
    if (this.#isAsked) return;
    this.#isAsked = true;
    const status = await api.status().catch(() => null);
    this.#isAsked = status !== null; // a library that is not there yet may be, another time
    if (!status?.may_index) return;
    this.#dialog = make("dialog", { id: "index", "aria-labelledby": "index-title" },
      make("h2", { id: "index-title", text: "Index" }),
      make("p", { class: "quiet-text", text: "Reads what is new or has changed, and drops what is gone. Files are never changed." }),
      make("label", { for: "index-root" }, "Folders ", this.#roots),
      this.#said, this.#bar, this.#far, this.#outcome,
      make("div", { class: "actions" }, this.#start, this.#stop, button("Close", () => this.#dialog.close(), { class: "quiet" })));
    this.#dialog.addEventListener("close", () => { $("job").hidden = this.#job?.state !== "running"; });
    document.body.append(this.#dialog);
    const opener = button("Index", () => this.open(), { class: "quiet", id: "index-button", "aria-haspopup": "dialog" });
    $("duplicates-button").after(opener);
    const details = button("Details", () => this.open(), { class: "quiet", "aria-haspopup": "dialog", "aria-label": "Details of the run of index" });
    $("job").append(details);
    this.#draw();
  }

  async open() {
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#draw();
    try {
      const { roots } = await api.status();
      const chosen = this.#roots.value;
      const one = (root) => make("option", { value: root.path, text: `${written(root.path)} (${root.offline ? "not there now" : counted(root.files, "file")})` });
      this.#roots.replaceChildren(make("option", { value: "", text: "All of them" }), ...roots.map(one));
      this.#roots.value = chosen;
    } catch (error) {
      this.#told(error.message);
    }
  }

  /** A job is like that now; what comes late of one that has ended is passed over. */
  seen(job) {
    const isNews = job.job !== this.#job?.job || job.state !== this.#job.state;
    if (job.job === this.#job?.job && this.#job.state !== "running") return;
    this.#job = job;
    this.#draw(isNews);
  }

  /** After a time without word from the server: how the job is that went on then. */
  async look() {
    if (this.#job?.state !== "running") return;
    const called = this.#job.job;
    this.seen(await api.job(called).catch(() => ({ ...this.#job, state: "stopped" }))); // a server begun anew knows it no more
  }

  async #begin() {
    this.#start.disabled = true;
    this.#outcome.replaceChildren();
    try {
      this.seen(await api.index(this.#roots.value ? [this.#roots.value] : []));
      this.#stop.focus();
    } catch (error) {
      this.#told(error.message, true);
    }
    this.#start.disabled = false;
  }

  async #end() {
    this.#stop.disabled = true;
    this.#told("Stopping…");
    try {
      this.seen(await api.stopped(this.#job.job));
    } catch (error) {
      this.#told(error.message, true);
    }
    this.#stop.disabled = false;
  }

  #told(text, isTrouble = false) {
    this.#said.textContent = text;
    this.#said.classList.toggle("trouble", isTrouble);
  }

  #draw(isNews = true) {
    const job = this.#job;
    const isRunning = job?.state === "running";
    $("job").hidden = !isRunning && !(job && this.#dialog);
    for (const bar of [$("job-progress"), this.#bar]) {
      bar.hidden = !isRunning;
      if (job?.total) [bar.max, bar.value] = [job.total, job.done];
      else bar.removeAttribute("value");
    }
    this.#far.textContent = isRunning ? far(job) : "";
    $("job-text").textContent = job ? (isRunning ? `Index: ${far(job)}` : ended(job)) : "";
    if (!this.#dialog) return;
    const hadFocus = this.#stop === document.activeElement;
    [this.#start.hidden, this.#stop.hidden, this.#roots.disabled] = [isRunning, !isRunning, isRunning];
    if (hadFocus && !isRunning) this.#start.focus();
    if (!job || !isNews) return;
    this.#told(isRunning ? "A run of index goes on." : ended(job), job.state === "failed");
    this.#outcome.replaceChildren(...(job.report ? outcome(job.report) : []));
  }
}

function far({ stage, done, total, unit }) {
  if (!stage) return "starting";
  if (total) return `${stage}, ${done.toLocaleString("en")} of ${counted(total, unit.replace(/s$/, ""), unit)}`;
  return done ? `${stage}, ${counted(done, unit.replace(/s$/, ""), unit)}` : stage;
}

/** What came of a job, in a sentence. */
function ended(job) {
  if (job.state === "failed") return job.error;
  if (job.state === "stopped") return "Stopped. What was done is kept, and the next run goes on from there.";
  const said = COUNTS.filter(([name]) => job.report[name]).map(([name, word]) => `${job.report[name].toLocaleString("en")} ${word}`);
  return `Indexed: ${said.join(", ") || "no files"}.`;
}

/** What a person may want to know of a run beside its counts. */
function outcome(report) {
  const lists = LISTS.map(([name, title]) => listed(title, report[name].map(({ path, reason }) => [path, reason])));
  const stages = report.stages.map(({ stage, read, found, failures, hindered }) => [
    make("p", { text: hindered ?? `${stage}: text found in ${counted(found, "file")} of ${read.toLocaleString("en")} that were read` }),
    listed(`Could not be read by ${stage}`, failures.map(({ path, reason }) => [path, reason])),
  ]);
  const left = new Map(report.unreached.map(({ path, files }) => [path, `went away while it was read; ${counted(files, "file")} left to the next run`]));
  const away = listed("Not there now, and kept", report.offline.map((path) => [path, left.get(path) ?? "missing, or suddenly empty"]));
  const absent = listed("Lost many files at once", report.absent.map(({ path, files }) => [path, `${counted(files, "file")} stay until mmsearch prune`]));
  const failing = report.failing ? make("p", { text: `${counted(report.failing, "file")} could not be read before and have not changed.` }) : null;
  const hindered = report.hindered ? make("p", { class: "trouble", text: report.hindered }) : null;
  return [hindered, ...lists, failing, away, absent, ...stages.flat()].filter(Boolean);
}

function listed(title, rows) {
  if (!rows.length) return null;
  const items = rows.slice(0, MOST_LISTED).map(([path, reason]) => make("li", {}, written(path), make("small", { text: ` ${reason}` })));
  if (rows.length > MOST_LISTED) items.push(make("li", { text: `and ${(rows.length - MOST_LISTED).toLocaleString("en")} more` }));
  return make("details", { open: rows.length <= 10 }, make("summary", { text: `${title} (${rows.length.toLocaleString("en")})` }), make("ul", {}, ...items));
}
