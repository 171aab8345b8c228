// Rows of pictures, true to their aspect, that fill the width.

const TALLEST = 1.45;
// A part of a row that is too little to begin another one for. It is less than half: on low rows no card can be read.
const TOO_LITTLE = 0.25;
const HEADING = 38;

/** How wide a file is shown for its height. A text has a card, a document a page. */
export function aspectOf(hit) {
  if (hit.width && hit.height) return Math.min(Math.max(hit.width / hit.height, 0.4), 3);
  return { image: 4 / 3, video: 16 / 9, document: 3 / 4, audio: 4 / 3 }[hit.type] ?? 4 / 3;
}

/**
 * Lays boxes of these aspects into rows of about the wanted height.
 * Returns {boxes: [{left, top, width, height}], height}, in pixels.
 */
export function laid(aspects, width, wanted, gap) {
  const total = aspects.reduce((sum, aspect) => sum + aspect, 0);
  const count = Math.max(1, Math.ceil((total * wanted) / width - TOO_LITTLE));
  const rows = Array.from({ length: count }, () => []);
  let before = 0;
  aspects.forEach((aspect, number) => {
    const row = Math.min(count - 1, Math.floor(((before + aspect / 2) / total) * count));
    rows[row].push(number);
    before += aspect;
  });
  const boxes = new Array(aspects.length);
  let top = 0;
  for (const row of rows) {
    if (!row.length) continue;
    const sum = row.reduce((all, number) => all + aspects[number], 0);
    const height = Math.round(Math.min((width - gap * (row.length - 1)) / sum, wanted * TALLEST));
    let left = 0;
    for (const number of row) {
      boxes[number] = { left, top, width: Math.floor(aspects[number] * height), height };
      left += boxes[number].width + gap;
    }
    top += height + gap;
  }
  return { boxes, height: top };
}

/**
 * The same in groups of those that have one heading in common, each under it; `before` is that of what lies before them.
 * Returns {boxes, headings, height}: a heading only where one is to be drawn, else null, and as `lead` of a box the room for it.
 */
export function laidInGroups(aspects, headings, before, width, wanted, gap) {
  const [boxes, drawn] = [[], []];
  let [top, begin] = [0, 0];
  while (begin < aspects.length) {
    let end = begin + 1;
    while (end < aspects.length && headings[end] === headings[begin]) end += 1;
    const isDrawn = headings[begin] !== null && headings[begin] !== (begin ? headings[begin - 1] : before);
    const lead = isDrawn ? HEADING : 0;
    const group = laid(aspects.slice(begin, end), width, wanted, gap);
    for (const box of group.boxes) {
      drawn.push(isDrawn && boxes.length === begin ? headings[begin] : null);
      boxes.push({ ...box, top: top + lead + box.top, lead: box.top ? 0 : lead });
    }
    top += lead + group.height;
    begin = end;
  }
  return { boxes, headings: drawn, height: top };
}

/** Cuts boxes between rows: {first, end, top, bottom}, of numbers and of pixels, each as high as `least` but for the last. */
export function inParts(boxes, height, least) {
  const parts = [];
  boxes.forEach(({ top, lead = 0 }, number) => {
    const last = parts.at(-1);
    if (last && (top === boxes[number - 1].top || top - lead - last.top < least)) return;
    if (last) [last.end, last.bottom] = [number, top - lead];
    parts.push({ first: number, end: boxes.length, top: top - lead, bottom: height, element: null });
  });
  return parts;
}
