// The server's answers; what it refuses is a Problem with a sentence for a person.

export class Problem extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function answer(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "The server does not answer. Start it again with: mmsearch serve");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => null);
  if (response.status === 401) {
    throw new Problem(401, "token", "This page has no token (any more). Open the address that mmsearch serve has printed.");
  }
  throw new Problem(response.status, said?.error?.code ?? "error", said?.error?.message ?? `The server says ${response.status}.`);
}

const json = async (path, options) => (await answer(path, options)).json();

export const search = (asked, offset, limit, signal) => {
  const parameters = new URLSearchParams(asked);
  parameters.set("limit", limit);
  if (offset) parameters.set("offset", offset);
  return json(`api/v1/search?${parameters}`, { signal });
};

/** Hands a picture over; the answer's `upload` stands for it in later searches. */
export function upload(file, signal) {
  const form = new FormData();
  form.append("picture", file, file.name || "picture");
  form.append("limit", "1");
  return json("api/v1/search", { method: "POST", body: form, signal });
}

export const facets = (asked, signal) => json(`api/v1/facets?${asked}`, { signal });
export const facts = (id, signal) => json(`api/v1/files/${id}`, { signal });
export const passages = (id, place, signal) => json(`api/v1/files/${id}/passages?${new URLSearchParams(place)}`, { signal });
export const explain = (id, asked, signal) => json(`api/v1/files/${id}/explain?${asked}`, { signal });
export const duplicates = (cursor, signal) => json(`api/v1/duplicates?limit=20${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`, { signal });
export const status = (signal) => json("api/v1/status", { signal });
export const index = (paths) => json("api/v1/index", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(paths.length ? { paths } : {}) });
export const job = (id) => json(`api/v1/jobs/${id}`);
/** Stops a job; the answer is how it has ended. */
export const stopped = (id) => json(`api/v1/jobs/${id}`, { method: "DELETE" });
export const originalOf = (id) => `api/v1/files/${id}/original`;

/** A picture of a file, or of a page or a moment of it. */
export function pictureOf(id, side, { page, time } = {}) {
  const place = new URLSearchParams({ side });
  if (page != null) place.set("page", page);
  if (time != null) place.set("time", time);
  return `api/v1/files/${id}/thumb?${place}`;
}

/** Has the browser download some files in one archive, which is streamed: nothing of it is held here. */
export function downloadZip(ids) {
  const form = document.createElement("form");
  form.method = "post";
  form.action = "api/v1/zip";
  for (const id of ids) {
    const input = document.createElement("input");
    input.type = "hidden";
    input.name = "ids";
    input.value = id;
    form.append(input);
  }
  document.body.append(form);
  form.submit();
  form.remove();
}
