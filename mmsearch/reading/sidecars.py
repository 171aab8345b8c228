"""Files beside a photo that tell of it: XMP of editors, and the JSON that Google Takeout writes for each photo.

Which file tells of which photo is known by their names alone, folder by folder, so that a walk can say it:
`IMG_1.xmp` and `IMG_1.jpg.xmp` of `IMG_1.jpg`; `IMG_1.jpg.json` and `IMG_1.jpg.supplemental-metadata.json`, cut off
where Takeout does so; `IMG_1.jpg(1).json` and `IMG_1.jpg.supplemental-metadata(1).json` of `IMG_1(1).jpg`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence

from mmsearch.files.paths import extension_of
from mmsearch.files.times import in_local_time, moment_at
from mmsearch.reading.image_dates import date_taken
from mmsearch.reading.image_details import clean, details_of, located, on_earth
from mmsearch.reading.reader import UnreadableFile
from mmsearch.reading.unpacking import file_bytes
from mmsearch.reading.xmp import MOST_BYTES
from mmsearch.records import Details, FileFacts

VERSION = 1
"""Rises when something else is found in the same files: then all of them are read again."""

EXTENSIONS = (".xmp", ".json")
_ENDINGS = tuple(map(os.fsencode, EXTENSIONS))
_SUPPLEMENT = ".supplemental-metadata"
# Takeout's names have so many characters at most, without the number of a copy and the extension.
_LONGEST_STEM = 46
_NUMBERED = re.compile(r"(.*)(\(\d+\))", re.DOTALL)


def sidecars_among(names: Collection[bytes], is_photo: Callable[[bytes], bool]) -> dict[bytes, tuple[bytes, ...]]:
    """The names of sidecars, of those in a folder, with those of the photos that each tells of.

    `is_photo` says of a name whether it promises a medium that sidecars tell of.
    """
    # Asked of each file of a walk: what cannot be one is left out at once.
    sidecars = [name for name in names if name.lower().endswith(_ENDINGS) and extension_of(name) in EXTENSIONS]
    if not sidecars:
        return {}
    photos = _Photos(filter(is_photo, names))
    found = {name: photos.told_by(name) for name in sidecars}
    return {name: told for name, told in found.items() if told}


class _Photos:
    """The photos of a folder, by what a sidecar may be called."""

    def __init__(self, names: Iterable[bytes]) -> None:
        self._by_name: dict[str, list[bytes]] = {}
        self._by_stem: dict[str, list[bytes]] = {}
        self._by_beginning: dict[str, list[bytes]] = {}
        for name in names:
            lower = os.fsdecode(name).lower()
            self._by_name.setdefault(lower, []).append(name)
            self._by_stem.setdefault(os.path.splitext(lower)[0], []).append(name)
            self._by_beginning.setdefault(lower[:_LONGEST_STEM], []).append(name)

    def told_by(self, sidecar: bytes) -> tuple[bytes, ...]:
        stem, extension = os.path.splitext(os.fsdecode(sidecar).lower())
        if extension == ".xmp":
            return tuple(self._by_name.get(stem) or self._by_stem.get(stem) or ())
        numbered = _NUMBERED.fullmatch(stem)
        found = self._told_by_takeout(stem, "")
        if not found and numbered:
            found = self._told_by_takeout(numbered[1], numbered[2])
        return tuple(found)

    def _told_by_takeout(self, stem: str, number: str) -> Sequence[bytes]:
        """The photos called as the stem is, or cut off where names end, the number of a copy before its extension."""
        photo = stem
        for length in range(len(_SUPPLEMENT), 0, -1):
            if stem.endswith(_SUPPLEMENT[:length]):
                photo = stem[:-length]
                found = self._by_name.get(_with_number(photo, number))
                if found:
                    return found
        found = self._by_name.get(_with_number(stem, number))
        if found or number or len(stem) != _LONGEST_STEM:
            return found or ()
        return self._by_beginning.get(stem, ())


def _with_number(name: str, number: str) -> str:
    stem, extension = os.path.splitext(name)
    return f"{stem}{number}{extension}"


def facts_of_sidecars(paths: Sequence[bytes]) -> FileFacts:
    """What the sidecars of one photo say: its date and details. XMP, which a person edits, comes before JSON.

    One that cannot be read, or says nothing that is known, adds nothing.
    """
    said = FileFacts()
    for path in sorted(paths, key=lambda path: (extension_of(path) != ".xmp", path)):
        try:
            data = file_bytes(path, MOST_BYTES + 1)
        except (OSError, UnreadableFile):
            continue
        if len(data) <= MOST_BYTES:
            more = _of_xmp(data) if extension_of(path) == ".xmp" else _of_takeout(data)
            said = FileFacts(taken=said.taken or more.taken, details=said.details.completed_by(more.details))
    return said


def _of_xmp(data: bytes) -> FileFacts:
    return FileFacts(taken=date_taken({}, data, None), details=details_of({}, data, None))


def _of_takeout(data: bytes) -> FileFacts:
    """What Takeout says of a photo. Its `title` is the name of the file."""
    try:
        said = json.loads(data, parse_int=float)
    except (ValueError, RecursionError):
        return FileFacts()
    if not isinstance(said, dict):
        return FileFacts()
    written = said.get("description")
    details = Details(description=clean(written) if isinstance(written, str) else None)
    coordinates = _takeout_place(said.get("geoData")) or _takeout_place(said.get("geoDataExif"))
    return FileFacts(taken=_takeout_moment(said.get("photoTakenTime")), details=located(coordinates, details))


def _takeout_place(place: object) -> tuple[float, float] | None:
    if not isinstance(place, dict):
        return None
    latitude, longitude = place.get("latitude"), place.get("longitude")
    if isinstance(latitude, float) and isinstance(longitude, float):
        return on_earth(latitude, longitude)
    return None


def _takeout_moment(moment: object) -> str | None:
    """Seconds since 1970 as the local time of this machine, with its offset."""
    written = moment.get("timestamp") if isinstance(moment, dict) else None
    try:
        seconds = int(written)  # type: ignore[arg-type]
        return in_local_time(moment_at(seconds)).isoformat() if seconds else None
    except (TypeError, ValueError, OverflowError):
        return None
