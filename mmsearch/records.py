"""What flows between the rooms: frozen types without behaviour. It knows no other room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Written as texts: numpy is not loaded for a type.
FloatMatrix: TypeAlias = "npt.NDArray[np.float32]"
HalfMatrix: TypeAlias = "npt.NDArray[np.float16]"
ItemIds: TypeAlias = "npt.NDArray[np.int64]"

BUILTIN_MODEL = "mmsearch-mini"
# What the name of a model that `models optimise` made ends with.
OPTIMISED_ENDING = "-int8"
# And that of one that sees pictures by their end squares as well.
CROPS_ENDING = "+crops"

# What cameras call what their sensors saw, as it was before it became a picture.
RAW_EXTENSIONS = frozenset([".cr2", ".cr3", ".nef", ".nrw", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"])

# Why a model that hears has nothing of a file: there is no sound in it, or silence.
NOTHING_HEARD = "no sound inside"
# The setting of a library that names its models of sound: a list of their ids, in JSON.
SOUND_MODELS = "sound_models"

# What kind of vector a part gets ("image", "text", "audio"), and what kind of file it came from ("image", "text", …):
# whatever readers give and encoders take.
Modality: TypeAlias = str
Medium: TypeAlias = str


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is: `done` of `total` of a `unit` (files, bytes, photos), in a named `stage` of it.

    `total` is None where it is not known yet. `begun` is how much more is done of what is not done wholly: half of a
    long file and a third of another make 0.83.
    """

    stage: str
    done: int
    total: int | None
    unit: str
    begun: float = 0.0


@dataclass(frozen=True)
class TextSpan:
    """A stretch of a text that fits one encoder's window: characters `start` (included) to `end` (excluded)."""

    start: int
    end: int


# The left, top, right and bottom of a rectangle, as shares of its page or picture.
Region: TypeAlias = "tuple[float, float, float, float]"


@dataclass(frozen=True)
class Locator:
    """Where in its file a part lies; with nothing set it is the whole file.

    `start` (included) and `end` (excluded) are characters of the file's text, or of its page's, and `line` the one on
    which they begin, from 1. `page` counts from 1, and so do slides, sheets and chapters; `region` is a rectangle of
    the page or picture. `time` is from–to in seconds. `part_name` is what the part of the file is called that it lies
    in: the title of a slide, the name of a sheet or an attachment.
    """

    start: int | None = None
    end: int | None = None
    line: int | None = None
    page: int | None = None
    region: Region | None = None
    time: tuple[float, float] | None = None
    part_name: str | None = None


class Hearing(NamedTuple):
    """In what form a model hears: so many samples a second (`rate`), of one channel, in windows of so many seconds."""

    rate: int
    seconds: float


class Sound(NamedTuple):
    """What is heard for a while: `samples` of one channel, float32 [n] around 0, mostly within -1 and 1; `rate` a
    second.
    """

    samples: FloatMatrix
    rate: int


@dataclass(frozen=True)
class Part:
    """One thing found in a file: a payload of one modality, where it lies, and how it came to be.

    A payload of the modality image is a picture of Pillow's, upright, flattened, RGB; of text a str with line ends as
    "\\n"; of audio a `Sound`. `source` is one of body, frame, page, embedded, ocr, transcript, sound, tags, name.
    """

    modality: Modality
    payload: Any
    locator: Locator = Locator()
    source: str = "body"


@dataclass(frozen=True)
class Details:
    """What a photo says of itself beside its pixels and its date, or a file beside it does; None where it says nothing.

    `camera` is maker and model, `focal_length` in millimetres as it is on the lens, `latitude` and `longitude` in
    degrees, north and east positive, `place` the nearest city with its country (`Lisbon, Portugal`), `rating` 0 to 5.
    """

    camera: str | None = None
    lens: str | None = None
    focal_length: float | None = None
    iso: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    place: str | None = None
    rating: int | None = None
    title: str | None = None
    keywords: tuple[str, ...] = ()
    description: str | None = None

    def completed_by(self, other: Details) -> Details:
        """This and, where it says nothing, what the other says; the place is that of the coordinates."""
        said: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            said[name] = getattr(other, name) if value is None or value == () else value
        said["place"] = (other if self.latitude is None else self).place
        return Details(**said)


