"""Heat maps drawn over their pictures: what is asked for glows, and all else is grey."""

from __future__ import annotations

import io
import math
import os
from typing import IO, TYPE_CHECKING

import numpy as np

from mmsearch.errors import Invalid, Refused, Unavailable
from mmsearch.files.replacing import replacing
from mmsearch.output import visible
from mmsearch.output.lettering import font_of_size, shortened_line
from mmsearch.output.overwriting import is_signed
from mmsearch.output.pictures import picture_at
from mmsearch.records import Locator
from mmsearch.searching.explanations import Explanation, Heat, HeatMap
from mmsearch.searching.results import SearchResult

if TYPE_CHECKING:
    from PIL.Image import Image

# By which a picture of heat maps is known again, near the beginning of its file.
SIGN = "mmsearch heat map"
# The size of one map in pixels, at most, and how they stand beside one another.
_SIDE, _MOST_COLUMNS, _GAP, _LINE, _FONT_SIZE = 480, 3, 12, 24, 15
_BACK, _WORDS = "#ffffff", "#1c1c1c"
# From what is a little to what is all: dark red, orange, yellow. The brighter the more, also to who sees no red.
_COLOURS = np.array([(80, 0, 30), (190, 30, 25), (250, 130, 20), (255, 235, 90)], np.float32)
_GREY, _STRENGTH = 0.75, 0.75


def heated(picture: Image, heat: Heat, term: int = 0) -> Image:
    """The picture, RGB, with one of the heat maps over it, of the same size."""
    from PIL import Image as PILImage

    shares = _shares(heat, heat.maps[term], picture.size)[:, :, np.newaxis]
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    light = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    grey = pixels + _GREY * (light[:, :, np.newaxis] - pixels)
    at = shares[:, :, 0] * (len(_COLOURS) - 1)
    below = np.minimum(at.astype(np.intp), len(_COLOURS) - 2)
    part = (at - below)[:, :, np.newaxis]
    colours = _COLOURS[below] * (1 - part) + _COLOURS[below + 1] * part
    strength = _STRENGTH * np.sqrt(shares)
    return PILImage.fromarray((grey * (1 - strength) + colours * strength).clip(0, 255).astype(np.uint8))


def heat_map_png(explanation: Explanation) -> bytes:
    """The picture of an explanation under each of its heat maps, side by side, with what each is of: a PNG.

    Raises:
        Invalid: it has no heat maps. Unavailable: the picture is not to be had any more.
    """
    file = io.BytesIO()
    _write(file, explanation)
    return file.getvalue()


def check_heat_maps(folder: str) -> None:
    """Whether heat maps may be written into a folder, which is made where it is not there.

    Raises:
        Refused: it is no folder. Unavailable: it cannot be made.
    """
    target = os.path.abspath(os.path.expanduser(folder))
    if os.path.lexists(target) and not os.path.isdir(target):
        raise Refused(f"{target} is no folder; choose one for the heat maps.")
    try:
        os.makedirs(target, mode=0o700, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"The folder {target} cannot be made ({error.strerror}).") from error


def write_heat_maps(result: SearchResult, folder: str) -> list[str]:
    """Writes those of each explained hit into a folder, as `RANK-NAME.png`; the paths of these.

    Hits without a picture, or whose picture is not to be had any more, have none.

    Raises:
        Refused: another picture is called so. Unavailable: one cannot be written. Others as `check_heat_maps` does.
    """
    check_heat_maps(folder)
    written: list[str] = []
    for hit in result.hits:
        explanation = hit.explanation
        if explanation is None or explanation.heat is None:
            continue
        stem = os.path.splitext(os.path.basename(hit.path))[0]
        path = os.path.join(os.path.abspath(os.path.expanduser(folder)), f"{hit.rank:03}-{stem}.png")
        if os.path.lexists(path) and not is_signed(path, SIGN):
            raise Refused(f"{path} is no heat map of mmsearch and is not overwritten; choose another folder.")
        try:
            with replacing(path, in_any_folder=True) as temporary, open(temporary, "wb") as file:
                _write(file, explanation)
        except OSError as error:
            raise Unavailable(f"The heat map {path} cannot be written ({error.strerror}).") from error
        written.append(path)
    return written


def _write(file: IO[bytes], explanation: Explanation) -> None:
    from PIL import Image, ImageDraw
    from PIL.PngImagePlugin import PngInfo

    heat = explanation.heat
    if heat is None:
        raise Invalid(f"{explanation.path} has no heat map{f': {explanation.trouble}' if explanation.trouble else ''}.")
    picture = _picture(explanation)
    columns = min(_MOST_COLUMNS, len(heat.maps))
    across, down = picture.width + _GAP, picture.height + _LINE + _GAP
    size = columns * across + _GAP, math.ceil(len(heat.maps) / columns) * down + _GAP
    sheet = Image.new("RGB", size, _BACK)
    draw, font = ImageDraw.Draw(sheet), font_of_size(_FONT_SIZE)
    for number, one in enumerate(heat.maps):
        left, top = _GAP + number % columns * across, _GAP + number // columns * down
        sheet.paste(heated(picture, heat, number), (left, top))
        said = shortened_line(draw, font, visible(one.term), picture.width)
        draw.text((left, top + picture.height + 2), said, _WORDS, font)
    about = PngInfo()
    about.add_text("Software", SIGN)
    sheet.save(file, "PNG", pnginfo=about)


def _picture(explanation: Explanation) -> Image:
    place = Locator(
        page=explanation.page,
        region=explanation.region,
        time=explanation.time,
        part_name=explanation.part_name,
    )
    shown = picture_at(explanation.path, place, (_SIDE, _SIDE))
    if isinstance(shown, str):
        raise Unavailable(f"{explanation.path} cannot be drawn: {shown}.")
    if shown.picture is None:
        raise Unavailable(f"{explanation.path} cannot be drawn: there is no picture in it any more.")
    return shown.picture


def _shares(heat: Heat, of_term: HeatMap, size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """How much of the colour each pixel gets, 0 to 1, float32 [height, width]; nothing where the model saw nothing."""
    from PIL import Image as PILImage

    width, height = size
    left, top, right, bottom = (
        round(share * length) for share, length in zip(heat.seen, (width, height, width, height), strict=True)
    )
    spread = max(heat.hot - heat.cold, 1e-6)
    grid = (np.array(of_term.grid, np.float32) - heat.cold) / spread
    box = max(1, right - left), max(1, bottom - top)
    seen = np.asarray(PILImage.fromarray(grid).resize(box, PILImage.Resampling.BICUBIC)).clip(0, 1)
    shares = np.zeros((height, width), np.float32)
    shares[top : top + box[1], left : left + box[0]] = seen[: height - top, : width - left]
    return shares
