// What the server tells while the page is open: the library has changed, a job goes on.

/** `changed()` is called when the library has become another, or may have, `job(job)` when a run of index has gone on, `back()` after a time without word. */
export function listen({ changed, job, back }) {
  let source;
  let wasCut = false;
  const begin = () => {
    source = new EventSource("api/v1/events");
    source.addEventListener("library", () => changed());
    source.addEventListener("job", (event) => job(JSON.parse(event.data)));
    source.addEventListener("error", () => { wasCut = true; });
    source.addEventListener("open", () => {
      if (wasCut) back();
      wasCut = false;
    });
  };
  begin();
  // A browser keeps pages that were left, to go back to, and their connections with them: of these it has six, for all pages.
  window.addEventListener("pagehide", () => {
    wasCut = true;
    source.close();
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    begin();
    changed();
  });
}
