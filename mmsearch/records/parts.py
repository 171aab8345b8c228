"""What files are taken into: parts with their places, and what is known of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from mmsearch.records.kinds import FloatMatrix, Modality


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
