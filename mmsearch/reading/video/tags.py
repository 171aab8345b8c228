"""What a recording says of itself: words of its tags, and when it was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone

_DATE = "date"
# In the order in which they are read; further names for one thing, of which the first that is there counts.
_WORDS: tuple[tuple[str, ...], ...] = (
    ("title", "com.apple.quicktime.title"),
    ("artist", "author", "com.apple.quicktime.artist", "album_artist", "composer"),
    ("album", "com.apple.quicktime.album"),
    (_DATE, "year"),
    ("description", "synopsis", "com.apple.quicktime.description"),
    ("comment", "com.apple.quicktime.comment"),
    ("lyrics", "unsyncedlyrics"),
)
# With the place's own time and its offset, and, as most cameras write it, in UTC.
_MADE = ("com.apple.quicktime.creationdate", "creation_time")
# Clocks that were never set begin in 1904 or 1970.
_FIRST_YEAR = 1971


def merged(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The tags of a file and of its streams by their names in small letters; what is said first counts.

    Bytes that are no UTF-8, which come as surrogates, become the mark that stands for such.
    """
    found: dict[str, str] = {}
    for some in tags:
        for name, value in some.items():
            # Of lyrics the language is a part of the name.
            name = name.lower().split("lyrics-")[0] or "lyrics"
            legible = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            found.setdefault(name, legible.replace("\0", " ").strip())
    return found


def words_of(tags: Mapping[str, str]) -> str | None:
    """The tags as a text of a line each, or None where nothing but a date is said."""
    said: dict[str, str] = {}
    for names in _WORDS:
        value = next((tags[name] for name in names if tags.get(name)), None)
        if value is not None and value not in said.values():
            said[names[0]] = value.replace("\r\n", "\n").replace("\r", "\n")
    has_words = any(name != _DATE and any(map(str.isalpha, value)) for name, value in said.items())
    return "\n".join(said.values()) if has_words else None


def date_made(tags: Mapping[str, str]) -> str | None:
    """When it was recorded, ISO 8601 with an offset, or None."""
    for name in _MADE:
        written = tags.get(name, "")
        if written.endswith("Z"):
            written = written[:-1] + "+00:00"
        elif written[-5:-4] in ("+", "-") and written[-5:].lstrip("+-").isdigit():
            written = f"{written[:-2]}:{written[-2:]}"
        try:
            moment = datetime.fromisoformat(written)
        except ValueError:
            continue
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        if moment.year >= _FIRST_YEAR:
            return moment.replace(microsecond=0).isoformat()
    return None
