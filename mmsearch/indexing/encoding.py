"""From files to items: reading and encoding, in worker threads.

The files of a batch are read one after the other. Those of few parts are encoded together, as many at a time as the
encoder likes; a long one is encoded group by group, and each group is handed on at once, so that an interruption loses
no more than the group in work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import MmsearchError
from mmsearch.indexing.changes import Candidate
from mmsearch.indexing.cutting import Cutting
from mmsearch.indexing.frames import Begun, after, begun_of, distinct
from mmsearch.indexing.rereading import wordless_media
from mmsearch.reading import (
    NotAMedium,
    OpenFile,
    ReadLimits,
    UnreachableFile,
    UnreadableFile,
    details_at,
    open_file,
    read,
)
from mmsearch.records import Content, Details, EncodedItem, FileState, FloatMatrix, Modality, Part

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

# So many parts of a file are encoded before they are handed on.
GROUP_PARTS = 16
_COULD_NOT = "the model could not encode it"


@dataclass(frozen=True)
class Outcome:
    """What became of one candidate, or of some of its parts.

    `content_id`, `content` or `reason` is set, or none: it is of another kind. `items` are those of the content from
    place `first` on, the last of them if `is_whole`. `out_of_reach` tells that the system would not give it: nothing is
    known of its content. `not_encoded` tells that it could be read, with that `digest`, and that the model failed.
    `left_out` counts passages of the file that were too many. `renewed` is the digest that the content gets
    in the place of an older one. `share` is how much of the file is through with it. `anew` tells that the model has
    items of the content already, which are to be replaced. `details` are those of a content that is known, read anew.
    `wordless` tells that there is nothing in the content to be encoded, and that a stage takes it. `reader` is the
    version of the reader that finds in a known content what an older one has found.
    """

    candidate: Candidate
    state: FileState
    content_id: int | None = None
    content: Content | None = None
    items: tuple[EncodedItem, ...] = ()
    first: int = 0
    is_whole: bool = True
    reason: str | None = None
    out_of_reach: bool = False
    not_encoded: bool = False
    digest: bytes | None = None
    left_out: int = 0
    renewed: bytes | None = None
    share: float = 1.0
    anew: bool = False
    details: Details | None = None
    wordless: bool = False
    reader: int | None = None


# Hands on what became of some files.
Emit = Callable[[Sequence[Outcome]], None]


# What a person reads of a file in one line.
_MOST_TROUBLES = 3


class Stopped(Exception):
    """The run is being ended; the file in work is given up."""


@dataclass(frozen=True)
class _File:
    """A file that was read whole and waits to be encoded with others of its batch; a long one, as it is read."""

    candidate: Candidate
    state: FileState
    content: Content
    parts: Sequence[Part]
    cutting: Cutting
    anew: bool = False
    lacking: str = "no words inside"
    troubles: Sequence[str] = ()

    @property
    def whole(self) -> Content:
        """The content, once its parts are through: it is noted what of it is not among them."""
        told = list(dict.fromkeys(filter(None, (self.content.facts.note, *self.troubles))))
        if not told:
            return self.content
        note = "; ".join(told[:_MOST_TROUBLES])
        if len(told) > _MOST_TROUBLES:
            note += f" (and {len(told) - _MOST_TROUBLES:,} more)"
        return replace(self.content, facts=replace(self.content.facts, note=note))


@dataclass
class FileEncoder:
    """Reads and encodes files for one model. Its methods are called from several threads at once.

    `known` is a reader of the library that they share.
    """

    known: Store
    model_id: int
    encoder: Encoder
    limits: ReadLimits
    stop: threading.Event
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._has_older_digests = self.known.has_older_digests()
        # The media of files that stages take though there is nothing in them to be encoded.
        self._taken_wordless = wordless_media(self.known)

    def encode(self, batch: Sequence[Candidate], emit: Emit) -> None:
        """Hands on what became of the files of a batch; those that a stop leaves no time for are not among them."""
        outcomes: list[Outcome] = []
        waiting: list[_File] = []
        for candidate in batch:
            if self.stop.is_set():
                break
            try:
                if candidate.details_only:
                    outcomes.append(self._details_anew(candidate))
                    continue
                with open_file(candidate.file.path, self.limits) as file:
                    if self.encoder.hearing is not None and not file.reader.has_sound:
                        continue  # nothing that this model is there for
                    found = self._taken_up(candidate, file, emit)
                if isinstance(found, _File):
                    waiting.append(found)
                elif found is not None:
                    outcomes.append(found)
            except Stopped:
                break
            except NotAMedium:
                outcomes.append(Outcome(candidate, _seen(candidate)))
            except UnreachableFile as error:
                outcomes.append(replace(failed(candidate, error.reason), out_of_reach=True))
            except UnreadableFile as error:
                outcomes.append(failed(candidate, error.reason))
            except MemoryError:
                outcomes.append(failed(candidate, "too large for this machine's memory"))
        emit(outcomes + self._together(waiting))

    def _details_anew(self, candidate: Candidate) -> Outcome:
        """The details of a file that has not changed; what it cannot say is nothing, and not asked again."""
        file = candidate.file
        with self._asking:
            content_id = self.known.content_at(file.path)
        try:
            details = details_at(file.path, file.size, file.mtime_ns, self.limits)
        except UnreachableFile:
            raise
        except UnreadableFile:
            details = Details()
        return Outcome(candidate, _seen(candidate), content_id=content_id, details=details)

    def _taken_up(self, candidate: Candidate, file: OpenFile, emit: Emit) -> Outcome | _File | None:
        """What is known of the file already, or the file with its few parts; None once a long one is encoded."""
        state = FileState(candidate.root_id, file.path, file.size, file.mtime_ns, file.ctime_ns)
        version = file.reader.version_of(file.extension)
        older = file.older_digest() if self._has_older_digests else b""
        with self._asking:
            digest = older if older and self.known.has_older_digest(older) else file.digest
            content_id = self.known.content_with_items(digest, self.model_id, version)
            begun = Begun() if content_id else self._begun(digest, version)
            most = self.limits.max_passages
            if content_id is not None:
                anew = self.known.is_thinned(content_id, self.model_id, most)
            else:  # what was begun within another limit has other passages
                anew = begun.items > 0 and self.known.budget_of(digest, self.model_id) != most
        if anew:
            begun = Begun()
        elif content_id is not None:
            renewed = None if digest == file.digest else file.digest
            return Outcome(candidate, state, content_id=content_id, renewed=renewed)
        reading = read(file, self.encoder.image_side, self.encoder.hearing)
        if reading.since is not None and not begun.items and not anew:
            with self._asking:
                content_id = self.known.content_with_items(digest, self.model_id, reading.since)
            if content_id is not None:
                return Outcome(candidate, state, content_id=content_id, reader=version)
        medium, details_version = reading.medium or file.reader.medium, file.reader.details_version
        content = Content(digest, medium, file.size, version, reading.facts, details_version)
        cutting = Cutting(self.encoder, self.limits.max_passages)
        parts = cutting.encodable(reading)
        first = list(islice(parts, GROUP_PARTS + 1))
        if not (first or self.encoder.hearing) and medium in self._taken_wordless:
            return Outcome(candidate, state, content=content, wordless=True)
        if len(first) <= GROUP_PARTS and not begun.items:
            return _File(candidate, state, content, first, cutting, anew, reading.lacking, reading.troubles)
        long = _File(candidate, state, content, (), cutting, anew, troubles=reading.troubles)
        return self._long(long, chain(first, parts), begun, emit)

    def _begun(self, digest: bytes, version: int) -> Begun:
        """How far a run that was cut off had come with that content."""
        items = self.known.items_stored(digest, self.model_id, version)
        content_id = self.known.content_called(digest) if items else None
        return Begun() if content_id is None else begun_of(self.known, content_id, self.model_id, items)

    def _long(self, file: _File, parts: Iterator[Part], begun: Begun, emit: Emit) -> Outcome | None:
        """Encodes what the library lacks of a long file, group by group; what was `begun` is there."""
        parts = after(parts, begun)
        first, group = begun.items, list(islice(parts, GROUP_PARTS))
        while True:
            if self.stop.is_set():
                raise Stopped
            following = list(islice(parts, GROUP_PARTS))
            try:
                items = distinct(self._items(group))
            except (MmsearchError, Stopped):
                raise
            except Exception as error:
                return _not_encoded(file, f"{_COULD_NOT}: {error}")
            outcome = Outcome(
                file.candidate, file.state, None, file.content, items, first, not following, anew=file.anew
            )
            if not following:
                emit([replace(outcome, content=file.whole, left_out=file.cutting.left_out)])
                return None
            emit([replace(outcome, share=file.cutting.share)])
            first, group = first + len(items), following

    def _items(self, parts: Sequence[Part]) -> tuple[EncodedItem, ...]:
        """The items of some parts, in their order."""
        rows = rows_of_parts(self.encoder, parts, self._check_stop)
        return tuple(_item(part, row) for part, row in zip(parts, rows, strict=True))

    def _check_stop(self, modality: Modality) -> None:
        if self.stop.is_set() and modality != "image":
            raise Stopped

    def _together(self, files: Sequence[_File]) -> list[Outcome]:
        """Encodes the parts of several files at once, or each for itself where one of them is more than it can."""
        empty = [_not_encoded(file, file.lacking) for file in files if not file.parts]
        files = [file for file in files if file.parts]
        if not files:
            return empty
        try:
            items = iter(self._items([part for file in files for part in file.parts]))
        except MmsearchError:
            raise  # the model itself, or what it runs on, and not this file
        except Stopped:
            if len(files) == 1:
                return empty
            return empty + [outcome for file in files for outcome in self._together([file])]
        except Exception as error:
            if len(files) == 1:
                return [*empty, _not_encoded(files[0], f"{_COULD_NOT}: {error}")]
            return empty + [outcome for file in files for outcome in self._together([file])]
        return empty + [
            Outcome(
                file.candidate,
                file.state,
                content=file.whole,
                items=distinct(tuple(islice(items, len(file.parts)))),
                left_out=file.cutting.left_out,
                anew=file.anew,
            )
            for file in files
        ]


def rows_of_parts(
    encoder: Encoder, parts: Sequence[Part], on_piece: Callable[[Modality], None] = lambda modality: None
) -> list[FloatMatrix]:
    """The unit vector of each part, float32 [dimension]; `on_piece` is called before each piece of work."""
    rows: dict[int, FloatMatrix] = {}
    for modality in dict.fromkeys(part.modality for part in parts):
        places = [place for place, part in enumerate(parts) if part.modality == modality]
        at_once = GROUP_PARTS if modality == "text" else encoder.pictures_at_once
        for start in range(0, len(places), at_once):
            on_piece(modality)
            some = places[start : start + at_once]
            encoded = encoder.encode(modality, [parts[place].payload for place in some])
            rows.update(zip(some, encoded, strict=True))
    return [rows[place] for place in range(len(parts))]


def _item(part: Part, row: FloatMatrix) -> EncodedItem:
    text = part.payload if isinstance(part.payload, str) else None
    return EncodedItem(part.modality, row, part.locator, part.source, text)


def _not_encoded(file: _File, reason: str) -> Outcome:
    return Outcome(file.candidate, file.state, reason=reason, not_encoded=True, digest=file.content.digest)


def failed(candidate: Candidate, reason: str) -> Outcome:
    """A file that could not be read, in the state that the walk saw: one that has changed since is tried again."""
    return Outcome(candidate, _seen(candidate), reason=reason)


def _seen(candidate: Candidate) -> FileState:
    file = candidate.file
    return FileState(candidate.root_id, file.path, file.size, file.mtime_ns, file.ctime_ns)
