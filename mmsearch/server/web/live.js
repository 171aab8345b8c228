// What the server tells while the page is open: the library has changed, a job goes on.

import { $, counted } from "./elements.js";

/** `changed()` is called when the library has become another. */
export function listen(changed) {
  const source = new EventSource("api/v1/events");
  source.addEventListener("library", () => changed());
  source.addEventListener("job", (event) => progress(JSON.parse(event.data)));
}

function progress(job) {
  const done = ["done", "failed", "stopped"].includes(job.state);
  $("job").hidden = done;
  const bar = $("job-progress");
  if (job.total) [bar.max, bar.value] = [job.total, job.done];
  else bar.removeAttribute("value");
  $("job-text").textContent = job.total ? `indexing: ${counted(job.done, "file")} of ${job.total.toLocaleString("en")}` : "indexing";
}

