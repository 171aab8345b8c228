"""An SVG → the picture that it draws, on white, without anything that lies outside of it.

Few bytes can draw for hours, or in the memory of a data centre: `draw` runs in a process apart, and gets the drawing
as it was written anew here, without what would make other files be opened.
"""

from __future__ import annotations

import io
import re
import zlib
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from mmsearch.reading.apart import done_apart
from mmsearch.reading.image_pixels import flattened
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading, UnreadableFile
from mmsearch.records import FileFacts, Part

# The drawing is drawn at the size that is asked for. One that is longer is drawn as high as its length allows.
_LONGEST = 16
_MEMORY = 600_000_000
_MOST_BYTES = 64_000_000
_DEEPEST = 200
_MOST_ELEMENTS = 500_000
# What Illustrator writes: names for the addresses of its namespaces.
_MOST_ENTITIES, _LONGEST_ENTITY = 100, 1_000
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_LENGTH = re.compile(rf"\s*({_NUMBER})\s*(px|pt|pc|mm|cm|in|em|ex)?\s*")
_PIXELS = {None: 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}
_PIXELS |= {"em": 16.0, "ex": 8.0}
_WITHIN = ("#", "data:")


def read_svg(file: OpenFile, side: int) -> Reading:
    """The drawing, one part; its short side has `side` pixels, whatever size the file says, or fewer if it is long.

    Raises UnreadableFile for damaged and empty drawings, and those that are too large or too deep, or want more than a
    drawing needs.
    """
    from PIL import Image

    drawing = _Drawing(_unpacked(file))
    width, height = drawing.size or (1.0, 1.0)
    scale = min(side / min(width, height), _LONGEST * side / max(width, height))
    box = (max(1, round(width * scale)), max(1, round(height * scale)))
    if drawing.size is None:
        # As large as what it draws is, whose shape is not known here.
        box = (2 * side, 2 * side)
    _, png = done_apart(f"{__name__}:draw", drawing.written(), _MEMORY, width=box[0], height=box[1])
    with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
        seen = flattened(picture)
    size = (None, None) if drawing.size is None else (max(1, round(width)), max(1, round(height)))
    return Reading(FileFacts(width=size[0], height=size[1]), (Part("image", seen),))


def draw(data: bytes, width: int, height: int) -> tuple[dict[str, Any], bytes]:
    """A PNG of the drawing, which fits into a box of so many pixels.

    Raises:
        UnreadableFile: it cannot be drawn.
    """
    import resvg_py

    svg = data.decode()
    try:
        png = resvg_py.svg_to_bytes(
            svg_string=svg, background="white", width=width, height=height, skip_system_fonts="<text" not in svg
        )
    except Exception:
        raise UnreadableFile("damaged SVG") from None
    return {}, png


def _unpacked(file: OpenFile) -> bytes:
    limit = min(_MOST_BYTES, file.limits.max_member_bytes)
    file.stream.seek(0)
    data = file.stream.read(limit + 1)
    if data[:2] == b"\x1f\x8b":
        unpacking = zlib.decompressobj(wbits=31)
        try:
            data = unpacking.decompress(data, limit + 1)
        except zlib.error:
            raise UnreadableFile("damaged SVG") from None
        if not unpacking.eof and len(data) <= limit:
            raise UnreadableFile("truncated SVG")
    if len(data) > limit:
        raise UnreadableFile(f"SVG of more than {limit:,} bytes")
    return data


class _Drawing:
    """An SVG that is written anew without what refers to other files, and its size in pixels, None if it has none.

    Raises UnreadableFile for what is no SVG, and for what is made to overwhelm.
    """

    def __init__(self, data: bytes) -> None:
        self.size: tuple[float, float] | None = None
        self._written: list[str] = []
        self._length = self._depth = self._elements = self._entities = 0
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._entity
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            is_cut = error.code in _CUT_OFF
            raise UnreadableFile("truncated SVG" if is_cut else "damaged SVG") from None

    def written(self) -> bytes:
        """The SVG as UTF-8."""
        return "".join(self._written).encode("utf-8", "replace")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._elements:
            if name.rpartition(":")[2] != "svg":
                raise UnreadableFile("damaged SVG")
            self.size = _size(attributes)
            attributes = self._with_own_size(attributes)
        self._depth += 1
        self._elements += 1
        if self._depth > _DEEPEST or self._elements > _MOST_ELEMENTS:
            raise UnreadableFile("SVG of too many elements")
        self._write(f"<{name}")
        for key, value in attributes.items():
            is_elsewhere = key.rpartition(":")[2] in ("href", "src") and not value.strip().startswith(_WITHIN)
            if not is_elsewhere:
                self._write(f" {key}={quoteattr(value)}")
        self._write(">")

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._write(f"</{name}>")

    def _text(self, text: str) -> None:
        self._write(escape(text))

    def _entity(self, name: str, is_parameter: bool, value: str | None, *elsewhere: object) -> None:
        self._entities += 1
        if value is None or is_parameter or "&" in value or "<" in value or len(value) > _LONGEST_ENTITY:
            raise UnreadableFile("SVG with entities")
        if self._entities > _MOST_ENTITIES:
            raise UnreadableFile("SVG with entities")

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > 2 * _MOST_BYTES:
            raise UnreadableFile(f"SVG of more than {_MOST_BYTES:,} bytes")
        self._written.append(text)

    def _with_own_size(self, attributes: dict[str, str]) -> dict[str, str]:
        """The attributes of the whole with a size that is bounded, and the window that it had before."""
        kept = {key: value for key, value in attributes.items() if key not in ("width", "height")}
        if self.size is None:
            return kept
        width, height = self.size
        kept.setdefault("viewBox", f"0 0 {width:f} {height:f}")
        scale = 1_000 / max(width, height)
        return {**kept, "width": f"{width * scale:f}", "height": f"{height * scale:f}"}


def _size(attributes: dict[str, str]) -> tuple[float, float] | None:
    """Width and height in pixels: as they are said, else those of the window; None where neither is.

    Raises UnreadableFile where nothing is as large.
    """
    window = [float(number) for number in re.findall(_NUMBER, attributes.get("viewBox", ""))[:4]]
    width, height = (_pixels(attributes.get(name, "")) for name in ("width", "height"))
    if len(window) == 4 and window[2] > 0 and window[3] > 0:
        shape = window[2] / window[3]
        if width is None and height is None:
            width, height = window[2], window[3]
        elif width is None:
            width = height and height * shape
        elif height is None:
            height = width and width / shape
    if width is None or height is None:
        return None
    if not (1e-6 < width < 1e9 and 1e-6 < height < 1e9):
        raise UnreadableFile("picture without pixels" if min(width, height) <= 1e-6 else "damaged SVG")
    return width, height


def _pixels(length: str) -> float | None:
    found = _LENGTH.fullmatch(length)
    return float(found[1]) * _PIXELS[found[2]] if found else None


_CUT_OFF = tuple(
    code
    for code, text in expat.errors.messages.items()
    if text in (expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN)
    or text in (expat.errors.XML_ERROR_PARTIAL_CHAR, expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION)
)
