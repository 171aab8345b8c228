// What the server tells while the page is open: the library has changed, a job goes on.

/** `changed()` is called when the library has become another, `job(job)` when a run of index has gone on, `back()` after a time without word. */
export function listen({ changed, job, back }) {
  const source = new EventSource("api/v1/events");
  let wasCut = false;
  source.addEventListener("library", () => changed());
  source.addEventListener("job", (event) => job(JSON.parse(event.data)));
  source.addEventListener("error", () => { wasCut = true; });
  source.addEventListener("open", () => {
    if (wasCut) back();
    wasCut = false;
  });
}
