"""A film → frames of it, each with the time for which it stands; a recording of sound → the words of its tags. Where a
model hears, both → stretches of their sound.

Both lie in the same containers, and only what is in one tells which it is. They are read with PyAV, which an extra
brings: its wheel holds codecs under the GPL, so that it is no part of what everybody installs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any, NoReturn

from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reader, Reading, UnreadableFile
from mmsearch.reading.text_encoding import looks_like_text
from mmsearch.reading.video.containers import (
    VIDEO_EXTENSIONS,
    is_cut_short,
    is_sound,
    likely_container,
    sure_container,
)
from mmsearch.records import NOTHING_HEARD, FileFacts, Locator, Medium, Part

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from PIL.Image import Image

EXTRA = "video"
# One for both media: a file of either name may hold the other.
VERSION = 1
_MAX_BYTES = 200_000_000_000
_BUFFER_BYTES = 1 << 17
_READABLE_NAMES = {
    "mov": "MP4", "matroska": "Matroska", "mpegts": "MPEG-TS", "mpeg": "MPEG", "mpegvideo": "MPEG", "ogg": "Ogg",
    "avi": "AVI", "flv": "FLV", "asf": "ASF", "mp3": "MP3", "flac": "FLAC", "wav": "WAV", "aiff": "AIFF", "aac": "AAC",
}  # fmt: skip
# Decoders keep several frames at a time, which take together about so many bytes a pixel.
_BYTES_OF_PIXEL = 12


@functools.cache
def is_installed() -> bool:
    """Whether the package is there that recordings are read with."""
    return find_spec("av") is not None


def read_recording(file: OpenFile, side: int) -> Reading:
    """The frames of a film, one for each two seconds, after the words of its tags; of sound, those words alone. Where
    sound is wanted, windows of it, of either.

    Times are in seconds since the film began. The short side of a frame has at least `side` pixels if the film has, at
    most twice that. What a file that breaks off still holds is read, with a note.

    Raises UnreadableFile for damaged and truncated files, for films of which no frame can be decoded, and for frames
    over the limit.
    """
    from mmsearch.reading.video.film import Film
    from mmsearch.reading.video.frames import Sampling, step_for
    from mmsearch.reading.video.sound import Soundtrack
    from mmsearch.reading.video.tags import date_made, merged, words_of

    name = likely_container(file.head, file.extension)
    if name is None:
        raise UnreadableFile("not a video of a kind that is known")
    is_short = is_cut_short(file.stream, file.size, name)
    with ExitStack() as held:
        container = held.enter_context(_opened(file, name, is_short))
        # Ogg keeps them with the sound; what a cover is called is nothing to find a song by.
        tags = merged([container.metadata, *(stream.metadata for stream in container.streams.audio)])
        facts = FileFacts(
            taken=date_made(tags),
            duration=round(container.duration / 1e6, 3) if (container.duration or 0) > 0 else None,
            note=f"incomplete {_READABLE_NAMES[name]}" if is_short else None,
        )
        words = words_of(tags)
        said = [] if words is None else [Part("text", words, source="tags")]
        stream = _moving_stream(container)
        if stream is None and not container.streams.audio:
            raise UnreadableFile("neither picture nor sound inside")
        if file.hearing is not None:
            heard = Soundtrack(container, file.hearing, facts.duration, file.size)
            held.pop_all()  # from here on the sound track closes it
            return Reading(facts, heard, "audio" if stream is None else "video", lacking=NOTHING_HEARD)
        if stream is None:
            return Reading(facts, said, "audio", lacking="no words inside: sound without tags")
        _check_size(file, stream)
        start = (container.start_time or 0) / 1e6
        sampling = Sampling(stream, start, facts.duration, step_for(facts.duration, file.size))
        film = Film(container, sampling, side, said)
        held.pop_all()  # from here on the film closes it
    width, height = film.size
    return Reading(replace(facts, width=width, height=height), film, "video")


def open_container(file: OpenFile) -> InputContainer:
    """What PyAV makes of the file, by the one format that its bytes are of.

    Raises:
        UnreadableFile: it is damaged, or of none.
    """
    name = likely_container(file.head, file.extension)
    if name is None:
        raise UnreadableFile("not a video of a kind that is known")
    return _opened(file, name, is_cut_short(file.stream, file.size, name))


def picture_of_moment(file: OpenFile, place: Locator, side: int) -> Image | None:
    """The frame that stands for a moment of a film, or for its beginning; None for sound. Raises as `read_recording`.

    It is sought, as only one is wanted: a file whose times jump may give one that lies elsewhere.
    """
    from mmsearch.reading.video.film import Film
    from mmsearch.reading.video.frames import STEP_SECONDS, Sampling

    with ExitStack() as held:
        container = held.enter_context(open_container(file))
        stream = _moving_stream(container)
        if stream is None:
            return None
        _check_size(file, stream)
        begins = (container.start_time or 0) / 1e6 + (place.time[0] if place.time else 0.0)
        with suppress(OSError):  # what cannot be sought is gone through
            container.seek(round(begins * 1e6))
        film = Film(container, Sampling(stream, begins, None, STEP_SECONDS), side, ())
        held.pop_all()  # from here on the film closes it
    with closing(iter(film)) as parts:
        picture: Image = next(parts).payload
        return picture


class _Source:
    """The bytes of a file, and neither its name nor a way to close it."""

    def __init__(self, stream: IO[bytes]) -> None:
        stream.seek(0)
        self.read = stream.read
        self.seek = stream.seek
        self.tell = stream.tell


def _opened(file: OpenFile, name: str, is_short: bool) -> InputContainer:
    import av

    # From 19 on PyAV keeps the bytes of tags that are no UTF-8 by itself, and is not to be told.
    keeping: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}
    try:
        return av.open(
            _Source(file.stream), "r", format=name, buffer_size=_BUFFER_BYTES, io_open=_nothing_else, **keeping
        )
    except (MemoryError, UnreadableFile):
        raise
    except Exception:  # hostile bytes make PyAV raise others than its own too
        raise UnreadableFile(f"{'truncated' if is_short else 'damaged'} {_READABLE_NAMES[name]}") from None


def _nothing_else(url: str, flags: int, options: Mapping[str, str]) -> NoReturn:
    raise UnreadableFile("refers to other files")


def _moving_stream(container: InputContainer) -> VideoStream | None:
    """The stream of pictures that players show; None where there are none, or but the cover of an album."""
    from av.stream import Disposition

    no_film = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
    films = [stream for stream in container.streams.video if not stream.disposition & no_film]
    known = [stream for stream in films if stream.codec_context is not None]
    if films and not known:
        raise UnreadableFile("not supported: video of this kind")
    return max(
        known,
        key=lambda one: (bool(one.disposition & Disposition.default), one.width * one.height),
        default=None,
    )


def _check_size(file: OpenFile, stream: VideoStream) -> None:
    pixels, limit = stream.width * stream.height, file.limits.max_image_bytes
    if pixels * _BYTES_OF_PIXEL > limit:
        raise UnreadableFile(
            f"video of {pixels / 1e6:,.0f} megapixels: it would take {pixels * _BYTES_OF_PIXEL / 1e6:,.0f} MB of "
            f"memory, over the limit of {limit / 1e6:,.0f}"
        )


def recordings(medium: Medium, named: str, extensions: frozenset[str], is_its: Callable[[bytes, str], bool]) -> Reader:
    """The reader of films, or of sound, a file of which is `named` so in reasons.

    `is_its` gets first bytes that are of either, and the extension.
    """

    def is_surely(head: bytes) -> bool:
        return is_installed() and sure_container(head) is not None and is_its(head, "")

    def may_be(head: bytes, extension: str) -> bool:
        return is_installed() and likely_container(head, extension) is not None and is_its(head, extension)

    def mismatch(head: bytes) -> str:
        return f"not a {named} file: {'text' if looks_like_text(head) else 'no known container'} inside"

    def wanting() -> Mapping[str, str]:
        return {} if is_installed() else dict.fromkeys(extensions, EXTRA)

    return Reader(
        medium=medium,
        version=VERSION,
        extensions=extensions if is_installed() else frozenset(),
        is_surely=is_surely,
        may_be=may_be,
        mismatch=mismatch,
        max_bytes=_MAX_BYTES,
        read=read_recording,
        installed=lambda: (EXTRA,) if is_installed() else (),
        wanting=wanting,
        picture=picture_of_moment,
        refusals=1,
        has_sound=True,
    )


READER = recordings("video", "video", VIDEO_EXTENSIONS, lambda head, extension: not is_sound(head, extension))
