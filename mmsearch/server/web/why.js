// Why a file was found: the channels and words, and heat maps over its picture.

import { make } from "./elements.js";

const CHANNELS = { words: "its words", image: "what its picture shows", text: "what its text means", audio: "what is heard in it" };
// From what is a little to what is all, as in the command line's heat maps: red, green, blue.
const COLOURS = [[80, 0, 30], [190, 30, 25], [250, 130, 20], [255, 235, 90]];
const STRENGTH = 0.75;

/** What is said of an explanation; `show(heat, number)` lays one of its maps over the picture, or none. */
export function told(explanation, show) {
  const { words, heat, trouble } = explanation;
  const found = sum(explanation).map((text) => make("li", { text }));
  const standing = words.map(({ word, fields }) => make("li", {}, make("mark", { text: word }), ` in ${fields.map((one) => one.replace("_", " ")).join(", ")}`));
  const parts = [make("h3", { text: "Found by" }), make("ul", {}, ...found, ...standing)];
  if (trouble) parts.push(make("p", { class: "quiet-text", text: trouble }));
  if (heat) {
    const pressed = [];
    const choose = (number) => {
      const on = pressed[number].getAttribute("aria-pressed") !== "true";
      pressed.forEach((one, place) => one.setAttribute("aria-pressed", String(on && place === number)));
      show(heat, on ? number : null);
    };
    heat.maps.forEach(({ term }, number) => pressed.push(make("button", { type: "button", "aria-pressed": "false", text: term, click: () => choose(number) })));
    parts.push(make("h3", { text: "Where in the picture" }), make("div", { class: "terms-of-heat" }, ...pressed));
    choose(0);
  }
  return parts;
}

/** What makes the score, as parts that add up to it as it is shown: a second channel counts for what the first left. */
function sum({ channels: [first, second], score }) {
  const called = ({ channel }) => CHANNELS[channel] ?? channel;
  if (!first) return [];
  if (!second) return [`${called(first)}: ${score.toFixed(2)}`];
  const [whole, begun] = [score, first.score].map((one) => Number(one.toFixed(2)));
  return [
    `${called(first)}: ${begun.toFixed(2)}`,
    `${called(second)}: ${(whole - begun).toFixed(2)}, which is ${second.score.toFixed(2)} of the ${(1 - begun).toFixed(2)} left`,
    `together, its score: ${whole.toFixed(2)}`,
  ];
}

/** A heat map as a canvas of the picture's own aspect, transparent where it is cold. */
export function drawn(heat, number, width, height) {
  const small = make("canvas", { width: heat.columns, height: heat.rows });
  const cells = small.getContext("2d");
  const image = cells.createImageData(heat.columns, heat.rows);
  heat.maps[number].grid.flat().forEach((value, cell) => {
    const share = Math.min(Math.max((value - heat.cold) / (heat.hot - heat.cold || 1), 0), 1);
    const at = Math.min(share * (COLOURS.length - 1), COLOURS.length - 1.001);
    const [below, above] = [COLOURS[Math.floor(at)], COLOURS[Math.floor(at) + 1]];
    const colour = below.map((one, place) => one + (above[place] - one) * (at - Math.floor(at)));
    image.data.set([...colour, 255 * STRENGTH * Math.sqrt(share)], 4 * cell);
  });
  cells.putImageData(image, 0, 0);
  const canvas = make("canvas", { class: "heat", width, height, "aria-hidden": "true" });
  const [left, top, right, bottom] = heat.seen;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(small, left * width, top * height, (right - left) * width, (bottom - top) * height);
  return canvas;
}
