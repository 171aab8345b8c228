"""A file → a stream of parts. One module a medium; this is the registry and the door.

The steps are kept apart, so that a caller can stop between them: `medium_of` and `wants_sniffing` judge a
name, `open_file` hashes, `read` is only for content that is not known yet. A new medium is a module with a READER
and one line in READERS, a new stage one with a STAGE and one line in STAGES.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from mmsearch.files.paths import extension_of
from mmsearch.reading import audio, document, image, ocr, speech, text, video
from mmsearch.reading.opening import CHANGED_SINCE, OpenFile, opened, opened_as_indexed, opened_as_known
from mmsearch.reading.places_shown import Shown, picture_at, shown_place
from mmsearch.reading.reader import (
    NotAMedium,
    Reader,
    Reading,
    ReadLimits,
    UnreachableFile,
    UnreadableFile,
)
from mmsearch.reading.stage import Engine, Stage
from mmsearch.reading.unpacking import file_blocks, file_bytes
from mmsearch.records import NOTHING_HEARD, Details, FileFacts, Hearing, Locator, Medium

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "CHANGED_SINCE",
    "READERS",
    "STAGES",
    "Engine",
    "NotAMedium",
    "OpenFile",
    "ReadLimits",
    "Reader",
    "Reading",
    "Shown",
    "Stage",
    "UnreachableFile",
    "UnreadableFile",
    "details_at",
    "details_versions",
    "extra_of",
    "file_blocks",
    "file_bytes",
    "known_picture",
    "may_sound",
    "media_with_sound",
    "medium_of",
    "open_file",
    "open_indexed",
    "open_known",
    "picture_at",
    "picture_in",
    "read",
    "reader_versions",
    "readers_label",
    "shown_at",
    "shown_or_trouble",
    "wants_sniffing",
]

READERS: list[Reader] = [image.READER, document.READER, video.READER, audio.READER, text.READER]
STAGES: list[Stage] = [ocr.STAGE, speech.STAGE]

# The medium that each extension promises, and the readers that say so: asked for each file of a walk.
_promised: dict[str, Medium] = {}
_asked: list[Reader] = []


def medium_of(path: bytes) -> Medium | None:
    """The medium that the extension promises; None for unknown extensions and for none. Reads nothing."""
    if _asked != READERS:  # one has come
        _asked[:] = READERS
        _promised.clear()
        for reader in reversed(READERS):
            _promised.update(dict.fromkeys(reader.extensions, reader.medium))
    return _promised.get(extension_of(path))


def extra_of(extension: str) -> str | None:
    """The extra of this project that would read files with that extension, where it is not installed."""
    wanted = (reader.wanting().get(extension) for reader in READERS)
    return next((extra for extra in wanted if extra is not None), None)


def wants_sniffing(path: bytes) -> bool:
    """Whether only the content can tell: the name has no extension (IMG_0001, README)."""
    return extension_of(path) in ("", ".")


def reader_versions() -> dict[str, int]:
    """The version of each medium's reader, and that of files with some extensions under medium and extension
    ("text .srt").
    """
    versions = {reader.medium: reader.version for reader in READERS}
    for reader in READERS:
        versions.update({f"{reader.medium} {extension}": one for extension, one in sorted(reader.versions.items())})
    return versions


def may_sound(path: bytes) -> bool:
    """Whether there may be sound in the file, as far as its name tells. Reads nothing."""
    return medium_of(path) in media_with_sound() or wants_sniffing(path)


def media_with_sound() -> list[Medium]:
    """The media in whose files there may be sound."""
    return [reader.medium for reader in READERS if reader.has_sound]


def details_versions() -> dict[Medium, int]:
    """The version in which each medium's reader reads details, 0 where it reads none."""
    return {reader.medium: reader.details_version for reader in READERS}


def readers_label() -> str:
    """All readers with their versions and what they read with: as long as it is the same, a file that none of them
    could read is not tried again.
    """
    return ", ".join(" ".join((reader.medium, _versions(reader), *reader.installed())) for reader in READERS)


def _versions(reader: Reader) -> str:
    others = [f"{extension}={version}" for extension, version in sorted(reader.versions.items())]
    refusals = f".{reader.refusals}" if reader.refusals else ""
    return " ".join((f"{reader.version}.{reader.details_version}{refusals}", *others))


