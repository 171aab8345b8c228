"""When a picture was taken: by its EXIF, else its XMP, else its IPTC. What a clock that was never set wrote is none.

Cameras and programs write dates in many forms. One that says its day is read; a day without a time is its midnight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

EXIF_IFD = 0x8769
# (date, its offset from UTC): DateTimeOriginal, DateTimeDigitized and, last, DateTime, the date of an edit.
_EXIF_DATES = ((36867, 36881), (36868, 36882), (306, 36880))
_DATE = re.compile(
    r"(\d{4})[:/.-](\d{1,2})[:/.-](\d{1,2})"
    r"(?:[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.\d*)?)?\s*(Z|[+-]\d\d:?\d\d)?)?(?![\d:.-]*\d)"
)
_OFFSET = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d")
# The packet's prefixes are by convention, and all that write it keep to them.
_XMP_DATES = tuple(
    re.compile(name + rb"""(?:\s{0,9}=\s{0,9}["']|>)\s{0,9}([^"'<]{8,40})""")
    for name in (rb"exif:DateTimeOriginal", rb"photoshop:DateCreated", rb"xmp:CreateDate")
)
_MOST_XMP_BYTES = 1_000_000
_IPTC_RECORD = 1028
_IPTC_IN_TIFF = 33723
_XMP_IN_TIFF = 700
# The first day of cameras whose clock has lost its power, whatever the time, and their first moments. Years that are
# all that a person knew of an old print (1985-01-01) stay.
_FIRST_DAYS = frozenset({date(1904, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(1980, 1, 1)})
_FIRST_MOMENTS = frozenset({datetime(2000, 1, 1), datetime(2002, 12, 8, 12)})
_FIRST_PHOTO = 1826


def date_taken(exif: Mapping[int, Any], xmp: object, iptc: object) -> str | None:
    """The first believable date of a picture, in the form of ISO 8601, without an offset unless the file has one.

    `exif` are its tags, `xmp` its packet and `iptc` its records, or None.
    """
    return next((taken for taken in _dates(exif, xmp, iptc) if taken), None)


def xmp_and_iptc(info: Mapping[Any, Any], exif: Mapping[int, Any]) -> tuple[object, object]:
    """The XMP packet and the IPTC records of a picture, from where its format keeps them, or None."""
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or exif.get(_XMP_IN_TIFF)
    resources = info.get("photoshop")
    iptc = resources.get(_IPTC_RECORD) if isinstance(resources, dict) else None
    return xmp, iptc or exif.get(_IPTC_IN_TIFF)


def _dates(exif: Mapping[int, Any], xmp: object, iptc: object) -> Iterator[str | None]:
    for date_tag, offset_tag in _EXIF_DATES:
        yield _read_date(_text(exif.get(date_tag)), _text(exif.get(offset_tag)))
    packet = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
    if isinstance(packet, bytes):
        packet = packet[:_MOST_XMP_BYTES]
        for pattern in _XMP_DATES:
            for match in pattern.finditer(packet):
                yield _read_date(_text(match[1]), "")
    if isinstance(iptc, bytes):
        records = iptc_records(iptc)
        day, time = (_text(next(iter(records.get(number, ())), None)) for number in (55, 60))
        if re.fullmatch(r"\d{8}", day):
            written = re.match(r"(\d\d)(\d\d)(\d\d)([+-]\d{4})?", time)
            clock = f" {written[1]}:{written[2]}:{written[3]}{written[4] or ''}" if written else ""
            yield _read_date(f"{day[:4]}:{day[4:6]}:{day[6:]}{clock}", "")


def _read_date(text: str, offset: str) -> str | None:
    match = _DATE.match(text)
    if match is None:
        return None
    year, month, day = (int(match[at]) for at in (1, 2, 3))
    hour, minute, second = (int(match[at] or 0) for at in (4, 5, 6))
    # 24:00:00 is the next midnight, and second 60 a leap second or a program's rounding.
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second)):
        return None
    try:
        moment = datetime(year, month, day) + timedelta(hours=hour, minutes=minute, seconds=second)
    except (ValueError, OverflowError):  # 0000:00:00 00:00:00, which clocks that were never set write
        return None
    if moment.date() in _FIRST_DAYS or moment in _FIRST_MOMENTS or year < _FIRST_PHOTO:
        return None
    own = match[7]
    if own is not None:
        offset = "+00:00" if own == "Z" else f"{own[:3]}:{own[-2:]}"
    return moment.isoformat() + (offset if _OFFSET.fullmatch(offset) else "")


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.strip(" \0\n\r\t") if isinstance(value, str) else ""


def iptc_records(data: bytes) -> dict[int, list[bytes]]:
    """The data sets of record 2, by their numbers; damaged ones end it."""
    found: dict[int, list[bytes]] = {}
    at = data.find(b"\x1c")
    while at >= 0 and at + 5 <= len(data) and data[at] == 0x1C:
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        if data[at + 1] == 2:
            found.setdefault(data[at + 2], []).append(data[at + 5 : at + 5 + size])
        at += 5 + size
    return found
