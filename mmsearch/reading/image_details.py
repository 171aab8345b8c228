"""What a photo says of itself beside its date: camera, lens, place, rating and words, in its EXIF, XMP and IPTC.

XMP comes before IPTC and EXIF for what a person has written, as programs that write more than one of them read it
first; what the camera wrote is taken from EXIF, and from XMP where that lacks it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmsearch.reading.image_dates import EXIF_IFD, iptc_records
from mmsearch.reading.xmp import Properties, properties
from mmsearch.records import Details

if TYPE_CHECKING:
    from PIL.Image import Exif

GPS_IFD = 0x8825
_MAKE, _MODEL, _LENS_MODEL, _FOCAL_LENGTH = 0x010F, 0x0110, 0xA434, 0x920A
# The tag of today's EXIF; where two bytes do not hold the number, one of the others does.
_ISO, _LARGE_ISO, _RATING = 0x8827, (0x8833, 0x8832, 0x8831), 0x4746
_ISO_IS_ELSEWHERE = 65_535
_IMAGE_DESCRIPTION, _XP_TITLE, _XP_COMMENT, _XP_KEYWORDS = 0x010E, 0x9C9B, 0x9C9C, 0x9C9E
_IPTC_TITLE, _IPTC_KEYWORD, _IPTC_CAPTION = 5, 25, 120
# What cameras write where a person would describe the photo.
_NO_DESCRIPTION = re.compile(
    r"(olympus|minolta|konica minolta|casio|samsung|kodak|jenoptik|polaroid|exif.jpeg|default|maginon)?\s*"
    r"(digital (still )?camera|picture|image( description)?|dsc\w*|dcim|untitled|\.)?",
    re.I,
)
_NUMBER = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)(?:\s*/\s*(\d+(?:\.\d+)?))?")
_XMP_DEGREES = re.compile(r"\s*(\d+)(?:,(\d+(?:\.\d+)?))?(?:,(\d+(?:\.\d+)?))?\s*([NSEW])\s*", re.I)
_LONGEST_NAME, _LONGEST_TEXT, _MOST_KEYWORDS = 200, 10_000, 500
_MOST_MILLIMETRES, _MOST_ISO = 100_000, 100_000_000


def exif_tags(exif: Exif) -> dict[int, Any]:
    """All tags in one: those of the camera among those of the picture, those of the place as a dictionary under their
    own tag. What is damaged of them is left out.
    """
    tags: dict[int, Any] = dict(exif)
    for ifd in (EXIF_IFD, GPS_IFD):
        tags.pop(ifd, None)
        with suppress(Exception):
            found = exif.get_ifd(ifd)
            tags.update({ifd: dict(found)} if ifd == GPS_IFD else found)
    return tags


def details_of(exif: Mapping[int, Any], xmp: object, iptc: object) -> Details:
    """What EXIF tags (as `exif_tags` gives them), an XMP packet and IPTC records say.

    `xmp` and `iptc` may be None. Damaged ones say nothing.
    """
    with suppress(Exception):  # whatever hostile bytes make of values: a good picture stays good
        return _details(exif, xmp, iptc)
    return Details()


def _details(exif: Mapping[int, Any], xmp: object, iptc: object) -> Details:
    packet = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
    said = properties(packet) if isinstance(packet, bytes) else {}
    records = iptc_records(iptc) if isinstance(iptc, bytes) else {}
    coordinates = _coordinates(exif.get(GPS_IFD)) or _xmp_coordinates(said)
    iso = _iso(exif) or _whole(_first(said, "exifEX:PhotographicSensitivity", "exif:ISOSpeedRatings"), 1, _MOST_ISO)
    millimetres = _number(exif.get(_FOCAL_LENGTH)) or _number(_first(said, "exif:FocalLength"))
    return located(
        coordinates,
        Details(
            camera=_camera(exif.get(_MAKE), exif.get(_MODEL))
            or _camera(_first(said, "tiff:Make"), _first(said, "tiff:Model")),
            lens=_line(_exif_text(exif.get(_LENS_MODEL))) or _line(_first(said, "exifEX:LensModel")),
            focal_length=round(millimetres, 2) if millimetres and 0 < millimetres < _MOST_MILLIMETRES else None,
            iso=iso,
            rating=_first_of(_whole(_first(said, "xmp:Rating"), 0, 5), _whole(exif.get(_RATING), 0, 5)),
            title=_line(_first(said, "dc:title"))
            or _line(_iptc_text(records, _IPTC_TITLE))
            or _line(_xp_text(exif.get(_XP_TITLE))),
            keywords=_keywords(said, records, exif),
            description=clean(_first(said, "dc:description"))
            or clean(_iptc_text(records, _IPTC_CAPTION))
            or _description(_exif_text(exif.get(_IMAGE_DESCRIPTION)))
            or clean(_xp_text(exif.get(_XP_COMMENT))),
        ),
    )


def located(coordinates: tuple[float, float] | None, details: Details) -> Details:
    """The details with a latitude and longitude, in degrees, and the city that lies nearest."""
    if coordinates is None:
        return details
    from mmsearch.reading.places import nearest_city

    latitude, longitude = coordinates
    city = nearest_city(latitude, longitude)
    return replace(
        details, latitude=round(latitude, 6), longitude=round(longitude, 6), place=city.label if city else None
    )


def on_earth(latitude: float | None, longitude: float | None) -> tuple[float, float] | None:
    """The place, in degrees, if there is such a one; 0, 0 is what is written where none is known."""
    if latitude is None or longitude is None or not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    return (latitude, longitude) if latitude or longitude else None


def clean(text: str) -> str | None:
    """The text without what is no letter, sign or line end, not too long; None where nothing is left."""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(one if one in "\n\t" or one.isprintable() else " " for one in text[: 2 * _LONGEST_TEXT])
    return kept.strip()[:_LONGEST_TEXT] or None


def _line(text: str) -> str | None:
    return " ".join((clean(text) or "").split())[:_LONGEST_NAME].strip() or None


def _camera(make: object, model: object) -> str | None:
    """Maker and model, the maker once: `NIKON D70`, not `NIKON CORPORATION NIKON D70`."""
    maker, name = _line(_exif_text(make)), _line(_exif_text(model))
    if not maker or not name:
        return name or maker
    return name if name.lower().startswith(maker.split(" ")[0].lower()) else f"{maker} {name}"


def _description(text: str) -> str | None:
    found = clean(text)
    return None if found is None or _NO_DESCRIPTION.fullmatch(found) else found


def _keywords(said: Properties, records: Mapping[int, Sequence[bytes]], exif: Mapping[int, Any]) -> tuple[str, ...]:
    in_xmp = said.get("dc:subject") or said.get("lr:hierarchicalSubject") or said.get("digiKam:TagsList") or []
    in_iptc = [_iptc_decoded(one) for one in records.get(_IPTC_KEYWORD, ())]
    in_exif = _xp_text(exif.get(_XP_KEYWORDS)).split(";")
    return distinct([*in_xmp, *in_iptc, *in_exif])


def distinct(keywords: Iterable[str]) -> tuple[str, ...]:
    """Keywords in one line each, each once, not too many."""
    return tuple(dict.fromkeys(filter(None, map(_line, keywords))))[:_MOST_KEYWORDS]


def _coordinates(gps: object) -> tuple[float, float] | None:
    if not isinstance(gps, Mapping):
        return None
    latitude = _degrees(gps.get(2), gps.get(1), "NS")
    return on_earth(latitude, _degrees(gps.get(4), gps.get(3), "EW"))


def _degrees(value: object, direction: object, directions: str) -> float | None:
    """Degrees, minutes and seconds as one number; None where the direction is not told: it would be a guess."""
    letter = _exif_text(direction).strip().upper()[:1]
    if not letter or letter not in directions:
        return None
    parts = [_number(one) for one in value] if isinstance(value, (tuple, list)) else [_number(value)]
    # Seconds, and minutes, that are not told are sometimes 0/0.
    if not parts or parts[0] is None:
        return None
    degrees = math.fsum((part or 0.0) / 60**place for place, part in enumerate(parts[:3]))
    return -abs(degrees) if letter == directions[1] else degrees


def _xmp_coordinates(said: Properties) -> tuple[float, float] | None:
    found = []
    for name, directions in (("exif:GPSLatitude", "NS"), ("exif:GPSLongitude", "EW")):
        match = _XMP_DEGREES.fullmatch(_first(said, name))
        if match is None or match[4].upper() not in directions:
            return None
        degrees = sum(float(part or 0) / 60**place for place, part in enumerate(match.groups()[:3]))
        found.append(-degrees if match[4].upper() == directions[1] else degrees)
    return on_earth(found[0], found[1])


def _iso(exif: Mapping[int, Any]) -> int | None:
    """The sensitivity; cameras with a large one write it elsewhere."""
    iso = _whole(exif.get(_ISO), 1, _MOST_ISO)
    if iso not in (None, _ISO_IS_ELSEWHERE):
        return iso
    larger = (_whole(exif.get(tag), 1, _MOST_ISO) for tag in _LARGE_ISO)
    return next((one for one in larger if one is not None), iso)


def _whole(value: object, least: int, most: int) -> int | None:
    number = _number(value)
    return int(number) if number is not None and least <= number <= most else None


def _number(value: object) -> float | None:
    """A finite number of one, of the first of several, or of a text (`50`, `50/1`)."""
    if isinstance(value, (tuple, list)):
        value = value[0] if value else None
    if isinstance(value, (str, bytes)):
        match = _NUMBER.match(_exif_text(value))
        if match is None:
            return None
        divisor = float(match[2] or 1)
        return float(match[1]) / divisor if divisor else None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None


def _first(said: Properties, *names: str) -> str:
    return next((said[name][0] for name in names if said.get(name)), "")


def _first_of(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _exif_text(value: object) -> str:
    """A text of EXIF, which is to be ASCII and often is UTF-8; what comes as a text was read as Latin-1."""
    if isinstance(value, str):
        try:
            return value.encode("latin-1").decode("utf-8").strip("\0 ")
        except ValueError:
            return value.strip("\0 ")
    return value.decode("utf-8", "replace").strip("\0 ") if isinstance(value, bytes) else ""


def _xp_text(value: object) -> str:
    """A text of Windows, in UTF-16."""
    if isinstance(value, (tuple, list)):
        value = bytes(one for one in value if isinstance(one, int) and 0 <= one < 256)
    return value.decode("utf-16-le", "replace").strip("\0 ") if isinstance(value, bytes) else ""


def _iptc_text(records: Mapping[int, Sequence[bytes]], number: int) -> str:
    found = records.get(number)
    return _iptc_decoded(found[0]) if found else ""


def _iptc_decoded(value: bytes) -> str:
    """Many programs write UTF-8 without saying so, and Latin-1 is hardly ever UTF-8 by chance."""
    try:
        return value.decode("utf-8").strip("\0 ")
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace").strip("\0 ")
