// The slider of the lowest score, with a mark where "nothing close" begins.

import * as api from "./api.js";
import { $ } from "./elements.js";
import { changed, compares, request } from "./state.js";

let measured = { of: null, begins: 0 }; // by the last search that said nothing of a lowest score

/** Draws it for a search and its answer; without a query there is nothing to compare. */
export async function draw(state, result, signal) {
  $("score-label").hidden = !compares(state);
  if (!compares(state)) return;
  const usual = request(changed(state, { min_score: null, sort: null, group: null }));
  const isChosen = state.has("min_score");
  if (!isChosen) measured = { of: usual.toString(), begins: begin(result) };
  const isKnown = measured.of === usual.toString();
  tell(isChosen ? Number(state.get("min_score")) : measured.begins, isChosen, isKnown ? measured.begins : 0);
  if (isKnown) return;
  const answer = await api.search(usual, 0, 1, signal).catch(() => null);
  if (!answer || signal.aborted) return;
  measured = { of: usual.toString(), begins: begin(answer) };
  tell(Number(state.get("min_score")), true, measured.begins);
}

/** Tells of a score that is being chosen. */
export function preview(value) {
  tell(value, true, measured.begins);
}

function begin(result) {
  const { image, ...others } = result.thresholds ?? {};
  const lowest = image ?? Math.min(...Object.values(others), 1);
  return lowest === 1 ? 0 : lowest;
}

function tell(value, isChosen, begins) {
  const told = begins ? (isChosen ? `${value.toFixed(2)} (close from ${begins.toFixed(2)})` : `${value.toFixed(2)}, where close begins`) : value.toFixed(2);
  $("score").value = value;
  $("score").setAttribute("aria-valuetext", told);
  $("score-value").textContent = told;
  $("score-begins").hidden = !begins;
  $("score-begins").style.setProperty("--at", begins);
}
