"""What a store holds and gives: roots, files, contents, items, words, failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mmsearch.records.kinds import FloatMatrix, ItemIds, Medium, Modality
from mmsearch.records.parts import FileFacts, Locator


@dataclass(frozen=True)
class Root:
    """A folder or file that was given to `index`; `rules` is the JSON of its walk rules.

    `changed` is when a run last found something new, changed or gone in it, None before that. `mounts` are folders
    below it that lay on other devices; `absent` counts files that are gone and stay until a person says so. `known_as`
    is its path in the library, where that is another one than on this machine.
    """

    id: int
    path: bytes
    rules: str
    changed: str | None
    mounts: tuple[bytes, ...]
    absent: int
    known_as: bytes | None = None


class KnownFile(NamedTuple):  # a hundred thousand of them a second are made
    """A file as it was when it was last read; `failed` tells that it could not be read then.

    `ctime_ns` is None where it is not known.
    """

    id: int
    root_id: int
    size: int
    mtime_ns: int
    failed: bool
    ctime_ns: int | None = None


@dataclass(frozen=True)
class FileState:
    """A file of a root as it was when it was read: `size` in bytes, `mtime_ns` in nanoseconds since 1970.

    `ctime_ns` is when the system last changed anything of it, its name included; None where it does not tell.
    """

    root_id: int
    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int | None = None


class KnownMember(NamedTuple):
    """A file in an archive as it was read last: `ctime_ns` is what tells a change beside size and time, None where it
    could not be read. `size` is -1 of one that was out of reach.
    """

    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int | None


class KnownArchive(NamedTuple):
    """An archive as it was read last, with readers and rules that `read_as` stands for.

    `files` counts those of its files that are known, `unread` those that no reader takes by extension; `trouble` is why
    some of it was left out.
    """

    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int | None
    read_as: str
    files: int
    unread: Mapping[str, int]
    trouble: str | None = None


@dataclass(frozen=True)
class KnownFiles:
    """What is known at some paths: files of the library and, where there is none, failures of reading or of one model.

    `failing` are the paths of files that the model could not encode as they are, `not_encoded` the ids of failures of
    any model.
    """

    files: dict[bytes, KnownFile]
    failing: set[bytes]
    not_encoded: set[int]


@dataclass(frozen=True)
class EncodedItem:
    """A part with its unit vector, float32 [dimension]; `text` is that of a part that is one."""

    modality: Modality
    vector: FloatMatrix
    locator: Locator = field(default_factory=Locator)
    source: str = "body"
    text: str | None = None


@dataclass(frozen=True)
class Content:
    """The bytes of a file by their digest, read by the reader of its medium in that version of it.

    `details_version` is the one in which that reader reads details, 0 where it reads none.
    """

    digest: bytes
    medium: Medium
    size: int
    reader: int = 1
    facts: FileFacts = field(default_factory=FileFacts)
    details_version: int = 0


@dataclass(frozen=True)
class StageState:
    """A stage in one version of it: a second reading of files of some media, whose parts have that source."""

    name: str
    version: str
    source: str
    media: frozenset[Medium]


class FileToRead(NamedTuple):
    """A file that a stage is to read, in the state in which its content is known."""

    content_id: int
    path: bytes
    size: int
    mtime_ns: int


class StageCounts(NamedTuple):
    """Files that a stage has read, those of them with texts in them, that it could not read, and has not read yet."""

    done: int
    found: int
    failed: int
    left: int


@dataclass(frozen=True)
class FoundItem:
    """One item in one file, as a search needs it. A content at two paths gives two of them."""

    item_id: int
    path: bytes
    digest: bytes
    medium: Medium
    size: int
    mtime_ns: int
    facts: FileFacts
    modality: Modality
    locator: Locator
    source: str
    text: str | None


class TextPassage(NamedTuple):
    """A passage of the text in a file: `start` (included) and `end` (excluded) are characters of the text, or of the
    page's.
    """

    content_id: int
    item_id: int
    page: int | None
    start: int | None
    end: int | None
    text: str


class WordPlace(NamedTuple):
    """A file that the word index has found. If it `is_file`, its own name or details have the words, and `item_id` is
    its first item; else the text or part name of that item has them. `size` is in bytes.
    """

    item_id: int
    is_file: bool
    file_id: int
    path: bytes
    content_id: int
    size: int


class WordSource(NamedTuple):
    """What the word index has of an item and of a file that holds it: texts, empty where there is nothing.

    `said` are title, keywords and place, `told` is the description, `text` that of the item with its part's name.
    """

    item_id: int
    model_id: int
    modality: Modality
    path: bytes
    content_id: int
    size: int
    name: str
    folders: str
    said: str
    told: str
    text: str


class TimedItem(NamedTuple):
    """An item that lasts from `begins` to `ends`, in seconds, in the content that the item `beside` is of too."""

    beside: int
    item_id: int
    model_id: int
    modality: Modality
    begins: float
    ends: float


class NearItems(NamedTuple):
    """Items near to a vector, best first and of equal ones the older first: ids [k] and cosines [k].

    They were chosen from `among` items; where not `is_exact`, that is an estimate, and nearer ones may be missing.
    """

    item_ids: ItemIds
    cosines: FloatMatrix
    among: int
    is_exact: bool


class FileBrief(NamedTuple):
    """What is counted of a file. `moment` is when it was taken, else modified: a local time, ISO 8601."""

    path: bytes
    medium: Medium
    moment: str
    place: str | None
    camera: str | None


class Beside(NamedTuple):
    """A file that shares its folder, and its name but for the extension, with another one: what may be one photo.

    `is_picture` tells a picture from what is kept beside one: a RAW photo, the film of a live photo. `item_id` is that
    of its first item, `size` in bytes.
    """

    path: bytes
    is_picture: bool
    item_id: int
    size: int


class Remark(NamedTuple):
    """A file that is searchable only in part: what was missing in it, and how many of its passages were left out."""

    path: bytes
    note: str | None
    left_out: int


@dataclass(frozen=True)
class Failure:
    """A file that was found but not taken, and why."""

    path: bytes
    reason: str
    noted: str


@dataclass(frozen=True)
class Counts:
    """How much a library holds: `files` of each medium, different `contents` among them, `items` of one model.

    `unread` counts files that no reader takes, by their extension.
    """

    files: Mapping[Medium, int]
    contents: int
    items: int
    failures: int
    unread: Mapping[str, int]

    @property
    def images(self) -> int:
        return self.files.get("image", 0)

    @property
    def texts(self) -> int:
        return self.files.get("text", 0)