@dataclass(frozen=True)
class FileFacts:
    """What is known of a content as a whole, None where it means nothing or is not known.

    `width` and `height` in pixels, upright; `taken` is a date and time as an ISO 8601 string, without an offset unless
    the camera wrote one; `encoding` that of a text; `duration` in seconds. `note` says what a person should know who
    has found it: "incomplete JPEG".
    """

    width: int | None = None
    height: int | None = None
    taken: str | None = None
    encoding: str | None = None
    duration: float | None = None
    pages: int | None = None
    note: str | None = None
    details: Details = Details()


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made a vector. Vectors are comparable only where `fingerprint` is equal.

    The fingerprint covers the name, the revision, the weights, the dimension, the preprocessing, and the adapter
    where there is one.
    """

    name: str
    revision: str
    dimension: int
    fingerprint: str
    adapter: str = ""

    @property
    def label(self) -> str:
        """The name and revision as they are shown, for example `mmsearch-mini@1` or `mmsearch-mini@1+pets@2`."""
        return f"{self.name}@{self.revision}" + (f"+{self.adapter}" if self.adapter else "")


@dataclass(frozen=True)
class Background:
    """How the cosines of unrelated pairs lie for one query modality and one item modality, and what a match is.

    The calibrated score of a cosine c is `1 / (1 + exp(-slope * ((c - mean) / std - midpoint)))`: a logistic
    calibration (Platt, "Probabilistic Outputs for Support Vector Machines", 1999) of the cosine's distance from
    the background in standard deviations. `noise_mean` and `noise_std` tell where the cosines of a query lie that
    asks for nothing there is, as far as their upper tail goes: `calibration.nothing_close` is made of them. They hold
    for a query of that `familiarity`, its highest cosine with a text of the query bank, if that was looked at.
    """

    mean: float
    std: float
    midpoint: float
    slope: float
    noise_mean: float
    noise_std: float
    familiarity: float | None = None


# (query modality, item modality) -> the background of that pairing
Calibration = Mapping[tuple[Modality, Modality], Background]


@dataclass(frozen=True)
class Near:
    """So many kilometres around a place, in degrees, north and east positive; a city has a `name`."""

    latitude: float
    longitude: float
    km: float = 25.0
    name: str | None = None


@dataclass(frozen=True)
class Filters:
    """Which files may be hits; applied before the ranking.

    `folders`, and `not_folders`, in which they are not, are absolute paths as bytes, `extensions` lower-case with
    their dot. `after` is included and `before` excluded: naive local date-times, compared with the EXIF date where
    there is one, else with the file's modification time. The others compare what a file, or a sidecar of it, says:
    `camera` and `lens` stand in it; `near` is around the place; one of `places` are words of the city's or
    country's name; `rating` is at least that; each of `keywords` are words of one of its keywords. Letters' case
    and accents do not matter. `longer` and `shorter` are seconds, not included.
    """

    medium: Medium | None = None
    folders: tuple[bytes, ...] = ()
    extensions: tuple[str, ...] = ()
    after: datetime | None = None
    before: datetime | None = None
    camera: str | None = None
    lens: str | None = None
    near: Near | None = None
    places: tuple[str, ...] = ()
    rating: int | None = None
    keywords: tuple[str, ...] = ()
    longer: float | None = None
    shorter: float | None = None
    not_folders: tuple[bytes, ...] = ()

    def json_fields(self) -> dict[str, Any]:
        """Those that filter anything."""
        described = {
            "type": self.medium,
            "in": self.folders,
            "not_in": self.not_folders,
            "ext": self.extensions,
            "after": self.after,
            "before": self.before,
            "camera": self.camera,
            "lens": self.lens,
            "near": self.near,
            "place": self.places,
            "rating": self.rating,
            "keyword": self.keywords,
            "longer": self.longer,
            "shorter": self.shorter,
        }
        return {name: value for name, value in described.items() if value}

    def __bool__(self) -> bool:
        return bool(self.json_fields())


@dataclass(frozen=True)
class Reading:
    """How a text was read that is not in English: the code of its `language` (ISO 639-1), and what it says in
    `english`, the best guess first.

    The language is None for one that is not read, and nothing is in `english` where no word of it is known: such a
    text is searched as it was typed.
    """

    language: str | None
    english: tuple[str, ...] = ()


class Listing(NamedTuple):
    """A page of a list of files: by date, the newest first, or by path; those of one content once, or each of them.

    With a `seed` (0 to 2**64 - 1) they come in an order that is drawn by it and by nothing else.
    """

    by_date: bool
    offset: int
    limit: int
    copies: bool
    seed: int | None = None


@dataclass(frozen=True)
class Root:
    """A folder or file that was given to `index`; `rules` is the JSON of its walk rules.

    `changed` is when a run last found something new, changed or gone in it, None before that. `mounts` are folders
    below it that lay on other devices; `absent` counts files that are gone and stay until a person says so.
    """

    id: int
    path: bytes
    rules: str
    changed: str | None
    mounts: tuple[bytes, ...]
    absent: int


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
    locator: Locator = Locator()
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
    facts: FileFacts = FileFacts()
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


class WordPlace(NamedTuple):
    """A file that the word index has found: by what it is called or says itself if it `is_file`, and `item_id` is its
    first item then; else by the text or the part name of that item. `size` is in bytes.
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
