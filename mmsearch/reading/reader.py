"""What a reader is, and what passes between the door of this package and its readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mmsearch.records import Details, FileFacts, Locator, Medium, Part

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmsearch.reading.opening import OpenFile

HEAD_BYTES = 4096
"""How many of a file's first bytes decide what it is. A multiple of 4, so that UTF-32 is not cut."""


class UnreadableFile(Exception):
    """A file that cannot be read. `reason` is a short phrase for the failure ledger: "truncated JPEG"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnreachableFile(UnreadableFile):
    """A file that the system would not give at this moment. Nothing is known of its content: try again later."""


def unreachable(error: OSError) -> UnreachableFile:
    """What to raise where the system refused, by what it said."""
    return UnreachableFile((error.strerror or type(error).__name__).lower())


class NotAMedium(UnreadableFile):
    """A file of no known medium. Nothing is wrong with it: no reader is there for it."""


@dataclass(frozen=True)
class ReadLimits:
    """The largest files and pictures that are read.

    `max_bytes` by medium, in place of what its reader says. `max_image_bytes` is how much memory a picture may take
    while it is decoded: by default enough for 300 megapixels in colour or 1,200 in grey, and for fewer where the
    decoder needs more (120 of HEIC and AVIF, 75 of WebP, 60 of JPEG 2000 and JPEG XL). A JPEG counts as the half,
    quarter or eighth of its size that is decoded. Of a text that makes more than `max_passages`, so many are taken,
    spread evenly over it. `max_member_bytes` is how large what lies packed in a file may be once it is unpacked (a page
    of a document, an attachment), and `max_members` how much of it is looked at.
    """

    max_bytes: Mapping[Medium, int] = field(default_factory=dict)
    max_image_bytes: int = 1_200_000_000
    max_passages: int = 2_000
    max_member_bytes: int = 64_000_000
    max_members: int = 10_000


@dataclass(frozen=True)
class Reading:
    """What was found in a file: what is known of it as a whole, and its parts, one after the other.

    `parts` may be read while they are asked for, as long as the file is open; they raise UnreadableFile as `read` does.
    The same content gives the same parts in the same order to the same version of a reader. `medium` is that of the
    file, where only all of it tells: a container of films may hold nothing but sound. None is that of its reader.
    `lacking` says what is not there where there are no parts, or none that is a word or a picture. `troubles` says,
    once the parts are through, why some of the file is not among them. `since` is the oldest version of the reader that
    has found the same in the file, where that is not the one of today.
    """

    facts: FileFacts
    parts: Iterable[Part]
    medium: Medium | None = None
    lacking: str = "no words inside"
    troubles: Sequence[str] = ()
    since: int | None = None


@dataclass(frozen=True)
class Reader:
    """Reads the files of one medium: how they are told from others, and how they are taken apart.

    `version` rises when the reader finds something else in the same bytes: what older versions have read is read again.
    Where that is so only of files with some extensions, these rise in `versions`, and all others stay as they are.
    `installed` names the optional packages that it reads with where they are there, so that what was refused for want
    of one is read again when it is. `wanting` names the extra of this project, by the extension of files that it would
    read if that were installed.

    The three tests get a file's first HEAD_BYTES and its extension (lower case, with the dot, "" for none).
    `is_surely` holds for bytes that are of this medium whatever the file is called. `may_be` holds for bytes
    that are of it where the extension says so or says nothing. `mismatch` is the reason to give where the
    extension says so and the bytes do not. `way_of_reading` numbers the ways in which the same bytes are read under
    different extensions. `max_bytes` is the size of the largest file that is read, unless the limits say otherwise.

    `read` gets the open file and the side in pixels that pictures should have: their short side has at least that if
    the original has, and at most twice that. It raises UnreadableFile for damaged, truncated, oversized or empty
    content, and nothing else.

    `details` gives what `read` finds of details, without taking the file apart, and raises as `read` does.
    `details_version` rises when it finds something else in the same bytes, and is 0 where there are none: then details
    alone are read again, and what was encoded stays.

    `picture` gives the picture by which a place in the file is shown, as `read` gives pictures, or None where it knows
    none; it raises as `read` does. Without it the parts are gone through for one.

    `refusals` rises when the reader refuses fewer files than before: what was refused is read again, and nothing else.
    `has_sound` tells that it yields sound where that is wanted (`OpenFile.hearing`), and then nothing else.
    """

    medium: Medium
    version: int
    extensions: frozenset[str]
    is_surely: Callable[[bytes], bool]
    may_be: Callable[[bytes, str], bool]
    mismatch: Callable[[bytes], str]
    max_bytes: int
    read: Callable[[OpenFile, int], Reading]
    versions: Mapping[str, int] = field(default_factory=dict)
    way_of_reading: Callable[[str], int] = lambda extension: 0
    installed: Callable[[], tuple[str, ...]] = lambda: ()
    wanting: Callable[[], Mapping[str, str]] = dict
    details: Callable[[OpenFile], Details] = lambda file: Details()
    details_version: int = 0
    refusals: int = 0
    has_sound: bool = False
    picture: Callable[[OpenFile, Locator, int], Image | None] | None = None

    def version_of(self, extension: str) -> int:
        """The version in which files with that extension are read."""
        return self.versions.get(extension, self.version)