def open_file(path: bytes, limits: ReadLimits | None = None) -> AbstractContextManager[OpenFile]:
    """Opens and hashes a file, and finds its reader by its first bytes. Links are followed.

    What is read of it within the block is what was hashed, or UnreachableFile is raised at its end.

    Raises:
        UnreadableFile: it cannot be read, is over its limit (nothing beyond its head is read then), is not what its
            extension says, or does not keep still. NotAMedium, for files of other kinds.
    """
    return opened(path, limits or ReadLimits(), READERS)


def read(file: OpenFile, side: int, hearing: Hearing | None = None) -> Reading:
    """What a person sees or reads in the file, or with `hearing` what is heard in it, in that form.

    Pictures come with a short side of at least `side` pixels where the original has it, at most twice that.
    Raises UnreadableFile for damaged, truncated, oversized or empty content, and nothing else.
    """
    if hearing is None:
        return file.reader.read(file, side)
    if not file.reader.has_sound:
        return Reading(FileFacts(), (), lacking=NOTHING_HEARD)
    return file.reader.read(replace(file, hearing=hearing), side)


def open_known(path: bytes, size: int, mtime_ns: int, limits: ReadLimits) -> AbstractContextManager[OpenFile]:
    """Opens a file whose bytes are known by their size and time: nothing is hashed.

    Raises:
        UnreadableFile: it is of no kind that is read. UnreachableFile: it is in another state, or not to be had.
    """
    return opened_as_known(path, (size, mtime_ns), limits, READERS)


def open_indexed(
    path: bytes, content: bytes, state: tuple[int, int], limits: ReadLimits | None = None
) -> AbstractContextManager[OpenFile]:
    """Opens a file only if its bytes are those that were indexed: `content` is their digest, `state` the size and
    modification time that they had.

    Raises:
        UnreachableFile: they are others, or not to be had. UnreadableFile: as `open_file` does.
    """
    return opened_as_indexed(path, content, state, limits or ReadLimits(), READERS)


def details_at(path: bytes, size: int, mtime_ns: int, limits: ReadLimits) -> Details:
    """What the file at `path`, whose bytes are known by their size and time, says of itself; it is read no further.

    Raises:
        UnreadableFile: it says nothing that can be read. UnreachableFile: it is in another state, or not to be had.
    """
    with open_known(path, size, mtime_ns, limits) as file:
        return file.reader.details(file)


def shown_at(path: bytes, place: Locator, side: int, limits: ReadLimits | None = None) -> Shown:
    """How a person is shown a place in a file: by a picture, as `read` gives pictures, or by how its text begins.

    The file is opened as it is now, and not hashed.

    Raises:
        UnreadableFile: as `open_file` and `read` do.
    """
    return shown_place(path, place, side, limits or ReadLimits(), READERS)


def shown_or_trouble(path: bytes, place: Locator, side: int) -> Shown | str:
    """What `shown_at` shows there; or why nothing is: also where it takes more memory than there is."""
    try:
        return shown_at(path, place, side)
    except UnreadableFile as error:
        return error.reason
    except (MemoryError, OSError) as error:
        return str(error) or "too large for this machine's memory"


def picture_in(path: bytes, side: int, limits: ReadLimits | None = None) -> Image | None:
    """The picture that a picture file shows, as `read` gives it; None for a file of another medium.

    Raises:
        UnreadableFile: as `open_file` and `read` do.
    """
    with open_file(path, limits) as file:
        if file.reader is not image.READER:
            return None
        picture: Image = next(iter(read(file, side).parts)).payload
        return picture


def known_picture(path: bytes, size: int, mtime_ns: int, side: int, limits: ReadLimits | None = None) -> Image:
    """The picture that the picture file at `path` shows, whose bytes are known by their size and time: none is hashed.

    Raises:
        UnreadableFile: as `read` does, and for a file of another medium. UnreachableFile: it is in another state, or
            not to be had.
    """
    with opened_as_known(path, (size, mtime_ns), limits or ReadLimits(), READERS) as file:
        if file.reader is not image.READER:
            raise UnreadableFile("not an image")
        picture: Image = next(iter(read(file, side).parts)).payload
        return picture
