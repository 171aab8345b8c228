"""Text in pictures (optical character recognition): signs, receipts, screenshots, scanned pages.

A detector looks at each picture, made small, whether there is text at all; where there is, its lines are read at a
larger, bounded size. Both run with onnxruntime, on two threads, by models that lie in the package `rapidocr`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from mmsearch.errors import Remedy, Unsupported
from mmsearch.files.silencing import silenced
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.stage import Stage
from mmsearch.records import Locator, Part, Region

if TYPE_CHECKING:
    from PIL.Image import Image

EXTRA = "ocr"
VERSION = "1"
# The short side that readers give pictures with, at least, where they have it.
SIDE = 1_000
# What is read at once is bounded, and memory by it: the short side, and how many times as long the long one may be.
_SHORT_SIDE = 1_600
_LONGEST_RATIO = 2
# A longer page is cut: by how much of their length its pieces overlap, and how many of them are looked at.
_OVERLAP = 1 / 8
_MOST_PIECES = 24
# The long sides at which text is looked for, and at which its lines are found to be read.
_LOOK_SIDE = 640
_READ_SIDE = 1_280
# Scripts that the models do not know, and patterns that are no text, come with less than this.
_CONFIDENCE = 0.8
# Fewer letters and digits in a picture are nothing to be found by; of one alone, again and again, patterns are read.
_FEWEST_LETTERS = 3
_THREADS = 2
# A page with so many letters has been read; the picture of it would be read again.
_READ_LETTERS = 40
_LETTER = re.compile(r"[^\W_]")


class Line(NamedTuple):
    """A line of text in a picture: where the middles of its left and right ends lie, and how high it is, in pixels."""

    text: str
    begins: tuple[float, float]
    ends: tuple[float, float]
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        return (self.begins[0] + self.ends[0]) / 2, (self.begins[1] + self.ends[1]) / 2

    def moved(self, top: int, factor: float) -> Line:
        """The line in a picture that is so many times as large, of which this one is the piece from that row on."""
        (x, y), (to_x, to_y) = self.begins, self.ends
        begins, ends = (x * factor, top + y * factor), (to_x * factor, top + to_y * factor)
        return Line(self.text, begins, ends, self.height * factor)


def engine_of(model: str) -> _Ocr:
    """What reads text in pictures.

    Raises:
        Unsupported: the extra is not installed.
    """
    _checked(model)
    return _Ocr()


def _checked(model: str) -> str:
    if find_spec("rapidocr") is None:
        raise Unsupported("Reading text in pictures needs rapidocr", Remedy("extra", EXTRA))
    return model


def _version(model: str) -> str:
    _checked(model)
    return VERSION


class _Ocr:
    """Two engines, since what one is told to leave out it leaves out from then on."""

    def __init__(self) -> None:
        self._looks = _rapidocr(_LOOK_SIDE)
        self._reads = _rapidocr(_READ_SIDE)

    def parts(self, file: OpenFile) -> Iterator[Part]:
        """The text in each picture of the file, or that it is, as one part a picture; pages that are text are none."""
        read_pages: set[int | None] = set()
        for part in file.reader.read(file, SIDE).parts:
            page = part.locator.page
            if part.modality == "text" and page is not None and len(_LETTER.findall(part.payload)) >= _READ_LETTERS:
                read_pages.add(page)
            if part.modality != "image" or (part.source == "page" and page in read_pages):
                continue
            lines = self.lines(part.payload)
            text = in_reading_order(lines)
            letters = _LETTER.findall(text)
            if len(letters) >= _FEWEST_LETTERS and len(set(letters)) > 1:
                place = Locator(page=page, region=_around(lines, part.payload), part_name=part.locator.part_name)
                yield Part("text", text, place, STAGE.source)

    def lines(self, picture: Image) -> list[Line]:
        """The lines that are read with confidence, in the pixels of the picture."""
        found: list[Line] = []
        for top, bottom, first, last in pieces(*picture.size):
            piece = _bounded(picture.crop((0, top, picture.width, bottom)))
            for line in self._lines_of_piece(piece):
                line = line.moved(top, picture.width / piece.width)
                # What lies on a border is whole in the next piece.
                if first <= line.middle[1] < last:
                    found.append(line)
        return found

    def _lines_of_piece(self, piece: Image) -> list[Line]:
        """The lines of a picture that is small enough, in its pixels."""
        import numpy as np

        pixels = np.ascontiguousarray(np.asarray(piece.convert("RGB"))[:, :, ::-1])
        if not len(self._looks(pixels, use_cls=False, use_rec=False)):
            return []
        read = self._reads(pixels)
        if read.txts is None:
            return []
        found = zip(read.txts, read.boxes, read.scores, strict=True)
        return [_line(text, corners) for text, corners, score in found if score >= _CONFIDENCE]


def _rapidocr(side: int) -> Any:
    """An engine of the package, that finds text in pictures made so small. Its models are named, so that none is
    fetched.
    """
    rapidocr = silenced("rapidocr")
    models = os.path.join(os.path.dirname(rapidocr.__file__), "models")
    found = {kind: os.path.join(models, name) for kind, name in _models_in(models).items()}
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.max_side_len": _SHORT_SIDE * _LONGEST_RATIO,
            "Global.text_score": _CONFIDENCE,
            "EngineConfig.onnxruntime.intra_op_num_threads": min(_THREADS, os.cpu_count() or 1),
            "Det.limit_type": "max",
            "Det.limit_side_len": side,
            **{f"{kind}.model_path": path for kind, path in found.items()},
        }
    )


def _models_in(folder: str) -> dict[str, str]:
    """The names of the models that find lines, turn them upright and read them.

    Raises:
        Unsupported: the package does not bring them.
    """
    names = sorted(name for name in os.listdir(folder) if name.endswith(".onnx"))
    found = {kind: next((name for name in names if kind.lower() in name), "") for kind in ("Det", "Cls", "Rec")}
    if not all(found.values()):
        raise Unsupported("The installed rapidocr comes without its models", Remedy("extra", EXTRA))
    return found


def pieces(width: int, height: int) -> list[tuple[int, int, float, float]]:
    """The pieces of a picture that are looked at: each from one row of pixels to another, and which rows of it are its
    own. All rows are some piece's own, but for those behind the last piece of an endless picture.

    Most pictures are one piece. A long page is several; a wide picture is not cut, as its lines would be.
    """
    length = width * _LONGEST_RATIO
    if height <= length:
        return [(0, height, 0.0, float(height))]
    step = max(1, round(length * (1 - _OVERLAP)))
    overlap = length - step
    starts = list(range(0, height - overlap, step))[:_MOST_PIECES]
    found = []
    for start in starts:
        end = min(height, start + length)
        first = start + overlap / 2 if start else 0.0
        found.append((start, end, first, float(end) if start == starts[-1] else end - overlap / 2))
    return found


def _bounded(picture: Image) -> Image:
    factor = max(min(picture.size) / _SHORT_SIDE, max(picture.size) / (_SHORT_SIDE * _LONGEST_RATIO))
    if factor <= 1:
        return picture
    return picture.resize((max(1, round(picture.width / factor)), max(1, round(picture.height / factor))))


def _line(text: str, corners: Any) -> Line:
    """A line with its corners, from the upper left one on clockwise."""
    (a, b), (c, d), (e, f), (g, h) = ((float(x), float(y)) for x, y in corners)
    return Line(text.strip(), ((a + g) / 2, (b + h) / 2), ((c + e) / 2, (d + f) / 2), math.hypot(a - g, b - h))


def _around(lines: Sequence[Line], picture: Image) -> Region:
    """The rectangle that holds all lines, as shares of the picture."""
    points = [(x, y, line.height / 2) for line in lines for x, y in (line.begins, line.ends)]
    left, right = min(x for x, _, _ in points) / picture.width, max(x for x, _, _ in points) / picture.width
    top, bottom = (min(y - half for _, y, half in points), max(y + half for _, y, half in points))
    return _share(left), _share(top / picture.height), _share(right), _share(bottom / picture.height)


def _share(number: float) -> float:
    return round(min(1.0, max(0.0, number)), 4)


def in_reading_order(lines: Sequence[Line]) -> str:
    """One text: rows from the top down, each from the left to the right. A row that rises or falls is one still."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.begins):
        fitting = [(distance, row) for row in rows if (distance := _distance(row[-1], line)) is not None]
        if fitting:
            min(fitting, key=lambda pair: pair[0])[1].append(line)
        else:
            rows.append([line])
    rows.sort(key=lambda row: row[0].middle[1])
    return "\n".join(" ".join(line.text for line in row) for row in rows)


def _distance(left: Line, right: Line) -> float | None:
    """How far a line lies off the one that it may go on with, or None where it does not: it is not to the right of it,
    on its height, or of its size.
    """
    height = min(left.height, right.height)
    if right.begins[0] < left.ends[0] - height or max(left.height, right.height) > 2 * height:
        return None
    slope = (left.ends[1] - left.begins[1]) / max(1.0, left.ends[0] - left.begins[0])
    distance = abs(left.ends[1] + slope * (right.begins[0] - left.ends[0]) - right.begins[1])
    return distance if distance < height / 2 else None


STAGE = Stage(
    name="ocr",
    source="ocr",
    media=frozenset(("image", "document")),
    doing="reading text in pictures",
    resolved=_checked,
    version=_version,
    open=engine_of,
    takes_parts=True,
)
